"""Catalogs of a thousand units and of ten thousand: time and memory of reading, rendering and hashing them.

`python -m scripts.bench_scale CATALOG` does that once, in a process to be measured; with the number of units
behind it, it writes the catalog, so that the memory of writing it is not that of who measures.
"""

import hashlib
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scripts.measuring import PROJECT, TOOLKIT, Row, Usage, measured, row, run, timed
from toolkit.cli.project import Project, identities, read_project, renderer
from toolkit.cli.settings import Settings
from toolkit.lock import Lock, LockedBase, LockedUnit, base_inputs_digest, format_lock, inputs_digest
from toolkit.oci import Architecture, Digest
from toolkit.render import RenderedUnit
from toolkit.units import BuildUnit

UNITS_PER_IMAGE = 20  # five versions, two consumers, two architectures
SMALL, LARGE = 1_000, 10_000
HERE = (sys.executable, "-m", "scripts.bench_scale")
MEASURES: tuple[tuple[str, str, Callable[[Usage], float]], ...] = (
    ("clock", "s", lambda usage: usage.wall),
    ("processor", "s", lambda usage: usage.cpu),
    ("memory", "MB", lambda usage: usage.memory),
)
PACKAGES = 25
"""Of each requirement set: as many as a TensorFlow image of this project has, or more."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """One thing measured with SMALL and with LARGE units, in `unit`."""

    name: str
    small: tuple[float, ...]
    large: tuple[float, ...]
    unit: str

    def line(self) -> str:
        ratios = [large / small for small, large in zip(self.small, self.large, strict=True)]
        small, large = statistics.median(self.small), statistics.median(self.large)
        values = f"{small:8.2f} {self.unit:<2} {large:8.2f} {self.unit:<2}"
        ratio = f"{statistics.median(ratios):7.1f} × ({min(ratios):.1f} to {max(ratios):.1f})"
        return f"{self.name:<44} {values} {ratio}"


def many_units(directory: Path, count: int) -> Path:
    """A project of `count` units with the templates and the runtime of this one, all of them locked."""
    directory.mkdir(parents=True, exist_ok=True)
    images = "".join(_image(number) for number in range(count // UNITS_PER_IMAGE))
    (directory / "images.toml").write_text(
        '[groups]\ndefault = ["*"]\n[bases.debian11]\npython = "3.9"\nglibc = "2.31"\nsuite = "bullseye"\n'
        f'packages = ["libc6", "python3-minimal"]\n{images}'
    )
    shutil.copytree(PROJECT / "dockerfiles", directory / "dockerfiles")
    settings = Settings(catalog=directory / "images.toml", environment={})
    settings.lock.write_text(format_lock(_lock(read_project(settings))))
    return directory


def _image(number: int) -> str:
    return (
        f'[images.bench-{number}]\ntitle = "Bench {number}"\nframework = "bench{number}"\n'
        'versions = ["1.0", "1.1", "1.2", "1.3", "1.4"]\npython = "3.9"\nbase = "debian11"\n'
        'accelerator = "cpu"\narchitectures = ["amd64", "arm64"]\nconsumers = ["sagemaker", "eks"]\n'
        f'repository = "bench-{number}"\npackages.all = ["numpy==1.23.5", "bench{number}=={{version}}"]\n'
    )


def _lock(project: Project) -> Lock:
    bases = {
        base.name: {
            each: LockedBase(inputs=base_inputs_digest(base), digest=Digest.of(each.encode()))
            for each in Architecture
        }
        for base in project.catalog.bases.values()
    }
    units = {unit.identifier: _locked(unit, project) for unit in project.units}
    return Lock(bases=bases, units=units)


def _locked(unit: BuildUnit, project: Project) -> LockedUnit:
    """A requirement set of its own for each version and architecture."""
    name = f"{unit.image.name} {unit.version} {unit.architecture}"
    return LockedUnit(
        inputs=inputs_digest(unit, project.sources.serving_requirements),
        created="2026-11-21T00:00:00Z",
        requirements=tuple(
            f"package{number}=={unit.version}.{number} --hash=sha256:{_hex(f'{name} {number}')}"
            for number in range(PACKAGES)
        ),
    )


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def render_all(directory: Path) -> tuple[RenderedUnit, ...]:
    """Parse the catalog and the lock, expand, render and hash every unit."""
    project = read_project(Settings(catalog=directory / "images.toml", environment={}))
    return tuple(map(renderer(project, identities(project, {})), project.units))


def growth(pairs: int) -> tuple[Growth, ...]:
    """Each in a process of its own, small and large in turn."""
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        catalogs = [_written(Path(name) / str(count), count) for count in (SMALL, LARGE)]
        return tuple(
            grown
            for what, command in (
                ("parse, expand, render, hash", HERE),
                ("toolkit plan '*' --offline", (*TOOLKIT, "plan", "*", "--offline", "--catalog")),
            )
            for grown in _growths(
                what, [[measured(*command, each) for each in catalogs] for _ in range(pairs)]
            )
        )


def _written(directory: Path, count: int) -> str:
    """`many_units` made by another process; the path of its catalog."""
    catalog = str(directory / "images.toml")
    run(*HERE, catalog, str(count))
    return catalog


def _growths(name: str, pairs: Sequence[Sequence[Usage]]) -> tuple[Growth, ...]:
    return tuple(
        Growth(
            name=f"{name}: {what}",
            small=tuple(read(small) for small, _ in pairs),
            large=tuple(read(large) for _, large in pairs),
            unit=unit,
        )
        for what, unit, read in MEASURES
    )


def against_bake(pairs: int) -> tuple[Row, ...]:
    """A plan, with every Dockerfile rendered, against what Buildx takes to read the same as targets."""
    rows = []
    for count, times in ((SMALL, pairs), (LARGE, 1)):
        with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
            directory = many_units(Path(name) / "project", count)
            bake = directory / "bake.json"
            bake.write_text(json.dumps(_targets(render_all(directory))))
            ours = (*TOOLKIT, "plan", "*", "--offline", "--catalog", str(directory / "images.toml"))
            peer = ("docker", "buildx", "bake", "--print", "--file", str(bake))
            timings = [(timed(partial(run, *ours)), timed(partial(run, *peer))) for _ in range(times)]
        rows.append(
            row(f"plan of {count:,} units", timings, "toolkit plan --offline", "docker buildx bake --print")
        )
    return tuple(rows)


def _targets(units: Sequence[RenderedUnit]) -> dict[str, object]:
    """A bake file with a target for the platforms of each list."""
    targets: dict[str, dict[str, object]] = {}
    for each in units:
        name = f"{each.unit.repository}-{each.unit.list_tag}".replace(".", "_")
        targets[name] = {
            "context": f"rendered/{each.unit.identifier}/files",
            "dockerfile-inline": each.dockerfile,
            "labels": dict(each.labels),
            "platforms": ["linux/amd64", "linux/arm64"],
            "tags": [f"localhost:5000/{each.unit.repository}:{each.unit.list_tag}"],
        }
    return {"group": {"default": {"targets": list(targets)}}, "target": targets}


if __name__ == "__main__":
    catalog, *count = sys.argv[1:]
    if count:
        many_units(Path(catalog).parent, int(count[0]))
    else:
        print(len(render_all(Path(catalog).parent)))
