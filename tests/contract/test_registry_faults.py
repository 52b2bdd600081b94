"""A real registry behind a proxy that breaks requests: what heals, heals; what does not, is told at once."""

import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.faults import HEALING, Fault, Faults, faulty, once, share
from tests.http_server import Received, Reply, serving
from tests.images import OCI, FakeImage, image_of, layer, program, single
from toolkit.adapters.registry import HttpRegistry
from toolkit.adapters.registry_http import Patience
from toolkit.adapters.retry import Budget, Retry, RetryingRegistry
from toolkit.blobs import BlobCorrupt
from toolkit.errors import Conflict, DigestMismatch, RegistryUnavailable
from toolkit.oci import Descriptor, Manifest, MediaType
from toolkit.publish import publish_image

MIB = 1 << 20
LARGE = os.urandom(5 * MIB + 17)
BLOB = Descriptor.of(LARGE, MediaType.OCI_LAYER)


@pytest.fixture
def faults(registry_host: str) -> Iterator[Faults]:
    with faulty(registry_host) as proxy:
        yield proxy


@dataclass
class Client:
    """A registry as releases use it, with pieces of one MiB and waits that take no time."""

    registry: RetryingRegistry
    plain: HttpRegistry
    told: list[Retry] = field(default_factory=list)


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    opened: list[HttpRegistry] = []

    def connect_to(host: str, *, piece: int = MIB, attempts: int = 12, silence: float = 30.0) -> Client:
        plain = HttpRegistry(
            host, docker_config=tmp_path / "none", piece=piece, patience=Patience(silence=silence)
        )
        opened.append(plain)
        told: list[Retry] = []
        registry = RetryingRegistry(
            plain, sleep=lambda seconds: None, budget=Budget(attempts=attempts), on_retry=told.append
        )
        return Client(registry, plain, told)

    yield connect_to
    for registry in opened:
        registry.close()


@pytest.fixture
def client(faults: Faults, connect: Callable[..., Client]) -> Client:
    return connect(faults.host)


def content() -> AbstractContextManager[BinaryIO]:
    return nullcontext(io.BytesIO(LARGE))


def assert_stored(client: Client, repository: str) -> None:
    with client.plain.open_blob(repository, BLOB) as stream:
        assert stream.read() == LARGE


def test_a_large_blob_goes_in_pieces_and_none_of_them_twice(
    client: Client, faults: Faults, repository: str
) -> None:
    client.registry.upload_blob(repository, BLOB, content)
    sent = [asked for asked in faults.asked if asked.method == "PATCH"]
    assert [asked.body for asked in sent] == [MIB] * 5 + [17]
    assert sent[1].headers["content-range"] == f"{MIB}-{2 * MIB - 1}"
    assert faults.twice == 0
    assert_stored(client, repository)


def test_an_upload_that_breaks_goes_on_where_the_registry_has_its_end(
    client: Client, faults: Faults, repository: str
) -> None:
    faults.decide = third_piece(Fault.HALF_SENT)
    client.registry.upload_blob(repository, BLOB, content)
    assert faults.twice == MIB // 2
    assert len(client.told) == 1
    assert sum(name.startswith("POST") for name in faults.names()) == 1
    assert_stored(client, repository)


def third_piece(fault: Fault) -> Callable[..., Fault | None]:
    count = 0

    def decide(asked: object) -> Fault | None:
        nonlocal count
        count += getattr(asked, "method", "") == "PATCH"
        if count != 3:
            return None
        count += 1
        return fault

    return decide


@pytest.mark.parametrize("fault", [Fault.HALF_STORED, Fault.LOST])
def test_an_upload_whose_session_is_lost_starts_over_once(
    client: Client, faults: Faults, repository: str, fault: Fault
) -> None:
    """docker-registry forgets an upload of which it has more than its client knows."""
    faults.decide = third_piece(fault)
    client.registry.upload_blob(repository, BLOB, content)
    assert 2 * MIB < faults.twice <= 3 * MIB
    assert_stored(client, repository)


def test_another_process_goes_on_with_an_upload_from_its_address(
    client: Client, faults: Faults, connect: Callable[..., Client], repository: str
) -> None:
    heard: list[tuple[str, int]] = []
    faults.decide = third_piece(Fault.HALF_SENT)
    with pytest.raises(RegistryUnavailable):
        client.plain.upload_blob(
            repository, BLOB, content, on_session=lambda address, offset: heard.append((address, offset))
        )
    assert [offset for _, offset in heard] == [0, MIB, 2 * MIB]
    other = connect(faults.host)
    other.registry.upload_blob(repository, BLOB, content, session=heard[-1][0])
    assert faults.twice == MIB // 2
    assert_stored(other, repository)


def test_the_address_of_an_upload_that_nobody_knows_is_no_trouble(
    client: Client, faults: Faults, repository: str
) -> None:
    gone = f"http://{faults.host}/v2/{repository}/blobs/uploads/00000000-0000-0000-0000-000000000000"
    client.registry.upload_blob(repository, BLOB, content, session=gone)
    assert_stored(client, repository)


def test_a_blob_that_is_corrupt_is_not_completed_although_pieces_of_it_were_sent(
    client: Client, repository: str
) -> None:
    wrong = LARGE[:-1] + bytes([LARGE[-1] ^ 1])

    def opened() -> AbstractContextManager[BinaryIO]:
        from toolkit.blobs import CheckedBlob

        return nullcontext(io.BufferedReader(CheckedBlob(io.BytesIO(wrong), BLOB, where="the layout")))

    with pytest.raises(BlobCorrupt, match="the layout"):
        client.registry.upload_blob(repository, BLOB, opened)
    assert not client.plain.has_blob(repository, BLOB.digest)
    assert client.told == []


def test_a_registry_that_forgets_pieces_gets_the_blob_whole(connect: Callable[..., Client]) -> None:
    """ECR answers 201 to a second piece and counts the first alone: aws/containers-roadmap#2831."""
    received: list[int] = []

    def answer(request: Received) -> Reply:
        location = {"Location": "/v2/repo/blobs/uploads/1"}
        if request.method == "POST":
            return Reply(status=202, headers=location)
        if request.method == "PATCH":
            return Reply(status=201, headers={**location, "Range": f"0-{MIB - 1}"})
        if request.method == "PUT":
            received.append(len(request.body))
            return Reply(status=201)
        return Reply(status=204)

    with serving(answer) as server:
        client = connect(server.host)
        client.registry.upload_blob("repo", BLOB, content)
        client.registry.upload_blob("repo", BLOB, content)
        methods = [request.method for request in server.requests]
    assert received == [len(LARGE)] * 2
    assert methods == ["POST", "PATCH", "PATCH", "DELETE", "POST", "PUT", "POST", "PUT"]


def test_ecr_gets_whole_blobs_from_the_first_on(tmp_path: Path) -> None:
    host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    registry = HttpRegistry(host, docker_config=tmp_path)
    assert registry.sends_pieces is False
    assert HttpRegistry("localhost:5000", docker_config=tmp_path).sends_pieces is True


@pytest.mark.parametrize("status", [400, 405, 415, 416, 501])
def test_a_registry_that_takes_no_pieces_gets_the_blob_whole(
    connect: Callable[..., Client], status: int
) -> None:
    def answer(request: Received) -> Reply:
        if request.method == "POST":
            return Reply(status=202, headers={"Location": "/v2/repo/blobs/uploads/1"})
        return Reply(status=status if request.method == "PATCH" else 201)

    with serving(answer) as server:
        connect(server.host).registry.upload_blob("repo", BLOB, content)
        assert server.requests[-1].body == LARGE


def test_a_registry_may_ask_for_longer_pieces(connect: Callable[..., Client]) -> None:
    sizes: list[int] = []

    def answer(request: Received) -> Reply:
        location = {"Location": "/v2/repo/blobs/uploads/1"}
        if request.method == "POST":
            return Reply(status=202, headers={**location, "OCI-Chunk-Min-Length": str(4 * MIB)})
        if request.method == "PATCH":
            sizes.append(len(request.body))
            return Reply(status=202, headers={**location, "Range": f"0-{sum(sizes) - 1}"})
        return Reply(status=201)

    with serving(answer) as server:
        connect(server.host).registry.upload_blob("repo", BLOB, content)
    assert sizes == [4 * MIB, MIB + 17]


def test_a_download_that_breaks_goes_on_where_it_broke(
    client: Client, faults: Faults, repository: str
) -> None:
    client.registry.upload_blob(repository, BLOB, content)
    faults.decide = once(("GET .*/blobs/", Fault.HALF_READ))
    with client.registry.open_blob(repository, BLOB) as stream:
        assert stream.read() == LARGE
    first, second = (asked for asked in faults.asked if re.match("GET .*/blobs/sha", asked.name))
    assert "range" not in first.headers
    start = int(second.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= len(LARGE) // 2


def test_a_registry_without_ranges_is_read_past_what_is_there_already(
    connect: Callable[..., Client],
) -> None:
    def answer(request: Received) -> Reply:
        whole = "range" in request.headers
        return Reply(body=LARGE if whole else LARGE[: 2 * MIB], length=len(LARGE))

    with serving(answer) as server:
        client = connect(server.host)
        with client.registry.open_blob("repo", BLOB) as stream:
            assert stream.read() == LARGE


def test_a_proxy_that_shortens_a_blob_and_its_length_is_told_and_not_retried(
    client: Client, faults: Faults, repository: str
) -> None:
    client.registry.upload_blob(repository, BLOB, content)
    faults.decide = once(("GET .*/blobs/", Fault.SHORTENED))
    with (
        client.registry.open_blob(repository, BLOB) as stream,
        pytest.raises(BlobCorrupt, match=f"ends after {len(LARGE) // 2} of {len(LARGE)} bytes"),
    ):
        stream.read()
    assert client.told == []


def test_a_blob_with_one_wrong_bit_is_told_and_not_retried(
    client: Client, faults: Faults, repository: str
) -> None:
    client.registry.upload_blob(repository, BLOB, content)
    faults.decide = once(("GET .*/blobs/", Fault.FLIPPED))
    with client.registry.open_blob(repository, BLOB) as stream, pytest.raises(BlobCorrupt, match="digest"):
        stream.read()
    assert client.told == []


def test_a_silent_connection_is_given_up_and_tried_again(
    faults: Faults, connect: Callable[..., Client], repository: str
) -> None:
    faults.decide = once(("HEAD", Fault.STALL))
    client = connect(faults.host, silence=0.2)
    assert client.registry.lookup_descriptor(repository, "latest") is None
    assert "did not answer in time" in client.told[0].error.message


@pytest.mark.parametrize("fault", HEALING)
def test_each_fault_that_heals_is_tried_again(
    client: Client, faults: Faults, repository: str, tmp_path: Path, fault: Fault
) -> None:
    faults.decide = once(("PUT .*/manifests/", fault), ("HEAD", fault))
    layout = single(tmp_path, image_of(program("bin/serve")))
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    publish_image(manifest, layout, registry=client.registry, repository=repository, tags=["latest"])
    assert client.plain.lookup_descriptor(repository, "latest") == manifest.descriptor()
    assert faults.done[fault] == 2


def test_with_faults_in_every_third_request_an_image_is_published_as_it_is(
    faults: Faults, connect: Callable[..., Client], repository: str, tmp_path: Path
) -> None:
    faults.decide = share(0.3, "published")
    client = connect(faults.host, attempts=40)
    layers = [layer(program(f"bin/{number}"), media_type=MediaType.OCI_LAYER_GZIP) for number in range(6)]
    layout = single(tmp_path, FakeImage(layers=layers, types=OCI))
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    publish_image(manifest, layout, registry=client.registry, repository=repository, tags=["latest"])
    client.registry.upload_blob(repository, BLOB, content)
    assert sum(faults.done.values()) > 5
    faults.decide = lambda asked: None
    assert client.plain.lookup_descriptor(repository, "latest") == manifest.descriptor()
    assert_stored(client, repository)


def test_another_digest_than_was_sent_is_told_at_once(
    client: Client, faults: Faults, repository: str, tmp_path: Path
) -> None:
    faults.decide = once(("PUT .*/manifests/", Fault.OTHER_DIGEST))
    layout = single(tmp_path, image_of(program("bin/serve")))
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    with pytest.raises(DigestMismatch):
        publish_image(manifest, layout, registry=client.registry, repository=repository, tags=["latest"])
    assert client.told == []


def test_an_immutable_tag_is_not_tried_again(connect: Callable[..., Client], tmp_path: Path) -> None:
    body = b'{"errors": [{"code": "TAG_INVALID", "message": "the tag is immutable"}]}'

    def answer(request: Received) -> Reply:
        put = request.method == "PUT"
        return Reply(status=400 if put else 404, body=body if put else b"")

    manifest = single(tmp_path, image_of(program("bin/serve"))).get_manifest("")
    with serving(answer) as server:
        client = connect(server.host)
        with pytest.raises(Conflict):
            client.registry.put_manifest("repo", "latest", manifest)
        assert [request.method for request in server.requests] == ["PUT", "HEAD"]
    assert client.told == []
