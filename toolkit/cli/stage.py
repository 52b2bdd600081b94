"""`toolkit stage`: the part of a release that takes an engine, for any machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

import toolkit
from toolkit.adapters.allocator import share_heap
from toolkit.catalog.builder import CatalogBuilder
from toolkit.catalog.model import State
from toolkit.cli.building import (
    base_registries,
    cache_options,
    cold_option,
    end,
    jobs_option,
    locked_option,
)
from toolkit.cli.credentials import private_docker_config
from toolkit.cli.display import reporter
from toolkit.cli.preflight import findings_of
from toolkit.cli.project import Project, identities, read_project
from toolkit.cli.records import replace_file
from toolkit.cli.registries import Place, get_place, with_cache
from toolkit.cli.releasing import Building, Choice, look
from toolkit.cli.selecting import selection_options
from toolkit.cli.settings import catalog_option, from_environment, json_option, registry_option
from toolkit.cli.site import Site, builder_option, get_builder
from toolkit.cli.supporting import refuse_unsupported, support_options, warn_of_unsupported
from toolkit.cli.world import Bases, destination, layouts, step_cache, workshop
from toolkit.handover import push_staged, staged_of
from toolkit.planning import Destination
from toolkit.preflight import ensure_ready
from toolkit.progress import Event, Kind, Reporter
from toolkit.release import Outcome
from toolkit.selection import Selection, select
from toolkit.staging import Finished, Stager, Unwritten
from toolkit.staging import stage as stage_units
from toolkit.units import BuildUnit


@click.command()
@selection_options
@catalog_option
@registry_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="dist/staged",
    show_default=True,
    help="Where each staged unit's file is written: IDENTIFIER.json. One that fails has none.",
)
@builder_option
@jobs_option
@cold_option
@locked_option
@support_options
@cache_options
@json_option
def stage(
    selection: Selection,
    catalog: str,
    registry: str,
    out: Path,
    builder: str,
    jobs: int,
    cold: bool,
    locked: bool,
    accepted: Sequence[State],
    cache: str | None,
    as_json: bool,
) -> None:
    """Build what is not there yet, verify it and push it under its `b-` tag, which nobody deploys.

    Tags that people pull and lists stay as they are: `toolkit publish` moves them, on this machine or on
    another one, once all units of a list are staged. What was found out goes to the registry beside
    each image, and into a file per unit. A unit that is there already is verified and not built.
    """
    share_heap()
    project = read_project(from_environment(catalog))
    selected = select(project.units, selection, project.catalog)
    refuse_unsupported(project, selected, accepted)
    place = with_cache(get_place(registry, lambda: project.catalog.registries), cache)
    with (
        reporter(as_json=as_json) as report,
        private_docker_config(project.settings, (place.host, *base_registries(project))) as docker_config,
    ):
        warn_of_unsupported(project, selected, report)
        staging = _Staging(
            project=project,
            place=place,
            to=destination(project.settings, place, report),
            out=out,
            builder=get_builder(builder, project.catalog.builders),
            jobs=jobs,
            cold=cold,
            locked=locked,
            docker_config=docker_config,
            report=report,
        )
        outcome = staging.run(selected)
    end(outcome)


@dataclass(frozen=True, kw_only=True)
class _Staging:
    """What was asked for; `docker_config` gives the directory that docker clients take in place of theirs."""

    project: Project
    place: Place
    to: Destination
    out: Path
    builder: CatalogBuilder | None
    jobs: int
    cold: bool
    locked: bool
    docker_config: Callable[[], Path] | None
    report: Reporter

    def run(self, selected: Sequence[BuildUnit]) -> Outcome:
        # What an earlier call left says nothing of this one, which may fail.
        for unit in selected:
            self._file(unit).unlink(missing_ok=True)
        settings = self.project.settings
        with layouts(settings, self.report):
            sight = look(self.project, Choice(units=tuple(selected), left=None), self.to, ())
            site = Site(project=self.project, builder=self.builder, report=self.report)
            ensure_ready(findings_of(site, sight.plan, self.place, self.to, sight.before))
            bases = Bases(project=self.project, locked_only=self.locked)
            shop = workshop(
                settings,
                bases=bases,
                cold=self.cold,
                docker_config=self.docker_config,
                cache=step_cache(self.place, self.report),
                nodes=site.nodes_of(sight.plan),
            )
            building = Building(
                project=self.project, to=self.to, bases=bases, shop=shop, jobs=self.jobs, report=self.report
            )
            plan, _ = building.prepare(sight)
            stager = Stager(
                workshop=shop, to=self.to, total=len(plan.units), report=self.report, journal=Unwritten()
            )
            finished, failures = stage_units(
                plan.units, stager.finish, jobs=self.jobs, on_staged=self._hand_over
            )
        built = sum(each.built for each in finished)
        text = f"staged {len(finished)} units, {built} of them built; files in {self.out}"
        self.report(Event(kind=Kind.NOTE, text=text))
        return Outcome(finished=finished, lists={}, failures=failures, wanted=len(plan.units))

    def _hand_over(self, finished: Finished) -> None:
        unit = finished.rendered.unit
        locked = identities(self.project, {})(unit).digest
        staged = staged_of(finished, to=self.to, locked=locked, toolkit=toolkit.__version__)
        replace_file(self._file(unit), push_staged(staged, finished.rendered, self.to).dumps())

    def _file(self, unit: BuildUnit) -> Path:
        return self.out / f"{unit.identifier}.json"
