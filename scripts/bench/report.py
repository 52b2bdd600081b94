"""Results as the table that people read, and as JSON."""

import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from scripts.bench.rows import Result, Sense

_HEAD = ("", "ours", "theirs", "ratio", "spread", "to reach", "reached")


def table(results: Sequence[Result]) -> str:
    """One line per row; below it what was run, what bounds what is not reached, and notes."""
    lines = [_HEAD, *(_cells(each) for each in results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = (
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
    return "\n".join([*shown, "", *(line for each in results for line in _below(each))])


def _cells(result: Result) -> tuple[str, ...]:
    reach, unit = result.row.reach, result.row.unit
    alone = not result.theirs
    ratios = result.ratios
    figure = f"{reach.figure:g} ×" if reach.sense is Sense.TIMES_FASTER else f"≤ {reach.figure:g}"
    return (
        result.row.title,
        f"{statistics.median(result.ours):.3g} {unit}",
        "" if alone else f"{statistics.median(result.theirs):.3g} {unit}",
        "" if alone else f"{result.ratio:.3g}{' ×' if reach.sense is Sense.TIMES_FASTER else ''}",
        f"{min(ratios):.3g} to {max(ratios):.3g}",
        f"{figure} {unit}" if alone else figure,
        "yes" if result.is_reached else "no",
    )


def _below(result: Result) -> Iterator[str]:
    against = " | ".join(f"`{each}`" for each in result.their_commands)
    yield f"{result.row.name}: `{result.our_command}`{f' against {against}' if against else ''}"
    if result.row.given:
        yield f"    given: {result.row.given}"
    if result.bound:
        yield f"    bounded by: {result.bound}"
    yield from (f"    {note}" for note in result.notes)


def document(results: Sequence[Result], failures: dict[str, str]) -> dict[str, Any]:
    """For programs: every value of every round, by the name of the row."""
    system = os.uname()
    return {
        "schema_version": 1,
        "machine": {
            "system": " ".join((system.sysname, system.release, system.machine)),
            "processors": os.cpu_count(),
            "python": platform.python_version(),
        },
        "rows": {each.row.name: _row(each) for each in results},
        "failures": failures,
    }


def _row(result: Result) -> dict[str, Any]:
    ratios = result.ratios
    return {
        "title": result.row.title,
        "given": result.row.given,
        "unit": result.row.unit,
        "our_command": result.our_command,
        "their_commands": list(result.their_commands),
        "ours": list(result.ours),
        "theirs": list(result.theirs),
        "ratio": {"median": result.ratio, "low": min(ratios), "high": max(ratios)},
        "reach": {"sense": result.row.reach.sense.name.lower(), "figure": result.row.reach.figure},
        "reached": result.is_reached,
        "bounded_by": result.bound,
        "notes": list(result.notes),
        "load": result.load,
    }
