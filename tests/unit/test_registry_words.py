"""Refusals and transport errors in words; credentials and challenges as they are written."""

import base64
import json
from pathlib import Path

import httpx
import pytest

from toolkit.adapters.registry_auth import Challenge, parse_challenges
from toolkit.adapters.registry_credentials import Credential, CredentialTrouble, DockerCredentials
from toolkit.adapters.registry_errors import (
    Answer,
    create_line,
    is_loopback,
    login_line,
    read_answer,
    refusal,
    unreachable,
)
from toolkit.adapters.registry_http import Connection
from toolkit.errors import RegistryTrouble, RegistryUnavailable

ECR = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


def told(status: int, *codes: str, text: str = "no", host: str = "registry.example") -> RegistryTrouble:
    answer = Answer(status=status, codes=frozenset(codes), text=text)
    return refusal(answer, host=host, what="store a blob in repo", repository="repo")


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("registry.example:5000", "docker login registry.example:5000"),
        ("docker.io", "docker login"),
        (
            ECR,
            "aws ecr get-login-password --region us-west-2 | "
            f"docker login --username AWS --password-stdin {ECR}",
        ),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "aws ecr get-login-password --region cn-north-1 | docker login --username AWS "
            "--password-stdin 123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        ),
    ],
)
def test_who_may_not_is_told_how_to_log_in(host: str, line: str) -> None:
    assert login_line(host) == line
    for status in (401, 403):
        remedy = told(status, host=host).remedy
        assert remedy.endswith(f"Log in: {line}")
        assert ("`toolkit ecr policy`" in remedy) == (".dkr.ecr." in host)


def test_a_missing_repository_in_ecr_is_told_with_the_line_that_makes_it() -> None:
    error = told(404, "NAME_UNKNOWN", host=ECR)
    assert "the repository repo does not exist" in error.message
    assert error.remedy == create_line(ECR, "repo")
    assert error.remedy.startswith("Create it: `toolkit ecr ensure`")
    assert error.remedy.endswith("aws ecr create-repository --region us-west-2 --repository-name repo")
    assert not isinstance(error, RegistryUnavailable)


@pytest.mark.parametrize(
    ("status", "codes", "heals"),
    [
        (429, (), True),
        (429, ("TOOMANYREQUESTS",), True),
        (503, (), True),
        (404, ("BLOB_UPLOAD_UNKNOWN",), True),
        (400, ("DIGEST_INVALID",), False),
        (400, ("MANIFEST_BLOB_UNKNOWN",), False),
        (400, ("DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"), True),
        (403, ("DENIED",), False),
        (404, ("NAME_UNKNOWN",), False),
        (405, (), False),
    ],
)
def test_only_what_heals_by_itself_is_unavailable(status: int, codes: tuple[str, ...], heals: bool) -> None:
    assert isinstance(told(status, *codes), RegistryUnavailable) is heals


def test_a_full_disk_of_the_registry_is_no_reason_to_try_again() -> None:
    detail = {"Enclosed": {"Op": "mkdir", "Path": "/v2/repositories", "Err": 28}, "DriverName": "filesystem"}
    body = json.dumps({"errors": [{"code": "UNKNOWN", "message": "unknown error", "detail": detail}]})
    answer = read_answer(httpx.Response(500), body.encode())
    error = refusal(answer, host="localhost:5000", what="store a blob in repo", repository="repo")
    assert not isinstance(error, RegistryUnavailable)
    assert error.message == "localhost:5000 could not store a blob in repo: its disk is full"


@pytest.mark.parametrize(
    "text",
    [
        "The image tag 'v1' already exists in the 'r' repository and cannot be overwritten because the "
        "repository is immutable.",
        "The repository has enabled tag immutability",
        "Failed to process request due to 'v1' configured as immutable.",
    ],
)
def test_immutable_tags_are_recognized_in_each_registrys_words(text: str) -> None:
    assert Answer(status=400, codes=frozenset(), text=text).is_immutable_tag
    assert not Answer(status=500, codes=frozenset(), text=text).is_immutable_tag


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b'{"errors": 3}', b'{"errors": [3]}', b"\xff\x00", b"{" * 5000]
)
def test_any_body_of_a_refusal_gives_words(body: bytes) -> None:
    answer = read_answer(httpx.Response(400, headers={"content-type": "application/json"}), body)
    assert answer.text == "Bad Request"


def test_control_characters_of_a_server_do_not_reach_the_terminal() -> None:
    body = json.dumps({"errors": [{"code": "X", "message": "a\x1b[31m\nb\r" + "long " * 500}]}).encode()
    answer = read_answer(httpx.Response(400), body)
    assert answer.text.startswith("a[31m b long")
    assert len(answer.text) <= 500


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ReadTimeout("slow"), "did not answer in time"),
        (httpx.ConnectTimeout(""), "did not answer in time"),
        (httpx.RemoteProtocolError("peer closed"), r"the connection broke \(peer closed\)"),
        (httpx.WriteError(""), r"the connection broke \(WriteError\)"),
        (httpx.ProxyError("502 Bad Gateway"), "through the proxy: 502"),
    ],
)
def test_transport_errors_name_the_host_and_the_likely_cause(error: httpx.HTTPError, words: str) -> None:
    with pytest.raises(RegistryUnavailable, match=f"registry.example.*{words}"):
        raise unreachable(error, host="registry.example")


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("registry.example", False),
    ],
)
def test_only_this_machine_is_spoken_to_in_plain_http(name: str, here: bool) -> None:
    assert is_loopback(name) is here


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("localhost:5000", "http://localhost:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("registry.example", "https://registry.example"),
        ("docker.io", "https://registry-1.docker.io"),
        ("public.ecr.aws", "https://public.ecr.aws"),
    ],
)
def test_where_a_host_is_reached(host: str, base: str, tmp_path: Path) -> None:
    assert str(Connection(host, docker_config=tmp_path, ca_bundle=None, scheme=None).base) == base


@pytest.mark.parametrize(
    ("location", "reached"),
    [
        (
            "/v2/repo/blobs/uploads/1?_state=a%3D",
            "https://registry.example:8443/v2/repo/blobs/uploads/1?_state=a%3D",
        ),
        ("http://registry.example/v2/up", "https://registry.example:8443/v2/up"),
        (
            "https://storage.example/bucket?X-Amz-Signature=a%2Fb",
            "https://storage.example/bucket?X-Amz-Signature=a%2Fb",
        ),
    ],
)
def test_a_location_is_resolved(location: str, reached: str, tmp_path: Path) -> None:
    connection = Connection("registry.example:8443", docker_config=tmp_path, ca_bundle=None, scheme=None)
    assert str(connection.resolve(location, connection.base.join("/v2/repo/blobs/uploads/"))) == reached


@pytest.mark.parametrize("location", ["http://storage.example/x", "ftp://storage.example/x"])
def test_a_location_that_leaves_tls_is_refused(location: str, tmp_path: Path) -> None:
    connection = Connection("registry.example", docker_config=tmp_path, ca_bundle=None, scheme=None)
    with pytest.raises(RegistryTrouble, match=r"storage\.example, which is not HTTPS"):
        connection.resolve(location, connection.base)


def test_challenges_are_read_as_registries_write_them() -> None:
    assert parse_challenges(
        [
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
            'scope="repository:samalba/my-app:pull,push"',
            'Basic realm="https://123456789012.dkr.ecr.us-west-2.amazonaws.com/",service="ecr.amazonaws.com"',
            'bearer Realm=https://one.example/token, Service="two words"',
            "Negotiate",
            "",
        ]
    ) == (
        Challenge(
            scheme="bearer",
            fields={
                "realm": "https://auth.docker.io/token",
                "service": "registry.docker.io",
                "scope": "repository:samalba/my-app:pull,push",
            },
        ),
        Challenge(
            scheme="basic",
            fields={
                "realm": "https://123456789012.dkr.ecr.us-west-2.amazonaws.com/",
                "service": "ecr.amazonaws.com",
            },
        ),
        Challenge(scheme="bearer", fields={"realm": "https://one.example/token", "service": "two words"}),
    )


def test_two_challenges_in_one_header_are_two() -> None:
    found = parse_challenges(['Basic realm="a", Bearer realm="https://b.example/token",service="c"'])
    assert [challenge.scheme for challenge in found] == ["basic", "bearer"]


def auth(username: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def lookup(directory: Path, config: str, host: str) -> Credential | None:
    (directory / "config.json").write_text(config)
    return DockerCredentials(directory=directory).lookup_credential(host)


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("registry.example", "registry.example"),
        ("localhost:5000", "localhost:5000"),
        ("https://registry.example", "registry.example"),
        ("https://registry.example/v1/", "registry.example"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_a_login_is_found_under_each_spelling_of_its_host(tmp_path: Path, key: str, host: str) -> None:
    config = json.dumps({"auths": {"other.example": auth("no", "no"), key: auth("me", "pass:word")}})
    assert lookup(tmp_path, config, host) == Credential(username="me", secret="pass:word")


@pytest.mark.parametrize("config", ["{}", "[]", '{"auths": {}}', '{"auths": {"registry.example": {}}}'])
def test_nobody_logged_in(tmp_path: Path, config: str) -> None:
    assert lookup(tmp_path, config, "registry.example") is None


def test_no_configuration_means_nobody_logged_in(tmp_path: Path) -> None:
    assert DockerCredentials(directory=tmp_path / "absent").lookup_credential("registry.example") is None


def test_a_configuration_that_is_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialTrouble, match=r"config\.json cannot be read"):
        lookup(tmp_path, "{", "registry.example")


@pytest.mark.parametrize("entry", ["bm9jb2xvbi1zZWNyZXQ=", "/w==", "%%%secret"])
def test_a_damaged_login_is_told_without_quoting_it(tmp_path: Path, entry: str) -> None:
    config = json.dumps({"auths": {"registry.example": {"auth": entry}}})
    with pytest.raises(CredentialTrouble, match="docker login registry") as caught:
        lookup(tmp_path, config, "registry.example")
    assert entry not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_secret_does_not_show_when_a_credential_is_printed() -> None:
    assert "hunter2" not in repr(Credential(username="me", secret="hunter2"))
