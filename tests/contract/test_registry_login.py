import base64
import json
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.http_server import Received, Reply, serving
from tests.images import image_of, program, single
from tests.registry_process import PASSWORD, USERNAME, password_file, running_registry
from toolkit.adapters.registry import HttpRegistry
from toolkit.adapters.registry_credentials import CredentialTrouble, DockerCredentials
from toolkit.errors import RegistryTrouble, RegistryUnavailable
from toolkit.oci import Descriptor, Manifest, MediaType
from toolkit.publish import publish_image

Open = Callable[..., HttpRegistry]

MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MediaType.DOCKER_MANIFEST.value,
        "config": Descriptor.of(b"{}", MediaType.DOCKER_CONFIG).to_json(),
        "layers": [],
    }
).encode()
FOUND = Descriptor.of(MANIFEST, MediaType.DOCKER_MANIFEST)


def found() -> Reply:
    return Reply(
        headers={"Docker-Content-Digest": FOUND.digest, "Content-Type": FOUND.media_type}, body=MANIFEST
    )


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def log_in(directory: Path, host: str, username: str = USERNAME, password: str = PASSWORD) -> Path:
    """What `docker login` writes."""
    directory.mkdir(exist_ok=True)
    entry = {"auth": basic(username, password).removeprefix("Basic ")}
    (directory / "config.json").write_text(json.dumps({"auths": {host: entry}}))
    return directory


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def connect_to(host: str, config: Path = tmp_path / "absent") -> HttpRegistry:
            registry = HttpRegistry(host, docker_config=config)
            stack.callback(registry.close)
            return registry

        yield connect_to


class TokenRegistry:
    """A registry and its token server in one: a token is good for `lives` requests of the scopes it names."""

    def __init__(self, *, credential: str | None = None, lives: int = 1000, expires_in: int = 300) -> None:
        self.credential = credential
        self.lives = lives
        self.expires_in = expires_in
        self.given: dict[str, list[str]] = {}
        self.left: dict[str, int] = {}

    def __call__(self, request: Received) -> Reply:
        host = request.headers["host"]
        if request.path == "/token":
            if request.authorization != self.credential:
                return Reply(status=401, body=b'{"details":"incorrect username or password"}')
            token = f"token-{len(self.given)}"
            self.given[token] = request.query["scope"]
            self.left[token] = self.lives
            return Reply(body=json.dumps({"token": token, "expires_in": self.expires_in}).encode())
        token = (request.authorization or "").removeprefix("Bearer ")
        wanted = f"repository:{request.path.split('/')[2]}:pull"
        if self.left.get(token, 0) and wanted in self.given[token]:
            self.left[token] -= 1
            return found()
        challenge = f'Bearer realm="http://{host}/token",service="registry.example",scope="{wanted}"'
        return Reply(status=401, headers={"WWW-Authenticate": challenge})


def test_what_is_public_is_read_with_an_anonymous_token(connect: Open) -> None:
    with serving(TokenRegistry()) as server:
        assert connect(server.host).lookup_descriptor("public", "latest") == FOUND
        (asked,) = server.asked("/token")
    assert asked.authorization is None
    assert asked.query == {"service": ["registry.example"], "scope": ["repository:public:pull"]}


def test_a_token_is_fetched_once_for_many_threads(connect: Open) -> None:
    with serving(TokenRegistry()) as server:
        registry = connect(server.host)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda tag: registry.lookup_descriptor("repo", str(tag)), range(32)))
        assert len(server.asked("/token")) == 1
    assert answers == [FOUND] * 32


def test_each_repository_has_its_own_token(connect: Open) -> None:
    with serving(TokenRegistry()) as server:
        registry = connect(server.host)
        for repository in ("one", "two", "one", "two"):
            assert registry.lookup_descriptor(repository, "latest") == FOUND
        assert len(server.asked("/token")) == 2


def test_the_token_server_is_shown_the_login(connect: Open, tmp_path: Path) -> None:
    with serving(TokenRegistry(credential=basic("me", "secret-1"))) as server:
        config = log_in(tmp_path, server.host, "me", "secret-1")
        assert connect(server.host, config).lookup_descriptor("private", "latest") == FOUND
        assert {request.authorization for request in server.asked("/v2/")} == {None, "Bearer token-0"}


def test_a_token_that_ended_on_the_way_is_fetched_again(connect: Open) -> None:
    with serving(TokenRegistry(lives=2)) as server:
        registry = connect(server.host)
        answers = [registry.lookup_descriptor("repo", "latest") for _ in range(5)]
        assert len(server.asked("/token")) == 3
    assert answers == [FOUND] * 5


def test_mounting_asks_to_read_the_source_too(connect: Open) -> None:
    registry_answer = TokenRegistry()
    with serving(registry_answer) as server:
        connect(server.host).mount_blob("to", FOUND.digest, source="from")
        (asked,) = server.asked("/token")
    assert asked.query["scope"] == ["repository:to:pull,push", "repository:from:pull", "repository:to:pull"]


def test_a_wrong_password_is_told_with_the_line_to_log_in(connect: Open, tmp_path: Path) -> None:
    with serving(TokenRegistry(credential=basic("me", "right"))) as server:
        config = log_in(tmp_path, server.host, "me", "hunter2-hunter2")
        with pytest.raises(RegistryTrouble, match=f"docker login {server.host}") as caught:
            connect(server.host, config).lookup_descriptor("private", "latest")
    assert "hunter2" not in repr(caught.value) + str(caught.value)


def test_a_registry_that_refuses_every_token_ends_the_attempt(connect: Open) -> None:
    def refuse(request: Received) -> Reply:
        if request.path == "/token":
            return Reply(body=b'{"access_token": "tok-1234567"}')
        challenge = f'Bearer realm="http://{request.headers["host"]}/token",service="s"'
        body = json.dumps({"errors": [{"code": "DENIED", "message": request.authorization}]}).encode()
        return Reply(status=401, headers={"WWW-Authenticate": challenge}, body=body)

    with serving(refuse) as server:
        with pytest.raises(RegistryTrouble, match=r"does not let you read repo:latest: 401 Bearer \*\*\*"):
            connect(server.host).lookup_manifest("repo", "latest")
        assert len(server.asked("/v2/")) == 2
        assert len(server.asked("/token")) == 1


def test_no_credentials_go_to_a_token_server_without_tls(connect: Open, tmp_path: Path) -> None:
    def challenge(request: Received) -> Reply:
        return Reply(status=401, headers={"WWW-Authenticate": 'Bearer realm="http://mirror.example/token"'})

    with serving(challenge) as server:
        registry = connect(server.host, log_in(tmp_path, server.host))
        with pytest.raises(RegistryTrouble, match=r"mirror\.example for a token, which is not HTTPS"):
            registry.lookup_descriptor("repo", "latest")


@pytest.mark.parametrize("answer", [b"<html>Sign in</html>", b"[]", b"{}", b'{"expires_in": 300}'])
def test_a_token_server_without_tokens_is_told(connect: Open, answer: bytes) -> None:
    def login_page(request: Received) -> Reply:
        if request.path == "/token":
            return Reply(body=answer)
        return Reply(
            status=401, headers={"WWW-Authenticate": f'Bearer realm="http://{request.headers["host"]}/token"'}
        )

    with serving(login_page) as server, pytest.raises(RegistryTrouble, match="answers without a token"):
        connect(server.host).lookup_descriptor("repo", "latest")


def test_a_busy_token_server_is_a_reason_to_come_back(connect: Open) -> None:
    def busy(request: Received) -> Reply:
        if request.path == "/token":
            return Reply(status=429, headers={"Retry-After": "7"})
        return Reply(
            status=401, headers={"WWW-Authenticate": f'Bearer realm="http://{request.headers["host"]}/token"'}
        )

    with serving(busy) as server, pytest.raises(RegistryUnavailable) as caught:
        connect(server.host).lookup_descriptor("repo", "latest")
    assert caught.value.retry_after == 7


def test_an_identity_token_is_exchanged(connect: Open, tmp_path: Path) -> None:
    def exchange(request: Received) -> Reply:
        if request.path == "/token" and request.method == "POST":
            fields = dict(pair.split("=") for pair in request.body.decode().split("&"))
            token = "good" if fields["refresh_token"] == "idtok" else "bad"
            return Reply(body=json.dumps({"access_token": token}).encode())
        if request.authorization == "Bearer good":
            return found()
        return Reply(
            status=401, headers={"WWW-Authenticate": f'Bearer realm="http://{request.headers["host"]}/token"'}
        )

    with serving(exchange) as server:
        entry = {"auth": basic("me", "").removeprefix("Basic "), "identitytoken": "idtok"}
        (tmp_path / "config.json").write_text(json.dumps({"auths": {server.host: entry}}))
        assert connect(server.host, tmp_path).lookup_descriptor("repo", "latest") == FOUND


def test_a_login_that_was_renewed_meanwhile_is_taken(connect: Open, tmp_path: Path) -> None:
    """As ECR's is, which ends after twelve hours."""
    accepted = [basic("AWS", "first")]

    def answer(request: Received) -> Reply:
        if request.authorization == accepted[-1]:
            return found()
        return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="ecr",service="ecr.example"'})

    with serving(answer) as server:
        registry = connect(server.host, log_in(tmp_path, server.host, "AWS", "first"))
        assert registry.lookup_descriptor("repo", "latest") == FOUND
        accepted.append(basic("AWS", "second"))
        with pytest.raises(RegistryTrouble, match="does not let you"):
            registry.lookup_descriptor("repo", "latest")
        log_in(tmp_path, server.host, "AWS", "second")
        assert registry.lookup_descriptor("repo", "latest") == FOUND


def test_a_redirect_to_storage_takes_no_authorization_along(connect: Open, tmp_path: Path) -> None:
    blob = Descriptor.of(b"layer", MediaType.DOCKER_LAYER_GZIP)
    with serving(lambda request: Reply(body=b"layer")) as storage:

        def answer(request: Received) -> Reply:
            if request.authorization != basic(USERNAME, PASSWORD):
                return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            return Reply(status=307, headers={"Location": f"{storage.url}/bucket/layer?X-Amz-Signature=abc"})

        with serving(answer) as server:
            registry = connect(server.host, log_in(tmp_path, server.host))
            with registry.open_blob("repo", blob) as stream:
                assert stream.read() == b"layer"
            assert registry.has_blob("repo", blob.digest)
    (fetched,) = storage.requests
    assert fetched.authorization is None
    assert fetched.query == {"X-Amz-Signature": ["abc"]}


def test_a_circle_of_redirects_ends(connect: Open) -> None:
    blob = Descriptor.of(b"layer", MediaType.DOCKER_LAYER_GZIP)
    with serving(lambda request: Reply(status=302, headers={"Location": request.path})) as server:
        registry = connect(server.host)
        with pytest.raises(RegistryTrouble, match="could not read a blob of repo: 302"):
            registry.open_blob("repo", blob).__enter__()
        assert len(server.requests) < 10


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A docker-registry that wants a password."""
    directory = tmp_path_factory.mktemp("guarded")
    with running_registry(directory, htpasswd=password_file(directory)) as host:
        yield host


def test_a_real_registry_takes_the_login_of_docker(guarded: str, connect: Open, tmp_path: Path) -> None:
    layout = single(tmp_path / "layout", image_of(program("bin/serve")))
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    registry = connect(guarded, log_in(tmp_path, guarded))
    publish_image(manifest, layout, registry=registry, repository="private", tags=["one"])
    assert registry.lookup_descriptor("private", "one") == manifest.descriptor()


def test_a_real_registry_refuses_who_did_not_log_in(guarded: str, connect: Open) -> None:
    with pytest.raises(RegistryTrouble, match=f"does not let you .*\n.*docker login {guarded}"):
        connect(guarded).lookup_descriptor("private", "one")
    with pytest.raises(RegistryTrouble, match="authentication required"):
        connect(guarded).lookup_manifest("private", "one")


def test_a_real_registry_refuses_a_wrong_password(guarded: str, connect: Open, tmp_path: Path) -> None:
    registry = connect(guarded, log_in(tmp_path, guarded, password="hunter2-hunter2"))
    with pytest.raises(RegistryTrouble, match="does not let you") as caught:
        registry.lookup_descriptor("private", "one")
    assert "hunter2" not in str(caught.value)


def add_helper(directory: Path, name: str, script: str) -> None:
    directory.mkdir(exist_ok=True)
    helper = directory / f"docker-credential-{name}"
    helper.write_text(f"#!/bin/sh\n{script}\n")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return directory


def ask(config: Path, document: object, host: str) -> tuple[str, str] | None:
    (config / "config.json").write_text(json.dumps(document))
    credential = DockerCredentials(directory=config).lookup_credential(host)
    return (credential.username, credential.secret) if credential else None


def test_the_credential_helper_of_a_host_comes_before_the_store(helpers: Path, tmp_path: Path) -> None:
    echo = 'read host; echo "{\\"Username\\": \\"$host\\", \\"Secret\\": \\"%s\\"}"'
    add_helper(helpers, "ecr-login", echo % "from-ecr")
    add_helper(helpers, "store", echo % "from-store")
    document = {"credHelpers": {"ecr.example": "ecr-login"}, "credsStore": "store"}
    assert ask(tmp_path, document, "ecr.example") == ("ecr.example", "from-ecr")
    assert ask(tmp_path, document, "other.example") == ("other.example", "from-store")
    assert ask(tmp_path, document, "docker.io") == ("https://index.docker.io/v1/", "from-store")


def test_a_store_without_the_host_means_nobody_logged_in(helpers: Path, tmp_path: Path) -> None:
    add_helper(helpers, "store", "echo credentials not found in native keychain; exit 1")
    assert ask(tmp_path, {"credsStore": "store"}, "one.example") is None


@pytest.mark.parametrize("script", ["echo broken >&2; exit 3", "echo no json", "echo '{}'"])
def test_a_helper_that_fails_is_named(helpers: Path, tmp_path: Path, script: str) -> None:
    add_helper(helpers, "store", script)
    with pytest.raises(CredentialTrouble, match="docker-credential-store"):
        ask(tmp_path, {"credsStore": "store"}, "one.example")


def test_a_helper_that_is_not_installed_is_named_only_where_a_login_is_wanted(
    helpers: Path, tmp_path: Path, guarded: str, registry_host: str, connect: Open
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "desktop"}))
    assert connect(registry_host, tmp_path).lookup_descriptor("repo", "none") is None
    with pytest.raises(RegistryTrouble, match="docker-credential-desktop, which does not start"):
        connect(guarded, tmp_path).lookup_descriptor("repo", "none")
