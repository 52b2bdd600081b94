"""`toolkit release` and `toolkit build`."""

import time
from collections.abc import Sequence

import click

from toolkit.adapters.allocator import share_heap
from toolkit.catalog.model import State
from toolkit.cli.building import (
    base_registries,
    cache_options,
    cold_option,
    dropped_option,
    end,
    jobs_option,
    locked_option,
)
from toolkit.cli.credentials import private_docker_config
from toolkit.cli.display import reporter
from toolkit.cli.machine import bring_machine
from toolkit.cli.memory import Memory
from toolkit.cli.project import identities, read_project, renderer
from toolkit.cli.registries import get_place, with_cache
from toolkit.cli.releasing import Wish, bring, choose
from toolkit.cli.selecting import selection_options
from toolkit.cli.settings import catalog_option, from_environment, json_option, registry_option
from toolkit.cli.site import Site, builder_option, get_builder
from toolkit.cli.supporting import USUALLY_ACCEPTED, refuse_unsupported, support_options, warn_of_unsupported
from toolkit.cli.world import Bases, layouts, workshop
from toolkit.oci import Platform
from toolkit.preflight import ensure_ready, placement_findings
from toolkit.progress import Event, Kind
from toolkit.release import Outcome
from toolkit.render import require_locked
from toolkit.selection import Selection, select
from toolkit.spent import Spent
from toolkit.standing import Asked
from toolkit.workshop import build_only


@click.command()
@selection_options
@catalog_option
@registry_option
@builder_option
@jobs_option
@cold_option
@locked_option
@support_options
@dropped_option
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the release that was cut off: with its images, under its id.",
)
@cache_options
@click.option(
    "--setup",
    "with_setup",
    is_flag=True,
    help="Bring this machine what it takes before, as `toolkit setup` does.",
)
@json_option
def release(
    selection: Selection,
    catalog: str,
    registry: str,
    builder: str,
    resume: bool,
    with_setup: bool,
    jobs: int,
    cold: bool,
    locked: bool,
    accepted: Sequence[State],
    dropped: tuple[str, ...],
    cache: str | None,
    as_json: bool,
) -> None:
    """Bring the registry to what images.toml says; write dist/release.json and the URI tables.

    What is there already is not built again: one HEAD per unit and per list tells. Every image is
    verified before a byte of it is published; a manifest list is put last, when all its platforms
    are there. Without patterns and options that choose units the group `default` is taken.
    """
    share_heap()
    settings = from_environment(catalog)
    spent = Spent(clock=time.monotonic)
    if with_setup:
        started = time.monotonic()
        bring_machine(settings, registry)
        spent.add("set-up", time.monotonic() - started)
    is_plain = not (selection.wanted or resume or cold or dropped or as_json) and accepted == USUALLY_ACCEPTED
    asked = Asked(registry=registry, catalog=catalog, patterns=selection.patterns)
    memory = Memory.begin(settings, asked if is_plain else None)
    project = read_project(settings)
    wish = Wish(
        selection=selection,
        resume=resume,
        builder=get_builder(builder, project.catalog.builders),
        dropped=frozenset(Platform.parse(text) for text in dropped),
        jobs=jobs,
        cold=cold,
        locked=locked,
        accepted=accepted,
    )
    place = with_cache(get_place(registry, lambda: project.catalog.registries), cache)
    registries = (place.host, *base_registries(project))
    with reporter(as_json=as_json) as reported:
        report = spent.listening(memory.listening(reported))
        choice = choose(project, wish, place, report)
        with private_docker_config(project.settings, registries) as docker_config:
            outcome = bring(
                project,
                wish,
                choice,
                place=place,
                docker_config=docker_config,
                memory=memory,
                report=report,
            )
        if any(each.built for each in outcome.finished):
            reported(Event(kind=Kind.NOTE, text=spent.text))
    end(outcome)


@click.command()
@selection_options
@catalog_option
@builder_option
@jobs_option
@cold_option
@locked_option
@support_options
@json_option
def build(
    selection: Selection,
    catalog: str,
    builder: str,
    jobs: int,
    cold: bool,
    locked: bool,
    accepted: Sequence[State],
    as_json: bool,
) -> None:
    """Build and verify into OCI layouts under .cache/layouts/IDENTIFIER; publish nothing."""
    share_heap()
    project = read_project(from_environment(catalog))
    selected = select(project.units, selection, project.catalog)
    refuse_unsupported(project, selected, accepted)
    chosen = get_builder(builder, project.catalog.builders)
    with (
        reporter(as_json=as_json) as report,
        private_docker_config(project.settings, base_registries(project)) as docker_config,
    ):
        warn_of_unsupported(project, selected, report)
        bases = Bases(project=project, locked_only=locked)
        made = bases.ensure_all((unit.base for unit in selected), report)
        rendered = [renderer(project, identities(project, made))(unit) for unit in selected]
        require_locked(rendered)
        with layouts(project.settings, report):
            site = Site(project=project, builder=chosen, report=report)
            ensure_ready(placement_findings(rendered, site.assign(rendered)))
            failures = build_only(
                rendered,
                workshop=workshop(
                    project.settings,
                    bases=bases,
                    cold=cold,
                    docker_config=docker_config,
                    nodes=site.nodes(rendered),
                ),
                jobs=jobs,
                report=report,
            )
    end(Outcome(finished=(), lists={}, failures=failures, wanted=len(selected)))
