"""Where the time of a release went, heard from its events: by stage, summed over what ran side by side."""

import re
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from toolkit.progress import Event, Kind, Reporter

# By how an event's text begins; the first that fits. What is known of no stage counts for the one before.
_STAGES = (
    ("fetch", r"fetching downloads"),
    ("install", r"packages \d"),
    ("copy", r"stage-\d+ \d|\S+ \d+/\d+ "),
    ("export", r"exporting|sending tarball"),
    ("compress", r"compressing layers"),
    ("verify", r"verifying the layout"),
    ("publish", r"publishing"),
    ("read back", r"verifying what the registry holds"),
)
_BASE = "base "
_ENDS = (Kind.FINISHED, Kind.FAILED)


@dataclass(kw_only=True)
class Spent:
    """Hears a release; `clock` gives seconds. Units run side by side, so the sum is more than the clock's."""

    clock: Callable[[], float]
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _longest: dict[str, tuple[float, str]] = field(default_factory=dict)
    _at: dict[str, tuple[str, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def listening(self, report: Reporter) -> Reporter:
        """The same, heard."""

        def hear(event: Event) -> None:
            with self._lock:
                self._hear(event)
            report(event)

        return hear

    def add(self, stage: str, seconds: float, subject: str = "") -> None:
        self.stages[stage] += seconds
        self._longest[stage] = max(self._longest.get(stage, (0.0, "")), (seconds, subject))

    @property
    def text(self) -> str:
        """`time by stage, …: install 62 s, export 51 s; the longest stage is install, 40 s of IDENTIFIER`."""
        told = {stage: seconds for stage, seconds in self.stages.items() if seconds >= 0.05}
        if not told:
            return ""
        most = max(told, key=lambda stage: told[stage])
        seconds, subject = self._longest[most]
        of = f" of {subject}" if subject else ""
        listed = ", ".join(f"{stage} {_shown(told[stage])}" for stage in told)
        return (
            f"time by stage, units side by side: {listed}; the longest stage is {most}, {_shown(seconds)}{of}"
        )

    def _hear(self, event: Event) -> None:
        now, subject = self.clock(), event.subject
        if not subject or event.kind in (Kind.NOTE, Kind.WARNING):
            return
        stage, since = self._at.pop(subject, ("", now))
        if stage:
            self.add(stage, now - since, subject)
        if event.kind not in _ENDS:
            self._at[subject] = (self._stage_of(event) or stage, now)

    def _stage_of(self, event: Event) -> str:
        if event.subject.startswith(_BASE):
            return "bases"
        return next((name for name, pattern in _STAGES if re.match(pattern, event.text)), "")


def _shown(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
