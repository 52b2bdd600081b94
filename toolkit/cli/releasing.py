"""The whole of `toolkit release`: from what was asked for to record and tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import toolkit
from toolkit.bases import BuiltBase
from toolkit.catalog.builder import CatalogBuilder
from toolkit.catalog.model import State as Accepted
from toolkit.catalog.model import Support
from toolkit.cli.distributing import regions_of, tags_into, turns
from toolkit.cli.journals import begin, ensure_fits, get_left, go_on, lookup_left, tell_left, units_of
from toolkit.cli.memory import Memory
from toolkit.cli.preflight import findings_of
from toolkit.cli.project import Project, Told, identities, lookup_bases, renderer
from toolkit.cli.records import files_of, keep_record, lookup_kept, lookup_record, push_record, write_record
from toolkit.cli.registries import Place
from toolkit.cli.site import Site
from toolkit.cli.supporting import refuse_unsupported, today, warn_of_unsupported
from toolkit.cli.world import Bases, destination, layouts, step_cache, workshop
from toolkit.distribution import Region, bundles_of, distribute, is_distributed
from toolkit.errors import ToolkitError, UsageError
from toolkit.journal import Ended, Journal, Recorded, State
from toolkit.lock import other_digests
from toolkit.oci import Platform
from toolkit.plan import Plan
from toolkit.planning import Destination, plan_release
from toolkit.preflight import ensure_ready
from toolkit.progress import Event, Kind, Reporter
from toolkit.record import ReleaseRecord, start_of
from toolkit.recording import Circumstances, record_of, supports_are_recorded
from toolkit.release import Outcome, carry_out
from toolkit.render import require_locked
from toolkit.selection import Selection, select
from toolkit.support import supports_of
from toolkit.units import BuildUnit
from toolkit.workshop import Workshop

# A clock that is less behind than this is told to nobody.
_CLOCK_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What was asked for on the command line."""

    selection: Selection
    resume: bool
    builder: CatalogBuilder | None
    dropped: frozenset[Platform]
    jobs: int
    cold: bool
    locked: bool
    accepted: Sequence[Accepted]


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What is to be done, and what there is: bases, the newest record, a release that did not end well."""

    plan: Plan
    present: Mapping[str, BuiltBase]
    known: Mapping[str, Support]
    before: ReleaseRecord | None
    left: State | None
    regions: tuple[Region, ...]

    def lookup_done(self) -> ReleaseRecord | None:
        """The record that says all there is to say already. The regions are asked when all else is done."""
        cut_off = self.left is not None and self.left.ended is None
        says_it = _has_all(self.before, self.plan) and supports_are_recorded(self.before, self.known)
        if self.before is None or not self.plan.is_done or cut_off or not says_it:
            return None
        return self.before if is_distributed(self.before, self.regions) else None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The units that are to be released, and the release before if it did not end well."""

    units: tuple[BuildUnit, ...]
    left: State | None


def choose(project: Project, wish: Wish, place: Place, report: Reporter) -> Choice:
    """What the wish means here; asks nobody. Raises UsageError, NothingSelected, JournalCorrupt."""
    look_up = get_left if wish.resume else lookup_left
    left = look_up(project.settings, str(place), report)
    if wish.resume and left:
        if str(wish.selection):
            raise UsageError(
                f"--resume goes on with the images of release {left.release}; it takes no others",
                remedy="Leave the names and the options that choose images out, or leave --resume out.",
            )
        units = units_of(left, project.units)
    else:
        units = select(project.units, wish.selection, project.catalog)
    refuse_unsupported(project, units, wish.accepted)
    return Choice(units=units, left=left)


def bring(
    project: Project,
    wish: Wish,
    choice: Choice,
    *,
    place: Place,
    docker_config: Callable[[], Path] | None,
    memory: Memory,
    report: Reporter,
) -> Outcome:
    """Bring `place` to what the catalog says. What is there costs one HEAD per unit and list.

    `docker_config` gives the directory that docker clients are to take in place of their own; `memory` keeps
    what was seen when nothing is to be done.
    """
    warn_of_unsupported(project, choice.units, report)
    to = destination(project.settings, place, report)
    regions = regions_of(project.settings, place, report)
    sight = look(project, choice, to, regions)
    if done := sight.lookup_done():
        outcome = nothing_to_do(project, done, sight, report)
        memory.keep(project, sight.plan, to, files_of(done))
        return outcome
    with layouts(project.settings, report) as waited:
        if waited:  # the other process may have done all of it
            sight = look(project, choose(project, wish, place, report), to, regions)
            if done := sight.lookup_done():
                return nothing_to_do(project, done, sight, report)
        site = Site(project=project, builder=wish.builder, report=report)
        ensure_ready(findings_of(site, sight.plan, place, to, sight.before))
        bases = Bases(project=project, locked_only=wish.locked)
        shop = workshop(
            project.settings,
            bases=bases,
            cold=wish.cold,
            docker_config=docker_config,
            cache=step_cache(place, report),
            nodes=site.nodes_of(sight.plan),
        )
        building = Building(project=project, to=to, bases=bases, shop=shop, jobs=wish.jobs, report=report)
        return Release(
            project=project, to=to, work=building, dropped=wish.dropped, resume=wish.resume, report=report
        ).run(sight)


def look(
    project: Project,
    choice: Choice,
    to: Destination,
    regions: tuple[Region, ...],
    told: Told = MappingProxyType({}),
) -> Sight:
    """`told` is what stands behind bases by the word of those who built on them."""
    present = lookup_bases(project)
    return Sight(
        plan=_plan(project, choice.units, present, to, told),
        present=present,
        known=supports_of(project.units, project.sources.ends, on=today()),
        before=lookup_record(project.settings, to),
        left=choice.left,
        regions=regions,
    )


class Work(Protocol):
    """How the units of a release come to stand in the registry: built here, or by others."""

    def prepare(self, sight: Sight) -> tuple[Plan, tuple[str, ...]]:
        """The plan to carry out, and warnings for the record."""

    def carry_out(self, plan: Plan, journal: Journal, so_far: State) -> Outcome: ...


@dataclass(frozen=True, kw_only=True)
class Building:
    """Builds here what is to be built."""

    project: Project
    to: Destination
    bases: Bases
    shop: Workshop
    jobs: int
    report: Reporter

    def prepare(self, sight: Sight) -> tuple[Plan, tuple[str, ...]]:
        if not sight.plan.to_build:
            return sight.plan, ()
        require_locked([unit.rendered for unit in sight.plan.to_build])
        self.shop.tools()  # a machine that cannot build is told before a base is made
        return _with_made_bases(self.project, sight, self.bases, self.to, self.report)

    def carry_out(self, plan: Plan, journal: Journal, so_far: State) -> Outcome:
        return carry_out(
            plan,
            workshop=self.shop,
            to=self.to,
            jobs=self.jobs,
            report=self.report,
            journal=journal,
            so_far=so_far,
        )


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release with something to do. `dropped` are the platforms that lists may lose."""

    project: Project
    to: Destination
    work: Work
    dropped: frozenset[Platform]
    resume: bool
    report: Reporter

    def run(self, sight: Sight) -> Outcome:
        plan, warnings = self.work.prepare(sight)
        began = start_of(datetime.now(UTC), sight.before)
        journal, so_far = self._begin(sight.left, plan, began)
        if so_far.recorded and (record := _kept(self.project, so_far)):
            return _end_recorded(self.project, record, plan, self.to, journal)
        _tell_clock(began, self.report)
        outcome = self.work.carry_out(plan, journal, so_far)
        circumstances = Circumstances(
            to=self.to,
            release=so_far.release,
            began=datetime.fromisoformat(so_far.began.at),
            before=sight.before,
            known=sight.known,
            toolkit=toolkit.__version__,
            warnings=warnings,
        )
        record, elsewhere = self._distribute(record_of(outcome, circumstances), sight, journal)
        outcome = replace(outcome, elsewhere=elsewhere)
        failures = {
            name: error.message.partition("\n")[0]
            for name, error in (*outcome.failures.items(), *elsewhere.items())
        }
        if record.images:
            digest = keep_record(self.project.settings, record)
            journal.append(Recorded(digest=digest, failures=failures))
            write_record(self.project.settings, record)
            push_record(record, self.to)
            self.report(Event(kind=Kind.NOTE, text=_summary(record, outcome, self.project)))
        journal.append(Ended(failures=failures))
        return outcome

    def _distribute(
        self, record: ReleaseRecord, sight: Sight, journal: Journal
    ) -> tuple[ReleaseRecord, Mapping[str, ToolkitError]]:
        done = distribute(
            record,
            sight.regions,
            home=self.to,
            before=sight.before,
            turns=turns(),
            report=self.report,
            observe=tags_into(journal),
        )
        return done.record, done.failures

    def _begin(self, left: State | None, plan: Plan, began: datetime) -> tuple[Journal, State]:
        settings, dropped = self.project.settings, self.dropped
        if self.resume and left:
            ensure_fits(left, plan)
            dropped |= {Platform.parse(text) for text in left.began.dropped}
            return go_on(settings, left, plan, self.to, began=began, dropped=dropped, report=self.report)
        if left:
            tell_left(left, self.report)
        return begin(settings, plan, self.to, began=began, dropped=dropped)


def _kept(project: Project, so_far: State) -> ReleaseRecord | None:
    """The record of a release that was cut off behind it; its bytes may be in the registry already."""
    assert so_far.recorded
    return lookup_kept(project.settings, so_far.release, so_far.recorded.digest)


def _end_recorded(
    project: Project, record: ReleaseRecord, plan: Plan, to: Destination, journal: Journal
) -> Outcome:
    write_record(project.settings, record)
    push_record(record, to)
    journal.append(Ended())
    return Outcome(finished=(), lists={}, failures={}, wanted=len(plan.units))


def nothing_to_do(project: Project, record: ReleaseRecord, sight: Sight, report: Reporter) -> Outcome:
    write_record(project.settings, record)
    plan, asked = sight.plan, len(sight.regions) * len(bundles_of(record.home))
    where = f" in {len(sight.regions) + 1} regions" if sight.regions else ""
    text = (
        f"nothing changed: {len(plan.units)} units and {len(plan.lists)} lists are published{where} as "
        f"images.toml says ({len(plan.observed.descriptors) + asked} HEAD requests, no engine used)"
    )
    report(Event(kind=Kind.NOTE, text=text))
    return Outcome(finished=(), lists={}, failures={}, wanted=len(plan.units))


def _tell_clock(began: datetime, report: Reporter) -> None:
    behind = (began - datetime.now(UTC)).total_seconds()
    if behind > _CLOCK_SECONDS:
        text = (
            f"this machine's clock is {behind / 60:.0f} minutes behind the release before: "
            f"this one is dated {began:%Y-%m-%dT%H:%M:%SZ}. Set the clock."
        )
        report(Event(kind=Kind.WARNING, text=text))


def _plan(
    project: Project,
    selected: Sequence[BuildUnit],
    built: Mapping[str, BuiltBase],
    to: Destination,
    told: Told = MappingProxyType({}),
) -> Plan:
    render = renderer(project, identities(project, built, told))
    return plan_release(selected, project.units, render=render, to=to)


def _with_made_bases(
    project: Project,
    sight: Sight,
    bases: Bases,
    to: Destination,
    report: Reporter,
) -> tuple[Plan, tuple[str, ...]]:
    """Make the bases that builds need; when one is not what the plan was made with, plan again."""
    plan = sight.plan
    needed = (unit.rendered.unit.base for unit in plan.to_build)
    made = {**sight.present, **bases.ensure_all(needed, report)}
    warnings = tuple(
        f"base {base.name} is not as images.lock says: {difference}"
        for base in made.values()
        for difference in base.drift or other_digests(project.lock, base)
    )
    for text in warnings:
        report(Event(kind=Kind.WARNING, text=text))
    if made == dict(sight.present):
        return plan, warnings
    selected = [unit.rendered.unit for unit in plan.units]
    return _plan(project, selected, made, to), warnings


def _has_all(record: ReleaseRecord | None, plan: Plan) -> bool:
    known = {(image.identifier, image.digest) for image in record.images} if record else set()
    return all((unit.identifier, unit.published and unit.published.digest) in known for unit in plan.units)


def _summary(record: ReleaseRecord, outcome: Outcome, project: Project) -> str:
    built = sum(each.built for each in outcome.finished)
    reused = len(outcome.finished) - built
    return (
        f"release {record.release}: units built: {built}, reused: {reused}; lists: {len(outcome.lists)}; "
        f"tables in {project.settings.dist.name}/uris.md, .csv, .json, .html"
    )
