"""What a job that built a unit leaves to the one that publishes: a small document per unit.

It says which image stands under the unit's `b-` tag and what was found out about it, so that whoever moves
the public tags needs neither an engine nor the bytes of the image. It lies beside the image in its
repository, bound to its digest, and as a file where a pipeline hands over files.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self, get_origin

from toolkit.artifacts import fetch_artifact, push_artifact
from toolkit.checks import Check
from toolkit.errors import BuildFailed, Conflict, ToolkitError, UsageError
from toolkit.layers.installed import Package as InstalledPackage
from toolkit.layers.installed import PackageKind
from toolkit.oci import Descriptor, Digest, Platform
from toolkit.plan import PlannedUnit
from toolkit.planning import Destination
from toolkit.progress import Kind, Reporter
from toolkit.record import Package, PublishedImage
from toolkit.render import BaseIdentity, RenderedUnit, changed_inputs
from toolkit.staging import Finished
from toolkit.tags import staged_tag
from toolkit.verify import Verification
from toolkit.workshop import Watch, Workshop, check

SCHEMA_VERSION = 1
PASSED = "passed"
STAGED_TYPE = "application/vnd.multiarch-images.staged.v1+json"


class NotStaged(BuildFailed):
    """A unit that is to be published has no image under its `b-` tag."""


class StagedInvalid(UsageError):
    """A staged unit's document cannot be read, or does not fit what is to be published."""


@dataclass(frozen=True, kw_only=True)
class StagedBase:
    """What the unit stands on. `locked` is the digest that images.lock gave this base when it was staged,
    `digest` the one it had: they differ where the mirror had moved on."""

    name: str
    reference: str
    digest: str
    index: str
    locked: str

    @property
    def identity(self) -> BaseIdentity:
        return BaseIdentity(reference=self.reference, digest=self.digest, index=self.index)


@dataclass(frozen=True, kw_only=True)
class StagedUnit:
    """One unit under its `b-` tag, verified. Sizes are bytes, durations seconds by step.

    `destination` is HOST[:PORT][/PATH]; `verification` maps the name of each check to its result, `inputs`
    each input of the build id to its digest.
    """

    identifier: str
    build_id: str
    inputs: Mapping[str, str]
    destination: str
    digest: str
    media_type: str
    manifest_size: int
    platform: str
    base: StagedBase
    verification: Mapping[str, str]
    size: int
    unpacked_size: int
    elf_files: int
    packages: tuple[Package, ...]
    entrypoint: tuple[str, ...]
    ports: tuple[str, ...]
    durations: Mapping[str, float]
    built: bool
    emulated: bool
    toolkit: str

    def dumps(self) -> str:
        document = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def loads(cls, text: str | bytes, *, name: str) -> Self:
        """Raises StagedInvalid when `text` is no document of this schema."""
        try:
            data = json.loads(text)
            if data["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"it has schema_version {data['schema_version']}, not {SCHEMA_VERSION}")
            values = {each.name: _value(data[each.name], each.type) for each in fields(cls)}
            values["base"] = StagedBase(**_texts(values["base"]))
            values["packages"] = tuple(Package(**_texts(each)) for each in values["packages"])
            Digest(values["digest"])
            Platform.parse(values["platform"])
            for package in values["packages"]:
                PackageKind(package.kind)
            if not_passed := [name for name, result in values["verification"].items() if result != PASSED]:
                raise ValueError(f"its image did not pass {', '.join(not_passed)}")
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError, ToolkitError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise StagedInvalid(
                f"{name} cannot be read as a staged unit: {what}",
                remedy="Stage the unit again, with the same toolkit: make stage IMAGES=…",
            ) from error

    @property
    def image(self) -> Descriptor:
        return Descriptor(media_type=self.media_type, digest=Digest(self.digest), size=self.manifest_size)


def _value(value: Any, annotation: Any) -> Any:
    """A field's value from JSON's. Raises TypeError for one of another kind."""
    is_tuple = get_origin(annotation) is tuple
    wanted: Any = list if is_tuple else annotation if annotation in (str, int, bool) else dict
    if type(value) is not wanted:
        raise TypeError(f"{value!r} stands where {wanted.__name__} must")
    return tuple(value) if is_tuple else value


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    if wrong := [name for name, text in values.items() if not isinstance(text, str)]:
        raise TypeError(f"{wrong[0]} is {values[wrong[0]]!r}")
    return dict(values)


def staged_of(finished: Finished, *, to: Destination, locked: str, toolkit: str) -> StagedUnit:
    """`locked` is the digest that images.lock gives the unit's base."""
    rendered, found = finished.rendered, finished.verification
    base = rendered.base
    return StagedUnit(
        identifier=rendered.unit.identifier,
        build_id=rendered.build_id,
        inputs=dict(rendered.inputs),
        destination=to.place,
        digest=finished.image.digest,
        media_type=finished.image.media_type,
        manifest_size=finished.image.size,
        platform=str(found.platform),
        base=StagedBase(
            name=rendered.unit.base.name,
            reference=base.reference,
            digest=base.digest,
            index=base.index,
            locked=locked,
        ),
        verification={each.name: PASSED for each in found.checks if each.ok},
        size=found.size,
        unpacked_size=found.unpacked_size,
        elf_files=found.elf_files,
        packages=tuple(
            Package(name=each.name, version=each.version, kind=each.kind.value) for each in found.packages
        ),
        entrypoint=found.entrypoint,
        ports=found.ports,
        durations=dict(finished.durations),
        built=finished.built,
        emulated=finished.emulated,
        toolkit=toolkit,
    )


def push_staged(staged: StagedUnit, rendered: RenderedUnit, to: Destination) -> StagedUnit:
    """Put the document beside its image; what is to be handed over. The first one there stays, as it is that
    of whoever built: how long that took, it knows."""
    repository = to.repository(rendered.unit.repository)
    if there := lookup_staged(rendered, Digest(staged.digest), to):
        return replace(staged, durations=there.durations, built=there.built, emulated=there.emulated)
    push_artifact(
        staged.dumps().encode(),
        artifact_type=STAGED_TYPE,
        registry=to.registry,
        repository=repository,
        tag=staged_tag(staged.build_id, Digest(staged.digest)),
    )
    return staged


def lookup_staged(rendered: RenderedUnit, digest: Digest, to: Destination) -> StagedUnit | None:
    """The document beside an image, None when there is none or it says nothing of this image and build.

    Raises StagedInvalid, RegistryTrouble.
    """
    repository = to.repository(rendered.unit.repository)
    tag = staged_tag(rendered.build_id, digest)
    document = fetch_artifact(registry=to.registry, repository=repository, selector=tag)
    if document is None:
        return None
    staged = StagedUnit.loads(document, name=to.reference(rendered.unit.repository, tag))
    about = (staged.identifier, staged.build_id, staged.digest)
    return staged if about == (rendered.unit.identifier, rendered.build_id, digest) else None


def ensure_fits(staged: StagedUnit, rendered: RenderedUnit, to: Destination, *, name: str) -> None:
    """Raises StagedInvalid for a document of another registry or of other inputs than the catalog's now.

    `name` is for messages.
    """
    if staged.destination != to.place:
        raise StagedInvalid(
            f"{name}: {staged.identifier} was staged to {staged.destination}, not to {to.place}",
            remedy=f"Publish there: --registry {staged.destination}; or stage it here.",
        )
    if staged.build_id != rendered.build_id:
        changed = ", ".join(changed_inputs(rendered, staged.inputs)) or "its build id"
        raise StagedInvalid(
            f"{name}: {staged.identifier} was staged from other sources than these: {changed}",
            remedy="Stage and publish the same commit, with the same images.lock: make stage IMAGES="
            f"{staged.identifier}",
        )


@dataclass(frozen=True, kw_only=True)
class Gatherer:
    """`finish` finds what a job that built said of a unit; conforms to staging.Finish.

    `given` are the documents that were handed over, by identifier, which fit; `known` the images of the
    newest record, by identifier and digest. `total` is how many units there are.
    """

    given: Mapping[str, StagedUnit]
    known: Mapping[tuple[str, str], PublishedImage]
    workshop: Workshop
    to: Destination
    total: int
    report: Reporter

    def finish(self, planned: PlannedUnit, number: int) -> Finished:
        """Raises NotStaged, Conflict when another image than the staged one stands under the `b-` tag, and
        what verifying raises."""
        watch = Watch(planned.identifier, report=self.report, number=number, total=self.total)
        watch.tell(Kind.STARTED, "looking for its staged image")
        try:
            finished = self._found(planned, watch)
        except ToolkitError as error:
            watch.failed(error)
            raise
        watch.tell(Kind.FINISHED, finished.image.digest)
        return finished

    def _found(self, planned: PlannedUnit, watch: Watch) -> Finished:
        reference = self.to.reference(planned.rendered.unit.repository, planned.build_tag)
        if planned.published is None:
            raise NotStaged(
                f"{planned.identifier} is not staged: nothing is under {reference} ({planned.why})",
                remedy="See the log of the job that was to build it, mend that, and stage it again: "
                f"make stage IMAGES={planned.identifier}",
            )
        given = self.given.get(planned.identifier)
        if given and given.digest != planned.published.digest:
            raise Conflict(
                f"{planned.identifier} was staged as {given.digest}, but {reference} names "
                f"{planned.published.digest}",
                remedy="Another job staged it again after this one: publish with that one's file, or "
                f"stage it again: make stage IMAGES={planned.identifier}",
            )
        if given:
            return _finished(given, planned.rendered)
        if known := self.known.get((planned.identifier, planned.published.digest)):
            return _recorded(known, planned.rendered, planned.published)
        return self._beside_the_image(planned, planned.published, watch)

    def _beside_the_image(self, planned: PlannedUnit, image: Descriptor, watch: Watch) -> Finished:
        """By the document in the repository; where it is lost, by reading the image."""
        try:
            if staged := lookup_staged(planned.rendered, image.digest, self.to):
                return _finished(staged, planned.rendered)
        except StagedInvalid as error:
            watch.tell(Kind.NOTE, f"{error.message}; the image is verified anew")
        source = self.to.images(self.to.repository(planned.rendered.unit.repository))
        with watch.timed("read back"):
            found = check(source, planned.rendered, self.workshop, watch, selector=image.digest)
        return Finished(
            rendered=planned.rendered, image=image, verification=found, durations=dict(watch.durations)
        )


def _finished(staged: StagedUnit, rendered: RenderedUnit) -> Finished:
    return Finished(
        rendered=rendered,
        image=staged.image,
        verification=_verification(staged, Platform.parse(staged.platform), staged.elf_files),
        durations=staged.durations,
        built=staged.built,
        emulated=staged.emulated,
    )


def _recorded(known: PublishedImage, rendered: RenderedUnit, image: Descriptor) -> Finished:
    platform = Platform("linux", known.architecture, known.variant)
    return Finished(
        rendered=rendered,
        image=image,
        verification=_verification(known, platform),
        durations=known.durations,
        emulated=known.emulated,
    )


def _verification(known: StagedUnit | PublishedImage, platform: Platform, elf_files: int = 0) -> Verification:
    """What was found out before, as far as a record tells it."""
    return Verification(
        digest=Digest(known.digest),
        platform=platform,
        media_type=known.media_type,
        checks=tuple(Check(name=name, ok=True, detail=result) for name, result in known.verification.items()),
        size=known.size,
        unpacked_size=known.unpacked_size,
        elf_files=elf_files,
        packages=tuple(
            InstalledPackage(kind=PackageKind(each.kind), name=each.name, version=each.version)
            for each in known.packages
        ),
        entrypoint=known.entrypoint,
        ports=known.ports,
    )
