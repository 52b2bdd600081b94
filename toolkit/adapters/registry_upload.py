"""Blobs to a registry: whole in one request, or in pieces of which those that arrived are not sent again.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, Self
from urllib.parse import quote

import httpx

from toolkit.adapters.registry_dialogue import Dialogue
from toolkit.blobs import CHUNK, BlobCorrupt
from toolkit.errors import RegistryTrouble, RegistryUnavailable, ToolkitError
from toolkit.oci import Descriptor
from toolkit.publish import Content, OnSession
from toolkit.quotas import Api

# Larger than the least piece that S3 takes (5 MiB), so that a registry on S3 stores each as it comes;
# what of a blob may have to be sent twice.
PIECE = 8 << 20

_RECEIVED = re.compile(r"(?:bytes=)?0-(\d+)")
_STREAM = {"Content-Type": "application/octet-stream"}

# A request's body, anew for each time it is sent.
_Body = Callable[[], bytes | Iterable[bytes]]

# How registries answer who do not take pieces.
_NO_PIECES = frozenset({400, 405, 411, 415, 416, 501})


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A blob that is to get into a repository."""

    repository: str
    blob: Descriptor
    content: Content
    on_session: OnSession


class Uploads:
    """The uploads to one registry. Blobs of more than `piece` bytes go in pieces, 0 for none at all.

    Pieces are trusted as far as the registry counts them: ECR takes the second and forgets it
    (aws/containers-roadmap#2831). Who counts wrong gets whole blobs from then on.
    """

    def __init__(self, dialogue: Dialogue, *, piece: int = PIECE) -> None:
        self._dialogue = dialogue
        self._piece = piece

    @property
    def sends_pieces(self) -> bool:
        return self._piece > 0

    def upload(
        self, repository: str, blob: Descriptor, content: Content, *, session: str, on_session: OnSession
    ) -> None:
        job = _Job(repository=repository, blob=blob, content=content, on_session=on_session)
        if session and self._resumed(job, httpx.URL(session)):
            return
        address = self._start(repository)
        try:
            if self.sends_pieces and blob.size > self._piece:
                on_session(str(address), 0)
                if self._in_pieces(job, address, 0):
                    return
                self._piece = 0
                self._cancel(repository, address)
                on_session("", 0)
                address = self._start(repository)
            with _Forward(blob, content) as source:
                self._put(job, address, lambda: source.chunks(range(blob.size)), blob.size)
        except RegistryUnavailable:
            raise
        except ToolkitError:
            self._cancel(repository, address)
            raise

    def cancel(self, repository: str, response: httpx.Response) -> None:
        """End the upload that `response` began."""
        self._cancel(repository, self._dialogue.location(response))

    def _resumed(self, job: _Job, session: httpx.URL) -> bool:
        """False when the upload cannot go on there."""
        address, offset = self._where(job, session)
        if address:
            try:
                if self._in_pieces(job, address, offset):
                    return True
            except RegistryUnavailable:
                raise
            except RegistryTrouble:
                # What the registry kept may not be what was sent: only from the start it is sure.
                self._cancel(job.repository, address)
        job.on_session("", 0)
        return False

    def _start(self, repository: str) -> httpx.URL:
        call = self._dialogue.call(
            Api.START_UPLOAD,
            "POST",
            repository,
            "blobs/uploads/",
            what=f"start an upload to {repository}",
        )
        response, body = self._dialogue.connection.ask(call)
        if response.status_code != 202:
            raise self._dialogue.refusal(call, response, body)
        least = response.headers.get("oci-chunk-min-length", "")
        if self.sends_pieces and least.isdigit():
            self._piece = max(self._piece, int(least))
        return self._dialogue.location(response)

    def _where(self, job: _Job, session: httpx.URL) -> tuple[httpx.URL | None, int]:
        """Where an upload goes on and what of it is there; None when the registry knows nothing of it."""
        plain = self._dialogue.call(Api.SEND, "GET", job.repository, "", what="go on with an upload")
        call = replace(plain, url=session, scopes=(f"repository:{job.repository}:pull,push",))
        response, body = self._dialogue.connection.ask(call)
        found = _RECEIVED.fullmatch(response.headers.get("range", ""))
        # "0-0" is nothing as well as one byte.
        if response.status_code == 204 and found and 0 < int(found[1]) < job.blob.size:
            onward = response.headers.get("location")
            address = self._dialogue.connection.resolve(onward, response.url) if onward else session
            return address, int(found[1]) + 1
        # 404 is BLOB_UPLOAD_UNKNOWN, for which elsewhere a new attempt is the cure: here it is the answer.
        if response.status_code not in (200, 204, 404):
            error = self._dialogue.connection.refusal(call, response, body)
            if isinstance(error, RegistryUnavailable):
                raise error
        return None, 0

    def _in_pieces(self, job: _Job, address: httpx.URL, offset: int) -> bool:
        """False when the registry takes no pieces."""
        blob, length = job.blob, self._piece or PIECE
        with _Forward(blob, job.content) as source:
            while offset < blob.size:
                span = range(offset, min(offset + length, blob.size))
                onward = self._patch(job, source, address, span)
                if onward is None:
                    return False
                address, offset = onward, span.stop
                job.on_session(str(address), offset)
        self._put(job, address, lambda: b"", 0)
        job.on_session("", blob.size)
        return True

    def _patch(self, job: _Job, source: "_Forward", address: httpx.URL, span: range) -> httpx.URL | None:
        """Send the bytes of `span`; where the next go, None when the registry does not count them."""
        plain = self._dialogue.call(
            Api.SEND,
            "PATCH",
            job.repository,
            "",
            what=f"store blob {job.blob.digest} in {job.repository}",
            headers={
                **_STREAM,
                "Content-Length": str(len(span)),
                "Content-Range": f"{span.start}-{span.stop - 1}",
            },
        )
        call = replace(plain, url=address, content=lambda: source.chunks(span))
        response, body = self._dialogue.connection.ask(call)
        if response.status_code in (201, 202, 204):
            found = _RECEIVED.fullmatch(response.headers.get("range", ""))
            counted = found and int(found[1]) + 1 == span.stop
            return self._dialogue.location(response) if counted else None
        if response.status_code in _NO_PIECES:
            return None
        raise self._dialogue.refusal(call, response, body)

    def _put(self, job: _Job, address: httpx.URL, content: _Body, length: int) -> None:
        # Appended as text: what the address carries already may be signed.
        joint = "&" if address.query else "?"
        plain = self._dialogue.call(
            Api.END_UPLOAD,
            "PUT",
            job.repository,
            "",
            what=f"store blob {job.blob.digest} in {job.repository}",
            headers={**_STREAM, "Content-Length": str(length)},
        )
        url = httpx.URL(f"{address}{joint}digest={quote(job.blob.digest, safe='')}")
        call = replace(plain, url=url, content=content)
        response, body = self._dialogue.connection.ask(call)
        if response.status_code not in (201, 204):
            raise self._dialogue.refusal(call, response, body)

    def _cancel(self, repository: str, address: httpx.URL) -> None:
        """Best effort: registries remove sessions that nobody ends after a week."""
        plain = self._dialogue.call(Api.START_UPLOAD, "DELETE", repository, "", what="end an upload")
        with suppress(RegistryTrouble):
            self._dialogue.connection.ask(replace(plain, url=address))


def skip(source: BinaryIO, count: int) -> None:
    """Read past the first `count` bytes."""
    while count > 0 and (passed := source.read(min(count, CHUNK))):
        count -= len(passed)


class _Forward:
    """A blob that is read forward, no more of it in memory than a chunk; going back opens it anew."""

    def __init__(self, blob: Descriptor, content: Content) -> None:
        self._blob = blob
        self._content = content
        self._opened = ExitStack()
        self._source: BinaryIO | None = None
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    def chunks(self, span: range) -> Iterator[bytes]:
        """The bytes of `span`, the blob's last ones only when the whole of it is proved.

        Raises BlobCorrupt rather than let a request end short or long.
        """
        source, left = self._open_at(span.start), len(span)
        while left:
            chunk = source.read(min(CHUNK, left))
            self._at += len(chunk)
            left -= len(chunk)
            if not chunk or (self._at == self._blob.size and source.read(1)):
                raise _other_length(self._blob)
            yield chunk

    def _open_at(self, position: int) -> BinaryIO:
        if self._source is None or self._at != position:
            self._opened.close()
            self._source = self._opened.enter_context(self._content())
            skip(self._source, position)
            self._at = position
        return self._source


def _other_length(blob: Descriptor) -> BlobCorrupt:
    return BlobCorrupt(
        f"blob {blob.digest} was not sent: its source does not have {blob.size} bytes",
        remedy="Build the image again.",
    )
