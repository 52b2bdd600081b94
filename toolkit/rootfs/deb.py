"""Reading binary packages: https://manpages.debian.org/bookworm/dpkg-dev/deb.5.en.html"""

import gzip
import lzma
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

import zstandard

from toolkit.errors import NeedNotMet
from toolkit.rootfs.tree import Kind, Node

_AR_MAGIC = b"!<arch>\n"


def _unzstd(content: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(content)


_COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.decompress,
    ".xz": lzma.decompress,
    ".zst": _unzstd,
}


@dataclass(frozen=True, kw_only=True)
class Deb:
    """One package. `stanza` is its control file, `info` its other control files by name.

    `nodes` are its files by absolute path in the order of the package; hard links share a node.
    """

    stanza: str
    info: Mapping[str, bytes]
    nodes: Mapping[str, Node]

    def field(self, name: str) -> str:
        """The first line of a control field, "" when the package has none of that name."""
        for line in self.stanza.splitlines():
            key, _, value = line.partition(":")
            if key.lower() == name.lower() and not line[:1].isspace():
                return value.strip()
        return ""

    @property
    def name(self) -> str:
        return self.field("Package")

    @property
    def newest(self) -> int:
        """The time of its newest file, in seconds since the epoch."""
        return max((node.mtime for node in self.nodes.values()), default=0)


def read_deb(content: bytes, source: str) -> Deb:
    """Parse a .deb; `source` names it in errors. Raises NeedNotMet when it is none."""
    try:
        members = _ar_members(content)
        control = _tar_member(members, "control.tar")
        data = _tar_member(members, "data.tar")
        with tarfile.open(fileobj=BytesIO(control), mode="r:") as archive:
            info = {
                entry.name.removeprefix("./"): archive.extractfile(entry).read()  # type: ignore[union-attr]
                for entry in archive
                if entry.isfile()
            }
        return Deb(stanza=info.pop("control").decode(), info=info, nodes=_nodes(data))
    except (
        ValueError,
        KeyError,
        OSError,
        EOFError,
        lzma.LZMAError,
        zstandard.ZstdError,
        tarfile.TarError,
    ) as error:
        raise NeedNotMet(
            f"{source} is not a package that can be read: {error}",
            remedy="Remove the file, so that it is fetched again.",
        ) from error


def _ar_members(content: bytes) -> dict[str, bytes]:
    """The members of an ar archive: 60-byte headers, contents padded to even lengths."""
    if not content.startswith(_AR_MAGIC):
        raise ValueError("it is no ar archive")
    members = {}
    offset = len(_AR_MAGIC)
    while offset < len(content):
        header = content[offset : offset + 60]
        size = int(header[48:58])
        offset += 60
        members[header[:16].decode().strip().rstrip("/")] = content[offset : offset + size]
        offset += size + size % 2
    return members


def _tar_member(members: Mapping[str, bytes], name: str) -> bytes:
    for suffix, decompress in _COMPRESSIONS.items():
        if name + suffix in members:
            return decompress(members[name + suffix])
    raise ValueError(f"it has no {name} in a compression that is known")


def _nodes(data: bytes) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    with tarfile.open(fileobj=BytesIO(data), mode="r:") as archive:
        for entry in archive:
            path = "/" + entry.name.removeprefix(".").strip("/")
            if entry.islnk():
                nodes[path] = nodes["/" + entry.linkname.removeprefix(".").strip("/")]
                continue
            reader = archive.extractfile(entry) if entry.isreg() else None
            nodes[path] = Node(
                kind=_kind(entry),
                mode=entry.mode & 0o7777,
                mtime=int(entry.mtime),
                uid=entry.uid,
                gid=entry.gid,
                content=reader.read() if reader else b"",
                target=entry.linkname if entry.issym() else "",
            )
    return nodes


def _kind(entry: tarfile.TarInfo) -> Kind:
    if entry.isdir():
        return Kind.DIRECTORY
    if entry.issym():
        return Kind.SYMLINK
    if entry.isreg():
        return Kind.FILE
    raise ValueError(f"{entry.name} is neither file, directory nor link")
