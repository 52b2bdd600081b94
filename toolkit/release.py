"""Plan → built, verified, published → record rows: the whole release, through Protocols.

Every unit ends under its `b-` tag, which nobody deploys, as soon as it is verified. The names that
people pull, per architecture and the list, move only when all units of the list are there and none
of them failed: a list can be old or new, never half.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace

from toolkit import tags
from toolkit.errors import RegistryTrouble, ToolkitError
from toolkit.oci import Descriptor, ImageConfig, Index, Manifest, Platform
from toolkit.plan import (
    Action,
    Observed,
    Plan,
    PlannedList,
    PlannedUnit,
    decide,
    expected_index,
    unasked,
    wanted_tags,
)
from toolkit.progress import Event, Kind, Reporter
from toolkit.publish import Registry, publish_image, publish_index
from toolkit.render import LABEL, RenderedUnit
from toolkit.units import BuildUnit, with_siblings
from toolkit.verify import ImageSource, Verification
from toolkit.workshop import Made, Watch, Workshop, check, make

_LOOKUPS = 16


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A registry, the path before every repository ("" or "team/ml"), and how to read it as images."""

    registry: Registry
    prefix: str
    images: Callable[[str], ImageSource]  # by full repository name

    @property
    def place(self) -> str:
        """HOST[:PORT][/PATH], as it was asked for."""
        return f"{self.registry.host}/{self.prefix}" if self.prefix else self.registry.host

    def repository(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def reference(self, name: str, tag: str) -> str:
        return f"{self.registry.host}/{self.repository(name)}:{tag}"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A unit that is in the registry, verified. Durations are seconds by step.

    `emulated` says that the build ran programs of a foreign architecture.
    """

    rendered: RenderedUnit
    image: Descriptor
    verification: Verification
    durations: Mapping[str, float] = field(default_factory=dict)
    built: bool = False
    emulated: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`lists` are the published ones by (repository, tag); `failures` by identifier or list reference.

    `withheld` are finished units whose public tags were not moved because another unit failed.
    """

    finished: tuple[Finished, ...]
    lists: Mapping[tuple[str, str], Index]
    failures: Mapping[str, ToolkitError]
    withheld: frozenset[str] = frozenset()


def plan_release(
    selected: Sequence[BuildUnit],
    every: Sequence[BuildUnit],
    *,
    render: Callable[[BuildUnit], RenderedUnit],
    to: Destination,
) -> Plan:
    """One HEAD per unit and per list; for units that are not there, what stood in their place.

    Raises RegistryUnavailable, LockInvalid, UsageError.
    """
    chosen, everything = _rendered(selected, every, render)
    with ThreadPoolExecutor(_LOOKUPS) as pool:
        pairs = wanted_tags(everything)
        found = pool.map(lambda pair: to.registry.lookup_descriptor(to.repository(pair[0]), pair[1]), pairs)
        descriptors = dict(zip(pairs, found, strict=True))
        missing = [
            each for each in chosen if not descriptors[each.unit.repository, tags.build_tag(each.build_id)]
        ]
        before = pool.map(lambda each: lookup_inputs(to, each.unit), missing)
        inputs = {each.unit.identifier: was for each, was in zip(missing, before, strict=True) if was}
    return decide(chosen, everything, Observed(descriptors=descriptors, inputs=inputs))


def plan_offline(
    selected: Sequence[BuildUnit],
    every: Sequence[BuildUnit],
    *,
    render: Callable[[BuildUnit], RenderedUnit],
) -> Plan:
    """The plan for a registry that has nothing. Raises LockInvalid, UsageError."""
    chosen, everything = _rendered(selected, every, render)
    return decide(chosen, everything, unasked(everything))


def _rendered(
    selected: Sequence[BuildUnit], every: Sequence[BuildUnit], render: Callable[[BuildUnit], RenderedUnit]
) -> tuple[tuple[RenderedUnit, ...], tuple[RenderedUnit, ...]]:
    """The selected units, and these with all that stand behind the same lists."""
    rendered = {unit.identifier: render(unit) for unit in with_siblings(selected, every)}
    return tuple(rendered[unit.identifier] for unit in selected), tuple(rendered.values())


def lookup_inputs(to: Destination, unit: BuildUnit) -> Mapping[str, str] | None:
    """The inputs label of the image under the unit's per-architecture tag, None without image or label."""
    repository = to.repository(unit.repository)
    manifest = to.registry.lookup_manifest(repository, unit.arch_tag)
    if not isinstance(manifest, Manifest):
        return None
    with suppress(ValueError, RegistryTrouble):
        with to.registry.open_blob(repository, manifest.config) as blob:
            labels = ImageConfig.parse(blob.read()).labels
        inputs = json.loads(labels.get(f"{LABEL}.inputs", "null"))
        return inputs if isinstance(inputs, dict) else None
    return None


def carry_out(
    plan: Plan,
    *,
    workshop: Workshop,
    to: Destination,
    jobs: int,
    report: Reporter,
    may_drop: frozenset[Platform] = frozenset(),
) -> Outcome:
    """Build what is to be built, verify, publish. One unit failing stops no other.

    `may_drop` are platforms that a list may lose; otherwise none is replaced by one with fewer.
    Raises KeyboardInterrupt when interrupted; whatever has its public tags by then is complete.
    """
    run = _Run(plan=plan, workshop=workshop, to=to, report=report, may_drop=may_drop)
    pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="unit")
    try:
        pending = {
            pool.submit(run.finish, unit, number): unit for number, unit in enumerate(plan.units, start=1)
        }
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                run.collect(pending.pop(future), future)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return Outcome(
        finished=tuple(run.finished[name] for name in sorted(run.finished)),
        lists=run.lists,
        failures=run.failures,
        withheld=frozenset(run.withheld),
    )


class _Run:
    """What one release knows while it goes on. `finish` runs in threads, the rest in the caller's."""

    def __init__(
        self,
        *,
        plan: Plan,
        workshop: Workshop,
        to: Destination,
        report: Reporter,
        may_drop: frozenset[Platform],
    ) -> None:
        self._plan = plan
        self._may_drop = may_drop
        self._workshop = workshop
        self._to = to
        self._report = report
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

    def finish(self, planned: PlannedUnit, number: int) -> Finished:
        """Bring one unit to its verified image under its `b-` tag."""
        watch = Watch(
            planned.identifier,
            report=self._report,
            number=number,
            total=len(self._plan.units),
        )
        watch.tell(Kind.STARTED, planned.why)
        try:
            if planned.action is Action.BUILD:
                finished = self._build(planned, watch)
            else:
                finished = self._read_back(planned, planned.published, watch)
        except ToolkitError as error:
            watch.failed(error)
            raise
        watch.tell(Kind.FINISHED, f"{finished.image.digest}")
        return finished

    def _build(self, planned: PlannedUnit, watch: Watch) -> Finished:
        made = make(planned.rendered, self._workshop, watch)
        watch.tell(Kind.STAGE, f"publishing {made.manifest.size / 1e6:.0f} MB")
        with watch.timed("publish"):
            image = self._publish(made, planned, watch)
        finished = self._read_back(planned, image, watch)
        shutil.rmtree(made.layout)
        if image.digest != made.manifest.digest:
            return finished
        return replace(finished, built=True, emulated=self._workshop.emulates(planned.rendered))

    def _publish(self, made: Made, planned: PlannedUnit, watch: Watch) -> Descriptor:
        """The image that stands under the build tag afterwards: the first one put there stays, as others
        may deploy it already. The same inputs on another machine differ in the revision label."""
        registry = self._to.registry
        repository = self._to.repository(planned.rendered.unit.repository)
        there = registry.lookup_descriptor(repository, planned.build_tag)
        if there and there.digest != made.manifest.digest:
            watch.tell(
                Kind.NOTE, f"another release put {planned.build_tag} meanwhile: {there.digest} is kept"
            )
            return there
        return publish_image(
            made.manifest, made.source, registry=registry, repository=repository, tags=(planned.build_tag,)
        )

    def _read_back(self, planned: PlannedUnit, image: Descriptor | None, watch: Watch) -> Finished:
        """Verify what the registry hands out; layers that were verified on this run are not read twice."""
        assert image is not None
        with watch.timed("read back"):
            source = self._to.images(self._to.repository(planned.rendered.unit.repository))
            verification = check(source, planned.rendered, self._workshop, watch, selector=image.digest)
        return Finished(
            rendered=planned.rendered, image=image, verification=verification, durations=dict(watch.durations)
        )

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
            for name in mates:
                self._tag(self.finished[name])
            self._publish_list(group, subject)
        except ToolkitError as error:
            self.failures[subject] = error
            self.withheld |= set(mates)
            self._tell(Kind.FAILED, subject, error.message)

    def _tag(self, finished: Finished) -> None:
        unit = finished.rendered.unit
        repository = self._to.repository(unit.repository)
        source = self._to.images(repository)
        manifest = source.get_manifest(finished.image.digest)
        assert isinstance(manifest, Manifest)
        publish_image(
            manifest, source, registry=self._to.registry, repository=repository, tags=(unit.arch_tag,)
        )

    def _publish_list(self, group: PlannedList, subject: str) -> None:
        images = self._images(group)
        index = expected_index(group.members, images)
        if index is None:
            absent = [m.unit.identifier for m in group.members if m.unit.identifier not in images]
            self._tell(Kind.WARNING, subject, f"not published: {', '.join(absent)} is not in the registry")
            return
        publish_index(
            index.manifests,
            required=group.required,
            media_type=group.media_type,
            registry=self._to.registry,
            repository=self._to.repository(group.repository),
            tag=group.tag,
            may_drop=self._may_drop,
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
