"""An OCI image layout on disk, a directory or a tar of one, as a source of images; and its writer.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import errno
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from toolkit.adapters.context import link_or_copy
from toolkit.blobs import CHUNK, BlobCorrupt, CheckedBlob
from toolkit.errors import NeedNotMet, UsageError, VerificationFailed
from toolkit.oci import Descriptor, Digest, Index, Manifest, MediaType, Platform, parse_manifest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from toolkit.verify import ImageSource

# Names that `docker save`, Buildx and skopeo give the entries of index.json.
_NAME_ANNOTATIONS = ("org.opencontainers.image.ref.name", "io.containerd.image.name")

# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
_MANIFEST_LIMIT = 4 << 20


class _Files(Protocol):
    """The files of a layout by their relative path."""

    def open(self, path: str) -> BinaryIO:
        """Raises FileNotFoundError."""


@dataclass(frozen=True)
class _DirectoryFiles:
    root: Path

    def open(self, path: str) -> BinaryIO:
        return (self.root / path).open("rb")


@dataclass(frozen=True)
class _TarFiles:
    root: Path
    ranges: dict[str, tuple[int, int]]

    @classmethod
    def index(cls, path: Path) -> Self:
        """Where each regular file's content stands. Raises tarfile.TarError, also for a compressed tar."""
        with tarfile.open(path, "r:") as archive:
            members = [member for member in archive if member.isreg()]
        return cls(
            path, {member.name.removeprefix("./"): (member.offset_data, member.size) for member in members}
        )

    def open(self, path: str) -> BinaryIO:
        if path not in self.ranges:
            raise FileNotFoundError(path)
        start, size = self.ranges[path]
        return io.BufferedReader(_Range(self.root.open("rb"), start, size))


class _Range(io.RawIOBase):
    """`size` bytes of a file from `start`."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        file.seek(start)
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        piece = self._file.read(min(len(view), self._left))
        view[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(frozen=True, kw_only=True)
class OciLayout:
    """A layout that was opened; conforms to verify.ImageSource."""

    name: str
    index: Index
    _files: _Files = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises UsageError when `path` is no layout."""
        try:
            files: _Files = _DirectoryFiles(path) if path.is_dir() else _TarFiles.index(path)
            with files.open("oci-layout") as marker, files.open("index.json") as index:
                version = json.loads(marker.read(_MANIFEST_LIMIT))["imageLayoutVersion"]
                parsed = parse_manifest(index.read(_MANIFEST_LIMIT), MediaType.OCI_INDEX)
            if not isinstance(parsed, Index) or not str(version).startswith("1."):
                raise ValueError(f"layout version {version}")
        except (OSError, ValueError, KeyError, TypeError, tarfile.TarError) as error:
            raise UsageError(
                f"{path} is no OCI image layout: {error}",
                remedy="Name a directory with oci-layout and index.json, or an uncompressed tar of one.",
            ) from error
        return cls(name=str(path), index=parsed, _files=files)

    def get_manifest(self, selector: str) -> Manifest | Index:
        """By digest, by the name an entry of index.json carries, or "" for all there is.

        Several unnamed entries are one index: index.json itself. Raises UsageError when there is no such
        image, BlobCorrupt when the bytes are not what the digest says.
        """
        entries = self.index.manifests
        if selector.startswith(("sha256:", "sha512:")):
            listed = [entry for entry in entries if entry.digest == selector]
            return self._read_manifest(_as_digest(selector), listed[0].media_type if listed else "")
        if selector:
            named = [entry for entry in entries if selector in _names(entry)]
            if not named:
                known = sorted({name for entry in entries for name in _names(entry)})
                raise UsageError(
                    f"{self.name} holds no image {selector!r}",
                    remedy=f"It has: {', '.join(known) or 'no names'}.",
                )
            entries = tuple(named)
        if not entries:
            raise UsageError(f"{self.name} is an empty layout", remedy="Build into it again.")
        if len({entry.digest for entry in entries}) > 1:
            return self.index
        return self._read_manifest(entries[0].digest, entries[0].media_type)

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """Raises BlobCorrupt when the blob is missing, or when reading finds that it is another."""
        try:
            file = self._files.open(f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}")
        except FileNotFoundError as error:
            raise BlobCorrupt(
                f"{self.name}: blob {descriptor.digest} is missing", remedy="Build or copy the layout again."
            ) from error
        except OSError as error:
            raise UsageError(f"{self.name}: blob {descriptor.digest} cannot be read: {error}") from error
        with file:
            yield io.BufferedReader(CheckedBlob(file, descriptor, where=self.name), CHUNK)

    def _read_manifest(self, digest: Digest, media_type: str) -> Manifest | Index:
        path = f"blobs/{digest.algorithm}/{digest.hex}"
        try:
            with self._files.open(path) as file:
                raw = file.read(_MANIFEST_LIMIT)
        except FileNotFoundError as error:
            raise UsageError(
                f"{self.name} holds no manifest {digest}", remedy="Build or copy the layout again."
            ) from error
        actual = f"{digest.algorithm}:{hashlib.new(digest.algorithm, raw).hexdigest()}"
        if actual != digest:
            raise BlobCorrupt(
                f"{self.name}: blob {digest} is corrupt: its bytes have the digest {actual}",
                remedy="Build or copy the layout again.",
            )
        try:
            return parse_manifest(raw, media_type)
        except ValueError as error:
            raise VerificationFailed(f"{self.name}: {digest} is no image: {error}") from error


def _conforms(layout: OciLayout) -> "ImageSource":
    return layout


def _as_digest(selector: str) -> Digest:
    try:
        return Digest(selector)
    except ValueError as error:
        raise UsageError(
            f"{selector!r} is not a digest", remedy="Write all 64 digits of sha256:…."
        ) from error


def _names(entry: Descriptor) -> tuple[str, ...]:
    return tuple(entry.annotations[key] for key in _NAME_ANNOTATIONS if key in entry.annotations)


_FULL = (errno.ENOSPC, errno.EDQUOT)


class NewBlob:
    """A blob while it is written, piece by piece, and what it is called once all are."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hasher = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes | bytearray) -> None:
        self._hasher.update(piece)
        self.size += self._file.write(piece)

    @property
    def digest(self) -> Digest:
        return Digest(f"sha256:{self._hasher.hexdigest()}")


class LayoutWriter:
    """Writes a layout into the directory `root`. Blobs appear whole or not at all; the index comes last.

    Raises NeedNotMet, with the directory, when the disk takes no more.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def add_blob(self, content: bytes, media_type: str, *, platform: Platform | None = None) -> Descriptor:
        descriptor = Descriptor.of(content, media_type, platform=platform)
        self._write(f"blobs/sha256/{descriptor.digest.hex}", content)
        return descriptor

    @contextmanager
    def new_blob(self) -> Iterator["NewBlob"]:
        """A blob of any length; what it is called is known when the block has ended well."""
        directory = self._root / "blobs" / "sha256"
        partial = directory / ".partial"
        with self._written(partial):
            with partial.open("wb") as file:
                blob = NewBlob(file)
                yield blob
            partial.replace(directory / blob.digest.hex)

    def add_stream(self, pieces: Iterable[bytes | bytearray], media_type: str) -> Descriptor:
        with self.new_blob() as blob:
            for piece in pieces:
                blob.write(piece)
        return Descriptor(media_type=media_type, digest=blob.digest, size=blob.size)

    def add_file(self, source: Path, digest: Digest) -> None:
        """A blob that lies on disk already and will not change."""
        target = self.blob_path(digest)
        partial = target.with_name(".partial")
        if not target.exists():
            with self._written(partial):
                link_or_copy(source, partial)
                partial.replace(target)

    def blob_path(self, digest: Digest) -> Path:
        return self._root / "blobs" / "sha256" / digest.hex

    def add_manifest(self, manifest: Manifest | Index, *, platform: Platform | None = None) -> Descriptor:
        return self.add_blob(manifest.raw, manifest.media_type, platform=platform)

    def finish(self, entries: Sequence[Descriptor]) -> None:
        """Name the top entries in index.json; the directory is a layout from here on."""
        document = {
            "schemaVersion": 2,
            "mediaType": MediaType.OCI_INDEX.value,
            "manifests": [entry.to_json() for entry in entries],
        }
        self._write("index.json", json.dumps(document, separators=(",", ":")).encode())
        self._write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def _write(self, path: str, content: bytes) -> None:
        target = self._root / path
        partial = target.with_name(f"{target.name}.partial")
        with self._written(partial):
            partial.write_bytes(content)
            partial.replace(target)

    @contextmanager
    def _written(self, partial: Path) -> Iterator[None]:
        """Nothing is left of what could not be written."""
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            is_full = error.errno in _FULL
            raise NeedNotMet(
                f"{partial} cannot be written: {'the disk is full' if is_full else error.strerror}",
                remedy=f"{'Free some: `make clean`; see' if is_full else 'See'}: df -h {self._root}",
            ) from error
