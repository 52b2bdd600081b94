"""One unit → its verified image under its `b-` tag, which nobody deploys.

It is built, proved, pushed and read back, or only read back where it is there already. What people pull
is moved elsewhere, when all units of a list are that far: on this machine, or on another one.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import MappingProxyType

from toolkit.errors import ToolkitError
from toolkit.journal import Event, Journal, Uploading, Verified, event_of
from toolkit.oci import Descriptor, Digest
from toolkit.plan import Action, PlannedUnit
from toolkit.planning import Destination
from toolkit.progress import Kind, Reporter
from toolkit.publish import Observer, Step, publish_image
from toolkit.render import RenderedUnit
from toolkit.verify import Verification
from toolkit.workshop import Made, Watch, Workshop, check, make, reopen


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


# Brings one unit to its verified image; the number is its place in the plan. Called from several threads.
Finish = Callable[[PlannedUnit, int], Finished]


def in_threads(
    units: Sequence[PlannedUnit],
    finish: Finish,
    *,
    jobs: int,
    collect: Callable[[PlannedUnit, "Future[Finished]"], None],
) -> None:
    """Finish the units, `jobs` of them side by side; `collect` is called in this thread, as each one ends.

    Raises KeyboardInterrupt when interrupted, without waiting for units that are under way.
    """
    pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="unit")
    try:
        pending = {pool.submit(finish, unit, number): unit for number, unit in enumerate(units, start=1)}
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                collect(pending.pop(future), future)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def notes(journal: Journal) -> Observer:
    """Writes into the journal what is done to a registry."""

    def note(step: Step) -> None:
        if event := event_of(step):
            journal.append(event)

    return note


class Unwritten:
    """The journal of who goes on with nothing: what is staged is found again by its `b-` tag."""

    def append(self, event: Event) -> None:
        """Forget it."""


def _conforms(journal: Unwritten) -> Journal:
    return journal


def stage(
    units: Sequence[PlannedUnit], finish: Finish, *, jobs: int, on_staged: Callable[[Finished], None]
) -> tuple[tuple[Finished, ...], Mapping[str, ToolkitError]]:
    """What was finished, and by identifier what failed; one failing stops no other.

    `on_staged` hears of each unit as it ends; what it raises fails the unit.
    """
    finished: dict[str, Finished] = {}
    failures: dict[str, ToolkitError] = {}

    def collect(planned: PlannedUnit, future: "Future[Finished]") -> None:
        try:
            on_staged(future.result())
            finished[planned.identifier] = future.result()
        except ToolkitError as error:
            failures[planned.identifier] = error

    in_threads(units, finish, jobs=jobs, collect=collect)
    return tuple(finished[name] for name in sorted(finished)), failures


class Stager:
    """`finish` brings one unit of `total` to its verified image under its `b-` tag, in any thread.

    Each step is in `journal` before it counts. `verified` (by identifier) and `uploads` (by repository and
    digest) are what stands there of a release that is gone on with.
    """

    def __init__(
        self,
        *,
        workshop: Workshop,
        to: Destination,
        total: int,
        report: Reporter,
        journal: Journal,
        verified: Mapping[str, Verified] = MappingProxyType({}),
        uploads: Mapping[tuple[str, str], Uploading] = MappingProxyType({}),
    ) -> None:
        self._workshop = workshop
        self._to = to
        self._total = total
        self._report = report
        self._journal = journal
        self._verified = verified
        self._uploads = uploads
        self._built: dict[str, Verified] = dict(verified)

    def finish(self, planned: PlannedUnit, number: int) -> Finished:
        """Bring one unit to its verified image under its `b-` tag."""
        watch = Watch(
            planned.identifier,
            report=self._report,
            number=number,
            total=self._total,
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
        made = self._made_before(planned, watch) or self._make(planned, watch)
        watch.tell(Kind.STAGE, f"publishing {made.manifest.size / 1e6:.0f} MB")
        with watch.timed("publish"):
            image = self._publish(made, planned, watch)
        finished = self._read_back(planned, image, watch)
        shutil.rmtree(made.layout, ignore_errors=True)
        return finished

    def _made_before(self, planned: PlannedUnit, watch: Watch) -> Made | None:
        """What an earlier run of this release built and verified, if it is still that."""
        verified = self._verified.get(planned.identifier)
        if not verified:
            return None
        made = reopen(planned.rendered, verified.digest, self._workshop, watch)
        if made:
            watch.durations.update(verified.durations)
        return made

    def _make(self, planned: PlannedUnit, watch: Watch) -> Made:
        made = make(planned.rendered, self._workshop, watch)
        verified = Verified(
            identifier=planned.identifier,
            digest=made.manifest.digest,
            durations=dict(watch.durations),
            emulated=self._workshop.emulates(planned.rendered),
        )
        self._journal.append(verified)
        self._built[planned.identifier] = verified
        return made

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
        uploads = {
            Digest(digest): upload.address
            for (where, digest), upload in self._uploads.items()
            if where == repository
        }
        return publish_image(
            made.manifest,
            made.source,
            registry=registry,
            repository=repository,
            tags=(planned.build_tag,),
            uploads=uploads,
            observe=notes(self._journal),
        )

    def _read_back(self, planned: PlannedUnit, image: Descriptor | None, watch: Watch) -> Finished:
        """Verify what the registry hands out; layers that were verified on this run are not read twice."""
        assert image is not None
        with watch.timed("read back"):
            source = self._to.images(self._to.repository(planned.rendered.unit.repository))
            verification = check(source, planned.rendered, self._workshop, watch, selector=image.digest)
        # This release built it, be it before it was killed.
        built = self._built.get(planned.identifier)
        if not built or built.digest != image.digest:
            built = None
        return Finished(
            rendered=planned.rendered,
            image=image,
            verification=verification,
            durations={**(built.durations if built else {}), **watch.durations},
            built=built is not None,
            emulated=built is not None and built.emulated,
        )
