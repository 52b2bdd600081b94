"""Rendered unit → verified layout on disk: build, then prove, before anything is published."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolkit.build import Builder, BuildRequest
from toolkit.contracts import contract_of
from toolkit.errors import NeedNotMet, ToolkitError, VerificationFailed
from toolkit.oci import Manifest
from toolkit.progress import Event, Kind, Reporter
from toolkit.render import RenderedUnit
from toolkit.units import BuildUnit
from toolkit.verify import ImageSource, ScanCache, Verification, verify_image

# How the name of a layout begins that is being written.
UNFINISHED = ".unfinished-"


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What building takes beyond files: a builder, and whether a unit that it built ran programs of a foreign
    architecture."""

    builder: Builder
    emulates: Callable[[RenderedUnit], bool]


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Where units are built and verified.

    `tools` is asked for at the first build only, so that nothing to build needs no engine;
    `base_layout` says where a unit's base lies, `layout` opens a finished layout; `fetch` brings a unit's
    downloads and says in which directory they are, None for a unit without any.
    """

    tools: Callable[[], Tools]
    base_layout: Callable[[BuildUnit], str | None]
    layout: Callable[[Path], ImageSource]
    layouts: Path
    logs: Path
    scans: ScanCache
    fetch: Callable[[RenderedUnit], Path | None] = lambda _: None
    revision: str = ""
    source: str = ""
    cold: bool = False

    def emulates(self, rendered: RenderedUnit) -> bool:
        """Whether building it, which was done, ran programs that the machine does not run natively."""
        return self.tools().emulates(rendered)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A verified image in a layout on disk."""

    layout: Path
    source: ImageSource
    manifest: Manifest
    verification: Verification


class Watch:
    """Times the steps of one unit and tells about them."""

    def __init__(self, subject: str, *, report: Reporter, number: int, total: int) -> None:
        self._subject = subject
        self._number = number
        self._total = total
        self._report = report
        self._started = time.monotonic()
        self.durations: dict[str, float] = {}

    def tell(self, kind: Kind, text: str) -> None:
        self._report(
            Event(
                kind=kind,
                subject=self._subject,
                text=text,
                elapsed=time.monotonic() - self._started,
                number=self._number,
                total=self._total,
            )
        )

    def failed(self, error: ToolkitError) -> None:
        """The first line of what went wrong; the end of the run tells the whole."""
        first = error.message.partition("\n")[0]
        self.tell(Kind.FAILED, first.removeprefix(f"{self._subject} ").removeprefix(f"{self._subject}: "))

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.durations[step] = round(time.monotonic() - started, 2)


def make(rendered: RenderedUnit, workshop: Workshop, watch: Watch) -> Made:
    """Build one unit and verify what came out. Raises BuildFailed, VerificationFailed, NeedNotMet."""
    unit = rendered.unit
    # Where nobody else writes: a docker client whose toolkit was killed may still be at work.
    fresh = workshop.layouts / f"{UNFINISHED}{os.getpid()}-{unit.identifier}"
    downloads = None
    if rendered.downloads:
        watch.tell(Kind.STAGE, f"fetching downloads: {len(rendered.downloads)}")
        with watch.timed("download"), _disk_trouble(unit.identifier):
            downloads = workshop.fetch(rendered)
    request = BuildRequest(
        rendered=rendered,
        base_layout=workshop.base_layout(unit),
        layout=fresh,
        log=workshop.logs / f"{unit.identifier}.log",
        revision=workshop.revision,
        source=workshop.source,
        downloads=downloads,
        cold=workshop.cold,
    )
    told: set[str] = set()

    def tell(stage: str) -> None:
        """Once: Buildx says a step again whenever another one spoke in between."""
        if stage not in told:
            told.add(stage)
            watch.tell(Kind.STAGE, stage)

    with watch.timed("build"), _disk_trouble(unit.identifier):
        workshop.tools().builder.build(request, on_stage=tell)
        layout = workshop.layouts / unit.identifier
        shutil.rmtree(layout, ignore_errors=True)
        fresh.rename(layout)
    return _proved(rendered, workshop, watch)


def reopen(rendered: RenderedUnit, digest: str, workshop: Workshop, watch: Watch) -> Made | None:
    """The layout that was made before and is the image `digest` to the last byte; None when it is not."""
    try:
        made = _proved(rendered, workshop, watch)
        if made.manifest.digest != digest:
            raise VerificationFailed(f"it is {made.manifest.digest}")
        # Layers that were scanned once are not read again to verify them: here they are.
        for blob in (made.manifest.config, *made.manifest.layers):
            with made.source.open_blob(blob) as content:
                while content.read(1 << 20):
                    pass
    except ToolkitError as error:
        watch.tell(Kind.NOTE, f"its layout is not what was verified, it is built again: {error.message}")
        return None
    return made


def _proved(rendered: RenderedUnit, workshop: Workshop, watch: Watch) -> Made:
    layout = workshop.layouts / rendered.unit.identifier
    source = workshop.layout(layout)
    with watch.timed("verify"):
        verification = check(source, rendered, workshop, watch)
    manifest = source.get_manifest(verification.digest)
    assert isinstance(manifest, Manifest)
    return Made(layout=layout, source=source, manifest=manifest, verification=verification)


@contextmanager
def _disk_trouble(identifier: str) -> Iterator[None]:
    """A full disk fails the unit that meets it: what the others need may be there already."""
    try:
        yield
    except OSError as error:
        raise NeedNotMet(
            f"{identifier}: {error.strerror or error}: {error.filename or 'the layout or its log'}",
            remedy="Look at the disk and who may write there; `make clean`, `docker buildx prune` free some.",
        ) from error


def check(
    source: ImageSource, rendered: RenderedUnit, workshop: Workshop, watch: Watch, selector: str = ""
) -> Verification:
    """Verify one image of `source` as the unit it should be. Raises VerificationFailed."""
    unit = rendered.unit
    watch.tell(Kind.STAGE, "verifying what the registry holds" if selector else "verifying the layout")
    manifest = source.get_manifest(selector)
    if not isinstance(manifest, Manifest):
        raise VerificationFailed(
            f"{unit.identifier}: an index stands in {source.name} where one image was expected",
            remedy="The builder added an attestation; report this with the log.",
        )
    verification = verify_image(
        source,
        manifest,
        platform=unit.platform,
        contract=contract_of(unit.consumer),
        foreign_elf=unit.image.foreign_elf,
        scans=workshop.scans,
    )
    if not verification.ok:
        image = f"{source.name}@{selector}" if selector else source.name
        raise VerificationFailed(
            f"{unit.identifier}: {'; '.join(check.sentence for check in verification.failures)}",
            remedy="No name that people pull was moved. Look at it: "
            f"toolkit verify {image} --consumer {unit.consumer}",
        )
    return verification


def build_only(
    rendered: Sequence[RenderedUnit], *, workshop: Workshop, jobs: int, report: Reporter
) -> Mapping[str, ToolkitError]:
    """Make every unit's verified layout; the failures by identifier. One failing stops no other."""
    failures: dict[str, ToolkitError] = {}

    def one(number: int, each: RenderedUnit) -> None:
        watch = Watch(each.unit.identifier, report=report, number=number, total=len(rendered))
        watch.tell(Kind.STARTED, "building")
        try:
            made = make(each, workshop, watch)
        except ToolkitError as error:
            failures[each.unit.identifier] = error
            watch.failed(error)
        else:
            watch.tell(Kind.FINISHED, f"{made.manifest.digest} in {made.layout}")

    pool = ThreadPoolExecutor(jobs, thread_name_prefix="unit")
    try:
        list(pool.map(one, range(1, len(rendered) + 1), rendered))
    finally:  # an interrupt does not wait for builds
        pool.shutdown(wait=False, cancel_futures=True)
    return failures
