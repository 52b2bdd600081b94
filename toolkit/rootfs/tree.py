"""A file system in memory, and the one way it is written as a layer."""

import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from io import BytesIO
from typing import IO

from toolkit.errors import NeedNotMet


class Kind(Enum):
    DIRECTORY = tarfile.DIRTYPE
    FILE = tarfile.REGTYPE
    SYMLINK = tarfile.SYMTYPE


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """A directory, file or symbolic link. One node under two paths is a hard link.

    `mode` are the permission bits, `mtime` seconds since the epoch, `target` where a link points.
    """

    kind: Kind
    mode: int
    mtime: int
    uid: int = 0
    gid: int = 0
    content: bytes = b""
    target: str = ""


class Tree:
    """Absolute paths and their nodes. Links among a path's parents are followed, as a kernel does it.

    `mtime` is what everything gets that no package brought.
    """

    def __init__(self, *, mtime: int) -> None:
        self.mtime = mtime
        self._nodes = {"/": Node(kind=Kind.DIRECTORY, mode=0o755, mtime=mtime)}

    def real(self, path: str) -> str:
        """`path` with every link among its parents followed; the last part is left as it is."""
        parent, name = posixpath.split(posixpath.normpath(path))
        return posixpath.join(self.followed(parent), name) if name else "/"

    def followed(self, path: str) -> str:
        """`path` with every link followed. Raises NeedNotMet for links that go in circles."""
        for _ in range(40):
            path = self.real(path)
            node = self._nodes.get(path)
            if node is None or node.kind is not Kind.SYMLINK:
                return path
            path = posixpath.join(posixpath.dirname(path), node.target)
        raise NeedNotMet(f"the packages of the base make a circle of links at {path}")

    def lookup(self, path: str) -> Node | None:
        """What is at `path` itself, a link among others."""
        return self._nodes.get(self.real(path))

    def lookup_content(self, path: str) -> bytes | None:
        """The content of the file that `path` leads to, None when there is none."""
        node = self._nodes.get(self.followed(path))
        return node.content if node and node.kind is Kind.FILE else None

    def add(self, path: str, node: Node) -> None:
        """Put a package's node at `path`.

        A directory that is there, or that a link leads to, stays as it is, as dpkg leaves it.
        Raises NeedNotMet when two packages bring the same file.
        """
        real = self.real(path)
        there = self._nodes.get(real)
        if there and node.kind is Kind.DIRECTORY and self._is_directory(real):
            return
        if there and (there.kind, there.target, there.content) != (node.kind, node.target, node.content):
            raise NeedNotMet(
                f"two packages of the base bring {path}",
                remedy="Take one of them out of the base's packages in images.toml.",
            )
        self._nodes[real] = node

    def directory(self, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        """Make a directory and its parents, unless it is there."""
        real = self.followed(path)
        if real not in self._nodes:
            self.directory(posixpath.dirname(real))
            self._nodes[real] = Node(kind=Kind.DIRECTORY, mode=mode, mtime=self.mtime, uid=uid, gid=gid)

    def file(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """Write a file, over one that is there."""
        self.directory(posixpath.dirname(path))
        self._nodes[self.real(path)] = Node(
            kind=Kind.FILE, mode=mode, mtime=self.mtime, uid=uid, gid=gid, content=content
        )

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link unless something is there; an empty directory gives way to it."""
        self.directory(posixpath.dirname(path))
        real = self.real(path)
        there = self._nodes.get(real)
        if there is None or (there.kind is Kind.DIRECTORY and not any(self.children(real))):
            self._nodes[real] = Node(kind=Kind.SYMLINK, mode=0o777, mtime=self.mtime, target=target)

    def remove(self, path: str) -> None:
        del self._nodes[self.real(path)]

    def children(self, path: str) -> Iterator[str]:
        """The names in the directory that `path` leads to, sorted."""
        prefix = self.followed(path).rstrip("/") + "/"
        names = (item[len(prefix) :] for item in self._nodes if item.startswith(prefix))
        return iter(sorted(name for name in names if name and "/" not in name))

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        """Every path and its node, parents first, in one order."""
        return iter(sorted(self._nodes.items(), key=lambda item: item[0].split("/")))

    def _is_directory(self, path: str) -> bool:
        node = self._nodes.get(self.followed(path))
        return node is not None and node.kind is Kind.DIRECTORY


def write_layer(tree: Tree, stream: IO[bytes]) -> None:
    """Write `tree` as a tar: the same tree always gives the same bytes.

    Numeric owners, whole seconds, no device numbers and no extended headers but for paths that ustar
    cannot hold: https://github.com/opencontainers/image-spec/blob/main/layer.md
    """
    written: dict[int, str] = {}
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path, node in tree:
            entry = tarfile.TarInfo(path.lstrip("/") or ".")
            entry.type = node.kind.value
            entry.mode, entry.mtime, entry.uid, entry.gid = node.mode, node.mtime, node.uid, node.gid
            entry.linkname = node.target
            if node.kind is Kind.FILE and id(node) in written:
                entry.type, entry.linkname = tarfile.LNKTYPE, written[id(node)]
                archive.addfile(entry)
            else:
                entry.size = len(node.content)
                written[id(node)] = entry.name
                archive.addfile(entry, BytesIO(node.content))
