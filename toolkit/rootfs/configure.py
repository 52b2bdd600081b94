"""What maintainer scripts would have made: data/maintainer_scripts.toml and a few makers."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import tomli

from toolkit.errors import NeedNotMet
from toolkit.oci import Architecture
from toolkit.rootfs.accounts import write_accounts
from toolkit.rootfs.certificates import write_certificates
from toolkit.rootfs.deb import Deb
from toolkit.rootfs.loader_cache import write_loader_cache
from toolkit.rootfs.pam import write_pam
from toolkit.rootfs.tree import Tree


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """A choice of update-alternatives; `slaves` are name → (link, target)."""

    name: str
    link: str
    target: str
    priority: int
    slaves: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Script:
    """One package's row of the data file, in its words."""

    directories: tuple[str, ...] = ()
    copies: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    alternatives: tuple[Alternative, ...] = ()
    diversions: Mapping[str, str] = field(default_factory=dict)
    done: str = ""


@dataclass(frozen=True, kw_only=True)
class Practice:
    """The data file: scripts by package, path globs dropped and kept, suites and whether /usr is merged."""

    scripts: Mapping[str, Script]
    dropped: tuple[str, ...]
    kept: tuple[str, ...]
    merged: Mapping[str, bool]


@cache
def load_practice() -> Practice:
    """The data file of this package."""
    text = files("toolkit").joinpath("data/maintainer_scripts.toml").read_text(encoding="utf-8")
    data = tomli.loads(text)
    return Practice(
        scripts={name: _script(row) for name, row in data["packages"].items()},
        dropped=tuple(data["dropped"]),
        kept=tuple(data["kept"]),
        merged={name: row["merged_usr"] for name, row in data["suites"].items()},
    )


def _script(row: Mapping[str, Any]) -> Script:
    alternatives = tuple(
        Alternative(
            name=item["name"],
            link=item["link"],
            target=item["target"],
            priority=item["priority"],
            slaves={name: (link, target) for name, (link, target) in item.get("slaves", {}).items()},
        )
        for item in row.get("alternatives", ())
    )
    return Script(
        directories=tuple(row.get("directories", ())),
        copies=row.get("copies", {}),
        files=row.get("files", {}),
        lines={path: tuple(lines) for path, lines in row.get("lines", {}).items()},
        links=row.get("links", {}),
        alternatives=alternatives,
        diversions=row.get("diversions", {}),
        done=row.get("done", ""),
    )


# Work that depends on what is in the tree, by the package whose script does it. In this order: the
# loader cache comes last, when every library is there.
_MAKERS: Mapping[str, Callable[[Tree, Architecture], None]] = {
    "base-passwd": lambda tree, _: write_accounts(tree),
    "libpam-runtime": lambda tree, _: write_pam(tree),
    "ca-certificates": lambda tree, _: write_certificates(tree),
    "libc-bin": write_loader_cache,
}


def configure(tree: Tree, debs: Iterable[Deb], architecture: Architecture) -> None:
    """Make of the unpacked `debs` in `tree` what their scripts would have made."""
    scripts = load_practice().scripts
    rows = {deb.name: (deb, scripts.get(deb.name, Script())) for deb in debs}
    for _, script in rows.values():
        for path, source in script.copies.items():
            _copy(tree, path, source)
    for deb, script in rows.values():
        _apply(tree, deb, script)
    for name, make in _MAKERS.items():
        if name in rows:
            make(tree, architecture)


def _copy(tree: Tree, path: str, source: str) -> None:
    content = tree.lookup_content(source)
    if content is None:
        raise NeedNotMet(
            f"no package of the base brings {source}, of which {path} is made",
            remedy="The suite's packages changed: toolkit/data/maintainer_scripts.toml has to follow them.",
        )
    if tree.lookup(path) is None:
        tree.file(path, content)


def _apply(tree: Tree, deb: Deb, script: Script) -> None:
    for entry in script.directories:
        mode, uid, gid, path = _owned(entry)
        tree.directory(path, mode=mode, uid=uid, gid=gid)
    for entry, text in script.files.items():
        mode, uid, gid, path = _owned(entry)
        if tree.lookup(path) is None:
            tree.file(path, text.encode(), mode=mode, uid=uid, gid=gid)
    for path, lines in script.lines.items():
        before = tree.lookup_content(path) or b""
        new = [line for line in lines if line not in before.decode().splitlines()]
        tree.file(path, before + "".join(f"{line}\n" for line in new).encode())
    for path, target in script.links.items():
        tree.link(path, target)
    for alternative in script.alternatives:
        if tree.lookup(alternative.target):
            _choose(tree, alternative)
    for path, away in script.diversions.items():
        if path in deb.nodes:
            before = tree.lookup_content(_DIVERSIONS) or b""
            tree.file(_DIVERSIONS, before + f"{path}\n{away}\n{deb.name}\n".encode())


_DIVERSIONS = "/var/lib/dpkg/diversions"


def _owned(entry: str) -> tuple[int, int, int, str]:
    mode, owner, path = entry.split(" ", 2)
    uid, _, gid = owner.partition(":")
    return int(mode, 8), int(uid), int(gid), path


def _choose(tree: Tree, alternative: Alternative) -> None:
    """Link the only candidate and write the state that `update-alternatives` would keep of it.

    https://git.dpkg.org/cgit/dpkg/dpkg.git/tree/utils/update-alternatives.c (alternative_save)
    """
    slaves = sorted(alternative.slaves.items())
    for name, link, target in [
        (alternative.name, alternative.link, alternative.target),
        *((name, link, target) for name, (link, target) in slaves),
    ]:
        tree.link(link, f"/etc/alternatives/{name}")
        tree.link(f"/etc/alternatives/{name}", target)
    state = ["auto", alternative.link]
    state += [part for name, (link, _) in slaves for part in (name, link)]
    state += [
        "",
        alternative.target,
        str(alternative.priority),
        *(target for _, (_, target) in slaves),
        "",
        "",
    ]
    tree.file(f"/var/lib/dpkg/alternatives/{alternative.name}", "\n".join(state).encode())


_ADDED = re.compile(r"# Automatically added by (\S+)\n(.*?)# End automatically added section", re.DOTALL)
# What a script may hold and still do nothing on a fresh system: the shell's own words.
_IDLE = re.compile(r"\s*(#.*|set -e.*|export LC_ALL=C|exit 0|case .*in|[\w|*-]+\)|;;|esac|:|)\s*")


def remarks(debs: Iterable[Deb]) -> tuple[str, ...]:
    """The packages whose scripts do something and that the data file does not know."""
    scripts = load_practice().scripts
    return tuple(
        f"the maintainer script of {deb.name} did not run, and nobody has looked at what it does"
        for deb in debs
        if deb.name not in scripts and _does_something(deb.info.get("postinst", b"").decode())
    )


def _does_something(script: str) -> bool:
    # debhelper's own parts restart services, compile bytecode, move old files; alternatives do matter.
    added = (match[2] for match in _ADDED.finditer(script))
    if any("update-alternatives --install" in part for part in added):
        return True
    return not all(_IDLE.fullmatch(line) for line in _ADDED.sub("", script).splitlines())
