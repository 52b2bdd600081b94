"""Thousands of units: time grows with their number, not with its square."""

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from scripts.bench.catalogs import UNITS_PER_IMAGE, many_units, render_all
from tests.fakes import MemoryRegistry
from toolkit.adapters.registry import RegistryImages
from toolkit.builders.placement import assign_here
from toolkit.catalog.model import Consumer
from toolkit.cli.plan_text import plan_lines
from toolkit.oci import Architecture
from toolkit.planning import Destination, plan_release
from toolkit.preview import preview
from toolkit.render import RenderedUnit
from toolkit.support import known_ends, supports_of

FEW, MANY = 10 * UNITS_PER_IMAGE, 100 * UNITS_PER_IMAGE
QUADRATIC = (MANY / FEW) ** 2


def cpu_seconds(act: Callable[[], object]) -> float:
    """The least of three runs."""
    taken = []
    for _ in range(3):
        started = time.process_time()
        act()
        taken.append(time.process_time() - started)
    return min(taken)


def plan_and_show(units: tuple[RenderedUnit, ...]) -> int:
    registry = MemoryRegistry()
    to = Destination(registry=registry, prefix="", images=lambda name: RegistryImages(registry, name))
    by_name = {each.unit.identifier: each for each in units}
    wanted = [each.unit for each in units]
    plan = plan_release(wanted, wanted, render=lambda unit: by_name[unit.identifier], to=to)
    supports = supports_of(wanted, known_ends(), on=date(2026, 11, 21))
    seen = preview(
        plan, record=None, assign=assign_here([Architecture.AMD64]), supports=supports, unreachable={}
    )
    return sum(1 for _ in plan_lines(seen, None))


def test_ten_times_the_units_are_read_rendered_and_hashed_in_about_ten_times_the_time(tmp_path: Path) -> None:
    few, many = many_units(tmp_path / "few", FEW), many_units(tmp_path / "many", MANY)
    assert (len(render_all(few)), len({each.build_id for each in render_all(many)})) == (FEW, MANY)
    assert cpu_seconds(lambda: render_all(many)) < cpu_seconds(lambda: render_all(few)) * QUADRATIC / 4


def test_ten_times_the_units_are_planned_in_about_ten_times_the_time(tmp_path: Path) -> None:
    few = render_all(many_units(tmp_path / "few", FEW))
    many = render_all(many_units(tmp_path / "many", MANY))
    assert cpu_seconds(lambda: plan_and_show(many)) < cpu_seconds(lambda: plan_and_show(few)) * QUADRATIC / 4


def test_units_of_one_set_share_its_bytes_and_its_dockerfile(tmp_path: Path) -> None:
    units = render_all(many_units(tmp_path / "few", FEW))
    twins = {each.unit.consumer: each for each in units if each.unit.arch_tag.startswith("1.0-")}
    eks, sagemaker = twins[Consumer.EKS], twins[Consumer.SAGEMAKER]
    assert eks.context["requirements.txt"] is sagemaker.context["requirements.txt"]
    assert eks.dockerfile is sagemaker.dockerfile
    assert eks.build_id != sagemaker.build_id
