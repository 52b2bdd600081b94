"""The steps of earlier builds, kept in a registry: what a machine that never built an image starts from.

It may help and never harm. What cannot be read or written is told once, and the release goes on without it.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from toolkit import tags
from toolkit.adapters.children import interrupt_naming
from toolkit.build import Builder, BuildRequest, NodeLost, OnStage
from toolkit.errors import BuildFailed
from toolkit.units import BuildUnit


def cache_source(reference: str) -> dict[str, str]:
    """What `--cache-from` takes."""
    return {"type": "registry", "ref": reference}


def cache_target(reference: str) -> dict[str, str]:
    """What `--cache-to` takes: the steps of all stages, as an image's manifest, without which ECR answers
    400 (aws/containers-roadmap#876).

    The compression is the exporter's (`buildx.exporter`), so that layers of the image are sent as they were
    made for it; others would be compressed by one core's gzip. A failed export is no failed build: https://github.com/moby/buildkit#registry-push-image-and-cache-separately
    """
    return {
        "type": "registry",
        "ref": reference,
        "mode": "max",
        "image-manifest": "true",
        "oci-mediatypes": "true",
        "compression": "zstd",
        "compression-level": "1",
        "force-compression": "true",
        "ignore-error": "true",
    }


@dataclass(kw_only=True)
class StepCache:
    """`repository` is HOST[:PORT]/NAME. After the first trouble, which `warn` is told, it is left alone."""

    repository: str
    warn: Callable[[str], None]
    _left: bool = False
    _deciding: threading.Lock = field(default_factory=threading.Lock)

    def reference(self, unit: BuildUnit) -> str:
        """Where the steps of a unit are; "" when the cache is left alone."""
        return "" if self._left else f"{self.repository}:{tags.cache_tag(unit.identifier)}"

    def leave(self, trouble: str) -> None:
        with self._deciding:
            if self._left:
                return
            self._left = True
        remedy = next((text for sign, text in _REMEDIES if re.search(sign, trouble, re.IGNORECASE)), "")
        self.warn(f"the build cache {self.repository} is left alone from here on: {trouble}{remedy}")


# The first row that fits: registries tell whom they do not know that something may not exist.
_REMEDIES = (
    (
        r"denied|unauthorized|authorization|forbidden|no basic auth",
        ". Whoever releases must be allowed to read and write it: `toolkit ecr policy` prints what AWS wants",
    ),
    (r"not found|does not exist|name unknown", ". On Amazon ECR `toolkit ecr ensure` makes its repository"),
)


# How many seconds a registry may say nothing while a build waits for it: BuildKit itself waits for ever
# (https://github.com/moby/buildkit/blob/v0.13.2/util/resolver/resolver.go has no time-out for answers), and
# says nothing while it sends a layer. At 4 MB/s that is 2.4 GB.
PATIENCE = 600.0
_LOOK_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class CachingBuilder:
    """Builds by `inner` with the steps that `cache` has, and writes there what came to be.

    A build that waits for the cache for more than `patience` seconds is ended and made without it.
    """

    inner: Builder
    cache: StepCache
    patience: float = PATIENCE

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        """Raises what `inner` raises, for what fails without the cache too."""
        reference = self.cache.reference(request.rendered.unit)
        if not reference:
            self.inner.build(request, on_stage=on_stage)
            return
        try:
            with self._watched(request.log, reference) as stalled:
                self.inner.build(replace(request, step_cache=reference), on_stage=on_stage)
        except NodeLost:
            raise
        except BuildFailed as failed:
            if not stalled.is_set() and not may_have_harmed(_lines(request.log)):
                raise
            on_stage("building without the registry's cache")
            self.inner.build(request, on_stage=on_stage)
            said_nothing = f"its registry said nothing for {self.patience:.0f} s"
            self.cache.leave(said_nothing if stalled.is_set() else failed.message.partition("\n")[0])
        else:
            if trouble := trouble_of(_lines(request.log)):
                self.cache.leave(trouble)

    @contextmanager
    def _watched(self, log: Path, reference: str) -> Iterator[threading.Event]:
        """Ends the build in the block when it waits for the cache too long; the event says that it did."""
        stalled, over = threading.Event(), threading.Event()

        def watch() -> None:
            seen, since = (0, 0), time.monotonic()
            while not over.wait(min(_LOOK_SECONDS, self.patience)):
                now = _size(log)
                if now != seen or not waits_for_cache(_lines(log)):
                    seen, since = now, time.monotonic()
                elif time.monotonic() - since >= self.patience:
                    stalled.set()
                    interrupt_naming(reference)
                    return

        watcher = threading.Thread(target=watch, daemon=True, name="step cache")
        watcher.start()
        try:
            yield stalled
        finally:
            over.set()
            watcher.join()


_CONFORMS: type[Builder] = CachingBuilder

_BEGAN = re.compile(r"^#(?P<step>\d+) (?P<what>importing cache manifest|exporting cache)\b")
_ERROR = re.compile(r"^#(?P<step>\d+) ERROR: (?P<text>.+)$")
_ENDED = re.compile(r"^#(?P<step>\d+) (?:DONE|ERROR|CANCELED)\b")
_PROGRAM = 'process "'
# A unit that is built for the first time has no cache yet: containerd's words for 404.
_ABSENT = re.compile(r"^failed to configure registry cache importer: \S+: not found$")


def may_have_harmed(log: Iterable[str]) -> bool:
    """Whether a build that failed took steps from the cache, and no program of its own is what failed.

    BuildKit fetches a cached layer when it needs it, and fails when it is gone by then.
    """
    read: set[str] = set()
    for line in log:
        if (began := _BEGAN.match(line)) and began["what"].startswith("importing"):
            read.add(began["step"])
        elif error := _ERROR.match(line):
            if error["text"].startswith(_PROGRAM):
                return False
            read.discard(error["step"])
    return bool(read)


def trouble_of(log: Iterable[str]) -> str:
    """What kept a cache from being read or written, "" when nothing did."""
    steps: set[str] = set()
    for line in log:
        if began := _BEGAN.match(line):
            steps.add(began["step"])
        elif (error := _ERROR.match(line)) and error["step"] in steps and not _ABSENT.match(error["text"]):
            return error["text"]
    return ""


def waits_for_cache(log: Iterable[str]) -> bool:
    """Whether the last that a build said is that it reads or writes the cache."""
    open_steps: set[str] = set()
    for line in log:
        if began := _BEGAN.match(line):
            open_steps.add(began["step"])
        elif ended := _ENDED.match(line):
            open_steps.discard(ended["step"])
    return bool(open_steps)


def _size(log: Path) -> tuple[int, int]:
    """Changes when the log is written to or begun anew."""
    try:
        found = log.stat()
    except FileNotFoundError:
        return (0, 0)
    return (found.st_ino, found.st_size)


def _lines(log: Path) -> tuple[str, ...]:
    return tuple(log.read_text(errors="replace").splitlines()) if log.is_file() else ()
