"""The whole way: from a machine without engine, environment and caches to the released default group."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.measuring import PROJECT, TOOLKIT, BenchFailed, run, said, timed
from scripts.bench.rows import Contest, Row, Side, at_most

_STAGES = "time by stage"  # how the line begins that a release ends with


@contextmanager
def bare_machine() -> Iterator[Contest]:
    """What is committed, in a clone, with empty caches of uv and pip. What its release set up stays."""
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        project, caches = Path(name, "project"), Path(name, "caches")
        stages: list[str] = []

        def take_away() -> None:
            for directory in (project, caches):
                shutil.rmtree(directory, ignore_errors=True)
            run("git", "clone", "--quiet", str(PROJECT), str(project))
            run(*TOOLKIT, "uninstall")
            if engine := shutil.which("dockerd"):
                raise BenchFailed(f"{engine} is not set-up's, so that uninstall leaves it: no bare machine")

        def release() -> None:
            # Without what `make bench` itself was given: make hands it on.
            told = said("make", "release", "ARGS=", "IMAGES=", cwd=project, environment=_empty_caches(caches))
            stages[:] = [line for line in told.splitlines() if line.startswith(_STAGES)]

        yield Contest(
            ours=Side(command="make release", measure=lambda: timed(release), before=take_away),
            notes=lambda: stages,
        )


def _empty_caches(directory: Path) -> Mapping[str, str]:
    return {name: str(directory / name) for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR", "XDG_CACHE_HOME")}


ROWS = (
    Row(
        name="bare",
        title="bare machine to the released default group",
        reach=at_most(240),
        ready=bare_machine,
        given="a fresh clone after `toolkit uninstall`; no caches of uv, pip and this project",
        pairs=1,
        takes_away="the engine of set-up with its images and cache, and its registry; brings new ones",
    ),
)
