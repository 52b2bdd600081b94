"""What moved between two locks, old → new: a line for each change, with the images or bases it is about."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from toolkit.lock.model import BaseRow, Lock, LockedUnit, UnlockedBase
from toolkit.oci import Architecture

_NAMED = 4


def changes(before: Lock, after: Lock) -> Iterator[str]:
    for name, rows in sorted(after.bases.items()):
        yield from _base_changes(name, before.bases.get(name, {}), rows)
    for url, sha256 in sorted(after.keys.items()):
        if before.keys.get(url, sha256) != sha256:
            yield f"signing key {url}: sha256 {before.keys[url]} -> {sha256}"
    lines: dict[str, list[str]] = {}
    for identifier, unit in sorted(after.units.items()):
        if line := _unit_change(before.units.get(identifier), unit):
            lines.setdefault(line, []).append(identifier)
    if removed := sorted(before.units.keys() - after.units.keys()):
        lines["removed"] = removed
    for line, identifiers in lines.items():
        yield f"{named(identifiers)}: {line}"
    for name in sorted(before.bases.keys() - after.bases.keys()):
        yield f"base {name}: removed"


def named(identifiers: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(identifiers) - _NAMED} more" if len(identifiers) > _NAMED else ""
    return f"{', '.join(identifiers[:_NAMED])}{more}"


def _unit_change(was: LockedUnit | None, now: LockedUnit) -> str:
    if now.unlocked:
        return "" if was and was.unlocked == now.unlocked else f"unlocked: {now.unlocked}"
    if was is None or was.unlocked:
        files = f", {_count(now.downloads, 'download')}" if now.downloads else ""
        return f"{_count(now.requirements, 'package')}{files} locked"
    if (was.requirements, was.downloads) == (now.requirements, now.downloads):
        return ""
    moved = (*_moves(_versions(was), _versions(now)), *_moves(_files(was), _files(now)))
    return ", ".join(moved) or "other files of the same versions"


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'s' if len(things) != 1 else ''}"


def _versions(unit: LockedUnit) -> dict[str, str]:
    pins = (line.split(" ")[0].partition("==") for line in unit.requirements)
    return {name: version for name, _, version in pins}


def _files(unit: LockedUnit) -> dict[str, str]:
    """A .deb's name has its version, so by package; other files by path, and what they are."""
    found = {}
    for each in unit.downloads:
        name, _, rest = each.name.partition("_")
        is_deb = each.name.endswith(".deb") and rest
        found[name if is_deb else each.path] = rest.removesuffix(".deb") if is_deb else each.sha256[:12]
    return found


def _base_changes(
    name: str, was: Mapping[Architecture, BaseRow], now: Mapping[Architecture, BaseRow]
) -> Iterable[str]:
    """A line for each distinct change, with the architectures that it is about."""
    lines: dict[str, list[str]] = {}
    for architecture, row in sorted(now.items()):
        if (line := _base_change(was.get(architecture), row)) is not None:
            lines.setdefault(line, []).append(architecture)
    return [f"base {name} ({', '.join(them)}): {line}" for line, them in lines.items()]


def _base_change(was: BaseRow | None, now: BaseRow) -> str | None:
    if was == now:
        return None
    if isinstance(now, UnlockedBase):
        same = isinstance(was, UnlockedBase) and was.reason == now.reason
        return None if same else f"unlocked: {now.reason}"
    what = f"{len(now.packages)} packages" if now.packages else now.digest
    if was is None or isinstance(was, UnlockedBase):
        return f"{what} locked"
    old = {package.name: package.version for package in was.packages}
    new = {package.name: package.version for package in now.packages}
    moved = _moves(old, new)
    return ", ".join(moved) if moved else f"{was.digest} -> {now.digest}"


def _moves(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [
        f"{name} {old.get(name, '(none)')} -> {new.get(name, '(none)')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
