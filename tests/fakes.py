"""Small real fakes: a registry in memory that keeps the rules of a real one."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from toolkit.blobs import BlobCorrupt, CheckedBlob
from toolkit.errors import Conflict, RegistryTrouble
from toolkit.oci import Descriptor, Digest, Index, Manifest
from toolkit.publish import Content, OnSession, Registry, unheard

# The name of the Protocol's method, the repository, and the tag or digest it is about.
Request = tuple[str, str, str]


class MemoryRegistry:
    """Keeps blobs, manifests and tags by repository; tests/contract/ holds it against a real registry.

    `requests` has every call in order. `before` is called with each first and may raise, or change what
    is there: trouble, and other people's pushes. Tags that `is_immutable` are never moved.
    """

    def __init__(
        self, host: str = "registry.example", *, is_immutable: Callable[[str], bool] = lambda tag: False
    ) -> None:
        self.host = host
        self.requests: list[Request] = []
        self.before: Callable[[Request], None] = lambda request: None
        self.blobs: dict[str, dict[Digest, bytes]] = defaultdict(dict)
        self.manifests: dict[str, dict[str, Manifest | Index]] = defaultdict(dict)
        self.tags: dict[str, dict[str, Digest]] = defaultdict(dict)
        self._is_immutable = is_immutable

    def made(self, method: str) -> list[Request]:
        return [request for request in self.requests if request[0] == method]

    def lookup_descriptor(self, repository: str, selector: str) -> Descriptor | None:
        self._note("lookup_descriptor", repository, selector)
        manifest = self._lookup(repository, selector)
        return Descriptor.of(manifest.raw, manifest.media_type) if manifest else None

    def lookup_manifest(self, repository: str, selector: str) -> Manifest | Index | None:
        self._note("lookup_manifest", repository, selector)
        return self._lookup(repository, selector)

    def list_tags(self, repository: str) -> tuple[str, ...]:
        self._note("list_tags", repository, "")
        return tuple(sorted(self.tags[repository]))

    def has_blob(self, repository: str, digest: Digest) -> bool:
        self._note("has_blob", repository, digest)
        return digest in self.blobs[repository]

    def mount_blob(self, repository: str, digest: Digest, *, source: str) -> bool:
        self._note("mount_blob", repository, digest)
        if digest not in self.blobs[source]:
            return False
        self.blobs[repository][digest] = self.blobs[source][digest]
        return True

    def upload_blob(
        self,
        repository: str,
        descriptor: Descriptor,
        content: Content,
        *,
        session: str = "",
        on_session: OnSession = unheard,
    ) -> None:
        """Takes every blob whole: no session outlives its call."""
        self._note("upload_blob", repository, descriptor.digest)
        with content() as source:
            raw = source.read()
        if len(raw) != descriptor.size:
            raise BlobCorrupt(f"blob {descriptor.digest} does not have {descriptor.size} bytes")
        if Digest.of(raw) != descriptor.digest:
            raise RegistryTrouble(f"{self.host}: the bytes sent do not have the digest {descriptor.digest}")
        self.blobs[repository][descriptor.digest] = raw

    def put_manifest(self, repository: str, selector: str, manifest: Manifest | Index) -> Digest:
        self._note("put_manifest", repository, selector)
        missing = [part for part in _parts(manifest) if not self._holds(repository, part.digest)]
        if missing:
            raise RegistryTrouble(f"{self.host}: {repository} lacks {missing[0].digest}")
        if ":" not in selector:
            found = self.tags[repository].get(selector)
            if found and found != manifest.digest and self._is_immutable(selector):
                raise Conflict(f"{selector} is an immutable tag of {found}, not {manifest.digest}")
            self.tags[repository][selector] = manifest.digest
        self.manifests[repository][manifest.digest] = manifest
        return manifest.digest

    @contextmanager
    def open_blob(self, repository: str, descriptor: Descriptor) -> Iterator[BinaryIO]:
        with self.open_rest(repository, descriptor, 0) as raw:
            yield io.BufferedReader(CheckedBlob(raw, descriptor, where=self.host))

    @contextmanager
    def open_rest(self, repository: str, descriptor: Descriptor, start: int) -> Iterator[BinaryIO]:
        self._note("open_rest", repository, descriptor.digest)
        raw = self.blobs[repository].get(descriptor.digest)
        if raw is None:
            raise RegistryTrouble(f"{self.host}/{repository}: blob {descriptor.digest} is missing")
        yield io.BytesIO(raw[start:])

    def _note(self, method: str, repository: str, subject: str) -> None:
        request = (method, repository, subject)
        self.requests.append(request)
        self.before(request)

    def _lookup(self, repository: str, selector: str) -> Manifest | Index | None:
        digest = self.tags[repository].get(selector, selector)
        return self.manifests[repository].get(digest)

    def _holds(self, repository: str, digest: Digest) -> bool:
        return digest in self.blobs[repository] or digest in self.manifests[repository]


def _parts(manifest: Manifest | Index) -> tuple[Descriptor, ...]:
    return manifest.manifests if isinstance(manifest, Index) else (manifest.config, *manifest.layers)


def _conforms(registry: MemoryRegistry) -> Registry:
    return registry
