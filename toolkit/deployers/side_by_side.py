"""The results of a benchmark as one table: x86 and Graviton side by side."""

import re
from collections.abc import Mapping, Sequence

from toolkit.deployers.benchmarking import Job, Measurement
from toolkit.oci import Architecture

_SIDES = ((Architecture.AMD64, "x86"), (Architecture.ARM64, "Graviton"))
_HEAD = ("$/hour", "$/million", "per minute", "latency ms")
_CLASS = re.compile(r"ml\.(?P<series>[a-z]+)\d+[a-z-]*\.(?P<size>\w+)")


def comparison(jobs: Sequence[Job]) -> str:
    """x86 on the left, Graviton on the right; of one series and size the cheapest inference comes first."""
    classes: dict[str, dict[Architecture, list[Measurement]]] = {}
    for each in sorted((m for found in jobs for m in found.measurements), key=_price):
        classes.setdefault(_class(each), {}).setdefault(each.architecture, []).append(each)
    rows = [("class", *(cell for _, side in _SIDES for cell in (side, *_HEAD)))]
    for name in sorted(classes):
        sides = [classes[name].get(architecture, []) for architecture, _ in _SIDES]
        for number in range(max(map(len, sides))):
            cells = [_cells(side[number]) if number < len(side) else ("",) * 5 for side in sides]
            rows.append((name if number == 0 else "", *cells[0], *cells[1]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join((*table, *_verdict(classes)))


def _price(each: Measurement) -> float:
    return each.cost_per_inference if each.cost_per_inference is not None else float("inf")


def _class(each: Measurement) -> str:
    """`c xlarge` of ml.c7g.xlarge and of ml.c5.xlarge."""
    found = _CLASS.fullmatch(each.instance_type)
    return f"{found['series']} {found['size']}" if found else each.instance_type


def _cells(each: Measurement) -> tuple[str, ...]:
    million = None if each.cost_per_inference is None else each.cost_per_inference * 1_000_000
    count = f" × {each.count}" if each.count > 1 else ""
    return (
        f"{each.instance_type}{count}",
        "-" if each.cost_per_hour is None else f"{each.cost_per_hour:.3f}",
        "-" if million is None else f"{million:.2f}",
        "-" if each.invocations is None else str(each.invocations),
        "-" if each.latency is None else str(each.latency),
    )


def _verdict(classes: Mapping[str, Mapping[Architecture, Sequence[Measurement]]]) -> tuple[str, ...]:
    best = [
        min((m for each in classes.values() for m in each.get(architecture, ())), key=_price, default=None)
        for architecture, _ in _SIDES
    ]
    x86, graviton = best
    if not x86 or not graviton or not x86.cost_per_inference or graviton.cost_per_inference is None:
        return ()
    change = graviton.cost_per_inference / x86.cost_per_inference - 1
    return (f"cheapest inference: {graviton.instance_type} {change:+.0%} against {x86.instance_type}",)
