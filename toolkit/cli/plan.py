"""`toolkit plan` and `toolkit render`."""

import json
import platform
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.builders.placement import Assign, assign_here
from toolkit.catalog.builder import CatalogBuilder
from toolkit.catalog.model import State
from toolkit.cli.display import reporter
from toolkit.cli.project import Project, identities, lookup_bases, read_project, renderer
from toolkit.cli.registries import get_place
from toolkit.cli.selecting import selection_options
from toolkit.cli.settings import catalog_option, from_environment, json_option, registry_option
from toolkit.cli.site import builder_nodes, builder_option, get_builder
from toolkit.cli.supporting import refuse_unsupported, support_options, today
from toolkit.errors import RegistryTrouble, UsageError
from toolkit.oci import Architecture
from toolkit.plan import Plan
from toolkit.selection import Selection, select

if TYPE_CHECKING:
    from toolkit.simulation import Scenario


@click.command()
@selection_options
@catalog_option
@registry_option
@builder_option
@click.option(
    "--explain",
    default="",
    metavar="IDENTIFIER",
    help="Show every input of this image's build id, where it comes from, and what changed.",
)
@click.option(
    "--offline", is_flag=True, help="Ask nobody: show what a registry without any of the images would get."
)
@click.option(
    "--simulate",
    "scenarios",
    multiple=True,
    metavar="NODES",
    help="Instead, what building it takes on many machines: nodes=50 or amd64=30,arm64=20, and any of "
    "jobs=2, units=10000 (what is chosen, again and again), batch=98, provision=90 (seconds). Repeatable.",
)
@click.option(
    "--record",
    default="",
    metavar="PATH|ID|REF",
    help="Take sizes and times of builds from this release record; usual is the newest.",
)
@support_options
@json_option
def plan(
    selection: Selection,
    catalog: str,
    registry: str,
    builder: str,
    explain: str,
    offline: bool,
    scenarios: tuple[str, ...],
    record: str,
    accepted: Sequence[State],
    as_json: bool,
) -> None:
    """Show per unit build, reuse or retag, and why; change nothing.

    Beside it stand the size and the time of the unit's last build, as the newest release record has them.
    The sources of what is to be built are asked whether they answer, for two seconds at most.
    With --simulate nothing but a table is printed: how long a release would take on so many machines.
    A pattern matches identifiers and image ids. Without patterns and options the group `default` is taken.
    """
    from toolkit.cli.plan_text import explain_lines, plan_lines
    from toolkit.cli.records import get_record, lookup_last
    from toolkit.planning import plan_offline, plan_release
    from toolkit.preview import preview
    from toolkit.support import supports_of

    if explain and (selection.patterns or selection.wanted):
        raise UsageError(
            "--explain names the image itself", remedy=f"Run: toolkit plan --explain '{explain}'"
        )
    simulated = _scenarios(scenarios)
    project = read_project(from_environment(catalog))
    chosen = get_builder(builder, project.catalog.builders)
    wanted = Selection(patterns=(explain,)) if explain else selection
    selected = select(project.units, wanted, project.catalog)
    refuse_unsupported(project, selected, accepted)
    bases = lookup_bases(project)
    render_unit = renderer(project, identities(project, bases))
    with reporter(as_json=False) as report:
        if offline:
            to = None
            planned = plan_offline(selected, project.units, render=render_unit)
        else:
            at = get_place(registry, lambda: project.catalog.registries)
            from toolkit.cli.world import destination

            to = destination(project.settings, at, report)
            try:
                planned = plan_release(selected, project.units, render=render_unit, to=to)
            except RegistryTrouble as error:
                error.remedy = f"{error.remedy}\n  Without a registry: toolkit plan --offline".lstrip("\n ")
                raise
        last = get_record(project.settings, record) if record else lookup_last(project.settings, to)
        shown = preview(
            planned,
            record=last,
            unreachable={} if offline or simulated else _unreachable(project, planned, bases),
            supports=supports_of(selected, project.sources.ends, on=today()),
            assign=_assign(project, chosen, planned),
        )
    if simulated:
        from toolkit.cli.simulating import simulation_lines, simulations, simulations_json

        found = simulations(shown, simulated, last)
        click.echo(simulations_json(found) if as_json else "\n".join(simulation_lines(found)))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if as_json:
        click.echo(json.dumps(shown.to_json(), indent=2))
    elif explain:
        for row in shown.rows:
            unit = row.planned.rendered.unit
            place = to.reference(unit.repository, unit.arch_tag) if to else ""
            click.echo("\n".join(explain_lines(row, place, width)))
    else:
        click.echo("\n".join(plan_lines(shown, width)))


# What only some plans need is loaded by these alone: with it, Python would start for a third longer.


def _scenarios(texts: Sequence[str]) -> "list[Scenario]":
    if not texts:
        return []
    from toolkit.simulation import Scenario

    return [Scenario.parse(text) for text in texts]


def _unreachable(project: Project, planned: Plan, bases: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    from toolkit.cli.reaching import unreachable

    return unreachable(project, planned, bases)


def _assign(project: Project, builder: CatalogBuilder | None, planned: Plan) -> Assign:
    """Where the plan's units would be built. Nodes are as they were when they were last asked."""
    if builder is None:
        machine = platform.machine()
        return assign_here([each for each in Architecture if machine in (each.uname, each.value)])
    fleet = builder_nodes(project.settings).remembered(builder)
    return fleet.assign_among(each.rendered for each in planned.to_build)


@click.command()
@selection_options
@catalog_option
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
def render(selection: Selection, catalog: str, out: Path) -> None:
    """Write DIR/IDENTIFIER/Dockerfile and DIR/IDENTIFIER/files/: just what Buildx would get."""
    from toolkit.adapters.context import write_context

    project = read_project(from_environment(catalog))
    rendered = renderer(project, identities(project, lookup_bases(project)))
    # All are rendered before the first is written: a mistake in the last leaves nothing behind.
    for each in [rendered(unit) for unit in select(project.units, selection, project.catalog)]:
        directory = out / each.unit.identifier
        write_context(directory, each.dockerfile, each.context)
        click.echo(directory / "Dockerfile")
