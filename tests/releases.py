"""Releases without an engine: a builder that writes prepared images, a registry in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.fakes import MemoryRegistry
from tests.images import DOCKER, OCI, FakeImage, Item, layer, program, single
from tests.projects import AMD64, ARM64, CATALOG, SOURCES, rendered, units, with_file
from toolkit import journal
from toolkit.adapters.layout import OciLayout
from toolkit.adapters.registry import RegistryImages
from toolkit.build import Builder, BuildRequest, OnStage
from toolkit.catalog.model import Consumer
from toolkit.errors import ToolkitError
from toolkit.handover import Gatherer, StagedUnit, push_staged, staged_of
from toolkit.journal import fold
from toolkit.oci import Architecture, Index, Platform
from toolkit.plan import Plan
from toolkit.planning import Destination, plan_release
from toolkit.progress import Event
from toolkit.record import PublishedImage
from toolkit.release import Outcome, beginning, carry_out, settle
from toolkit.render import RenderedUnit, Sources, emulates
from toolkit.staging import Finished, Stager, Unwritten, stage
from toolkit.tags import build_tag
from toolkit.units import BuildUnit
from toolkit.verify import MemoryScans
from toolkit.workshop import Tools, Workshop

PYTORCH = "pytorch-inference"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LIST = "1.12.1-cpu-py39-debian11-sagemaker"
BOTH = (AMD64, ARM64)
EVERY = tuple(each.identifier for each in units())


def honest(each: RenderedUnit, *, elf: str = "", **labels: str) -> FakeImage:
    """An image that keeps its consumer's contract; `elf` is another architecture for its library."""
    made_for = each.unit.architecture.value
    items = [
        program("usr/bin/python3", made_for),
        Item("usr/local/bin/serve", b"#!/usr/bin/python3\n", 0o755),
        program("usr/lib/libtorch.so", elf or made_for),
    ]
    types = DOCKER if each.unit.consumer is Consumer.SAGEMAKER else OCI
    return FakeImage(
        layers=[layer(*items, media_type=types[2])],
        platform=each.unit.platform,
        command=["serve"],
        types=types,
        settings={"Labels": {**each.labels, **labels}},
    )


@dataclass
class FixedBuilder:
    """Writes an honest image for every unit but those in `images`; those in `trouble` raise.

    `during` is called in the middle of each build.
    """

    images: dict[str, FakeImage] = field(default_factory=dict)
    trouble: dict[str, BaseException] = field(default_factory=dict)
    built: list[str] = field(default_factory=list)
    during: Callable[[str], None] = lambda identifier: None

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        identifier = request.rendered.unit.identifier
        self.built.append(identifier)
        on_stage("packages 2/2 RUN uv")
        self.during(identifier)
        if identifier in self.trouble:
            raise self.trouble[identifier]
        single(request.layout, self.images.get(identifier) or honest(request.rendered))


def _conforms(builder: FixedBuilder) -> Builder:
    return builder


@dataclass
class MemoryJournal:
    """Keeps events; `before` is called with each first and may raise: what kills a release."""

    events: list[journal.Event] = field(default_factory=list)
    before: Callable[[journal.Event], None] = lambda event: None

    def append(self, event: journal.Event) -> None:
        self.before(event)
        self.events.append(event)


def _conforms_too(kept: MemoryJournal) -> journal.Journal:
    return kept


def no_engine() -> Tools:
    raise AssertionError("an engine was asked for")


@dataclass
class House:
    """Everything that a release takes, small and real."""

    directory: Path
    registry: MemoryRegistry = field(default_factory=MemoryRegistry)
    builder: FixedBuilder = field(default_factory=FixedBuilder)
    events: list[Event] = field(default_factory=list)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    sources: Sources = SOURCES
    prefix: str = ""
    catalog: str = CATALOG

    @property
    def to(self) -> Destination:
        return Destination(
            registry=self.registry,
            prefix=self.prefix,
            images=lambda repository: RegistryImages(self.registry, repository),
        )

    @property
    def workshop(self) -> Workshop:
        return Workshop(
            tools=lambda: Tools(
                builder=self.builder, emulates=lambda unit: emulates(unit, {Architecture.AMD64})
            ),
            base_layout=lambda unit: None,
            layout=OciLayout.open,
            layouts=self.directory / "layouts",
            logs=self.directory / "logs",
            scans=MemoryScans(),
        )

    def rendered(self, each: BuildUnit) -> RenderedUnit:
        return rendered(each, sources=self.sources)

    def plan(self, *identifiers: str) -> Plan:
        every = units(self.catalog)
        selected = [each for each in every if each.identifier in (identifiers or EVERY)]
        return plan_release(selected, every, render=self.rendered, to=self.to)

    def release(
        self,
        *identifiers: str,
        jobs: int = 2,
        may_drop: frozenset[Platform] = frozenset(),
        resume: bool = False,
    ) -> Outcome:
        """`resume` goes on with what the journal says, else it is begun anew."""
        plan = self.plan(*identifiers)
        if not resume:
            self.journal.events[:] = [beginning(plan, to=self.to, began=NOON, dropped=may_drop)]
        so_far = fold(self.journal.events)
        assert so_far
        return carry_out(
            plan,
            workshop=self.workshop,
            to=self.to,
            jobs=jobs,
            report=self.events.append,
            journal=self.journal,
            so_far=so_far,
        )

    def stage(self, *identifiers: str) -> tuple[dict[str, StagedUnit], Mapping[str, ToolkitError]]:
        """What each unit leaves to who publishes, and what failed."""
        plan = self.plan(*identifiers)
        staged: dict[str, StagedUnit] = {}

        def keep(finished: Finished) -> None:
            made = staged_of(finished, to=self.to, locked=finished.rendered.base.digest, toolkit="1.0")
            staged[made.identifier] = push_staged(made, finished.rendered, self.to)

        stager = Stager(
            workshop=self.workshop,
            to=self.to,
            total=len(plan.units),
            report=self.events.append,
            journal=Unwritten(),
        )
        _, failures = stage(plan.units, stager.finish, jobs=2, on_staged=keep)
        return staged, failures

    def publish(
        self,
        *identifiers: str,
        given: Mapping[str, StagedUnit] | None = None,
        known: Sequence[PublishedImage] = (),
    ) -> Outcome:
        """`given` are handed over as files; what they do not tell is looked for in the registry."""
        plan = self.plan(*identifiers)
        gatherer = Gatherer(
            given=given or {},
            known={(each.identifier, each.digest): each for each in known},
            workshop=replace(self.workshop, tools=no_engine),
            to=self.to,
            total=len(plan.units),
            report=self.events.append,
        )
        began = beginning(plan, to=self.to, began=NOON)
        return settle(
            plan,
            finish=gatherer.finish,
            to=self.to,
            jobs=2,
            report=self.events.append,
            journal=self.journal,
            so_far=journal.State(began=began),
        )

    def public_tags(self, repository: str = PYTORCH) -> set[str]:
        return {tag for tag in self.registry.tags[repository] if not tag.startswith("b-")}

    def index(self, tag: str = LIST, repository: str = PYTORCH) -> Index:
        found = self.registry.manifests[repository][self.registry.tags[repository][tag]]
        assert isinstance(found, Index)
        return found

    def puts(self) -> list[str]:
        return [subject for _, _, subject in self.registry.made("put_manifest")]

    def change_sources(self) -> None:
        """What goes into every image is new from here on."""
        self.sources = with_file("serve", b"#!/usr/bin/python3\n# new\n")

    def rebuild(self, identifier: str) -> None:
        """Take the unit's image out of the registry and let the builder make another of the same inputs."""
        each = next(each for each in units(self.catalog) if each.identifier == identifier)
        again = self.rendered(each)
        del self.registry.tags[each.repository][build_tag(again.build_id)]
        self.builder.images[identifier] = honest(again, **{"org.opencontainers.image.revision": "another"})
