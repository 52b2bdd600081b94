"""What clients reach by ECR's host names: docker-registry, behind what ECR does and it does not.

Real answers of ECR that this repeats: 401 without credentials; 403 DENIED "Your authorization token has
expired. Reauthenticate and try again." (aws/aws-cli#6580); 404 NAME_UNKNOWN "The repository with name …
does not exist in the registry with id …" (aws/containers-roadmap#853); 400 TAG_INVALID "The image tag …
cannot be overwritten because the tag is immutable.", for the same digest too (moby/buildkit#3776); 429
TOOMANYREQUESTS "Rate exceeded" (containerd/containerd#10447).
"""

import base64
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from tests.ecr.hosts import Certificates
from tests.ecr.state import Kept, Repository, State
from toolkit.oci import Digest

_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags)/(?P<rest>[^?]*)(?P<query>\?.*)?")
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "authorization"})
_PIECE = 1 << 18


class _Plane(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], state: State, upstream: str, tls: ssl.SSLContext) -> None:
        super().__init__(address, _Handler)
        self.state = state
        self.upstream = upstream
        self.replicating: list[threading.Timer] = []
        self._tls = tls

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        # The handshake is the connection's own thread's business.
        try:
            with self._tls.wrap_socket(request, server_side=True) as wrapped:
                self.RequestHandlerClass(wrapped, client_address, self)  # type: ignore[arg-type]
        except (OSError, ssl.SSLError):
            return

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is none of the server's errors."""


@dataclass(frozen=True, kw_only=True)
class _Push:
    """A manifest that was put at `region` and is to come to `other`."""

    region: str
    other: str
    name: str
    selector: str
    kept: Kept
    body: bytes


def _copy(state: State, upstream: str, push: _Push) -> None:
    """A manifest with its blobs, from one region's directory to that of another."""
    other, name, kept = push.other, push.name, push.kept
    source = f"{push.region}/{name}".replace("/", "%2F")
    manifest = json.loads(push.body)
    blobs = [
        each["digest"] for each in (*manifest.get("layers", ()), *filter(None, [manifest.get("config")]))
    ]
    connection = http.client.HTTPConnection(upstream, timeout=60)
    try:
        for digest in blobs:
            query = f"mount={digest}&from={source}"
            connection.request("POST", f"/v2/{other}/{name}/blobs/uploads/?{query}")
            connection.getresponse().read()
        target = f"/v2/{other}/{name}/manifests/{push.selector}"
        connection.request("PUT", target, body=push.body, headers={"Content-Type": kept.media_type})
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    if response.status in (200, 201, 202):
        with state.lock:
            repository = state.repositories[other].setdefault(name, Repository(name=name))
            repository.manifests.setdefault(kept.digest, kept)
            if not push.selector.startswith("sha256:"):
                repository.tags[push.selector] = kept.digest


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Plane
    _statuses: ClassVar[dict[str, int]] = {
        "NAME_UNKNOWN": 404,
        "TAG_INVALID": 400,
        "TOOMANYREQUESTS": 429,
        "UNAUTHORIZED": 401,
    }

    def answer(self) -> None:
        state = self.server.state
        body = self._body()
        state.requests.append(f"{self.command} {self._region()} {self.path.partition('?')[0]}")
        if status := state.refusal(self.command):
            self._refuse("UNKNOWN", "the stand-in was told to refuse this", status=status)
        elif not self._is_let_in(state):
            return
        elif found := _PATH.fullmatch(self.path):
            self._in_repository(state, found, body)
        else:
            self._refuse("UNSUPPORTED", "there is nothing here", status=200 if self.path == "/v2/" else 404)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def _region(self) -> str:
        return str(self.headers.get("host", "")).split(".")[3]

    def _is_let_in(self, state: State) -> bool:
        scheme, _, text = str(self.headers.get("authorization", "")).partition(" ")
        user, _, token = base64.b64decode(text).decode().partition(":") if scheme == "Basic" else ("", "", "")
        ends = state.tokens.get(token) if user == "AWS" else None
        if ends is None:
            told = "Not Authorized" if scheme else "no basic auth credentials"
            self._refuse("UNAUTHORIZED", told, status=401)
        elif ends <= time.time():
            told = "Your authorization token has expired. Reauthenticate and try again."
            self._refuse("DENIED", told, status=state.behaviour.expired_status)
        else:
            return True
        return False

    def _in_repository(self, state: State, found: re.Match[str], body: bytes) -> None:
        region, name = self._region(), found["name"]
        with state.lock:
            repository = state.repositories[region].get(name)
            if repository is None and not state.behaviour.needs_repositories and self.command != "GET":
                repository = state.repositories[region][name] = Repository(name=name)
        if repository is None:
            told = (
                f"The repository with name '{name}' does not exist in the registry with id '{state.account}'"
            )
            self._refuse("NAME_UNKNOWN", told)
        elif found["kind"] == "manifests" and self.command == "PUT":
            self._put_manifest(state, repository, found["rest"], body)
        else:
            self._forward(region, found, body)

    def _put_manifest(self, state: State, repository: Repository, selector: str, body: bytes) -> None:
        if not state.may_put():
            self._refuse("TOOMANYREQUESTS", "Rate exceeded", retry_after="1")
            return
        is_tag = not selector.startswith("sha256:")
        # One at a time: of two who put one immutable tag, one is refused.
        with state.lock:
            is_fixed = is_tag and state.behaviour.obeys_immutability and repository.is_immutable(selector)
            if is_fixed and selector in repository.tags:
                self._refuse(
                    "TAG_INVALID",
                    f"The image tag '{selector}' already exists in the '{repository.name}' repository and "
                    "cannot be overwritten because the tag is immutable.",
                )
                return
            found = _PATH.fullmatch(self.path)
            assert found
            if self._forward(self._region(), found, body) in (200, 201):
                digest = Digest.of(body)
                repository.manifests.setdefault(
                    digest,
                    Kept(
                        digest=digest,
                        media_type=str(self.headers.get("content-type")),
                        size=len(body),
                        pushed=time.time(),
                    ),
                )
                if is_tag:
                    repository.tags[selector] = digest
                self._replicate(state, repository, selector, body)

    def _replicate(self, state: State, repository: Repository, selector: str, body: bytes) -> None:
        """ECR does it some time after the push, and makes repositories that are not there.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html
        """
        seconds = state.behaviour.replication_seconds
        region, upstream = self._region(), self.server.upstream
        kept = repository.manifests[Digest.of(body)]
        for other in state.destinations(region, repository.name) if seconds is not None else ():
            push = _Push(
                region=region, other=other, name=repository.name, selector=selector, kept=kept, body=body
            )
            timer = threading.Timer(seconds or 0.0, _copy, (state, upstream, push))
            self.server.replicating.append(timer)
            timer.start()

    def _forward(self, region: str, found: re.Match[str], body: bytes) -> int:
        """Each region has a directory of its own in the one registry behind."""
        query = (found["query"] or "").replace("from=", f"from={region}%2F")
        target = f"/v2/{region}/{found['name']}/{found['kind']}/{found['rest']}{query}"
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            upstream.request(self.command, target, body=body or None, headers=headers)
            response = upstream.getresponse()
            self.send_response(response.status)
            for key, value in response.getheaders():
                if key.lower() not in _HOP:
                    self.send_header(key, value.replace(f"/v2/{region}/", "/v2/"))
            self.send_header("Content-Length", response.getheader("content-length") or "0")
            self.end_headers()
            if self.command != "HEAD":
                while piece := response.read(_PIECE):
                    self.wfile.write(piece)
            return response.status
        finally:
            upstream.close()

    def _body(self) -> bytes:
        if "chunked" not in str(self.headers.get("transfer-encoding", "")):
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _refuse(self, code: str, message: str, *, status: int | None = None, retry_after: str = "") -> None:
        status = status or self._statuses[code]
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        body = b"{}" if status == 200 else body
        self.send_response(status)
        if status == 401:
            realm = f'Basic realm="https://{self.headers.get("host")}/",service="ecr.amazonaws.com"'
            self.send_header("WWW-Authenticate", realm)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read `state.requests` instead."""


@contextmanager
def serving(state: State, *, address: str, upstream: str, certificates: Certificates) -> Iterator[None]:
    """Answers on port 443 of `address` until the block ends; `upstream` is docker-registry's HOST:PORT."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.certificate, certificates.key)
    plane = _Plane((address, 443), state, upstream, tls)
    thread = threading.Thread(target=plane.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        plane.shutdown()
        plane.server_close()
        thread.join()
        for timer in plane.replicating:
            timer.cancel()
            timer.join()
