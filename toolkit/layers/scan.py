"""One layer's bytes → what verification needs to know of it, in one pass and constant memory."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from posixpath import normpath
from typing import Any, BinaryIO, Self

from toolkit.errors import VerificationFailed
from toolkit.layers.bytestream import ByteStream
from toolkit.layers.compression import DECODING_ERRORS, Compression, decompressed
from toolkit.layers.elf import HEAD_SIZE, elf_name
from toolkit.layers.installed import Package, PackageKind, metadata_limit, parse_packages
from toolkit.layers.readahead import ReadAhead
from toolkit.layers.tarstream import Kind, Member, TarInvalid, TarStream
from toolkit.oci import Descriptor, Digest

_BUFFER = 1 << 20
# The kernel looks for `#!` and the interpreter in this many bytes.
# https://github.com/torvalds/linux/blob/master/include/uapi/linux/binfmts.h
_SCRIPT_HEAD = 256

# Raise this when what a scan holds changes: stored scans of another format are not read.
SCAN_FORMAT = 1


class LayerUnreadable(VerificationFailed):
    """The layer's bytes are what its digest says, but no engine could unpack them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One path of a layer: absolute, normalized; bytes that are not UTF-8 are surrogate escapes.

    `elf` is the ELF machine's name (`elf_name`), "" for any other content. `interpreter` is what
    follows `#!` in an executable script. `link` is a symbolic link's text or a hard link's absolute path.
    `packages` are those that the file, a package manager's metadata, names.
    """

    path: str
    kind: Kind
    mode: int = 0
    size: int = 0
    link: str = ""
    elf: str = ""
    interpreter: str = ""
    packages: tuple[Package, ...] = ()

    @property
    def is_executable(self) -> bool:
        return self.kind is Kind.FILE and bool(self.mode & 0o111)

    def to_json(self) -> list[Any]:
        packages = [[package.kind.value, package.name, package.version] for package in self.packages]
        return [
            self.path, self.kind.value, self.mode, self.size, self.link, self.elf, self.interpreter, packages,
        ]  # fmt: skip

    @classmethod
    def from_json(cls, row: list[Any]) -> Self:
        path, kind, mode, size, link, elf, interpreter, packages = row
        return cls(
            path=path,
            kind=Kind(kind),
            mode=mode,
            size=size,
            link=link,
            elf=elf,
            interpreter=interpreter,
            packages=tuple(
                Package(kind=PackageKind(manager), name=name, version=version)
                for manager, name, version in packages
            ),
        )


@dataclass(frozen=True, kw_only=True)
class LayerScan:
    """What one layer holds, a function of its digest alone.

    `diff_id` is the digest of the uncompressed tar; `size` and `unpacked_size` are the bytes of the
    blob and of that tar. `entries` stand in the archive's order, whiteouts among them.
    """

    digest: Digest
    diff_id: Digest
    compression: Compression
    size: int
    unpacked_size: int
    entries: tuple[Entry, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": SCAN_FORMAT,
            "digest": self.digest,
            "diff_id": self.diff_id,
            "compression": self.compression.value,
            "size": self.size,
            "unpacked_size": self.unpacked_size,
            "entries": [entry.to_json() for entry in self.entries],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Raises ValueError when `data` is of another format or damaged."""
        try:
            if data["format"] != SCAN_FORMAT:
                raise ValueError(f"scan format {data['format']!r}")
            return cls(
                digest=Digest(data["digest"]),
                diff_id=Digest(data["diff_id"]),
                compression=Compression(data["compression"]),
                size=int(data["size"]),
                unpacked_size=int(data["unpacked_size"]),
                entries=tuple(Entry.from_json(row) for row in data["entries"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a layer scan: {error}") from error


def scan_layer(descriptor: Descriptor, blob: BinaryIO) -> LayerScan:
    """Read `blob` to its end. Raises LayerUnreadable when it cannot be unpacked, and what reading raises.

    `blob` is expected to check its bytes against `descriptor` by itself. It is read to the end even when
    its content makes no sense, so that damage in transit is reported as that and not as a bad layer.
    """
    hasher = hashlib.sha256()
    try:
        compression, content = decompressed(blob)
        with ReadAhead(content) as ahead:
            stream = ByteStream(ahead.read, hasher.update)
            archive = TarStream(stream)
            entries = tuple(_entry(member, archive.read_head) for member in archive)
            stream.drain()
    except (TarInvalid, *DECODING_ERRORS) as error:
        _read_to_end(blob)
        raise LayerUnreadable(
            f"layer {descriptor.digest} cannot be unpacked: {error}",
            remedy="The image was pushed damaged: build and push it again.",
        ) from error
    _read_to_end(blob)
    return LayerScan(
        digest=descriptor.digest,
        diff_id=Digest("sha256:" + hasher.hexdigest()),
        compression=compression,
        size=descriptor.size,
        unpacked_size=stream.length,
        entries=entries,
    )


def _read_to_end(blob: BinaryIO) -> None:
    while blob.read(_BUFFER):
        pass


def _entry(member: Member, read_head: Callable[[int], bytes]) -> Entry:
    # `/a`, `./a`, `a/` and `../a` are all /a: engines unpack below the root of the image.
    path = normpath("/" + member.name.lstrip("/"))
    if member.kind is not Kind.FILE:
        link = normpath("/" + member.link.lstrip("/")) if member.kind is Kind.HARD_LINK else member.link
        return Entry(path=path, kind=member.kind, mode=member.mode, link=link)
    kept = metadata_limit(path)
    head = read_head(max(kept, HEAD_SIZE, _SCRIPT_HEAD if member.mode & 0o111 else 0))
    return Entry(
        path=path,
        kind=Kind.FILE,
        mode=member.mode,
        size=member.size,
        elf=elf_name(head[:HEAD_SIZE]),
        interpreter=_interpreter(head) if member.mode & 0o111 else "",
        packages=parse_packages(path, head) if kept else (),
    )


def _interpreter(head: bytes) -> str:
    """Program and argument of a `#!` line; "" when there is none."""
    if not head.startswith(b"#!"):
        return ""
    return head[2:_SCRIPT_HEAD].partition(b"\n")[0].strip().decode("utf-8", "surrogateescape")
