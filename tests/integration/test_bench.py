"""`make bench` in its quick form, so that it does not rot: rows that take seconds, and one release."""

import functools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.bench.pushes import FRESH, There, against_docker
from scripts.bench.releases import against_bake
from scripts.bench.rows import compete
from scripts.bench.themes import ROWS
from tests.projects import ROOT

QUICK = ("help", "list", "plan-1000", "plan-memory")


def test_rows_that_take_seconds_are_measured_and_told(tmp_path: Path) -> None:
    names = [word for name in QUICK for word in ("--only", name)]
    figures = tmp_path / "bench.json"
    command = (sys.executable, "-m", "scripts.bench", "--quick", "--json", str(figures), *names)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())
    assert set(found["rows"]) == set(QUICK)
    assert all(f"{name}: `" in done.stdout for name in QUICK)
    # Not a question of speed: the toolkit's own process, whatever machine this is.
    assert found["rows"]["plan-memory"]["reached"]


def test_a_release_of_two_unchanged_images_is_measured_against_bake() -> None:
    (row,) = (each for each in ROWS if each.name == "release-20")
    found = compete(replace(row, ready=functools.partial(against_bake, 2)), 1)
    assert found.ratio > 1


@pytest.mark.parametrize(
    ("name", "there"),
    [("push-empty", There.NOTHING), ("push-there-fresh", There.BLOBS), ("push-again", There.TAG)],
)
def test_a_push_of_sixteen_mib_is_measured_against_docker(name: str, there: There) -> None:
    (row,) = (each for each in ROWS if each.name == name)
    small = functools.partial(against_docker, 16, there=there, clock=FRESH)
    found = compete(replace(row, ready=small), 1)
    assert found.ratio > 0
    # What bounds a figure that is not reached is measured on the same registry.
    assert ("to start Python" in found.bound) == (not found.is_reached)
    assert ("for one PUT" in found.bound) == (not found.is_reached)


def test_publishing_loads_neither_templates_nor_what_paints_terminals() -> None:
    asked = "import sys, scripts.bench.publishing, toolkit.adapters.registry; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "httpx" in loaded
    assert not loaded & {
        "rich",
        "pygments",
        "jinja2",
        "toolkit.catalog.parse",
        "toolkit.verify",
        "toolkit.render",
        "boto3",
    }
