"""Layers → the file system that a container would see.

Each layer is first unpacked into a tree of its own and then laid over what was there, as overlayfs and the
snapshotters of containerd do it. So a whiteout never touches its own layer, whatever the order of members:
https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
https://github.com/containerd/containerd/blob/main/pkg/archive/tar.go
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from posixpath import basename, dirname
from typing import Self

from toolkit.layers.scan import Entry, LayerScan, LayerUnreadable
from toolkit.layers.tarstream import Kind
from toolkit.oci import Digest

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_AUFS_METADATA = ".wh..wh."

# The kernel gives up after as many symbolic links, and so does runc.
_MAX_LINKS = 40


@dataclass(slots=True)
class _Directory:
    """A directory while layers are being merged; `whiteouts` and `opaque` speak of the layers below."""

    children: "dict[str, _Node]" = field(default_factory=dict)
    whiteouts: set[str] = field(default_factory=set)
    opaque: bool = False


_Node = _Directory | Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Where a path leads once symbolic links are followed; `entry` is None for a directory."""

    path: str
    entry: Entry | None


class FileSystem:
    """The merged tree. Paths are absolute; hard links are files in their own right."""

    def __init__(self, root: _Directory) -> None:
        self._root = root

    @classmethod
    def merge(cls, layers: Iterable[LayerScan]) -> Self:
        """From the lowest layer up. Raises LayerUnreadable where an engine would refuse to unpack."""
        root = _Directory()
        for layer in layers:
            _overlay(root, _unpack(layer, root))
        return cls(root)

    def files(self) -> Iterator[tuple[str, Entry]]:
        """Every regular file with its path, sorted within each directory."""
        # No recursion, here and below: a layer may nest directories deeper than Python's stack.
        pending: list[tuple[str, _Node]] = [("", self._root)]
        while pending:
            path, node = pending.pop()
            if isinstance(node, _Directory):
                pending += [
                    (f"{path}/{name}", child) for name, child in sorted(node.children.items(), reverse=True)
                ]
            elif node.kind is Kind.FILE:
                yield path, node

    def lookup(self, path: str) -> Found | None:
        """Follow `path`, symbolic links included, from the root; None when it leads nowhere."""
        found = _find(self._root, path)
        if found is None:
            return None
        where, node = found
        return Found(path=where, entry=None if isinstance(node, _Directory) else node)


def _find(root: _Directory, path: str) -> tuple[str, _Node] | None:
    """Like `FileSystem.lookup`, in any tree."""
    followed = 0
    parts = _reversed_parts(path)
    trail: list[tuple[str, _Directory]] = [("", root)]
    while parts:
        part = parts.pop()
        if part == "..":
            trail = trail[:-1] or trail
            continue
        node = trail[-1][1].children.get(part)
        if node is None:
            return None
        if isinstance(node, _Directory):
            trail.append((part, node))
        elif node.kind is not Kind.SYMLINK:
            return None if parts else ("/".join([*(name for name, _ in trail), part]), node)
        else:
            followed += 1
            if followed > _MAX_LINKS:
                return None
            if node.link.startswith("/"):
                trail = trail[:1]
            parts += _reversed_parts(node.link)
    return "/".join(name for name, _ in trail) or "/", trail[-1][1]


def _reversed_parts(path: str) -> list[str]:
    """To be popped from the end; `.` and empty parts lead nowhere and are left out."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _overlay(lower: _Directory, upper: _Directory) -> None:
    """Lay `upper` over `lower`, which is changed in place."""
    pending = [(lower, upper)]
    while pending:
        below, above = pending.pop()
        if above.opaque:
            below.children.clear()
        for name in above.whiteouts:
            below.children.pop(name, None)
        for name, node in above.children.items():
            if not isinstance(node, _Directory):
                below.children[name] = node
                continue
            merged = below.children.get(name)
            if not isinstance(merged, _Directory):
                # Also a symbolic link below is hidden, not followed: overlayfs merges only directories.
                merged = below.children[name] = _Directory()
            pending.append((merged, node))


def _unpack(layer: LayerScan, below: _Directory) -> _Directory:
    """The layer's own tree. Members are applied in order: of two with one path the last one stands."""
    root = _Directory()
    for entry in layer.entries:
        if entry.path == "/":
            continue
        name = basename(entry.path)
        parent = _make_parent(root, dirname(entry.path), layer.digest)
        if name == _OPAQUE:
            parent.opaque = True
        elif name.startswith(_WHITEOUT) and not name.startswith(_AUFS_METADATA):
            parent.whiteouts.add(name.removeprefix(_WHITEOUT))
        elif entry.kind is Kind.DIRECTORY:
            if not isinstance(parent.children.get(name), _Directory):
                parent.children[name] = _Directory()
        elif entry.kind is Kind.HARD_LINK:
            parent.children[name] = _hard_link_target(entry, (root, below), layer.digest)
        else:
            parent.children[name] = entry
    # What AUFS keeps for itself is no part of the image, but hard links may have led there.
    for name in [name for name in root.children if name.startswith(_AUFS_METADATA)]:
        del root.children[name]
    return root


def _make_parent(root: _Directory, path: str, digest: Digest) -> _Directory:
    """The directory at `path`, made where it is missing; the layer's own symbolic links are followed.

    Engines resolve them below the image's root, so none leads out of it.
    """
    followed = 0
    parts = _reversed_parts(path)
    trail = [root]
    while parts:
        part = parts.pop()
        if part == "..":
            trail = trail[:-1] or trail
            continue
        node = trail[-1].children.setdefault(part, _Directory())
        if isinstance(node, _Directory):
            trail.append(node)
            continue
        followed += 1
        if node.kind is not Kind.SYMLINK or followed > _MAX_LINKS:
            raise LayerUnreadable(f"layer {digest} cannot be unpacked: {path} is not a directory in it")
        if node.link.startswith("/"):
            trail = [root]
        parts += _reversed_parts(node.link)
    return trail[-1]


def _hard_link_target(entry: Entry, trees: tuple[_Directory, ...], digest: Digest) -> Entry:
    """The very file that the target was when the link was made; a later change of the target is not seen."""
    for tree in trees:
        found = _find(tree, dirname(entry.link))
        # The link's last part is not followed: a hard link to a symbolic link is that symbolic link.
        target = (
            found[1].children.get(basename(entry.link))
            if found and isinstance(found[1], _Directory)
            else None
        )
        if isinstance(target, Entry):
            return target
    raise LayerUnreadable(
        f"layer {digest} cannot be unpacked: {entry.path} is a hard link to {entry.link}, which is not there"
    )
