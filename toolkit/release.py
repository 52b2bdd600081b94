"""Plan → built, verified, published → record rows: the whole release, through Protocols.

Every unit ends under its `b-` tag, which nobody deploys, as soon as it is verified. The names that
people pull, per architecture and the list, move only when all units of the list are there and none
of them failed: a list can be old or new, never half.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from toolkit import tags
from toolkit.errors import Conflict, ToolkitError
from toolkit.journal import Began, Journal, State
from toolkit.journal import Step as ReleaseStep
from toolkit.oci import Descriptor, Digest, Index, Manifest, Platform
from toolkit.plan import Plan, PlannedList, PlannedUnit, expected_index
from toolkit.planning import Destination
from toolkit.progress import Event, Kind, Reporter
from toolkit.publish import (
    ensure_names,
    follow_list,
    moved_meanwhile,
    publish_index,
    tag_image,
)
from toolkit.record import release_id, rfc3339
from toolkit.staging import Finish, Finished, Stager, in_threads, notes
from toolkit.workshop import Workshop

_LOOKUPS = 16


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`lists` are the published ones by (repository, tag); `failures` by identifier or list reference.

    `wanted` is how many units were asked for, `elsewhere` what did not come to further regions, by
    reference or region;
    `withheld` are finished units whose public tags were not moved because another unit failed.
    """

    finished: tuple[Finished, ...]
    lists: Mapping[tuple[str, str], Index]
    failures: Mapping[str, ToolkitError]
    wanted: int
    withheld: frozenset[str] = frozenset()
    elsewhere: Mapping[str, ToolkitError] = field(default_factory=dict)


def beginning(
    plan: Plan,
    *,
    to: Destination,
    began: datetime,
    dropped: Collection[Platform] = (),
    continues: str = "",
) -> Began:
    """The first event of a release's journal. `dropped` are the platforms that a list may lose; otherwise
    none is replaced by one with fewer."""
    builds = {unit.identifier: unit.rendered.build_id for unit in plan.units}
    return Began(
        release=release_id(began, to.place, builds),
        at=rfc3339(began),
        destination=to.place,
        steps=tuple(
            ReleaseStep(
                identifier=unit.identifier,
                build_id=unit.rendered.build_id,
                inputs=dict(unit.rendered.inputs),
            )
            for unit in plan.units
        ),
        lists={
            to.reference(each.repository, each.tag): each.present.digest if each.present else ""
            for each in plan.lists
        },
        dropped=tuple(sorted(map(str, dropped))),
        continues=continues,
    )


def carry_out(
    plan: Plan,
    *,
    workshop: Workshop,
    to: Destination,
    jobs: int,
    report: Reporter,
    journal: Journal,
    so_far: State,
) -> Outcome:
    """Build what is to be built, verify, publish. One unit failing stops no other.

    Each step is in `journal` before it counts; `so_far` is what stands there: the plan's beginning, and
    of a release that is gone on with what it came to.
    Raises KeyboardInterrupt when interrupted; whatever has its public tags by then is complete.
    """
    stager = Stager(
        workshop=workshop,
        to=to,
        total=len(plan.units),
        report=report,
        journal=journal,
        verified=so_far.verified,
        uploads=so_far.uploads,
    )
    return settle(plan, finish=stager.finish, to=to, jobs=jobs, report=report, journal=journal, so_far=so_far)


def settle(
    plan: Plan,
    *,
    finish: Finish,
    to: Destination,
    jobs: int,
    report: Reporter,
    journal: Journal,
    so_far: State,
) -> Outcome:
    """Move what people pull: of each list whose units `finish` all brings, the tags of its platforms and then
    the list; nothing of a list of which one fails. Raises KeyboardInterrupt as `carry_out` does."""
    run = _Run(plan=plan, to=to, report=report, journal=journal, so_far=so_far)
    in_threads(plan.units, finish, jobs=jobs, collect=run.collect)
    run.look_again()
    return Outcome(
        finished=tuple(run.finished[name] for name in sorted(run.finished)),
        lists=run.lists,
        failures=run.failures,
        wanted=len(plan.units),
        withheld=frozenset(run.withheld),
    )


class _Run:
    """What one release knows while it goes on."""

    def __init__(
        self,
        *,
        plan: Plan,
        to: Destination,
        report: Reporter,
        journal: Journal,
        so_far: State,
    ) -> None:
        self._plan = plan
        self._may_drop = frozenset(Platform.parse(text) for text in so_far.began.dropped)
        self._so_far = so_far
        self._to = to
        self._report = report
        self._write_down = notes(journal)
        # Each list with the identifiers of its selected units.
        self._groups: dict[tuple[str, str], tuple[PlannedList, list[str]]] = {
            (each.repository, each.tag): (each, []) for each in plan.lists
        }
        for unit in plan.units:
            self._groups[unit.rendered.unit.list_key][1].append(unit.identifier)
        self.finished: dict[str, Finished] = {}
        self.lists: dict[tuple[str, str], Index] = {}
        self.failures: dict[str, ToolkitError] = {}
        self.withheld: set[str] = set()
        self._settled: list[tuple[PlannedList, Sequence[str]]] = []

    def collect(self, planned: PlannedUnit, future: "Future[Finished]") -> None:
        """Take a unit's result; once its list's selected units have all ended, settle the list."""
        try:
            self.finished[planned.identifier] = future.result()
        except ToolkitError as error:
            self.failures[planned.identifier] = error
        group, mates = self._groups[planned.rendered.unit.list_key]
        if all(name in self.finished or name in self.failures for name in mates):
            self._settle(group, mates)

    def _settle(self, group: PlannedList, mates: Sequence[str]) -> None:
        """Per-architecture tags, then the list; neither when one of its units failed."""
        subject = self._to.reference(group.repository, group.tag)
        if failed := [name for name in mates if name in self.failures]:
            self.withheld |= set(mates) - set(failed)
            self._tell(Kind.WARNING, subject, f"not published: {', '.join(failed)} failed")
            return
        try:
            index = expected_index(group.members, self._images(group))
            self._ensure_unmoved(group, index, subject)
            for name in mates:
                self._tag(self.finished[name])
            self._publish_list(group, index, subject)
            self._follow_list(group, mates)
        except ToolkitError as error:
            self._fail(subject, mates, error)
            if isinstance(error, Conflict):
                with suppress(ToolkitError):
                    self._follow_list(group, mates)
        else:
            self._settled.append((group, mates))

    def _follow_list(self, group: PlannedList, mates: Sequence[str]) -> None:
        """Two releases may have put per-architecture tags in turns: whose list it is, theirs the tags are."""
        chosen = [self.finished[name].rendered.unit for name in mates]
        follow_list(
            {unit.platform: unit.arch_tag for unit in chosen},
            registry=self._to.registry,
            repository=self._to.repository(group.repository),
            list_tag=group.tag,
            observe=self._write_down,
        )

    def _fail(self, subject: str, mates: Sequence[str], error: ToolkitError) -> None:
        self.failures[subject] = error
        self.withheld |= set(mates)
        self._tell(Kind.FAILED, subject, error.message)

    def _known(self, group: PlannedList, index: Index | None) -> frozenset[Digest]:
        """What the list's tag may name: what it named when the release began, and what it is to name."""
        stood = self._so_far.began.lists[self._to.reference(group.repository, group.tag)]
        return frozenset(Digest(text) for text in (stood, index and index.digest) if text)

    def _ensure_unmoved(self, group: PlannedList, index: Index | None, subject: str) -> None:
        """Before any of its tags is moved. Raises Conflict when someone else released it meanwhile."""
        found = self._to.registry.lookup_descriptor(self._to.repository(group.repository), group.tag)
        if found and found.digest not in self._known(group, index):
            raise moved_meanwhile(subject, found.digest, index.digest if index else None)

    def look_again(self) -> None:
        """At the end: the tags that were moved still name what they were given.

        Of two releases in the same moment one is told here at the latest, unless the other is so late that
        it was told itself: it found a list that it did not know of.
        """
        with ThreadPoolExecutor(_LOOKUPS) as pool:
            for trouble in pool.map(self._moved_away, self._settled):
                if trouble:
                    group, mates, error = trouble
                    self.lists.pop((group.repository, group.tag), None)
                    self._fail(self._to.reference(group.repository, group.tag), mates, error)

    def _moved_away(
        self, settled: tuple[PlannedList, Sequence[str]]
    ) -> tuple[PlannedList, Sequence[str], ToolkitError] | None:
        group, mates = settled
        repository = self._to.repository(group.repository)
        try:
            if index := self.lists.get((group.repository, group.tag)):
                ensure_names(self._to.registry, repository, group.tag, index.digest)
                self._follow_list(group, mates)
            for name in mates:
                finished = self.finished[name]
                tag = finished.rendered.unit.arch_tag
                ensure_names(self._to.registry, repository, tag, finished.image.digest)
        except ToolkitError as error:
            return group, mates, error
        return None

    def _tag(self, finished: Finished) -> None:
        unit = finished.rendered.unit
        repository = self._to.repository(unit.repository)
        manifest = self._to.images(repository).get_manifest(finished.image.digest)
        assert isinstance(manifest, Manifest)
        tag_image(
            manifest,
            registry=self._to.registry,
            repository=repository,
            tags=(unit.arch_tag,),
            observe=self._write_down,
        )

    def _publish_list(self, group: PlannedList, index: Index | None, subject: str) -> None:
        if index is None:
            images = self._images(group)
            absent = [m.unit.identifier for m in group.members if m.unit.identifier not in images]
            self._tell(Kind.WARNING, subject, f"not published: {', '.join(absent)} is not in the registry")
            return
        publish_index(
            index,
            required=group.required,
            registry=self._to.registry,
            repository=self._to.repository(group.repository),
            tag=group.tag,
            may_drop=self._may_drop,
            known=self._known(group, index),
            observe=self._write_down,
        )
        self.lists[group.repository, group.tag] = index
        self._tell(Kind.FINISHED, subject, index.digest)

    def _images(self, group: PlannedList) -> dict[str, Descriptor]:
        """The images of a list's units: finished on this run, or found when the plan was made."""
        images: dict[str, Descriptor] = {}
        for member in group.members:
            name = member.unit.identifier
            there = self._plan.observed.descriptors[group.repository, tags.build_tag(member.build_id)]
            image = self.finished[name].image if name in self.finished else there
            if image:
                images[name] = image
        return images

    def _tell(self, kind: Kind, subject: str, text: str) -> None:
        self._report(Event(kind=kind, subject=subject, text=text))
