"""`toolkit publish`: the part of a release that moves what people pull. No engine, no Buildx."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from toolkit.catalog.model import State
from toolkit.cli.building import dropped_option, end
from toolkit.cli.display import reporter
from toolkit.cli.distributing import regions_of
from toolkit.cli.preflight import registry_findings_of
from toolkit.cli.project import Project, Told, identities, read_project
from toolkit.cli.registries import Place, get_place
from toolkit.cli.releasing import Choice, Release, Sight, Work, look, nothing_to_do
from toolkit.cli.selecting import selection_options
from toolkit.cli.settings import catalog_option, from_environment, json_option, registry_option
from toolkit.cli.supporting import refuse_unsupported, support_options, warn_of_unsupported
from toolkit.cli.world import Bases, destination, workshop
from toolkit.errors import UsageError
from toolkit.handover import Gatherer, StagedInvalid, StagedUnit, ensure_fits
from toolkit.journal import Journal
from toolkit.journal import State as JournalState
from toolkit.oci import Platform
from toolkit.plan import Plan
from toolkit.planning import Destination
from toolkit.preflight import ensure_ready
from toolkit.progress import Event, Kind, Reporter
from toolkit.release import Outcome, settle
from toolkit.selection import Selection, select

_LOOKUPS = 16


@click.command()
@selection_options
@catalog_option
@registry_option
@click.option(
    "--staged",
    "directories",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A directory with files of `stage`, also below it. May be repeated. What no file tells is read "
    "from the registry.",
)
@dropped_option
@support_options
@json_option
def publish(
    selection: Selection,
    catalog: str,
    registry: str,
    directories: tuple[Path, ...],
    dropped: tuple[str, ...],
    accepted: Sequence[State],
    as_json: bool,
) -> None:
    """Put per-architecture tags, lists, record and tables around units that `toolkit stage` left.

    Each unit's image must stand under the `b-` tag of what the catalog says now. A list of which a unit is
    missing stays as it is and is an error; the other lists are published. Nothing is built.
    """
    project = read_project(from_environment(catalog))
    selected = select(project.units, selection, project.catalog)
    refuse_unsupported(project, selected, accepted)
    place = get_place(registry, lambda: project.catalog.registries)
    files = read_staged(directories)
    with reporter(as_json=as_json) as report:
        warn_of_unsupported(project, selected, report)
        to = destination(project.settings, place, report)
        outcome = _publish(
            project,
            Choice(units=tuple(selected), left=None),
            files,
            place=place,
            to=to,
            dropped=frozenset(Platform.parse(text) for text in dropped),
            report=report,
        )
    end(outcome)


@dataclass(frozen=True, kw_only=True)
class StagedFile:
    """A staged unit, and the file that says so."""

    path: Path
    staged: StagedUnit


def read_staged(directories: Sequence[Path]) -> Mapping[str, StagedFile]:
    """By identifier. Raises UsageError for a directory that is not there, StagedInvalid for a file that is no
    staged unit and for two that say different things of one."""
    found: dict[str, StagedFile] = {}
    for path in (path for directory in directories for path in _files(directory)):
        staged = StagedUnit.loads(path.read_bytes(), name=str(path))
        before = found.setdefault(staged.identifier, StagedFile(path=path, staged=staged))
        if before.staged != staged:
            raise StagedInvalid(
                f"{before.path} and {path} say different things of {staged.identifier}",
                remedy="Remove the older one.",
            )
    return found


def _files(directory: Path) -> Iterator[Path]:
    if not directory.is_dir():
        raise UsageError(
            f"there is no directory {directory}",
            remedy="Name where the files of `toolkit stage` are; without --staged the registry is asked.",
        )
    yield from sorted(directory.rglob("*.json"))


def _publish(
    project: Project,
    choice: Choice,
    files: Mapping[str, StagedFile],
    *,
    place: Place,
    to: Destination,
    dropped: frozenset[Platform],
    report: Reporter,
) -> Outcome:
    chosen = {unit.identifier for unit in choice.units}
    given = {name: file for name, file in files.items() if name in chosen}
    sight = look(project, choice, to, regions_of(project.settings, place, report), _told(project, given))
    for unit in sight.plan.units:
        if file := given.get(unit.identifier):
            ensure_fits(file.staged, unit.rendered, to, name=str(file.path))
    if done := sight.lookup_done():
        return nothing_to_do(project, done, sight, report)
    ensure_ready(registry_findings_of(project, sight.plan, place, to))
    work = Publishing(
        project=project,
        given={name: file.staged for name, file in given.items()},
        sight=sight,
        to=to,
        report=report,
    )
    return Release(project=project, to=to, work=work, dropped=dropped, resume=False, report=report).run(sight)


def _told(project: Project, given: Mapping[str, StagedFile]) -> Told:
    """What the jobs' bases were. Raises StagedInvalid where they cannot belong to one release."""
    units = {unit.identifier: unit for unit in project.units}
    locked = identities(project, {})
    told: dict[tuple[str, str], StagedFile] = {}
    for name, file in given.items():
        unit, base = units[name], file.staged.base
        if (base.name, base.locked) != (unit.base.name, locked(unit).digest):
            raise StagedInvalid(
                f"{file.path}: {name} was staged with another images.lock: its base {base.name} was "
                f"{base.locked} there",
                remedy=f"Stage it again from these sources: make stage IMAGES={name}",
            )
        other = told.setdefault((base.name, unit.architecture), file)
        if other.staged.base != base:
            raise StagedInvalid(
                f"{other.path} and {file.path} were built on different bases {base.name}: the mirror moved "
                "on between the two",
                remedy="Take today's packages into images.lock, then stage again: toolkit lock --upgrade",
            )
    return {
        (name, units[file.staged.identifier].architecture): file.staged.base.identity
        for (name, _), file in told.items()
    }


@dataclass(frozen=True, kw_only=True)
class Publishing:
    """Builds nothing: finds what others staged. `given` is by identifier."""

    project: Project
    given: Mapping[str, StagedUnit]
    sight: Sight
    to: Destination
    report: Reporter

    def prepare(self, sight: Sight) -> tuple[Plan, tuple[str, ...]]:
        moved_on = {each.base for each in self.given.values() if each.base.digest != each.base.locked}
        warnings = tuple(
            f"base {base.name} is not as images.lock says: it was staged as {base.digest}, locked is "
            f"{base.locked}"
            for base in sorted(moved_on, key=lambda base: (base.name, base.digest))
        )
        for text in warnings:
            self.report(Event(kind=Kind.WARNING, text=text))
        return sight.plan, warnings

    def carry_out(self, plan: Plan, journal: Journal, so_far: JournalState) -> Outcome:
        before = self.sight.before
        gatherer = Gatherer(
            given=self.given,
            known={(each.identifier, each.digest): each for each in before.home} if before else {},
            workshop=workshop(self.project.settings, bases=Bases(project=self.project), cold=False),
            to=self.to,
            total=len(plan.units),
            report=self.report,
        )
        return settle(
            plan,
            finish=gatherer.finish,
            to=self.to,
            jobs=_LOOKUPS,
            report=self.report,
            journal=journal,
            so_far=so_far,
        )


def _conforms(publishing: Publishing) -> Work:
    return publishing
