"""How a release goes on with one that was killed: what of its journal still fits, and what it is told."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from toolkit.cli.settings import Settings
from toolkit.cli.world import journals
from toolkit.errors import UsageError
from toolkit.journal import Journal, JournalCorrupt, State
from toolkit.oci import Platform
from toolkit.plan import Plan
from toolkit.planning import Destination
from toolkit.progress import Event, Kind, Reporter
from toolkit.release import beginning
from toolkit.render import changed_inputs
from toolkit.units import BuildUnit


def lookup_left(settings: Settings, place: str, report: Reporter) -> State | None:
    """The newest release to this place if it did not end well. An unreadable journal is told."""
    try:
        newest = journals(settings).lookup_newest(place)
    except JournalCorrupt as error:
        report(Event(kind=Kind.WARNING, text=f"{error.message}; {error.remedy}"))
        return None
    return None if newest is None or newest.is_done else newest


def get_left(settings: Settings, place: str, report: Reporter) -> State | None:
    """The same for who wants to go on with it: a journal that cannot be read is an error."""
    newest = journals(settings).lookup_newest(place)
    if newest is None or newest.is_done:
        ended = f"release {newest.release} has ended" if newest else "no release was begun"
        report(Event(kind=Kind.NOTE, text=f"nothing to resume: {ended}; this is a new one"))
        return None
    return newest


def units_of(left: State, every: Sequence[BuildUnit]) -> tuple[BuildUnit, ...]:
    """The units that the release was to bring. Raises UsageError when the catalog lacks one by now."""
    known = {unit.identifier: unit for unit in every}
    if gone := [step.identifier for step in left.began.steps if step.identifier not in known]:
        raise _changed(left, [f"{name} is not in images.toml any more" for name in gone])
    return tuple(known[step.identifier] for step in left.began.steps)


def ensure_fits(left: State, plan: Plan) -> None:
    """Raises UsageError, with what changed, when another image would come out than the one that was begun."""
    begun = {step.identifier: step for step in left.began.steps}
    changes = []
    for planned in plan.units:
        step = begun[planned.identifier]
        if step.build_id != planned.rendered.build_id:
            names = changed_inputs(planned.rendered, step.inputs)
            changes.append(f"{planned.identifier}: {', '.join(names) or 'its build id'}")
    if changes:
        raise _changed(left, changes)


def _changed(left: State, changes: Sequence[str]) -> UsageError:
    lines = "\n    ".join(changes)
    return UsageError(
        f"release {left.release} cannot be resumed: its sources have changed since:\n    {lines}",
        remedy="Release without --resume: what still fits is used, the rest is built.",
    )


def tell_left(left: State, report: Reporter) -> None:
    """To who does not want to go on with it."""
    if left.ended is None:
        report(
            Event(
                kind=Kind.NOTE,
                text=f"release {left.release} was cut off. This is another one; to go on with that one "
                "instead: toolkit release --resume",
            )
        )


def go_on(
    settings: Settings,
    left: State,
    plan: Plan,
    to: Destination,
    *,
    began: datetime,
    dropped: frozenset[Platform],
    report: Reporter,
) -> tuple[Journal, State]:
    """The journal of a release that was cut off or, as the record of one that ended with failures stands,
    that of another release, which begins with what was verified and half sent."""
    text = f"going on with release {left.release}: {len(left.verified)} of {len(left.began.steps)} built"
    report(Event(kind=Kind.NOTE, text=f"{text}, {len(left.moved)} tags put"))
    if not left.failures:
        return journals(settings).reopen(left), left
    journal, fresh = begin(settings, plan, to, began=began, dropped=dropped, continues=left.release)
    for verified in left.verified.values():
        journal.append(verified)
    for upload in left.uploads.values():
        journal.append(upload)
    return journal, replace(fresh, verified=left.verified, uploads=left.uploads)


def begin(
    settings: Settings,
    plan: Plan,
    to: Destination,
    *,
    began: datetime,
    dropped: frozenset[Platform],
    continues: str = "",
) -> tuple[Journal, State]:
    """The journal of a new release."""
    first = beginning(plan, to=to, began=began, dropped=dropped, continues=continues)
    return journals(settings).begin(first), State(began=first)
