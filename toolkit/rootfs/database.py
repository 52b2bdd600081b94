"""dpkg's database, written as dpkg leaves it, so that `dpkg -l` and scanners see every package.

https://manpages.debian.org/bookworm/dpkg/dpkg.1.en.html#FILES
"""

import hashlib
from collections.abc import Iterable, Sequence

from toolkit.oci import Architecture
from toolkit.rootfs.deb import Deb
from toolkit.rootfs.tree import Tree

_ROOT = "/var/lib/dpkg"


def write_database(tree: Tree, debs: Sequence[Deb], architecture: Architecture) -> None:
    """Record every package as installed, with its control files, file list and triggers."""
    tree.file(f"{_ROOT}/arch", f"{architecture}\n".encode())
    tree.file(f"{_ROOT}/info/format", b"1\n")
    for name in ("available", "diversions", "statoverride"):
        tree.file(f"{_ROOT}/{name}", b"")
    for name in ("alternatives", "parts", "triggers", "updates"):
        tree.directory(f"{_ROOT}/{name}")
    tree.file(f"{_ROOT}/status", "".join(_stanza(deb) for deb in debs).encode())
    for deb in debs:
        _write_info(tree, deb)
    _write_triggers(tree, debs)


def _write_info(tree: Tree, deb: Deb) -> None:
    # Packages that may be there for several architectures have the architecture in the file's name.
    qualifier = f":{deb.field('Architecture')}" if deb.field("Multi-Arch") == "same" else ""
    prefix = f"{_ROOT}/info/{deb.name}{qualifier}"
    tree.file(f"{prefix}.list", "".join(f"{_listed(path)}\n" for path in deb.nodes).encode())
    for name, content in deb.info.items():
        mode = 0o755 if name in ("preinst", "postinst", "prerm", "postrm", "config") else 0o644
        tree.file(f"{prefix}.{name}", content, mode=mode)


def _listed(path: str) -> str:
    return "/." if path == "/" else path


def _stanza(deb: Deb) -> str:
    """The package's paragraph of the status file."""
    first, *rest = deb.stanza.strip("\n").splitlines()
    return "\n".join([first, "Status: install ok installed", *_conffiles(deb), *rest]) + "\n\n"


def _conffiles(deb: Deb) -> Iterable[str]:
    """The Conffiles field: MD5 of what the package brought, which is how dpkg finds local changes."""
    # dpkg 1.20 knows flags before the path (remove-on-upgrade): those files are not installed.
    paths = [line for line in deb.info.get("conffiles", b"").decode().splitlines() if line.startswith("/")]
    sums = [
        f" {path} {hashlib.md5(deb.nodes[path].content, usedforsecurity=False).hexdigest()}"
        for path in paths
        if path in deb.nodes
    ]
    return ["Conffiles:", *sums] if sums else []


def _write_triggers(tree: Tree, debs: Iterable[Deb]) -> None:
    """Who wants to be told of what: a later `dpkg -i` looks here, ldconfig's run depends on it."""
    interests: dict[str, list[str]] = {}
    for deb in debs:
        for line in deb.info.get("triggers", b"").decode().splitlines():
            directive, _, trigger = line.partition("#")[0].strip().partition(" ")
            if directive.startswith("interest"):
                suffix = "/noawait" if directive.endswith("noawait") else ""
                interests.setdefault(trigger.strip(), []).append(deb.name + suffix)
    files = []
    for trigger, names in sorted(interests.items()):
        if trigger.startswith("/"):
            files += [f"{trigger} {name}\n" for name in names]
        else:
            tree.file(f"{_ROOT}/triggers/{trigger}", "".join(f"{name}\n" for name in names).encode())
    tree.file(f"{_ROOT}/triggers/File", "".join(files).encode())
    tree.file(f"{_ROOT}/triggers/Unincorp", b"")
