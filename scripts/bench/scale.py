"""Catalogs of a thousand units and of ten thousand: a plan with every Dockerfile rendered."""

import functools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.catalogs import HERE, plan_targets, render_all
from scripts.bench.measuring import TOOLKIT, measured, run
from scripts.bench.rows import Contest, Row, Side, at_most, command, times_faster

_GIVEN = "a catalog of {count} units, all locked: `python -m scripts.bench.catalogs units DIR {count}`"


@contextmanager
def _catalog(count: int) -> Iterator[Path]:
    """Written by another process, so that the memory of writing it is not that of who measures."""
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        directory = Path(name) / "project"
        run(*HERE, "units", str(directory), str(count))
        yield directory


def _plan(directory: Path) -> tuple[str, ...]:
    return (*TOOLKIT, "plan", "*", "--offline", "--catalog", str(directory / "images.toml"))


_SHOWN = "toolkit plan '*' --offline --catalog …"


@contextmanager
def _against_bake(count: int) -> Iterator[Contest]:
    with _catalog(count) as directory:
        bake = directory / "bake.json"
        bake.write_text(plan_targets(render_all(directory)))
        yield Contest(
            ours=command(*_plan(directory), shown=_SHOWN),
            theirs=(
                command(
                    *("docker", "buildx", "bake", "--print", "--file", str(bake)),
                    shown="docker buildx bake --print --file … (a target per list)",
                ),
            ),
            bound=lambda: run(*HERE, "phases", str(directory)).strip(),
        )


@contextmanager
def _growth(few: int, many: int) -> Iterator[Contest]:
    with _catalog(few) as small, _catalog(many) as large:
        yield Contest(
            ours=Side(
                command=f"{_SHOWN} ({many:,} units, seconds of processor)",
                measure=lambda: measured(*_plan(large)).cpu,
            ),
            theirs=(
                Side(command=f"the same with {few:,} units", measure=lambda: measured(*_plan(small)).cpu),
            ),
        )


@contextmanager
def _memory(count: int) -> Iterator[Contest]:
    with _catalog(count) as directory:
        yield Contest(
            ours=Side(command=_SHOWN, measure=lambda: measured(*_plan(directory)).memory),
        )


ROWS = (
    Row(
        name="plan-1000",
        title="plan and render of 1,000 units",
        reach=times_faster(1),
        ready=functools.partial(_against_bake, 1_000),
        given=_GIVEN.format(count=1_000),
    ),
    Row(
        name="plan-10000",
        title="plan and render of 10,000 units",
        reach=times_faster(35),
        ready=functools.partial(_against_bake, 10_000),
        given=_GIVEN.format(count=10_000),
        pairs=1,  # the peer takes more than a minute
    ),
    Row(
        name="plan-growth",
        title="10,000 units against 1,000: linear or better",
        reach=at_most(10),
        ready=functools.partial(_growth, 1_000, 10_000),
        given=_GIVEN.format(count="1000 (and 10000)"),
    ),
    Row(
        name="plan-memory",
        title="plan of 10,000 units, memory",
        reach=at_most(150),
        ready=functools.partial(_memory, 10_000),
        given=_GIVEN.format(count=10_000),
        unit="MB",
    ),
)
