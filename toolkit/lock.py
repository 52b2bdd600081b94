"""images.lock: what the catalog's wishes resolved to, with hashes, reviewed and committed.

Pure: text ↔ values. `toolkit lock` writes the file through an adapter that asks the package index.
A row whose source could not be reached is `unlocked` with the reason: nothing is ever guessed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

import tomli

from toolkit.bases import BuiltBase, LockedPackage, Packages
from toolkit.catalog.model import Base, Recipe
from toolkit.errors import LockInvalid
from toolkit.oci import Architecture, Digest, Reference
from toolkit.units import BuildUnit

VERSION = 1
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, kw_only=True)
class LockedUnit:
    """The full requirement set of a unit: `name==version --hash=sha256:…` lines, sorted.

    `inputs` is `inputs_digest` of what was resolved; `created` (RFC 3339, UTC) is when this set was
    first seen, and is the time that every file of the image carries. `unlocked` is the reason why
    there are no requirements, else "".
    """

    inputs: str
    created: str
    requirements: tuple[str, ...] = ()
    unlocked: str = ""


@dataclass(frozen=True, kw_only=True)
class LockedBase:
    """A base on one architecture: the image's digest and, when it is bootstrapped, all its packages.

    A bootstrap is deterministic: the same packages give the same digest on every machine.
    `inputs` is `base_inputs_digest` of what was locked; `index` is what FROM is pinned to when the base
    is an image of a registry, as one build takes the same base for two platforms.
    """

    inputs: str
    digest: Digest
    index: Digest | None = None
    packages: Packages = ()


LockedBases = Mapping[Architecture, LockedBase]


@dataclass(frozen=True, kw_only=True)
class Lock:
    """Bases by name, units by identifier."""

    bases: Mapping[str, LockedBases] = field(default_factory=dict)
    units: Mapping[str, LockedUnit] = field(default_factory=dict)

    def with_unit(self, identifier: str, locked: LockedUnit) -> "Lock":
        return replace(self, units={**self.units, identifier: locked})

    def with_base(self, name: str, base: LockedBases) -> "Lock":
        return replace(self, bases={**self.bases, name: base})


def inputs_digest(unit: BuildUnit, serving: Sequence[str]) -> str:
    """Digest of all that decides a unit's requirement set; `serving` are the runtime's own needs."""
    asked = [sorted((*unit.requirements, *serving)), unit.base.python, unit.base.glibc, unit.architecture]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def get_locked(lock: Lock, unit: BuildUnit, serving: Sequence[str]) -> LockedUnit:
    """The unit's lock entry. Raises LockInvalid, naming the row, when there is none that fits."""
    remedy = f"Run: toolkit lock '{unit.identifier}'"
    locked = lock.units.get(unit.identifier)
    if locked is None:
        raise LockInvalid(f"images.lock has no entry for {unit.identifier}", remedy=remedy)
    if locked.inputs != inputs_digest(unit, serving):
        raise LockInvalid(
            f"images.lock does not fit images.toml:{unit.image.line}: the packages, Python or glibc of "
            f"{unit.identifier} changed since it was locked",
            remedy=remedy,
        )
    return locked


def base_inputs_digest(base: Base) -> str:
    """Digest of what a base is made of: the reference, or the suite and the packages asked for."""
    match base.origin:
        case Recipe(suite=suite, packages=packages):
            asked = [suite, sorted(packages)]
        case Reference() as reference:
            asked = [str(reference)]
        case _:
            assert_never(base.origin)
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def lookup_locked_base(lock: Lock, base: Base, architecture: Architecture) -> LockedBase | None:
    """The base's entry, None when there is none or it was made from another recipe or reference."""
    locked = lock.bases.get(base.name, {}).get(architecture)
    return locked if locked and locked.inputs == base_inputs_digest(base) else None


def get_locked_base(lock: Lock, base: Base, architecture: Architecture) -> LockedBase:
    """The base's entry. Raises LockInvalid when there is none that fits."""
    locked = lookup_locked_base(lock, base, architecture)
    if locked is None:
        raise LockInvalid(
            f"images.lock has no base {base.name} for {architecture} that fits images.toml:{base.line}",
            remedy="Run: toolkit lock",
        )
    return locked


def other_digests(lock: Lock, built: BuiltBase) -> tuple[str, ...]:
    """Where a base made of the locked packages is not the locked image: this toolkit makes it anew."""
    locked = lock.bases.get(built.name, {})
    return tuple(
        f"{architecture}: {locked[architecture].digest} -> {platform.manifest} (run: toolkit lock --upgrade)"
        for architecture, platform in sorted(built.platforms.items())
        if architecture in locked and locked[architecture].digest != platform.manifest
    )


def parse_lock(text: str) -> Lock:
    """Raises LockInvalid when the text is not a lock of this version."""
    try:
        data = tomli.loads(text)
        if data.get("version", VERSION) != VERSION:
            raise LockInvalid(
                f"images.lock has version {data['version']}, this toolkit reads {VERSION}",
                remedy="Run the toolkit that wrote it, or lock again: toolkit lock '*'",
            )
        bases = {
            name: {
                Architecture(architecture): LockedBase(
                    inputs=_text(entry["inputs"]),
                    digest=Digest(_text(entry["digest"])),
                    index=Digest(_text(entry["index"])) if "index" in entry else None,
                    packages=tuple(LockedPackage.parse(line) for line in _texts(entry, "packages")),
                )
                for architecture, entry in architectures.items()
            }
            for name, architectures in data.get("bases", {}).items()
        }
        units = {
            name: LockedUnit(
                inputs=_text(entry["inputs"]),
                created=_time(entry["created"]),
                requirements=_texts(entry, "requirements"),
                unlocked=_text(entry.get("unlocked", "")),
            )
            for name, entry in data.get("units", {}).items()
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise LockInvalid(
            f"images.lock cannot be read: {what}",
            remedy="Restore it from version control, or write it anew: toolkit lock '*'",
        ) from error
    return Lock(bases=bases, units=units)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _texts(entry: Mapping[str, object], key: str) -> tuple[str, ...]:
    values = entry.get(key, [])
    if not isinstance(values, list):
        raise TypeError(f"{key} is not an array")
    return tuple(_text(value) for value in values)


def _time(value: object) -> str:
    """A build takes it as SOURCE_DATE_EPOCH."""
    datetime.strptime(_text(value), _TIME)
    return _text(value)


def format_lock(lock: Lock) -> str:
    """The file's text; the same lock always gives the same bytes, so that diffs stay small."""
    lines = ["# Written by `toolkit lock`. Review and commit it like any lock file.", f"version = {VERSION}"]
    for name, architectures in sorted(lock.bases.items()):
        for architecture, base in sorted(architectures.items()):
            lines += ["", f"[bases.{_quoted(name)}.{architecture}]"]
            lines += [f"inputs = {_quoted(base.inputs)}", f"digest = {_quoted(base.digest)}"]
            if base.index:
                lines.append(f"index = {_quoted(base.index)}")
            if base.packages:
                lines += _array("packages", [str(package) for package in base.packages])
    for identifier, unit in sorted(lock.units.items()):
        lines += ["", f"[units.{_quoted(identifier)}]"]
        lines += [f"inputs = {_quoted(unit.inputs)}", f"created = {_quoted(unit.created)}"]
        if unit.unlocked:
            lines.append(f"unlocked = {_quoted(unit.unlocked)}")
        else:
            lines += _array("requirements", unit.requirements)
    return "\n".join(lines) + "\n"


def _array(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key} = [", *(f"  {_quoted(value)}," for value in values), "]"]


def _quoted(text: str) -> str:
    """A TOML string: JSON's, but for the one character that only JSON allows as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
