"""What a registry itself takes for a request: a bare socket that is open already, and no client around it."""

import itertools
import re
import socket
import statistics
from dataclasses import dataclass

from scripts.bench.measuring import BenchFailed, timed
from toolkit.oci import MANIFEST_TYPES, Reference

# Enough for a median, each with a tag of its own.
_TIMES = 15
_TAG = "floor"
_HEAD_END = b"\r\n\r\n"
_PIECE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Floor:
    """Seconds, medians: to put a manifest under a tag that is not there yet, and to look for it once."""

    put: float
    look: float


def floor_of(name: str) -> Floor:
    """Of the manifest that stands under the reference `name`, on plain HTTP. Raises BenchFailed."""
    reference = Reference.parse(name)
    with _Socket(reference) as registry:
        head, raw = registry.ask("GET", reference.tag)
        media_type = re.search(rb"(?im)^content-type: *(\S+)", head)
        if not raw or not media_type:
            raise BenchFailed(f"{name} has no manifest to measure with")
        sort = f"Content-Type: {media_type[1].decode()}\r\n"
        tags = (f"{_TAG}-{number}" for number in itertools.count())
        puts = [timed(lambda: registry.ask("PUT", next(tags), sort, raw)) for _ in range(_TIMES)]
        looks = [timed(lambda: registry.ask("HEAD", reference.tag)) for _ in range(_TIMES)]
    return Floor(put=statistics.median(puts), look=statistics.median(looks))


class _Socket:
    """One connection to the registry of `reference`, for manifests of its repository."""

    def __init__(self, reference: Reference) -> None:
        self._repository = reference.repository
        self._host = reference.registry
        host, _, port = self._host.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))

    def __enter__(self) -> "_Socket":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def ask(self, method: str, tag: str, headers: str = "", body: bytes = b"") -> tuple[bytes, bytes]:
        """Head and body of an answer of the 2xx; in one segment what fits, as nothing waits then."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self._socket.sendall(
            f"{method} /v2/{self._repository}/manifests/{tag} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Accept: {', '.join(MANIFEST_TYPES)}\r\n{headers}{length}\r\n".encode()
            + body
        )
        answer = b""
        while _HEAD_END not in answer:
            answer += self._more()
        head, _, rest = answer.partition(_HEAD_END)
        if not head.startswith(b"HTTP/1.1 2"):
            raise BenchFailed(f"{method} of {tag}: {head.splitlines()[0].decode(errors='replace')}")
        told = re.search(rb"(?im)^content-length: *(\d+)", head)
        left = int(told[1]) if told and method != "HEAD" else 0
        while len(rest) < left:
            rest += self._more()
        return head, rest

    def _more(self) -> bytes:
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise BenchFailed(f"{self._host} closed the connection")
        return piece
