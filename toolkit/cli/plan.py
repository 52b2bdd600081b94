"""`toolkit plan` and `toolkit render`."""

import json
from pathlib import Path

import click

from toolkit.cli.display import reporter
from toolkit.cli.project import identities, read_project, renderer
from toolkit.cli.registries import get_place
from toolkit.cli.selecting import selection_options
from toolkit.cli.settings import catalog_option, from_environment, json_option, registry_option
from toolkit.plan import Action, Plan
from toolkit.selection import Selection, select


@click.command()
@selection_options
@catalog_option
@registry_option
@json_option
def plan(selection: Selection, catalog: str, registry: str, as_json: bool) -> None:
    """Show per unit build, reuse or retag, and why; change nothing.

    A pattern matches identifiers and image ids. Without patterns and options the group `default` is taken.
    """
    from toolkit.cli.world import destination, lookup_bases
    from toolkit.release import plan_release

    project = read_project(from_environment(catalog))
    selected = select(project.units, selection, project.catalog)
    place = get_place(registry, lambda: project.catalog.registries)
    with reporter(as_json=False) as report:
        planned = plan_release(
            selected,
            project.units,
            render=renderer(project, identities(project, lookup_bases(project))),
            to=destination(project.settings, place, report),
        )
    click.echo(json.dumps(planned.to_json(), indent=2) if as_json else table(planned))


def table(planned: Plan) -> str:
    """Action, identifier and reason, in columns; remarks and warnings below the unit they are about."""
    width = max(len(unit.identifier) for unit in planned.units)
    lines = []
    for unit in planned.units:
        lines.append(f"{unit.action.value:<6}  {unit.identifier:<{width}}  {unit.why}")
        if unit.rendered.unit.remark:
            lines.append(f"{'':<6}  {'':<{width}}  note: {unit.rendered.unit.remark}")
        if unit.rendered.unlocked:
            lines.append(f"{'':<6}  {'':<{width}}  unlocked: {unit.rendered.unlocked}")
    counts = ", ".join(
        f"{count} to {action.value}"
        for action in Action
        if (count := sum(unit.action is action for unit in planned.units))
    )
    incomplete = sum(not each.complete for each in planned.lists)
    return "\n".join([*lines, f"{counts}; {incomplete} of {len(planned.lists)} lists to publish"])


@click.command()
@selection_options
@catalog_option
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
def render(selection: Selection, catalog: str, out: Path) -> None:
    """Write DIR/IDENTIFIER/Dockerfile and DIR/IDENTIFIER/files/: just what Buildx would get."""
    from toolkit.adapters.context import write_context
    from toolkit.cli.world import lookup_bases

    project = read_project(from_environment(catalog))
    rendered = renderer(project, identities(project, lookup_bases(project)))
    # All are rendered before the first is written: a mistake in the last leaves nothing behind.
    for each in [rendered(unit) for unit in select(project.units, selection, project.catalog)]:
        directory = out / each.unit.identifier
        write_context(directory, each.dockerfile, each.context)
        click.echo(directory / "Dockerfile")
