"""`toolkit plan --simulate`: the table and JSON, and what it refuses."""

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.projects import AMD64, ARM64, CATALOG, ROOT, lock_of, units
from tests.records import image, record
from toolkit.cli.plan import plan
from toolkit.cli.project import read_project
from toolkit.cli.settings import Settings
from toolkit.errors import UsageError
from toolkit.lock import format_lock


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A locked catalog whose newest release took a minute for each unit that it had."""
    (tmp_path / "images.toml").write_text(CATALOG)
    (tmp_path / "dockerfiles").symlink_to(ROOT / "dockerfiles")
    sources = read_project(Settings(catalog=tmp_path / "images.toml", environment={})).sources
    (tmp_path / "images.lock").write_text(format_lock(lock_of(units(), sources=sources)))
    (tmp_path / "dist").mkdir()
    images = [image(identifier=name, durations={"build": 60.0}) for name in (AMD64, ARM64)]
    (tmp_path / "dist" / "release.json").write_text(record(*images).dumps())
    return tmp_path


def simulated(project: Path, *arguments: str) -> str:
    """What is printed on stdout; raises what the command raises."""
    command = ("--offline", "--catalog", str(project / "images.toml"), *arguments)
    ran = CliRunner().invoke(plan, command, catch_exceptions=False, standalone_mode=False)
    return ran.stdout


def test_there_is_a_row_for_each_scenario_and_the_requests_of_the_largest(project: Path) -> None:
    out = simulated(project, "--simulate", "nodes=1,provision=0", "--simulate", "amd64=2,arm64=2,units=100")
    head, one, many, requests, *counts = out.splitlines()
    assert head.split()[:3] == ["units", "nodes", "makespan"]
    assert one.split()[:2] == ["4", "1"] and many.split()[:2] == ["100", "2"]
    assert "for 100 units" in requests
    assert [line.split("  ")[1] for line in counts[:2]] == ["read a manifest", "put a manifest"]
    assert counts[-1].startswith("50 of the units are in no record")


def test_ten_thousand_units_are_simulated_in_seconds(project: Path) -> None:
    began = time.process_time()
    out = simulated(project, "--json", "--simulate", "nodes=50,units=10000")
    assert time.process_time() - began < 10
    (found,) = json.loads(out)["simulations"]
    assert (found["units"], found["lists"], found["assumed"]) == (10_000, 5_000, 5_000)
    assert found["makespan_seconds"] >= found["lower_bound_seconds"] > 10_000 * 150 / 50
    assert json.loads(out)["rates"]["put a manifest"] == 10


def test_a_record_can_be_named_and_without_one_nothing_is_made_up(project: Path) -> None:
    os.replace(project / "dist" / "release.json", project / "old.json")
    with pytest.raises(UsageError) as refused:
        simulated(project, "--simulate", "nodes=5")
    assert "no record says how long builds take" in str(refused.value) and "--record" in str(refused.value)
    out = simulated(project, "--simulate", "nodes=5", "--record", str(project / "old.json"))
    assert out.splitlines()[1].split()[:2] == ["4", "5"]


@pytest.mark.parametrize("text", ["nodes=0", "fifty", "arm64=4"])
def test_what_cannot_be_simulated_is_refused_with_how_it_is_written(project: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"nodes=50|Add amd64=1 to --simulate"):
        simulated(project, "--simulate", text)
