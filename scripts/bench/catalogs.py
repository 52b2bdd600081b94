"""Projects to measure with: a few images that build in a moment, or thousands of units that nobody builds.

`python -m scripts.bench.catalogs images DIR COUNT` writes the first, `… units DIR COUNT` the second;
`… phases DIR` tells where the time of a plan goes.
"""

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.bench.measuring import PROJECT, TOOLKIT, run
from toolkit.catalog import parse_catalog_bytes
from toolkit.cli.project import Project, identities, lookup_bases, read_project, renderer
from toolkit.cli.settings import Settings
from toolkit.lock import (
    Lock,
    LockedBase,
    LockedUnit,
    base_inputs_digest,
    format_lock,
    inputs_digest,
    parse_lock,
)
from toolkit.oci import Architecture, Digest
from toolkit.render import RenderedUnit
from toolkit.units import BuildUnit

HERE = (sys.executable, "-m", "scripts.bench.catalogs")
UNITS_PER_IMAGE = 20  # five versions, two consumers, two architectures
PACKAGES = 25
"""Of each requirement set: as many as a TensorFlow image of this project has, or more."""


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


def phases(directory: Path) -> str:
    """Where the seconds of a plan go that are not Python's start and the answer: each measured alone."""
    catalog, lock = directory / "images.toml", directory / "images.lock"
    started = time.perf_counter()
    parse_catalog_bytes(catalog.read_bytes(), templates=("inference.Dockerfile.j2",))
    catalog_read = time.perf_counter()
    parse_lock(lock.read_text())
    lock_read = time.perf_counter()
    rendered = render_all(directory)
    both = lock_read - started
    return (
        f"reading the catalog takes {catalog_read - started:.2f} s, reading the lock "
        f"{lock_read - catalog_read:.2f} s, rendering and hashing for {len(rendered):,} builds "
        f"{time.perf_counter() - lock_read - both:.2f} s; the rest is Python's start, the plan and its text"
    )


def plan_targets(units: Sequence[RenderedUnit]) -> str:
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
    return json.dumps({"group": {"default": {"targets": list(targets)}}, "target": targets})


def many_images(directory: Path, count: int, consumer: str = "sagemaker") -> Path:
    """A project of `count` images on two platforms that build in a moment, on the catalog's first base."""
    catalog = (PROJECT / "images.toml").read_text()
    base = catalog[catalog.index("\n[bases.") : catalog.index("\n[images.")]
    images = "".join(
        f'[images.bench-{n}]\ntitle = "Bench {n}"\nframework = "bench{n}"\nversions = ["1.0"]\n'
        f'python = "3.9"\nbase = "debian11"\naccelerator = "cpu"\narchitectures = ["amd64", "arm64"]\n'
        f'consumers = ["{consumer}"]\ntemplate = "bench.Dockerfile.j2"\nrepository = "bench-{n}"\n'
        f'packages.all = ["six"]\n'
        for n in range(count)
    )
    (directory / "dockerfiles" / "serving").mkdir(parents=True)
    (directory / "images.toml").write_text(f'[groups]\ndefault = ["*"]\n{base}{images}')
    (directory / "dockerfiles" / "bench.Dockerfile.j2").write_text(
        "FROM {{ base }}\nCOPY --chmod=0755 serve /usr/local/bin/serve\n"
        'ENV NAME={{ identifier }}\nCMD ["serve"]\n'
    )
    (directory / "dockerfiles" / "serving" / "serve").write_text("#!/bin/sh\nexec sleep 1000\n")
    shutil.copy(PROJECT / "images.lock", directory / "images.lock")
    (directory / ".cache").mkdir()
    for shared in ("bases", "packages", "tools"):
        (PROJECT / ".cache" / shared).mkdir(parents=True, exist_ok=True)
        (directory / ".cache" / shared).symlink_to(PROJECT / ".cache" / shared)
    settings = Settings(catalog=directory / "images.toml", environment={})
    project = read_project(settings)
    units = {
        unit.identifier: LockedUnit(inputs=inputs_digest(unit, ()), created="2026-11-21T00:00:00Z")
        for unit in project.units
    }
    settings.lock.write_text(format_lock(Lock(bases=project.lock.bases, units=units)))
    return directory


def build_targets(directory: Path, registry: str) -> str:
    """The rendered files of `many_images` as targets of `docker buildx bake --push`, two platforms each."""
    run(*TOOLKIT, "render", "*", "--out", "rendered", cwd=directory)
    run(*TOOLKIT, "bases", cwd=directory)  # a release makes none where all images are published
    project = read_project(Settings(catalog=directory / "images.toml", environment={}))
    base = lookup_bases(project)["debian11"].build_context
    targets = {}
    for path in sorted((directory / "rendered").glob("*-amd64")):
        name = path.name.removesuffix("-amd64").replace(".", "_")
        targets[name] = {
            "context": str(path / "files"),
            "dockerfile": str(path / "Dockerfile"),
            "contexts": {"debian:bullseye": base},
            "platforms": ["linux/amd64", "linux/arm64"],
            "output": [f"type=image,name={registry}/{name},push=true,registry.insecure=true"],
            "attest": ["type=provenance,disabled=true"],
        }
    return json.dumps({"group": {"default": {"targets": list(targets)}}, "target": targets})


if __name__ == "__main__":
    what, where, *count = sys.argv[1:]
    if what == "phases":
        print(phases(Path(where)))
    else:
        {"images": many_images, "units": many_units}[what](Path(where), int(count[0]))
