"""Is an image's base, Python, framework or service still looked after? Pure: what day it is, is an argument.

`toolkit/data/end_of_life.toml` has the days with their sources; a row of images.toml may add its own.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import tomli

from toolkit.catalog.model import EndOfLife, Recipe, State, Support
from toolkit.catalog.places import last_day
from toolkit.errors import UsageError
from toolkit.units import BuildUnit

_DATA = Path(__file__).parent / "data" / "end_of_life.toml"

_SEVERITY = {state: rank for rank, state in enumerate(State)}


@dataclass(frozen=True, kw_only=True)
class End:
    """What becomes of an image, `state`, after `date`; `reason` is a line about it."""

    state: State
    date: date
    source: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Ends:
    """All ends that are known, by the name of a base, a Python such as "3.9", a framework, an accelerator.

    `suites` are the same as `bases`, by the suite that a base is bootstrapped from.
    """

    pythons: Mapping[str, End]
    bases: Mapping[str, End]
    suites: Mapping[str, End]
    frameworks: Mapping[str, End]
    accelerators: Mapping[str, End]


@cache
def known_ends() -> Ends:
    """Those of end_of_life.toml."""
    return parse_ends(_DATA.read_text(encoding="utf-8"))


def parse_ends(text: str) -> Ends:
    """Raises KeyError, TypeError or ValueError for what is no such table."""
    data = tomli.loads(text)
    bases: Mapping[str, Mapping[str, Any]] = data["bases"]
    return Ends(
        pythons={name: _end({"name": f"Python {name}", **row}) for name, row in data["pythons"].items()},
        bases={name: _end(row) for name, row in bases.items()},
        suites={row["suite"]: _end(row) for row in bases.values()},
        frameworks={name: _end(row) for name, row in data["frameworks"].items()},
        accelerators={name: _end(row, State.ENDED) for name, row in data["accelerators"].items()},
    )


def _end(row: Mapping[str, str], state: State = State.LEGACY) -> End:
    return End(
        state=state,
        date=last_day(row["date"]),
        source=row["source"],
        reason=f"{row['name']}: {row.get('event', 'end of life')} {row['date']}",
    )


def support_of(unit: BuildUnit, ends: Ends, *, on: date) -> Support:
    """The worst that any part of the unit is on that day; while all are `current`, until when.

    For a worse state `date` is the first end that made it so. Units of one image have one answer.
    """
    found = sorted(_ends_of(unit, ends), key=lambda end: end.date)
    past = [end for end in found if end.date < on]
    if not past:
        to_come = next(iter(found), None)
        return Support(
            state=State.CURRENT,
            date=to_come.date if to_come else None,
            source=to_come.source if to_come else "",
        )
    worst = max((end.state for end in past), key=_SEVERITY.__getitem__)
    first = next(end for end in past if end.state is worst)
    in_order = sorted(past, key=lambda end: -_SEVERITY[end.state])
    return Support(
        state=worst,
        date=first.date,
        source=first.source,
        reasons=tuple(dict.fromkeys(end.reason for end in in_order)),
    )


def _ends_of(unit: BuildUnit, ends: Ends) -> Iterator[End]:
    own = unit.image.support
    if own is None or own.date is None:
        yield from _ends_of_parts(unit, ends)
        return
    its_own = _own_end(own, own.date)
    yield its_own
    for end in _ends_of_parts(unit, ends):
        if (end.state, end.date) != (its_own.state, its_own.date):  # else the row tells the same in its words
            yield end


def _ends_of_parts(unit: BuildUnit, ends: Ends) -> Iterator[End]:
    base = unit.base
    if base.end_of_life:
        yield _base_end(base.name, base.end_of_life)
    elif end := ends.bases.get(base.name) or _suite_end(unit, ends):
        yield end
    for table, key in (
        (ends.pythons, base.python),
        (ends.frameworks, unit.image.framework),
        (ends.accelerators, unit.image.accelerator),
    ):
        if end := table.get(key):
            yield end


def _suite_end(unit: BuildUnit, ends: Ends) -> End | None:
    origin = unit.base.origin
    return ends.suites.get(origin.suite) if isinstance(origin, Recipe) else None


def _own_end(own: Support, day: date) -> End:
    """A row that calls itself current until a day is legacy afterwards."""
    state = State.LEGACY if own.state is State.CURRENT else own.state
    event = "ended" if state is State.ENDED else "end of life"
    said = own.reasons[0] if own.reasons else "by its row"
    return End(state=state, date=day, source=own.source, reason=f"{said}: {event} {day}")


def _base_end(name: str, end: EndOfLife) -> End:
    return End(
        state=State.LEGACY, date=end.date, source=end.source, reason=f"base {name}: end of life {end.date}"
    )


def supports_of(units: Iterable[BuildUnit], ends: Ends, *, on: date) -> dict[str, Support]:
    """`support_of` each unit, by identifier."""
    by_image: dict[str, Support] = {}
    found = {}
    for unit in units:
        support = by_image.get(unit.image.name)
        if support is None:
            support = by_image[unit.image.name] = support_of(unit, ends, on=on)
        found[unit.identifier] = support
    return found


def in_texts(support: Support) -> dict[str, str]:
    """As labels and records have it; a day is spelled year-month-day, what is not known is empty."""
    return {
        "state": support.state.value,
        "date": support.date.isoformat() if support.date else "",
        "source": support.source,
        "reasons": "; ".join(support.reasons),
    }


def require_supported(
    units: Sequence[BuildUnit], ends: Ends, *, on: date, accepted: Collection[State]
) -> None:
    """Raises UsageError that names every image of `units` whose state is none of `accepted`."""
    one_each = {unit.image.name: unit for unit in units}.values()
    judged = [(unit, support_of(unit, ends, on=on)) for unit in one_each]
    refused = [(unit, support) for unit, support in judged if support.state not in accepted]
    if refused:
        refused.sort(key=lambda row: row[0].image.line)
        lines = [f"images.toml:{unit.image.line}: {warning(unit, support)}" for unit, support in refused]
        some = "1 image is" if len(refused) == 1 else f"{len(refused)} images are"
        raise UsageError(
            "\n".join([f"{some} not looked after any more:", *lines]), remedy=_remedy(units, refused)
        )


def warning(unit: BuildUnit, support: Support) -> str:
    """One line about an image that is not current."""
    return f'image "{unit.image.name}" is {support.state}: {"; ".join(support.reasons)} ({support.source})'


def _remedy(units: Iterable[BuildUnit], refused: Sequence[tuple[BuildUnit, Support]]) -> str:
    ended = [unit for unit, support in refused if support.state is State.ENDED]
    if not ended:
        return "Choose images that are current, or allow legacy ones: without --refuse-legacy"
    names = {unit.image.name for unit in ended}
    others = {unit.image.accelerator for unit in units if unit.image.name not in names}
    accelerators = {unit.image.accelerator for unit in ended}
    without = {f"!{unit.image_id}" for unit in ended}
    if not accelerators & others:
        without = {f"!*-{accelerator}-*" for accelerator in accelerators}
    patterns = " ".join(f"'{pattern}'" for pattern in sorted(without))
    return f"Leave them out with {patterns}, or take them all the same: --allow-eol"
