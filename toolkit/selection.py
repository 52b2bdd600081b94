"""Which units are meant: patterns over names, and values of the axes that units differ in. Pure."""

import difflib
import fnmatch
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from toolkit.catalog.groups import LEAVE_OUT
from toolkit.catalog.model import Catalog, Exclusion
from toolkit.errors import NothingSelected
from toolkit.units import BuildUnit

AXES: Mapping[str, Callable[[BuildUnit], str]] = {
    "framework": lambda unit: unit.image.framework,
    "version": lambda unit: unit.version,
    "accelerator": lambda unit: unit.image.accelerator.value,
    "consumer": lambda unit: unit.consumer.value,
    "architecture": lambda unit: unit.architecture.value,
}
"""What units differ in, in the order of their identifiers' parts; each is an option of the commands."""

_COMPARED = 50
"""Names that difflib, which is slow, compares a misspelt one with."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was asked for: any of `patterns` and, on each axis of `wanted`, any of its globs.

    A pattern is an identifier, an image id (both platforms at once), a glob over these or the name of a
    group; after `!` it leaves out what it matches. Where no pattern takes any, the axes choose among all
    units, and without these the group `default` is meant.
    """

    patterns: tuple[str, ...] = ()
    wanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def or_everything(self) -> "Selection":
        """The same where something was asked for, else all units."""
        return self if self.patterns or any(self.wanted.values()) else replace(self, patterns=("*",))

    def __str__(self) -> str:
        """As one would type it."""
        options = (f"--{axis} {value}" for axis, values in self.wanted.items() for value in values)
        return " ".join((*(f"'{pattern}'" for pattern in self.patterns), *options))


def select(units: Sequence[BuildUnit], selection: Selection, catalog: Catalog) -> tuple[BuildUnit, ...]:
    """The units that are meant, in the order of `units`.

    Raises NothingSelected, with the nearest name or the reason of an exclusion, when one of the patterns
    or values fits no unit at all, as a typo must not shrink a release silently, or all of them together
    fit none.
    """
    chosen = _matching(units, selection, catalog)
    fitting = [unit for unit in units if unit.identifier in chosen]
    for axis, globs in selection.wanted.items():
        for glob in globs:
            _require_value(units, axis, glob)
        if globs:
            fitting = [unit for unit in fitting if _fits(unit, axis, globs)]
    if not fitting:
        raise NothingSelected(
            f"no build unit is {_chosen_by(selection)}", remedy=_why_not(catalog, selection) or _ALL_UNITS
        )
    return tuple(fitting)


def _chosen_by(selection: Selection) -> str:
    leaves_out = any(pattern.startswith(LEAVE_OUT) for pattern in selection.patterns)
    return f"left by {selection}" if leaves_out else f"all of {selection}"


_ALL_UNITS = "`toolkit plan '*' --allow-eol` lists all units."


def matches(unit: BuildUnit, glob: str) -> bool:
    """`glob` is matched against the identifier and, to name both platforms at once, the image id."""
    return fnmatch.fnmatchcase(unit.identifier, glob) or fnmatch.fnmatchcase(unit.image_id, glob)


def _fits(unit: BuildUnit, axis: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(AXES[axis](unit), glob) for glob in globs)


def _patterns(selection: Selection) -> tuple[str, ...]:
    """The patterns, with what is meant where none of them takes anything."""
    if any(not pattern.startswith(LEAVE_OUT) for pattern in selection.patterns):
        return selection.patterns
    return ("*" if any(selection.wanted.values()) else "default", *selection.patterns)


def _globs(selection: Selection, catalog: Catalog) -> tuple[str, ...]:
    """The patterns that take units, groups opened."""
    opened = (catalog.groups.get(pattern, (pattern,)) for pattern in _patterns(selection))
    return tuple(glob for globs in opened for glob in globs if not glob.startswith(LEAVE_OUT))


def _matching(units: Sequence[BuildUnit], selection: Selection, catalog: Catalog) -> set[str]:
    """The identifiers that some pattern takes and none leaves out."""
    named: dict[str, list[str]] = {}
    for unit in units:
        named.setdefault(unit.identifier, []).append(unit.identifier)
        named.setdefault(unit.image_id, []).append(unit.identifier)

    def fitting(glob: str) -> Collection[str]:
        # A plain name is looked up: a thousand of them must not be compared with each of 10,000 units.
        found = named.get(glob) or [unit.identifier for unit in units if matches(unit, glob)]
        if not found:
            excluded = _why_not(catalog, Selection(patterns=(glob,)))
            raise NothingSelected(
                f"no build unit matches {glob!r}",
                remedy=excluded or _suggestion(glob, [*catalog.groups], named),
            )
        return found

    def in_group_or_fitting(name: str) -> Collection[str]:
        globs = catalog.groups.get(name)
        return fitting(name) if globs is None else _taken(globs, fitting)

    return _taken(_patterns(selection), in_group_or_fitting)


def _taken(patterns: Iterable[str], find: Callable[[str], Collection[str]]) -> set[str]:
    taken: set[str] = set()
    left_out: set[str] = set()
    for pattern in patterns:
        (left_out if pattern.startswith(LEAVE_OUT) else taken).update(find(pattern.removeprefix(LEAVE_OUT)))
    return taken - left_out


def _require_value(units: Sequence[BuildUnit], axis: str, glob: str) -> None:
    """Raises NothingSelected when no unit of the catalog has such a value."""
    known = sorted({AXES[axis](unit) for unit in units})
    if not any(fnmatch.fnmatchcase(value, glob) for value in known):
        near = difflib.get_close_matches(glob.lower(), known, n=1)
        mend = f"Did you mean {near[0]!r}? " if near else ""
        raise NothingSelected(
            f"no build unit has the {axis} {glob!r}", remedy=f"{mend}There are: {', '.join(known)}."
        )


def _why_not(catalog: Catalog, selection: Selection) -> str:
    """The rows of the catalog that leave out what is asked for, with their reasons."""
    globs = _globs(selection, catalog)
    reasons = dict.fromkeys(
        f"images.toml:{unit.image.line} leaves it out: {exclusion.reason}"
        for unit, exclusion in _left_out(catalog)
        if any(matches(unit, glob) for glob in globs)
        and all(_fits(unit, axis, values) for axis, values in selection.wanted.items() if values)
    )
    return "\n".join(reasons)


def _left_out(catalog: Catalog) -> Iterator[tuple[BuildUnit, Exclusion]]:
    """What would be units without the first exclusion that covers each."""
    for image in catalog.images:
        for exclusion in image.exclusions:
            for version in image.versions:
                for architecture in image.architectures:
                    if exclusion.covers(version, architecture):
                        for consumer in image.consumers:
                            cell = image.cell(version, consumer, architecture)
                            yield BuildUnit(image=image, base=catalog.bases[image.base], cell=cell), exclusion


def _suggestion(glob: str, groups: Sequence[str], names: Mapping[str, object]) -> str:
    near = _nearest(glob, groups, names)
    return f"Did you mean {near!r}? {_ALL_UNITS}" if near else _ALL_UNITS


def _nearest(glob: str, groups: Sequence[str], names: Mapping[str, object]) -> str | None:
    """The group, image id or identifier that is most like `glob`, None when nothing is."""
    parts, letters = set(glob.split("-")), Counter(glob)

    def likeness(name: str) -> tuple[int, int]:
        return len(parts.intersection(name.split("-"))), (letters & Counter(name)).total()

    likely = heapq.nlargest(_COMPARED, names, key=likeness)
    near = difflib.get_close_matches(glob, [*groups, *likely], n=1, cutoff=0.5)
    if near:
        return near[0]
    # A glob is too short to be similar as a whole to the name that it shares most with.
    return likely[0] if likely and likeness(likely[0])[0] else None
