"""Images, indexes and documents → a registry. Blobs first, names last, every digest compared.

Nobody can pull a half-made list: an index is put in one request, after all its images are there.
"""

import io
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, Protocol

from toolkit.blobs import CHUNK, read_into
from toolkit.errors import Conflict, DigestMismatch
from toolkit.oci import (
    Descriptor,
    Digest,
    ImageConfig,
    Index,
    Manifest,
    MediaType,
    Platform,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Opens a blob's bytes; called again when an upload has to start over.
Content = Callable[[], AbstractContextManager[BinaryIO]]

# Told the address where an upload can go on, and how many bytes of it the registry has; "" once it ended.
OnSession = Callable[[str, int], None]


def unheard(address: str, offset: int) -> None:
    """For uploads that nobody goes on with."""


class Registry(Protocol):
    """One registry. `selector` is a tag or a digest; methods may be called from several threads.

    Every method raises RegistryUnavailable when trying again may help and RegistryTrouble when not.
    """

    @property
    def host(self) -> str:
        """HOST[:PORT] as references spell it."""

    def lookup_descriptor(self, repository: str, selector: str) -> Descriptor | None:
        """One HEAD: media type, digest and size of what stands under `selector`, None for nothing."""

    def lookup_manifest(self, repository: str, selector: str) -> Manifest | Index | None:
        """Raises DigestMismatch when the bytes are not what the digest says."""

    def list_tags(self, repository: str) -> tuple[str, ...]:
        """All tags, none for a repository that is not there."""

    def has_blob(self, repository: str, digest: Digest) -> bool: ...

    def mount_blob(self, repository: str, digest: Digest, *, source: str) -> bool:
        """Take a blob over from the repository `source`; False when the registry does not."""

    def upload_blob(
        self,
        repository: str,
        descriptor: Descriptor,
        content: Content,
        *,
        session: str = "",
        on_session: OnSession = unheard,
    ) -> None:
        """Goes on with the upload at the address `session` if the registry still knows it, else anew.

        `on_session` hears each address from which a later call can go on.
        """

    def put_manifest(self, repository: str, selector: str, manifest: Manifest | Index) -> Digest:
        """The digest that the registry answers. Raises Conflict when the tag is immutable and another's."""

    def open_blob(self, repository: str, descriptor: Descriptor) -> AbstractContextManager[BinaryIO]:
        """Reading to the end raises BlobCorrupt when the bytes are not what `descriptor` names."""

    def open_rest(
        self, repository: str, descriptor: Descriptor, start: int
    ) -> AbstractContextManager[BinaryIO]:
        """The bytes of a blob from `start` on. Unlike those of `open_blob` they are not checked."""


class BlobSource(Protocol):
    """Where an image's blobs come from: a layout on disk, or a repository."""

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[BinaryIO]: ...


class Fate(StrEnum):
    """How a blob got to the registry."""

    SENDING = "sending"
    SENT = "sent"
    MOUNTED = "mounted"
    THERE = "there"


@dataclass(frozen=True, kw_only=True)
class BlobProgress:
    """`sent` bytes of a blob are on their way; it falls back to 0 when an upload starts over."""

    repository: str
    blob: Descriptor
    fate: Fate
    sent: int = 0


@dataclass(frozen=True, kw_only=True)
class UploadAt:
    """A later call can go on with the upload of a blob at `address`, "" when it cannot or need not."""

    repository: str
    blob: Descriptor
    address: str
    offset: int


@dataclass(frozen=True, kw_only=True)
class TagMoving:
    """A manifest is about to be put. `before` is what the reference names, None when it is new."""

    reference: str
    before: Digest | None
    after: Digest


@dataclass(frozen=True, kw_only=True)
class TagMoved:
    """A manifest was put and read back. `before` is what the reference named until then, None for nothing."""

    reference: str
    before: Digest | None
    after: Digest


Step = BlobProgress | UploadAt | TagMoving | TagMoved
# Called from several threads.
Observer = Callable[[Step], None]


def _unobserved(step: Step) -> None:
    """For callers that watch nothing."""


_NO_UPLOADS: Mapping[Digest, str] = MappingProxyType({})


class IncompleteIndex(Conflict):
    """An index lacks a platform that it must have, or has one twice; nothing was put."""


def publish_image(
    manifest: Manifest,
    source: BlobSource,
    *,
    registry: Registry,
    repository: str,
    tags: Sequence[str] = (),
    mount_from: Sequence[str] = (),
    uploads: Mapping[Digest, str] = _NO_UPLOADS,
    threads: int = 4,
    observe: Observer = _unobserved,
) -> Descriptor:
    """Put an image under `tags`, or under its digest alone when there are none; its descriptor.

    Tags that name it already are left alone. A tag that names another image is moved: whoever keeps
    the first writer's image looks it up before, and an immutable tag raises Conflict. `mount_from`
    are repositories of this registry that may have the blobs, `uploads` the addresses where the uploads of
    some go on. Raises DigestMismatch when what stands there afterwards is another image.
    """
    image = manifest.descriptor()
    stale = _stale(image, tags or (image.digest,), registry, repository)
    if not stale:
        return image
    # A registry takes a manifest only after its blobs, so where the manifest is, they are. It is asked by
    # itself: to put the manifest and be refused where a blob lacks is a request less, but not all refuse.
    if image.digest in stale or not registry.lookup_descriptor(repository, image.digest):
        blobs = tuple({blob.digest: blob for blob in (manifest.config, *manifest.layers)}.values())
        pusher = _BlobPusher(source, registry, repository, mount_from, uploads, observe)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="blob")
        try:
            list(pool.map(pusher.ensure_blob, blobs))
        finally:
            pool.shutdown(cancel_futures=True)
    for name, before in stale.items():
        _put(manifest, name, before, registry=registry, repository=repository, observe=observe)
    return image


def tag_image(
    manifest: Manifest,
    *,
    registry: Registry,
    repository: str,
    tags: Sequence[str],
    observe: Observer = _unobserved,
) -> Descriptor:
    """Put an image under `tags` that the caller has just put or read in the same repository; its descriptor.

    As `publish_image`, which asks for what is known here: whether the image is there.
    """
    image = manifest.descriptor()
    for name, before in _stale(image, tags, registry, repository).items():
        _put(manifest, name, before, registry=registry, repository=repository, observe=observe)
    return image


def _stale(
    image: Descriptor, names: Sequence[str], registry: Registry, repository: str
) -> dict[str, Descriptor | None]:
    """What stands under those of `names` that do not name the image."""
    found = {name: registry.lookup_descriptor(repository, name) for name in names}
    return {name: there for name, there in found.items() if there is None or there.digest != image.digest}


@dataclass(frozen=True)
class _BlobPusher:
    source: BlobSource
    registry: Registry
    repository: str
    mount_from: Sequence[str]
    uploads: Mapping[Digest, str]
    observe: Observer

    def ensure_blob(self, blob: Descriptor) -> None:
        if self.registry.has_blob(self.repository, blob.digest):
            fate = Fate.THERE
        elif any(
            self.registry.mount_blob(self.repository, blob.digest, source=other)
            for other in self.mount_from
            if other != self.repository
        ):
            fate = Fate.MOUNTED
        else:
            self.registry.upload_blob(
                self.repository,
                blob,
                lambda: self._open(blob),
                session=self.uploads.get(blob.digest, ""),
                on_session=lambda address, offset: self.observe(
                    UploadAt(repository=self.repository, blob=blob, address=address, offset=offset)
                ),
            )
            fate = Fate.SENT
        self._tell(blob, fate, blob.size if fate is Fate.SENT else 0)

    @contextmanager
    def _open(self, blob: Descriptor) -> Iterator[BinaryIO]:
        with self.source.open_blob(blob) as content:
            metered = _Metered(content, lambda sent: self._tell(blob, Fate.SENDING, sent))
            yield io.BufferedReader(metered, CHUNK)

    def _tell(self, blob: Descriptor, fate: Fate, sent: int) -> None:
        self.observe(BlobProgress(repository=self.repository, blob=blob, fate=fate, sent=sent))


class _Metered(io.RawIOBase):
    """Reads `source` and tells how many bytes were read so far."""

    def __init__(self, source: BinaryIO, tell: Callable[[int], None]) -> None:
        self._source = source
        self._tell = tell
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        count = read_into(self._source, view)
        self._count += count
        self._tell(self._count)
        return count


def publish_index(
    index: Index,
    *,
    required: Sequence[Platform],
    registry: Registry,
    repository: str,
    tag: str,
    may_drop: frozenset[Platform] = frozenset(),
    known: Container[Digest] | None = None,
    observe: Observer = _unobserved,
) -> Descriptor:
    """Put the list `index`, of images of the same repository, under `tag` as it is; its descriptor.

    Does nothing when the tag names that list already. Raises IncompleteIndex when a required platform
    or a child is missing, Conflict when the list that stands there has a platform that this one lacks
    and that is not in `may_drop` or is none of those that are `known` (None: whatever stands there),
    DigestMismatch when another list stands there afterwards.

    The protocol has no conditional PUT. Of two who move one tag, the one who finds what it did not know
    of puts nothing; who comes between another's HEAD and PUT is found out by `ensure_names` later.
    """
    reference = spell(registry, repository, tag)
    _ensure_complete(index, required, reference)
    before = registry.lookup_descriptor(repository, tag)
    if before and before.digest == index.digest:
        return index.descriptor
    if before and known is not None and before.digest not in known:
        raise moved_meanwhile(reference, before.digest, index.digest)
    for child in index.manifests:
        _ensure_present(child, registry, repository, reference)
    if before:
        there = _platforms_behind(before, registry, repository)
        dropped = sorted(set(there) - set(index.platforms) - {each.normalized for each in may_drop})
        if dropped:
            raise Conflict(
                f"{reference} now has {_join(dropped)}, which the new list lacks: it was not replaced",
                remedy="Release the missing platforms too, or say that they may be dropped: "
                + " ".join(f"--allow-drop-platform {platform}" for platform in dropped),
            )
    _put(index, tag, before, registry=registry, repository=repository, observe=observe)
    return index.descriptor


def follow_list(
    tags: Mapping[Platform, str],
    *,
    registry: Registry,
    repository: str,
    list_tag: str,
    observe: Observer = _unobserved,
) -> None:
    """Let the tag of each platform name the image that the list under `list_tag` has for it."""
    index = registry.lookup_manifest(repository, list_tag)
    if not isinstance(index, Index):
        return
    listed = {child.platform.normalized: child.digest for child in index.images if child.platform}
    for platform, tag in tags.items():
        wanted, found = listed.get(platform.normalized), registry.lookup_descriptor(repository, tag)
        if wanted is None or (found and found.digest == wanted):
            continue
        if manifest := registry.lookup_manifest(repository, wanted):
            _put(manifest, tag, found, registry=registry, repository=repository, observe=observe)


def ensure_names(registry: Registry, repository: str, tag: str, wanted: Digest) -> None:
    """Raises Conflict when the tag, which named `wanted`, names something else by now."""
    found = registry.lookup_descriptor(repository, tag)
    if found is None or found.digest != wanted:
        raise moved_meanwhile(spell(registry, repository, tag), found.digest if found else None, wanted)


def moved_meanwhile(reference: str, found: Digest | None, wanted: Digest | None) -> Conflict:
    """What the loser of two releases is told; `wanted` is its own, if it had come to that."""
    ours = f", not {wanted}" if wanted else ""
    return Conflict(
        f"{reference} was moved by someone else during this release: it names {found or 'nothing'} now{ours}",
        remedy="Nothing of theirs was replaced. Release again if it should be yours: what is there is used. "
        "An immutable tag stays theirs: give the image a new `revision` in images.toml.",
    )


def _ensure_complete(index: Index, required: Sequence[Platform], reference: str) -> None:
    if nameless := [child.digest for child in index.images if child.platform is None]:
        raise IncompleteIndex(f"{reference}: {', '.join(nameless)} comes without a platform")
    counts = Counter(index.platforms)
    if twice := sorted(platform for platform, count in counts.items() if count > 1):
        raise IncompleteIndex(
            f"{reference}: {_join(twice)} is there more than once; nothing was put",
            remedy="Two images claim one platform: look at the rows of images.toml with this tag.",
        )
    if missing := sorted({platform.normalized for platform in required} - set(counts)):
        raise IncompleteIndex(
            f"{reference}: {_join(missing)} is missing; a list is put only when it is complete",
            remedy="Release the missing images; what is complete stays as it is.",
        )


def _ensure_present(child: Descriptor, registry: Registry, repository: str, reference: str) -> None:
    found = registry.lookup_descriptor(repository, child.digest)
    if found is None:
        raise IncompleteIndex(
            f"{reference}: its image for {child.platform}, {child.digest}, is not in {repository}",
            remedy="Push the image first; if it was there, the registry's clean-up may have removed it.",
        )
    if (found.media_type, found.size) != (child.media_type, child.size):
        raise IncompleteIndex(
            f"{reference}: {child.digest} is listed as {child.media_type} of {child.size} bytes, but the "
            f"registry has {found.media_type} of {found.size} bytes"
        )


def _platforms_behind(found: Descriptor, registry: Registry, repository: str) -> tuple[Platform, ...]:
    """What people can pull by a tag now: a single image counts as a list of one, a document as none."""
    manifest = registry.lookup_manifest(repository, found.digest)
    if manifest is None:
        return ()
    if isinstance(manifest, Index):
        return manifest.platforms
    if manifest.config.media_type not in (MediaType.OCI_CONFIG, MediaType.DOCKER_CONFIG):
        return ()
    with registry.open_blob(repository, manifest.config) as config:
        try:
            return (ImageConfig.parse(config.read()).platform.normalized,)
        except ValueError:
            return ()


def _put(
    manifest: Manifest | Index,
    selector: str,
    before: Descriptor | None,
    *,
    registry: Registry,
    repository: str,
    observe: Observer,
) -> None:
    """PUT, and compare both what the registry answers and what it hands out then."""
    reference = spell(registry, repository, selector)
    stood = before.digest if before else None
    observe(TagMoving(reference=reference, before=stood, after=manifest.digest))
    answered = registry.put_manifest(repository, selector, manifest)
    if answered != manifest.digest:
        raise DigestMismatch(reference, expected=manifest.digest, actual=answered)
    after = registry.lookup_descriptor(repository, selector)
    if after is None or after.digest != manifest.digest:
        raise DigestMismatch(
            reference, expected=manifest.digest, actual=after.digest if after else "that nothing is there"
        )
    observe(TagMoved(reference=reference, before=stood, after=after.digest))


def spell(registry: Registry, repository: str, selector: str) -> str:
    """The reference of a tag or digest."""
    return f"{registry.host}/{repository}{'@' if ':' in selector else ':'}{selector}"


def _join(platforms: Sequence[Platform]) -> str:
    return ", ".join(str(platform) for platform in platforms)
