"""Packages → the tree of a base image and its configuration."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from toolkit.errors import NeedNotMet
from toolkit.oci import Architecture, Digest
from toolkit.rootfs.configure import Practice, configure, load_practice, remarks
from toolkit.rootfs.database import write_database
from toolkit.rootfs.deb import Deb
from toolkit.rootfs.tree import Kind, Node, Tree

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MERGED = {
    Architecture.AMD64: ("bin", "lib", "lib64", "sbin"),
    Architecture.ARM64: ("bin", "lib", "sbin"),
}
# Brought by no package, or to be writable whatever brings it.
_DIRECTORIES = (("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/root", 0o700))
# Makes dpkg leave out of later packages what is left out here.
_DPKG_SETTINGS = "/etc/dpkg/dpkg.cfg.d/slim"


@dataclass(frozen=True, kw_only=True)
class BaseTree:
    """The file system of one architecture, and what a person should know of it."""

    tree: Tree
    remarks: tuple[str, ...]


def make_tree(debs: Sequence[Deb], *, suite: str, architecture: Architecture) -> BaseTree:
    """Unpack and configure `debs`. Nothing but they decides the result: not the clock, not the machine.

    What no package brought is as old as the newest file that one did. Raises NeedNotMet for a suite
    that the data file does not know, and for packages that cannot stand side by side.
    """
    practice = load_practice()
    if suite not in practice.merged:
        raise NeedNotMet(
            f"a base of the suite {suite!r} was never made; known are {', '.join(sorted(practice.merged))}",
            remedy="Add it under [suites] in toolkit/data/maintainer_scripts.toml once it was looked at.",
        )
    ordered = sorted(debs, key=lambda deb: deb.name)
    tree = Tree(mtime=max((deb.newest for deb in ordered), default=0))
    if practice.merged[suite]:
        for name in _MERGED[architecture]:
            tree.directory(f"/usr/{name}")
            tree.link(f"/{name}", f"usr/{name}")
    for deb in ordered:
        for path, node in deb.nodes.items():
            if not _is_dropped(path, node, practice):
                tree.add(path, node)
    for path, mode in _DIRECTORIES:
        tree.directory(path, mode=mode)
    write_database(tree, ordered, architecture)
    settings = [f"path-exclude {glob}\n" for glob in practice.dropped]
    settings += [f"path-include {glob}\n" for glob in practice.kept]
    tree.file(_DPKG_SETTINGS, "".join(settings).encode())
    configure(tree, ordered, architecture)
    return BaseTree(tree=tree, remarks=remarks(ordered))


def _is_dropped(path: str, node: Node, practice: Practice) -> bool:
    """Directories go too, but for those of a copyright file: `Tree` makes no parents for packages."""
    if node.kind is Kind.DIRECTORY and fnmatchcase(path, "/usr/share/doc/*"):
        return path.count("/") > 4
    return any(fnmatchcase(path, glob) for glob in practice.dropped) and not any(
        fnmatchcase(path, glob) for glob in practice.kept
    )


def created(tree: Tree) -> str:
    """The tree's time as RFC 3339."""
    return datetime.fromtimestamp(tree.mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def image_config(tree: Tree, layer: Digest, *, suite: str, architecture: Architecture) -> bytes:
    """The image configuration, in one spelling. https://github.com/opencontainers/image-spec/blob/main/config.md"""
    version = (tree.lookup_content("/etc/debian_version") or b"").decode().strip()
    time = created(tree)
    document = {
        "created": time,
        "architecture": architecture.value,
        "os": "linux",
        "config": {
            "Env": [f"PATH={_PATH}"],
            "Cmd": ["bash"],
            "Labels": {
                "org.opencontainers.image.title": f"Debian {suite}",
                "org.opencontainers.image.version": version,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [str(layer)]},
        "history": [{"created": time, "created_by": f"packages of Debian {suite}, unpacked"}],
    }
    return json.dumps(document, separators=(",", ":")).encode()
