"""A proxy before a registry that does to requests what networks and busy registries do.

Like nginx it takes a request's body whole before it passes it on. It counts what arrives, so that a test
knows how many bytes came twice, and calls `after` when the registry has answered and the client has not
heard of it yet: the moment to kill the client in.
"""

import hashlib
import http.client
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Fault(Enum):
    """What may happen to a request. All but the last three heal when it is sent again."""

    BUSY = "429 with Retry-After"
    BROKEN = "503"
    RESET = "connection reset before the registry saw it"
    LOST = "connection reset instead of the answer"
    HALF_SENT = "connection reset in the middle of the request's body"
    HALF_STORED = "the same, and the registry got that half"
    HALF_READ = "connection closed in the middle of the answer's body"
    STALL = "no answer for STALL_SECONDS, then a reset"
    SHORTENED = "an answer that lacks its end and says it is whole"
    OTHER_DIGEST = "an answer with the digest of something else"
    FLIPPED = "an answer with one bit that is wrong"


HEALING = tuple(Fault)[:8]
STALL_SECONDS = 1.0

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade"})
_UPLOAD = re.compile(r"/v2/(?P<repository>.+)/blobs/uploads/[^/]+$")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request, the `number`-th from 1 on. `body` is its length in bytes."""

    number: int
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: int

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


Decide = Callable[[Asked], Fault | None]


@dataclass
class Faults:
    """The proxy's host, what is decided for each request, and what was seen.

    `arrived` are the bytes of blobs that clients sent; `stored` the sizes of the blobs that a registry took
    by (repository, digest): what arrived beyond their sum was sent twice, or in vain.
    """

    host: str = ""
    decide: Decide = lambda asked: None
    after: Callable[[Asked, int], None] = lambda asked, status: None
    asked: list[Asked] = field(default_factory=list)
    done: Counter[Fault] = field(default_factory=Counter)
    arrived: int = 0
    stored: dict[tuple[str, str], int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def twice(self) -> int:
        return self.arrived - sum(self.stored.values())

    def names(self) -> list[str]:
        return [asked.name for asked in self.asked]


def once(*wanted: tuple[str, Fault]) -> Decide:
    """Each fault once, for the first request whose "METHOD /path" begins with the text beside it."""
    left = list(wanted)
    lock = threading.Lock()

    def decide(asked: Asked) -> Fault | None:
        with lock:
            for index, (beginning, fault) in enumerate(left):
                if re.match(beginning, asked.name):
                    del left[index]
                    return fault
            return None

    return decide


def share(part: float, seed: str, faults: tuple[Fault, ...] = HEALING) -> Decide:
    """Faults for `part` of the requests, the same ones for the same seed and order of requests."""

    def decide(asked: Asked) -> Fault | None:
        drawn = hashlib.sha256(f"{seed} {asked.number}".encode()).digest()
        if int.from_bytes(drawn[:4], "big") >= part * 2**32:
            return None
        return faults[int.from_bytes(drawn[4:8], "big") % len(faults)]

    return decide


@contextmanager
def faulty(registry: str, *, port: int = 0) -> Iterator[Faults]:
    """A proxy on a port of 127.0.0.1, 0 for any, before the registry at HOST:PORT, without any fault yet."""
    faults = Faults()

    class Handler(_Handler):
        state = faults
        upstream = registry

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    faults.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield faults
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Cut(Exception):
    """The client's connection is to be reset."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Faults
    upstream: str
    # As nginx, without waiting for the client to acknowledge the headers.
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with suppress(ConnectionError, http.client.HTTPException):
            super().handle()

    def handle_one_request(self) -> None:
        with suppress(ValueError):  # flushing what was reset
            super().handle_one_request()

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def pass_on(self) -> None:
        try:
            self._pass_on()
        except _Cut:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            # Both are its duplicates: the reset goes out with the last of the three.
            self.rfile.close()
            self.connection.close()

    def _pass_on(self) -> None:
        asked = self._asked()
        fault = self.state.decide(asked)
        if fault:
            with self.state.lock:
                self.state.done[fault] += 1
        half = fault in (Fault.HALF_SENT, Fault.HALF_STORED)
        body = self.rfile.read(asked.body // 2 if half else asked.body)
        if _UPLOAD.match(asked.path):
            with self.state.lock:
                self.state.arrived += len(body)
        match fault:
            case Fault.BUSY:
                self._answer(429, {"Retry-After": "0"}, _words("TOOMANYREQUESTS"))
                return
            case Fault.BROKEN:
                self._answer(503, {}, _words("UNAVAILABLE"))
                return
            case Fault.RESET | Fault.HALF_SENT:
                raise _Cut
            case Fault.STALL:
                time.sleep(STALL_SECONDS)
                raise _Cut
            case Fault.HALF_STORED:
                self._half(asked, body)
                raise _Cut
            case _:
                self._whole(asked, body, fault)

    def _whole(self, asked: Asked, body: bytes, fault: Fault | None) -> None:
        status, headers, answer = self._ask(asked, body)
        self._note(asked, status)
        self.state.after(asked, status)
        match fault:
            case Fault.LOST:
                raise _Cut
            case Fault.HALF_READ:
                length = len(answer) if answer else _said(asked, headers)
                self._answer(status, headers, answer[: len(answer) // 2], length=length)
                if not answer:
                    raise _Cut
                self.close_connection = True
                return
            case Fault.SHORTENED:
                answer = answer[: len(answer) // 2]
                headers = {name: text for name, text in headers.items() if name.lower() != "content-length"}
            case Fault.OTHER_DIGEST:
                other = f"sha256:{hashlib.sha256(b'something else').hexdigest()}"
                headers = {
                    name: other if name.lower() == "docker-content-digest" else text
                    for name, text in headers.items()
                }
            case Fault.FLIPPED if answer:
                answer = answer[:-1] + bytes([answer[-1] ^ 1])
        self._answer(status, headers, answer, length=_said(asked, headers))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read `asked` instead."""

    def _asked(self) -> Asked:
        parts = urlsplit(self.path)
        with self.state.lock:
            asked = Asked(
                number=len(self.state.asked) + 1,
                method=self.command,
                path=parts.path,
                query=parse_qs(parts.query),
                headers={name.lower(): text for name, text in self.headers.items()},
                body=int(self.headers.get("content-length", 0)),
            )
            self.state.asked.append(asked)
        return asked

    def _ask(self, asked: Asked, body: bytes) -> tuple[int, dict[str, str], bytes]:
        host, port = self.upstream.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            headers = {name: text for name, text in self.headers.items() if name.lower() not in _HOP}
            connection.request(self.command, self.path, body=body if asked.body else None, headers=headers)
            response = connection.getresponse()
            answered = {name: text for name, text in response.getheaders() if name.lower() not in _HOP}
            return response.status, answered, response.read()
        finally:
            connection.close()

    def _half(self, asked: Asked, body: bytes) -> None:
        """The registry gets the beginning of a request and then sees its client hang up."""
        host, port = self.upstream.split(":")
        with socket.create_connection((host, int(port))) as connection:
            lines = [f"{self.command} {self.path} HTTP/1.1"]
            lines += [f"{name}: {text}" for name, text in self.headers.items() if name.lower() not in _HOP]
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1 << 16)

    def _note(self, asked: Asked, status: int) -> None:
        """Remember a blob that the registry took: what it has of it is in the upload's requests."""
        upload = _UPLOAD.match(asked.path)
        if upload and asked.method == "PUT" and status == 201:
            digest = asked.query["digest"][0]
            size = self._size(upload["repository"], digest)
            with self.state.lock:
                self.state.stored[upload["repository"], digest] = size

    def _size(self, repository: str, digest: str) -> int:
        host, port = self.upstream.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            connection.request("HEAD", f"/v2/{repository}/blobs/{digest}")
            return int(connection.getresponse().headers["content-length"])
        finally:
            connection.close()

    def _answer(
        self, status: int, headers: Mapping[str, str], body: bytes, *, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, text in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, text)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()


def _said(asked: Asked, headers: Mapping[str, str]) -> int | None:
    """A HEAD tells the length of what it does not carry."""
    if asked.method != "HEAD":
        return None
    return int({name.lower(): text for name, text in headers.items()}.get("content-length", "0"))


def _words(code: str) -> bytes:
    return f'{{"errors": [{{"code": "{code}", "message": "a fault of the test"}}]}}'.encode()
