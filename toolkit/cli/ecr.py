"""`toolkit ecr ensure` and `toolkit ecr policy`."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from toolkit.cli.project import read_project
from toolkit.cli.registries import Place, get_ecr
from toolkit.cli.settings import Settings, catalog_option, from_environment, json_option
from toolkit.ecr.changes import Change, Kind
from toolkit.ecr.ensure import Live, Outlook, look, previewed
from toolkit.ecr.policies import Purpose, identity_policy
from toolkit.ecr.settings import repositories_of
from toolkit.errors import NeedNotMet, RegistryTrouble, ToolkitError, worst

if TYPE_CHECKING:
    from toolkit.adapters.ecr import EcrControl
    from toolkit.catalog.registry import EcrRegistry


@click.group()
def ecr() -> None:
    """Amazon ECR as [registries.NAME] of the catalog says it should be."""


_registry = click.option(
    "--registry",
    default="",
    metavar="NAME",
    help="Of [registries] in the catalog. Not needed where only one is of kind ecr.",
)


@ecr.command()
@catalog_option
@_registry
@click.option("--dry-run", is_flag=True, help="Print what would be changed; change nothing.")
@json_option
def ensure(catalog: str, registry: str, dry_run: bool, as_json: bool) -> None:
    """Make or mend repositories, tag immutability, scanning, policies and replication, in every region.

    What is as it should be is left alone, and so are other people's statements, rules and repositories. A
    lifecycle policy is put only when it can never expire what a kept release record names: by our own
    evaluation, and by ECR's preview. Exit 7 when one could.
    """
    from toolkit.cli.keeping import kept_by_releases

    project = read_project(from_environment(catalog))
    chosen = get_ecr(registry, project.catalog.registries)
    controls = controls_of(project.settings, chosen)
    place = Place(host=chosen.host, prefix=chosen.prefix, ecr=chosen)
    live = kept_by_releases(project.settings, place, controls[0])
    outlook = look(chosen, project.units, controls, live)
    if not as_json:
        for change in outlook.changes:
            click.echo(str(change))
    problems = list(outlook.problems)
    if not dry_run:
        problems += _carry_out(outlook, controls, live)
    click.echo(_json(outlook, problems) if as_json else _summary(outlook, dry_run=dry_run))
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if problems:
        raise SystemExit(worst(problem.exit_code for problem in problems))


def _carry_out(outlook: Outlook, controls: Sequence["EcrControl"], live: Live) -> list[ToolkitError]:
    """One change failing stops no other; a lifecycle policy with a problem is not put."""
    by_region = {control.region: control for control in controls}
    refused = {problem.message.partition("@")[0] for problem in outlook.problems}
    problems: list[ToolkitError] = []
    for change in outlook.changes:
        control = by_region[change.region]
        try:
            if change.kind is Kind.LIFECYCLE:
                if change.name in refused:
                    continue
                if found := _foreseen(control, change, live):
                    problems += found
                    continue
            control.apply(change)
        except (NeedNotMet, RegistryTrouble) as error:
            problems.append(error)
    return problems


def _foreseen(control: "EcrControl", change: Change, live: Live) -> list[ToolkitError]:
    """What ECR's preview says; where it gives none our own evaluation stands, and it is told."""
    kept = live.get(change.name, {})
    if not (kept and change.wanted and change.wanted.lifecycle):
        return []
    try:
        return previewed(control, change.wanted, kept)
    except RegistryTrouble as error:
        click.echo(f"note: {error.message}; our own evaluation found nothing that would expire", err=True)
        return []


def _summary(outlook: Outlook, *, dry_run: bool) -> str:
    count = len(outlook.changes)
    kept = f"{outlook.checked} kept images and lists held against lifecycle policies"
    if not count:
        return f"nothing to change; {kept}"
    done = "nothing was changed (--dry-run)" if dry_run else "done"
    return f"{count} change{'s' if count > 1 else ''}: {done}; {kept}"


def _json(outlook: Outlook, problems: Sequence[ToolkitError]) -> str:
    rows = [
        {"kind": each.kind.value, "region": each.region, "name": each.name, "text": each.text}
        for each in outlook.changes
    ]
    found = [str(each) for each in problems]
    return json.dumps({"changes": rows, "problems": found, "checked": outlook.checked}, indent=2)


@ecr.command()
@catalog_option
@_registry
@click.option(
    "--for",
    "purpose",
    type=click.Choice([each.value for each in Purpose]),
    default=Purpose.RELEASE.value,
    show_default=True,
    help="What the policy's owner does.",
)
def policy(catalog: str, registry: str, purpose: str) -> None:
    """Print the least IAM policy, as JSON; needs neither credentials nor network."""
    project = read_project(from_environment(catalog))
    chosen = get_ecr(registry, project.catalog.registries)
    names = repositories_of(chosen, project.units)
    click.echo(json.dumps(identity_policy(Purpose(purpose), chosen, names), indent=2))


def controls_of(settings: Settings, registry: "EcrRegistry") -> tuple["EcrControl", ...]:
    """One for each region, the home region's first."""
    from toolkit.adapters.aws import Aws
    from toolkit.adapters.ecr import EcrControl

    return tuple(
        EcrControl(Aws(region, ca_bundle=settings.ca_bundle), account=registry.account)
        for region in registry.hosts
    )
