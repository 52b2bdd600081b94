"""Whether a lock's rows are those of the catalog as it is now."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import assert_never

from toolkit.bases import BuiltBase
from toolkit.catalog.model import Base, Recipe, Source
from toolkit.errors import LockInvalid
from toolkit.lock.model import BaseRow, Lock, LockedBase, LockedUnit, UnlockedBase
from toolkit.oci import Architecture, Reference
from toolkit.units import BuildUnit


def inputs_digest(unit: BuildUnit, serving: Sequence[str]) -> str:
    """Digest of all that decides what a unit is made of; `serving` are the runtime's own needs."""
    packages = (*unit.requirements, *serving)
    asked = (packages, unit.base.python, unit.base.glibc, unit.architecture.value)
    if not (unit.indexes or unit.apt or unit.downloads):
        return _digest_of_packages(*asked)
    return _digest(
        [
            sorted(packages),
            *asked[1:],
            [_place(source) for source in unit.indexes],
            [_place(unit.apt.source), *sorted(unit.apt.packages)] if unit.apt else [],
            sorted([each.url, each.install] for each in unit.downloads),
        ]
    )


@lru_cache(maxsize=64)
def _digest_of_packages(packages: tuple[str, ...], python: str, glibc: str, architecture: str) -> str:
    """An image for two consumers asks twice for the same."""
    return _digest([sorted(packages), python, glibc, architecture])


def _digest(asked: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def _place(source: Source) -> list[object]:
    """A vendor's place without the name that the catalog gives it."""
    place = [source.kind, source.url, source.suite, source.components, source.key, source.packages]
    return [each for each in place if each]


def get_locked(lock: Lock, unit: BuildUnit, serving: Sequence[str]) -> LockedUnit:
    """The unit's lock entry. Raises LockInvalid, naming the row, when there is none that fits."""
    remedy = f"Run: toolkit lock '{unit.identifier}'"
    locked = lock.units.get(unit.identifier)
    if locked is None:
        raise LockInvalid(f"images.lock has no entry for {unit.identifier}", remedy=remedy)
    if locked.inputs != inputs_digest(unit, serving):
        raise LockInvalid(
            f"images.lock does not fit images.toml:{unit.image.line}: the packages, sources, Python or glibc "
            f"of {unit.identifier} changed since it was locked",
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
    return _digest(asked)


def lookup_base_row(lock: Lock, base: Base, architecture: Architecture) -> BaseRow | None:
    """The base's row, None when there is none or it was made from another recipe or reference."""
    row = lock.bases.get(base.name, {}).get(architecture)
    return row if row and row.inputs == base_inputs_digest(base) else None


def lookup_locked_base(lock: Lock, base: Base, architecture: Architecture) -> LockedBase | None:
    """The base's entry, None when there is none that fits or it is unlocked."""
    row = lookup_base_row(lock, base, architecture)
    return row if isinstance(row, LockedBase) else None


def get_base_row(lock: Lock, base: Base, architecture: Architecture) -> BaseRow:
    """The base's row, locked or not. Raises LockInvalid when there is none that fits."""
    row = lookup_base_row(lock, base, architecture)
    if row is None:
        raise LockInvalid(
            f"images.lock has no base {base.name} for {architecture} that fits images.toml:{base.line}",
            remedy="Run: toolkit lock",
        )
    return row


def get_locked_base(lock: Lock, base: Base, architecture: Architecture) -> LockedBase:
    """The base's entry. Raises LockInvalid when there is none that fits, or it is unlocked."""
    row = get_base_row(lock, base, architecture)
    if isinstance(row, UnlockedBase):
        raise LockInvalid(
            f"base {base.name} (images.toml:{base.line}) is unlocked for {architecture}: {row.reason}",
            remedy="Where its source can be reached, run: toolkit lock",
        )
    return row


def other_digests(lock: Lock, built: BuiltBase) -> tuple[str, ...]:
    """Where a base made of the locked packages is not the locked image: this toolkit makes it anew."""
    rows = lock.bases.get(built.name, {})
    locked = {each: row.digest for each, row in rows.items() if isinstance(row, LockedBase)}
    return tuple(
        f"{architecture}: {locked[architecture]} -> {platform.manifest} (run: toolkit lock --upgrade)"
        for architecture, platform in sorted(built.platforms.items())
        if architecture in locked and locked[architecture] != platform.manifest
    )
