"""Catalog → lock: what is asked of whom, what stays, and what waits for a source that cannot be reached.

The world comes as Protocols; `toolkit.cli.lock` puts the adapters together.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from toolkit.catalog.model import Base
from toolkit.errors import NeedNotMet, RegistryTrouble, SourceUnreachable, ToolkitError, UsageError
from toolkit.lock import (
    Lock,
    LockedBases,
    LockedDownload,
    LockedUnit,
    UnlockedBase,
    base_inputs_digest,
    inputs_digest,
    lookup_locked_base,
)
from toolkit.oci import Architecture
from toolkit.units import BuildUnit

# Resolving waits for answers, mostly; more at a time only makes them slower.
_AT_ONCE = 4


class Finder(Protocol):
    """What knows the world. All raise NeedNotMet for what is out of reach, UsageError for what is wrong."""

    def requirements(self, unit: BuildUnit) -> tuple[str, ...]:
        """The unit's full requirement set, `name==version --hash=sha256:…` lines, sorted."""
        ...

    def downloads(self, unit: BuildUnit) -> tuple[LockedDownload, ...]:
        """Every other file that the unit's build takes, sorted."""
        ...

    def base(self, base: Base, architectures: Sequence[Architecture]) -> LockedBases:
        """A base on each architecture."""
        ...

    def keys(self) -> Mapping[str, str]:
        """sha256 (hex) by URL of the signing keys that were read so far."""
        ...


@dataclass(frozen=True, kw_only=True)
class Result:
    """`kept` says of rows that stay as they were locked why they could not be looked at again; `failures`
    are rows that nobody could satisfy, each with its line of the catalog."""

    lock: Lock
    kept: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Locking:
    """One run. `units` are all of the catalog's, `serving` the runtime's own needs, `now` RFC 3339.

    Without `upgrade` what is locked and fits stays as it is, and a unit that asks for what another one is
    locked for gets the same answer.
    """

    lock: Lock
    units: Sequence[BuildUnit]
    bases: Mapping[str, Base]
    serving: Sequence[str]
    finder: Finder
    upgrade: bool
    now: str
    _inputs: dict[str, str] = field(default_factory=dict)

    def run(self, chosen: Sequence[BuildUnit]) -> Result:
        """Lock the chosen units and their bases; rows of what the catalog no longer has are left out."""
        kept: list[str] = []
        failures: list[str] = []
        bases = {name: rows for name, rows in self.lock.bases.items() if name in self.bases}
        for name in sorted({unit.base.name for unit in chosen}):
            try:
                bases[name] = self._base(self.bases[name], kept)
            except UsageError as error:
                failures.append(f"images.toml:{self.bases[name].line}: base {name}: {error}")
        rows = self._answers(chosen, kept, failures)
        known = {unit.identifier for unit in self.units}
        units = {name: row for name, row in {**self.lock.units, **rows}.items() if name in known}
        wanted = {unit.apt.source.key for unit in self.units if unit.apt}
        keys = {url: each for url, each in {**self.lock.keys, **self.finder.keys()}.items() if url in wanted}
        return Result(
            lock=Lock(bases=bases, keys=keys, units=units),
            kept=tuple(sorted(set(kept))),
            failures=tuple(failures),
        )

    def _base(self, base: Base, kept: list[str]) -> LockedBases:
        wanted = tuple(sorted({unit.architecture for unit in self.units if unit.base.name == base.name}))
        before = self.lock.bases.get(base.name, {})
        fits = all(lookup_locked_base(self.lock, base, each) for each in wanted)
        if fits and not self.upgrade:
            return before
        try:
            return self.finder.base(base, wanted)
        except (NeedNotMet, RegistryTrouble) as error:
            if fits:
                kept.append(f"base {base.name} stays as it is: {error.message}")
                return before
            row = UnlockedBase(inputs=base_inputs_digest(base), reason=_reason(error))
            return dict.fromkeys(wanted, row)

    def _answers(
        self, chosen: Sequence[BuildUnit], kept: list[str], failures: list[str]
    ) -> dict[str, LockedUnit]:
        """A row for each chosen unit that has one; what is the same question is asked once."""
        digests = {unit.identifier: inputs_digest(unit, self.serving) for unit in chosen}
        known = {} if self.upgrade else self._known(self.lock.units.values())
        questions = {
            digests[unit.identifier]: unit for unit in chosen if digests[unit.identifier] not in known
        }
        before = self._known(self.lock.units.values())
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = dict(zip(questions, pool.map(self._answer, questions.values()), strict=True))
        rows: dict[str, LockedUnit] = {}
        for unit in chosen:
            inputs, own = digests[unit.identifier], self.lock.units.get(unit.identifier)
            if own and own.inputs == inputs and not own.unlocked and not self.upgrade:
                continue
            answer = known.get(inputs) or found[inputs]
            if isinstance(answer, UsageError):
                failures.append(f"images.toml:{unit.image.line}: {unit.identifier}: {answer}")
            elif isinstance(answer, LockedUnit):
                rows[unit.identifier] = _dated(answer, own, before.get(inputs))
            elif inputs in before:
                kept.append(f"{unit.identifier} stays as it is: {answer.message}")
                rows[unit.identifier] = own if own and own.inputs == inputs else before[inputs]
            else:
                fresh = LockedUnit(inputs=inputs, created=self.now, unlocked=_reason(answer))
                again = own and replace(own, created=self.now) == fresh
                rows[unit.identifier] = own if own and again else fresh
        return rows

    def _answer(self, unit: BuildUnit) -> LockedUnit | ToolkitError:
        try:
            return LockedUnit(
                inputs=inputs_digest(unit, self.serving),
                created=self.now,
                requirements=self.finder.requirements(unit),
                downloads=self.finder.downloads(unit),
            )
        except (NeedNotMet, UsageError) as error:
            return error

    def _known(self, rows: Iterable[LockedUnit]) -> dict[str, LockedUnit]:
        return {row.inputs: row for row in rows if not row.unlocked}


def _dated(answer: LockedUnit, *before: LockedUnit | None) -> LockedUnit:
    """The answer with the time at which the same one was first seen."""
    for row in before:
        if row and (row.requirements, row.downloads) == (answer.requirements, answer.downloads):
            return replace(answer, created=row.created)
    return answer


def _reason(error: ToolkitError) -> str:
    return error.reason if isinstance(error, SourceUnreachable) else error.message
