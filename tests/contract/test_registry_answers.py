"""What a registry, or something in its place, may answer: each by hand, over real HTTP."""

import io
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.http_server import Received, Reply, serving
from tests.images import image_of, program, single
from tests.registry_process import free_port, running_registry
from toolkit.adapters.layout import OciLayout
from toolkit.adapters.registry import HttpRegistry
from toolkit.adapters.retry import Budget, RetryingRegistry
from toolkit.blobs import BlobCorrupt
from toolkit.errors import (
    Conflict,
    DigestMismatch,
    NeedNotMet,
    RegistryTrouble,
    RegistryUnavailable,
    UsageError,
)
from toolkit.oci import Descriptor, Digest, Manifest, MediaType, make_manifest
from toolkit.publish import publish_image

Open = Callable[..., HttpRegistry]

MANIFEST = make_manifest(Descriptor.of(b"{}", MediaType.DOCKER_CONFIG), [], MediaType.DOCKER_MANIFEST)
BLOB = Descriptor.of(b"0123456789", MediaType.DOCKER_LAYER_GZIP)


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def connect_to(host: str, **options: object) -> HttpRegistry:
            registry = HttpRegistry(host, docker_config=tmp_path / "absent", **options)  # type: ignore[arg-type]
            stack.callback(registry.close)
            return registry

        yield connect_to


def refusing(status: int, code: str, message: str) -> Callable[[Received], Reply]:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return lambda request: Reply(status=status, headers={"Content-Type": "application/json"}, body=body)


def page(status: int) -> Callable[[Received], Reply]:
    return lambda request: Reply(
        status=status, headers={"Content-Type": "text/html; charset=utf-8"}, body=b"<html>Welcome</html>"
    )


def test_a_host_where_nothing_listens(connect: Open) -> None:
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnavailable, match=f"{host} refuses connections.*\n.*make setup"):
        connect(host).lookup_descriptor("repo", "latest")


def test_a_name_that_cannot_be_resolved(connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RegistryUnavailable, match=r"mirror\.example is not a name"):
        connect("mirror.example").lookup_descriptor("repo", "latest")


def test_a_host_that_is_none(connect: Open) -> None:
    with pytest.raises(UsageError, match="'localhost:5x' is not a registry host"):
        connect("localhost:5x")


def test_tls_on_a_plain_port(connect: Open, registry_host: str) -> None:
    with pytest.raises(RegistryTrouble, match=f"{registry_host} speaks no TLS"):
        connect(registry_host, scheme="https").lookup_descriptor("repo", "latest")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that nobody signed, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return directory / "cert.pem", directory / "key.pem"


def test_a_certificate_that_nobody_trusts(
    connect: Open, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    with running_registry(tmp_path, tls=certificate) as host:
        with pytest.raises(
            RegistryTrouble, match=r"certificate cannot be verified: self.signed.*\n.*SSL_CERT"
        ):
            connect(host, scheme="https").lookup_descriptor("repo", "latest")
        trusting = connect(host, scheme="https", ca_bundle=certificate[0])
        assert trusting.lookup_descriptor("repo", "latest") is None


def test_plain_http_on_a_tls_port(connect: Open, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    with (
        running_registry(tmp_path, tls=certificate) as host,
        pytest.raises(RegistryTrouble, match="400 Client sent an HTTP request to an HTTPS server"),
    ):
        connect(host).lookup_manifest("repo", "latest")


def test_a_ca_bundle_that_is_none(connect: Open, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("no certificate")
    with pytest.raises(NeedNotMet, match="cannot be read as a bundle"):
        connect("mirror.example", ca_bundle=bundle).lookup_descriptor("repo", "latest")


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    connect: Open, registry_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(page(502)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert connect(registry_host).lookup_descriptor("repo", "latest") is None
        assert proxy.requests == []


@pytest.mark.parametrize("status", [200, 404])
def test_a_web_page_in_the_registrys_place(connect: Open, status: int) -> None:
    with serving(page(status)) as server:
        registry = connect(server.host)
        for ask in (
            lambda: registry.lookup_descriptor("repo", "latest"),
            lambda: registry.lookup_manifest("repo", "latest"),
            lambda: registry.list_tags("repo"),
            lambda: registry.has_blob("repo", BLOB.digest),
            lambda: registry.upload_blob("repo", BLOB, lambda: nullcontext(io.BytesIO(b"0123456789"))),
            lambda: registry.put_manifest("repo", "latest", MANIFEST),
        ):
            with pytest.raises(RegistryTrouble, match="does not answer like a registry"):
                ask()


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[]", b"{}", b'{"manifests": 1}', b"null", b'{"tags": 3}']
)
def test_garbage_for_a_manifest_or_for_tags(connect: Open, body: bytes) -> None:
    with serving(lambda request: Reply(body=body)) as server:
        registry = connect(server.host)
        with pytest.raises(RegistryTrouble, match="no image that can be read"):
            registry.lookup_manifest("repo", "latest")
        with pytest.raises(RegistryTrouble, match="no image that can be read"):
            registry.lookup_descriptor("repo", "latest")
        with pytest.raises(RegistryTrouble, match="not a list of tags"):
            registry.list_tags("repo")


def test_a_manifest_of_many_megabytes_is_not_read(connect: Open) -> None:
    with (
        serving(lambda request: Reply(body=b" " * (9 << 20))) as server,
        pytest.raises(RegistryTrouble, match="longer than any manifest"),
    ):
        connect(server.host).lookup_manifest("repo", "latest")


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        (lambda: "7", 7, 7),
        (lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=300)), 200, 300),
    ],
    ids=["seconds", "a time"],
)
def test_too_many_requests_say_when_to_come_back(
    connect: Open, header: Callable[[], str], least: float, most: float
) -> None:
    with serving(lambda request: Reply(status=429, headers={"Retry-After": header()})) as server:
        with pytest.raises(RegistryUnavailable, match="too many requests") as caught:
            connect(server.host).lookup_descriptor("repo", "latest")
        assert caught.value.retry_after is not None
        assert least <= caught.value.retry_after <= most


def test_a_time_to_come_back_at_is_counted_by_the_registrys_clock(connect: Open) -> None:
    """This machine's may be an hour off."""
    then = datetime.now(UTC) + timedelta(hours=1)
    headers = {"Date": format_datetime(then), "Retry-After": format_datetime(then + timedelta(seconds=5))}
    with serving(lambda request: Reply(status=429, headers=headers)) as server:
        with pytest.raises(RegistryUnavailable) as caught:
            connect(server.host).lookup_descriptor("repo", "latest")
        assert caught.value.retry_after == 5


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_trouble_of_the_server_is_a_reason_to_try_again(connect: Open, status: int) -> None:
    with serving(lambda request: Reply(status=status, headers={"Retry-After": "soon"})) as server:
        with pytest.raises(RegistryUnavailable) as caught:
            connect(server.host).put_manifest("repo", "latest", MANIFEST)
        assert caught.value.retry_after is None


def test_a_server_that_hangs_up_is_a_reason_to_try_again(connect: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.close()

        with in_thread(hang_up), pytest.raises(RegistryUnavailable, match="the connection broke"):
            connect(host).lookup_descriptor("repo", "latest")


@contextmanager
def in_thread(act: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    yield
    thread.join(10)


def test_a_blob_whose_connection_breaks(connect: Open) -> None:
    with serving(lambda request: Reply(body=b"01234", length=10)) as server:
        registry = connect(server.host)
        with registry.open_blob("repo", BLOB) as stream, pytest.raises(RegistryUnavailable):
            stream.read()


def test_a_blob_that_is_shorter_than_its_descriptor(connect: Open) -> None:
    with serving(lambda request: Reply(body=b"01234")) as server:
        registry = connect(server.host)
        with registry.open_blob("repo", BLOB) as stream, pytest.raises(BlobCorrupt, match="ends after 5"):
            stream.read()


def test_a_blob_of_other_bytes(connect: Open) -> None:
    with serving(lambda request: Reply(body=b"9876543210")) as server:
        registry = connect(server.host)
        with (
            registry.open_blob("repo", BLOB) as stream,
            pytest.raises(BlobCorrupt, match="the digest sha256"),
        ):
            stream.read()


def test_a_manifest_of_other_bytes_than_the_digest_asked_for(connect: Open) -> None:
    with serving(lambda request: Reply(body=MANIFEST.raw)) as server:
        registry = connect(server.host)
        wanted = Digest.of(b"another")
        with pytest.raises(DigestMismatch) as caught:
            registry.lookup_manifest("repo", wanted)
    assert (caught.value.expected, caught.value.actual) == (wanted, MANIFEST.digest)


def test_a_manifest_of_other_bytes_than_the_digest_promised(connect: Open) -> None:
    promised = Digest.of(b"another")
    reply = Reply(headers={"Docker-Content-Digest": promised}, body=MANIFEST.raw)
    with serving(lambda request: reply) as server, pytest.raises(DigestMismatch, match="repo:latest"):
        connect(server.host).lookup_manifest("repo", "latest")


def test_a_registry_without_digest_headers_is_read_all_the_same(connect: Open) -> None:
    reply = Reply(headers={"Content-Type": MANIFEST.media_type}, body=MANIFEST.raw)
    with serving(lambda request: reply) as server:
        assert connect(server.host).lookup_descriptor("repo", "latest") == MANIFEST.descriptor()
    assert [request.method for request in server.requests] == ["HEAD", "GET"]


def test_a_proxy_that_says_a_head_has_no_length_is_not_believed(connect: Open) -> None:
    headers = {"Docker-Content-Digest": MANIFEST.digest, "Content-Type": MANIFEST.media_type}

    def answer(request: Received) -> Reply:
        length = {"Content-Length": "0"} if request.method == "HEAD" else {}
        return Reply(headers={**headers, **length}, body=MANIFEST.raw)

    with serving(answer) as server:
        assert connect(server.host).lookup_descriptor("repo", "latest") == MANIFEST.descriptor()


def a_layout(root: Path) -> tuple[Manifest, OciLayout]:
    layout = single(root, image_of(program("bin/serve")))
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    return manifest, layout


def test_another_digest_after_a_put_is_told(connect: Open, tmp_path: Path) -> None:
    other = Digest.of(b"another")

    def answer(request: Received) -> Reply:
        if request.method == "PUT":
            return Reply(status=201, headers={"Docker-Content-Digest": other})
        return Reply(status=200 if "/blobs/" in request.path else 404)

    manifest, layout = a_layout(tmp_path)
    with serving(answer) as server, pytest.raises(DigestMismatch) as caught:
        publish_image(manifest, layout, registry=connect(server.host), repository="repo", tags=["latest"])
    assert caught.value.reference == f"{server.host}/repo:latest"
    assert (caught.value.expected, caught.value.actual) == (manifest.digest, other)


ECR_IMMUTABLE = refusing(
    400,
    "TAG_INVALID",
    "The image tag 'b-1' already exists in the 'repo' repository and cannot be overwritten because the tag "
    "is immutable.",
)


def test_an_immutable_tag_names_both_digests(connect: Open) -> None:
    there = Digest.of(b"first")
    reply = Reply(
        headers={
            "Docker-Content-Digest": there,
            "Content-Type": MediaType.DOCKER_MANIFEST,
            "Content-Length": "9",
        }
    )

    def answer(request: Received) -> Reply:
        return ECR_IMMUTABLE(request) if request.method == "PUT" else reply

    with serving(answer) as server:
        with pytest.raises(Conflict, match="immutable tag") as caught:
            connect(server.host).put_manifest("repo", "b-1", MANIFEST)
        assert there in caught.value.message
        assert MANIFEST.digest in caught.value.message


def test_an_immutable_tag_of_the_same_image_is_done(connect: Open) -> None:
    reply = Reply(headers={"Docker-Content-Digest": MANIFEST.digest}, body=MANIFEST.raw)

    def answer(request: Received) -> Reply:
        return ECR_IMMUTABLE(request) if request.method == "PUT" else reply

    with serving(answer) as server:
        assert connect(server.host).put_manifest("repo", "b-1", MANIFEST) == MANIFEST.digest


def test_a_repository_that_must_be_made_first(connect: Open) -> None:
    missing = refusing(404, "NAME_UNKNOWN", "The repository with name 'repo' does not exist in the registry")
    with (
        serving(missing) as server,
        pytest.raises(RegistryTrouble, match="the repository repo does not exist there"),
    ):
        connect(server.host).upload_blob("repo", BLOB, lambda: nullcontext(io.BytesIO(b"0123456789")))


def test_a_proxy_that_limits_uploads_is_named(connect: Open) -> None:
    def answer(request: Received) -> Reply:
        if request.method == "POST":
            return Reply(status=202, headers={"Location": "/v2/repo/blobs/uploads/1?_state=a%3D%3D"})
        return page(413)(request)

    with serving(answer) as server:
        with pytest.raises(RegistryTrouble, match="client_max_body_size"):
            connect(server.host).upload_blob("repo", BLOB, lambda: nullcontext(io.BytesIO(b"0123456789")))
        put = next(request for request in server.requests if request.method == "PUT")
        assert put.query == {"_state": ["a=="], "digest": [BLOB.digest]}
        assert put.headers["content-length"] == "10"
        assert "transfer-encoding" not in put.headers
        assert server.requests[-1].method == "DELETE"


def test_a_mount_that_is_refused_cancels_the_session_it_opened(connect: Open) -> None:
    def answer(request: Received) -> Reply:
        if request.method == "POST":
            return Reply(status=202, headers={"Location": "/v2/repo/blobs/uploads/1"})
        return Reply(status=204)

    with serving(answer) as server:
        assert connect(server.host).mount_blob("repo", BLOB.digest, source="other") is False
    assert [(request.method, request.path) for request in server.requests] == [
        ("POST", "/v2/repo/blobs/uploads/"),
        ("DELETE", "/v2/repo/blobs/uploads/1"),
    ]


def test_an_upload_that_broke_is_sent_again_from_its_beginning(connect: Open) -> None:
    bodies: list[bytes] = []

    def answer(request: Received) -> Reply:
        if request.method == "HEAD":
            return Reply(status=404)
        if request.method == "POST":
            return Reply(status=202, headers={"Location": "/v2/repo/blobs/uploads/1"})
        bodies.append(request.body)
        return Reply(status=503 if len(bodies) == 1 else 201)

    with serving(answer) as server:
        registry = RetryingRegistry(
            connect(server.host), sleep=lambda seconds: None, budget=Budget(attempts=3)
        )
        registry.upload_blob("repo", BLOB, lambda: nullcontext(io.BytesIO(b"0123456789")))
    assert bodies == [b"0123456789"] * 2


def test_a_registry_behind_a_tls_proxy_may_spell_its_own_address_with_http(
    connect: Open, certificate: tuple[Path, Path]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def answer(request: Received) -> Reply:
        if request.method == "POST":
            return Reply(status=202, headers={"Location": f"http://{request.headers['host']}/v2/up?x=1"})
        return Reply(status=201)

    with serving(answer, tls=context) as server:
        registry = connect(server.host, scheme="https", ca_bundle=certificate[0])
        registry.upload_blob("repo", BLOB, lambda: nullcontext(io.BytesIO(b"0123456789")))
    assert [(request.method, request.path) for request in server.requests][-1] == ("PUT", "/v2/up")
