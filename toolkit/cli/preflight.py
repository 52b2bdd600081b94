"""`toolkit preflight`, and the same before the first build of a release."""

import json
from concurrent.futures import ThreadPoolExecutor

import click

from toolkit.catalog.registry import EcrRegistry
from toolkit.cli.display import reporter
from toolkit.cli.ecr import controls_of
from toolkit.cli.project import Project, identities, lookup_bases, read_project, renderer
from toolkit.cli.records import lookup_record
from toolkit.cli.registries import Place, get_place
from toolkit.cli.selecting import selection_options
from toolkit.cli.settings import (
    Settings,
    catalog_option,
    from_environment,
    json_option,
    registry_option,
)
from toolkit.cli.site import Site, builder_option, get_builder
from toolkit.cli.world import destination
from toolkit.errors import NeedNotMet, RegistryTrouble, worst
from toolkit.machine.needs import needs
from toolkit.oci import Architecture, Descriptor
from toolkit.plan import Plan
from toolkit.planning import Destination, plan_release
from toolkit.preflight import (
    EcrFacts,
    Finding,
    MachineFacts,
    ecr_findings,
    fleet_findings,
    machine_findings,
    placement_findings,
    put_tags,
    trouble,
)
from toolkit.record import RELEASES, ReleaseRecord
from toolkit.selection import Selection, select

_THREADS = 16


@click.command()
@selection_options
@catalog_option
@registry_option
@builder_option
@json_option
def preflight(selection: Selection, catalog: str, registry: str, builder: str, as_json: bool) -> None:
    """Show what would stop a release: credentials, repositories, immutable tags, quotas, disk, platforms.

    With --builder its nodes are asked, and Buildx is told of them as `builder ensure` does.

    `release` asks the same before its first build. Everything wrong is shown at once, each with the line
    that mends it. Exit 1 when something is, 7 when a tag that cannot move is in the way.
    """
    project = read_project(from_environment(catalog))
    selected = select(project.units, selection, project.catalog)
    place = get_place(registry, lambda: project.catalog.registries)
    chosen = get_builder(builder, project.catalog.builders)
    with reporter(as_json=False) as report:
        to = destination(project.settings, place, report)
        plan = plan_release(
            selected,
            project.units,
            render=renderer(project, identities(project, lookup_bases(project))),
            to=to,
        )
        site = Site(project=project, builder=chosen, report=report)
        found = findings_of(site, plan, place, to, lookup_record(project.settings, to))
    if as_json:
        click.echo(json.dumps([each.to_json() for each in found], indent=2))
    else:
        click.echo("\n".join(map(str, found)) or "nothing is to be built, and nothing asked of the registry")
    if failed := [each for each in found if not each.ok]:
        raise SystemExit(worst(each.exit_code for each in failed))


def findings_of(
    site: Site, plan: Plan, place: Place, to: Destination, before: ReleaseRecord | None
) -> tuple[Finding, ...]:
    """Every question that this plan raises, answered."""
    return (*registry_findings_of(site.project, plan, place, to), *_site_findings(site, plan, before))


def _site_findings(site: Site, plan: Plan, before: ReleaseRecord | None) -> tuple[Finding, ...]:
    """Where it is built: nothing when nothing is."""
    if not plan.to_build:
        return ()
    units = [each.rendered for each in plan.to_build]
    facts = site.facts
    disks, native = facts.disks, site.native
    if site.fleet:  # of this machine it takes the room for layouts alone
        disks = tuple(each for each in disks if each.purpose == "project")
        native = frozenset(Architecture)
    machine = MachineFacts(native=native, needs=needs(facts), disks=disks)
    return (
        *(fleet_findings(plan, site.fleet) if site.fleet else ()),
        *placement_findings(units, site.assign(units)),
        *machine_findings(plan, machine, before),
    )


def registry_findings_of(project: Project, plan: Plan, place: Place, to: Destination) -> tuple[Finding, ...]:
    """What this plan asks of the registry alone; nothing where the registry tells nothing of itself."""
    return () if place.ecr is None or plan.is_done else _ecr(project.settings, place.ecr, plan, to)


def _ecr(settings: Settings, registry: EcrRegistry, plan: Plan, to: Destination) -> tuple[Finding, ...]:
    control = controls_of(settings, registry)[0]
    names = sorted({to.repository(unit.rendered.unit.repository) for unit in plan.units})
    pairs = [(to.repository(repository), tag) for repository, tag in put_tags(plan)]
    try:
        identity = control.identity()
        there = control.lookup_repositories([*names, to.repository(RELEASES)])
        images = {name: len(control.list_images(name)) for name in names if name in there}
        with ThreadPoolExecutor(_THREADS) as pool:
            standing = list(pool.map(lambda pair: _standing(to, *pair), pairs))
    except (NeedNotMet, RegistryTrouble) as error:
        return (trouble(error, "Amazon ECR"),)
    facts = EcrFacts(
        name=registry.name,
        account=registry.account,
        identity=identity,
        repositories=there,
        images=images,
        standing={pair: found.digest for pair, found in zip(pairs, standing, strict=True) if found},
    )
    return ecr_findings(plan, facts, prefix=registry.prefix)


def _standing(to: Destination, repository: str, tag: str) -> Descriptor | None:
    return to.registry.lookup_descriptor(repository, tag)
