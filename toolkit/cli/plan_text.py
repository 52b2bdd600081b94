"""What `toolkit plan` prints for people: images with their platforms, and where an input comes from."""

import textwrap
from collections.abc import Iterator
from functools import cache
from typing import assert_never

import click

from toolkit.catalog.model import State, Support
from toolkit.explain import InputRow
from toolkit.plan import Action
from toolkit.preview import Preview, PreviewRow
from toolkit.quantities import human_size

_COLOURS = {Action.BUILD: "yellow", Action.REUSE: "green", Action.RETAG: "cyan"}
_INDENT = " " * 10
"""What stands under a platform is about it."""


_HEAD = f"  {'do':<6}  {'on':<5}  {'built':<8}  {'size':>7}  {'took':>7}  why"
"""Size and time are those of the last build."""


def plan_lines(preview: Preview, width: int | None) -> Iterator[str]:
    """An image per paragraph, under it a line per platform: what its last build took, and why it is built.

    `width` is the terminal's; None leaves every line as long as it is.
    """
    yield click.style(_HEAD if width is None else _HEAD[:width], dim=True)
    image_id = ""
    for row in preview.rows:
        unit = row.planned.rendered.unit
        if unit.image_id != image_id:
            image_id = unit.image_id
            yield from _image_lines(image_id, row.support, width)
        yield _unit_line(row, width)
        for text, colour in _remarks(row):
            for line in _wrapped(text, width):
                yield click.style(f"{_INDENT}{line}", fg=colour)
    yield from _wrapped(_totals(preview), width)


def _image_lines(image_id: str, support: Support, width: int | None) -> Iterator[str]:
    """The image, until when it is supported, and why it is no more."""
    heading = click.style(image_id, bold=True)
    match support.state:
        case State.CURRENT:
            until = f"  supported until {support.date}" if support.date else ""
            yield f"{heading}{until}"
        case State.LEGACY | State.ENDED:
            since = f"  {support.state} since {support.date}"
            yield f"{heading}{click.style(since, fg='red' if support.state is State.ENDED else 'yellow')}"
            for line in _wrapped(f"warning: {'; '.join(support.reasons)}", width):
                yield click.style(f"{_INDENT}{line}", fg="yellow")
        case _:
            assert_never(support.state)


def _unit_line(row: PreviewRow, width: int | None) -> str:
    planned = row.planned
    last = human_size(row.last.size) if row.last else "-"
    took = duration_text(row.seconds) if row.seconds is not None else "-"
    where = "emulated" if row.placement.emulated else "native"
    start = f"  {planned.action.value:<6}"
    middle = f"  {planned.rendered.unit.architecture.value:<5}  {where:<8}  {last:>7}  {took:>7}  "
    room = None if width is None else width - len(start) - len(middle)
    return _styled(start, _COLOURS[planned.action]) + middle + _elided(planned.why, room)


@cache
def _styled(text: str, colour: str) -> str:
    return click.style(text, fg=colour)


def _remarks(row: PreviewRow) -> Iterator[tuple[str, str | None]]:
    unit = row.planned.rendered.unit
    if unit.remark:
        yield f"note: {unit.remark}", None
    if row.planned.rendered.unlocked:
        yield f"unlocked: {row.planned.rendered.unlocked}", "red"
    if planned_for := _where(row):
        yield planned_for
    for place in row.unreachable:
        yield f"cannot be built now: {place}", "red"


def _where(row: PreviewRow) -> tuple[str, str | None] | None:
    """What there is to say of the place where a unit is to be built."""
    if row.planned.action is not Action.BUILD:
        return None
    if row.placement.refusal:
        return f"cannot be built: {row.placement.refusal}", "red"
    if row.placement.warning:
        return f"warning: {row.placement.warning}", "yellow"
    if row.placement.nodes:
        first, *others = row.placement.nodes
        return " or, should it die, on ".join([f"on node {first}", *others]), None
    return None


def _totals(preview: Preview) -> str:
    counts = [f"{count} to {action.value}" for action, count in preview.counts.items() if count]
    if preview.blocked:
        counts[0] += f" ({preview.blocked} of them cannot be built now)"
    lists = f"{preview.unpublished} of {len(preview.plan.lists)} lists to publish"
    effort = preview.effort
    if not effort.known:
        return f"{', '.join(counts)}; {lists}"
    which = "" if effort.known == effort.units else f" for the {effort.known} that were built before"
    took = (
        f"{duration_text(effort.seconds)} of work and {human_size(effort.size)}{which}, by their last builds"
    )
    return f"{', '.join(counts)}; {lists}; {took}"


def duration_text(seconds: float) -> str:
    """`38 s`, `2.6 min` or `1.7 h`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def explain_lines(row: PreviewRow, place: str, width: int | None) -> Iterator[str]:
    """Every input of a unit's build id; a changed one has a star and what it was."""
    planned = row.planned
    yield click.style(planned.identifier, bold=True) + f": {planned.action.value}, {planned.why}"
    yield f"build id {planned.rendered.build_id}, tag {planned.build_tag}"
    cells = [(each, _value(each)) for each in row.inputs]
    name_width = max(len(each.name) for each in row.inputs)
    value_width = max(len(value) for _, value in cells)
    for each, value in cells:
        star = "*" if each.has_changed else " "
        line = _elided(f"{star} {each.name:<{name_width}}  {value:<{value_width}}  {each.origin}", width)
        yield click.style(line, fg="yellow" if each.has_changed else None)
    changed = sum(each.has_changed for each in row.inputs)
    if changed:
        yield f"{changed} of {len(cells)} inputs differ (*) from what is published as {place}"
    else:
        yield f"{len(cells)} inputs"


def _value(row: InputRow) -> str:
    value = _short(row.value)
    return f"{value} (was {_short(row.before or '')})" if row.has_changed else value


def _short(value: str) -> str:
    """A digest's first twelve digits are enough to compare by eye; --json has them all."""
    return f"{value[:19]}…" if value.startswith("sha256:") else value or "none"


def _elided(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else f"{text[: max(room - 1, 0)]}…"


def _wrapped(text: str, width: int | None) -> list[str]:
    return [text] if width is None else textwrap.wrap(text, max(width - len(_INDENT), 20))
