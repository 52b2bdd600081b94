"""Is a lock file what `toolkit lock` would leave, as far as can be told without asking anybody?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from toolkit.catalog.model import Base
from toolkit.lock.fits import base_inputs_digest, inputs_digest
from toolkit.lock.model import Lock, UnlockedBase
from toolkit.lock.text import format_lock
from toolkit.oci import Architecture
from toolkit.units import BuildUnit


@dataclass(frozen=True, kw_only=True)
class Checked:
    """`faults` are rows that are missing, stale or surplus, `unlocked` rows that wait for their source."""

    faults: tuple[str, ...]
    unlocked: tuple[str, ...]


def check_lock(
    lock: Lock,
    text: str,
    *,
    units: Sequence[BuildUnit],
    bases: Mapping[str, Base],
    serving: Sequence[str],
) -> Checked:
    """`units` and `bases` are the whole catalog's, `text` is the file as it is."""
    faults = [*_units(lock, units, serving), *_bases(lock, units, bases)]
    if not faults and format_lock(lock) != text:
        faults.append("images.lock: it was changed by hand or merged: write it anew with toolkit lock")
    unlocked = [
        f"images.toml:{unit.image.line}: {unit.identifier} is unlocked: {row.unlocked}"
        for unit in units
        if (row := lock.units.get(unit.identifier)) and row.unlocked
    ]
    unlocked += [
        f"images.toml:{bases[name].line}: base {name} is unlocked for {architecture}: {row.reason}"
        for name, rows in sorted(lock.bases.items())
        for architecture, row in sorted(rows.items())
        if isinstance(row, UnlockedBase) and name in bases
    ]
    return Checked(faults=tuple(faults), unlocked=tuple(unlocked))


def _units(lock: Lock, units: Sequence[BuildUnit], serving: Sequence[str]) -> Iterator[str]:
    for unit in units:
        row = lock.units.get(unit.identifier)
        where = f"images.toml:{unit.image.line}: {unit.identifier}"
        if row is None:
            yield f"{where} is missing: it is not in images.lock"
        elif row.inputs != inputs_digest(unit, serving):
            yield f"{where} is stale: its packages, sources, Python or glibc changed since it was locked"
    for identifier in sorted(lock.units.keys() - {unit.identifier for unit in units}):
        yield f"images.lock: {identifier} is surplus: the catalog has no such unit"


def _bases(lock: Lock, units: Sequence[BuildUnit], bases: Mapping[str, Base]) -> Iterator[str]:
    wanted: dict[str, set[Architecture]] = {}
    for unit in units:
        wanted.setdefault(unit.base.name, set()).add(unit.architecture)
    for name, architectures in sorted(wanted.items()):
        rows = lock.bases.get(name, {})
        for architecture in sorted(architectures):
            where = f"images.toml:{bases[name].line}: base {name} for {architecture}"
            if architecture not in rows:
                yield f"{where} is missing: it is not in images.lock"
            elif rows[architecture].inputs != base_inputs_digest(bases[name]):
                yield f"{where} is stale: its origin or packages changed since it was locked"
    for name in sorted(lock.bases.keys() - bases.keys()):
        yield f"images.lock: base {name} is surplus: the catalog has no such base"
