"""Releases with nothing to do."""

import functools
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.catalogs import build_targets, many_images
from scripts.bench.measuring import PROJECT, TOOLKIT, BenchFailed, run, timed
from scripts.bench.rows import Contest, Row, Side, at_most, command, times_faster
from toolkit.adapters.heads import Heads
from toolkit.adapters.standing import lookup_standing
from toolkit.standing import Asked, Standing

REGISTRY = os.environ.get("REGISTRY", "localhost:5000")
_GIVEN = (
    "images of one small layer on the base debian11: `python -m scripts.bench.catalogs images DIR {count}`"
)


@contextmanager
def _released(count: int) -> Iterator[Path]:
    """The project of `count` images, released until nothing is left to do."""
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        directory = many_images(Path(name) / "project", count)
        for _ in range(2):
            run(*_release(), cwd=directory)
        yield directory


def _release() -> tuple[str, ...]:
    return (*TOOLKIT, "release", "--registry", f"{REGISTRY}/bench-toolkit")


def _ours(directory: Path) -> Side:
    return command(*_release(), shown="toolkit release", cwd=directory)


def _bake(directory: Path) -> Side:
    (directory / "bake.json").write_text(build_targets(directory, f"{REGISTRY}/bench-bake"))
    words = ("docker", "buildx", "bake", "--file", "bake.json")
    run(*words, cwd=directory)
    return command(*words, shown="docker buildx bake --file bake.json (each target pushes)", cwd=directory)


@contextmanager
def against_bake(count: int) -> Iterator[Contest]:
    with _released(count) as directory:
        yield Contest(
            ours=_ours(directory), theirs=(_bake(directory),), bound=functools.partial(_shares, directory)
        )


def _shares(directory: Path) -> str:
    """Python's start, and the registry's answers alone."""
    start = statistics.median(timed(lambda: run(sys.executable, "-c", "pass")) for _ in range(5))
    asked = Asked(registry=f"{REGISTRY}/bench-toolkit", catalog="images.toml", patterns=())
    kept = lookup_standing(asked, str((directory / "images.toml").resolve()))
    if kept is None:
        raise BenchFailed("a release with nothing to do left nothing for the next one")
    answers = statistics.median(timed(lambda: _ask(kept)) for _ in range(5))
    return f"Python's start {start:.3f} s, {len(kept.answers)} answers of the registry {answers:.3f} s"


def _ask(kept: Standing) -> None:
    heads = Heads(kept.host, kept.accept, kept.answers)
    try:
        heads.are_as_wanted()
    finally:
        heads.close()


@contextmanager
def _prepared(count: int) -> Iterator[Path]:
    """The same with images that no engine built, as that would take minutes of hundreds."""
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        directory = many_images(Path(name) / "project", count, "eks")
        images = Path(name) / "images"
        images.mkdir()
        environment = {"PYTHONPATH": str(PROJECT), "PREPARED": str(images)}
        first = (sys.executable, "-m", "tests.without_engine", *_PREPARED)
        # Room is wanted on the disk for all images that are built in one release.
        for start in range(0, count, _AT_ONCE):
            some = (f"bench{number}-*" for number in range(start, start + _AT_ONCE))
            run(*first, *some, cwd=directory, environment=environment)
        for _ in range(2):
            run(*TOOLKIT, *_PREPARED, cwd=directory)
        yield directory


_AT_ONCE = 20
_PREPARED = ("release", "--registry", f"{REGISTRY}/bench-prepared")


@contextmanager
def _growth(few: int, many: int) -> Iterator[Contest]:
    with _prepared(few) as small, _prepared(many) as large:
        ours = (*TOOLKIT, *_PREPARED)
        yield Contest(
            ours=command(*ours, shown=f"toolkit release ({many} images)", cwd=large),
            theirs=(command(*ours, shown=f"toolkit release ({few} images)", cwd=small),),
        )


@contextmanager
def _with_make(count: int) -> Iterator[Contest]:
    with _released(count) as directory:
        words = ("make", "--no-print-directory", "release", f"REGISTRY={REGISTRY}/bench-toolkit")
        where = f"ARGS=--catalog {directory / 'images.toml'}"
        run(*words, where)
        yield Contest(
            ours=command(*words, where, shown="make release ARGS='--catalog …'", cwd=PROJECT),
            theirs=(_bake(directory),),
        )


ROWS = (
    Row(
        name="release-20",
        title="release of 20 unchanged images × 2",
        reach=times_faster(50),
        ready=functools.partial(against_bake, 20),
        given=_GIVEN.format(count=20),
        pairs=5,
    ),
    Row(
        name="release-20-make",
        title="the same by make, with its look at the machine",
        reach=times_faster(20),
        ready=functools.partial(_with_make, 20),
        given=_GIVEN.format(count=20),
    ),
    Row(
        name="release-growth",
        title="200 unchanged images against 20: linear or better",
        reach=at_most(10),
        ready=functools.partial(_growth, 20, 200),
        given="images of 64 KB that no engine built, tests/without_engine.py, on two platforms each",
    ),
)
