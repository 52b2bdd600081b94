"""`toolkit builder ensure`, `remove` and `list`."""

import json
from collections.abc import Collection, Sequence

import click

from toolkit.builders.placement import Fleet, NodeState
from toolkit.catalog.builder import CatalogBuilder
from toolkit.cli.project import read_project
from toolkit.cli.settings import catalog_option, from_environment, json_option
from toolkit.cli.site import builder_nodes, get_builder
from toolkit.errors import ExitCode, UsageError


@click.group()
def builder() -> None:
    """The machines that build, as [builders.NAME] of the catalog names them."""


_name = click.argument("name", default="", metavar="[NAME]")


@builder.command()
@catalog_option
@_name
@json_option
def ensure(catalog: str, name: str, as_json: bool) -> None:
    """Make Buildx have the builders of the catalog, start what Buildx starts, and ask every node.

    What is as it should be is left alone, what differs is made anew. Exit 1 when a node cannot be used; the
    others can all the same. `release --builder NAME` does the same before it builds.
    """
    project = read_project(from_environment(catalog))
    client = builder_nodes(project.settings)
    fleets = []
    for each in _chosen(name, project.catalog.builders.values()):
        fleet, commands = client.ensure(each)
        fleets.append(fleet)
        for command in commands:
            click.echo(f"docker buildx {' '.join(command)}", err=True)
    print_nodes(fleets, as_json=as_json)


@builder.command("list")
@catalog_option
@_name
@json_option
def list_(catalog: str, name: str, as_json: bool) -> None:
    """Show the nodes of the catalog's builders: what each is for, and whether it answers."""
    project = read_project(from_environment(catalog))
    client = builder_nodes(project.settings)
    chosen = _chosen(name, project.catalog.builders.values())
    print_nodes([client.look(each) for each in chosen], as_json=as_json)


@builder.command()
@catalog_option
@click.argument("name")
def remove(catalog: str, name: str) -> None:
    """Remove from Buildx what `ensure` made for this builder, and nothing else.

    The catalog need not have it any more.
    """
    done = builder_nodes(from_environment(catalog)).remove(name)
    for command in done:
        click.echo(f"docker buildx {' '.join(command)}", err=True)
    click.echo(f"{name}: {'removed' if done else 'nothing was made by this toolkit'}")


def _chosen(name: str, builders: Collection[CatalogBuilder]) -> Sequence[CatalogBuilder]:
    known = {each.name: each for each in builders}
    if found := get_builder(name, known):
        return (found,)
    if not known:
        raise UsageError(
            "the catalog has no builder",
            remedy='Add to images.toml: [builders.fleet.nodes.here] with kind = "local", '
            'platforms = ["linux/amd64"]',
        )
    return tuple(known.values())


def print_nodes(fleets: Sequence[Fleet], *, as_json: bool) -> None:
    """A row for each node. Raises SystemExit(1) when one cannot be used."""
    rows = [(fleet.name, state) for fleet in fleets for state in fleet.nodes]
    if as_json:
        click.echo(json.dumps([_json(name, state) for name, state in rows], indent=2))
    else:
        head = ("builder", "node", "kind", "for", "native", "state")
        cells = [head, *(_row(name, state) for name, state in rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
        for row in cells:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if any(state.trouble for _, state in rows):
        raise SystemExit(ExitCode.NEED_NOT_MET)


def _row(name: str, state: NodeState) -> tuple[str, ...]:
    return (
        name,
        state.node.name,
        state.node.kind.value,
        ", ".join(state.node.platforms),
        state.architecture.value if state.architecture else "-",
        state.trouble or "answers",
    )


def _json(name: str, state: NodeState) -> dict[str, object]:
    return {
        "builder": name,
        "node": state.node.name,
        "kind": state.node.kind.value,
        "platforms": list(state.node.platforms),
        "architecture": state.architecture,
        "trouble": state.trouble,
    }
