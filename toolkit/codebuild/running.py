"""Batches, one after another: each is started, and followed until it has ended."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from toolkit.codebuild.batch import PUBLISH, Batch
from toolkit.errors import BuildFailed
from toolkit.progress import Event, Kind, Reporter

SUCCEEDED = "SUCCEEDED"
_GOING_ON = frozenset({"", "IN_PROGRESS"})
_POLL = 20.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """A batch that was started. `builds` are the states of its builds by identifier, "" before they begin.

    States are CodeBuild's: IN_PROGRESS, SUCCEEDED, FAILED, FAULT, TIMED_OUT, STOPPED. `reason` is what it
    says of the batch as a whole.
    """

    name: str
    state: str
    builds: tuple[tuple[str, str], ...] = ()
    reason: str = ""


class BatchService(Protocol):
    """CodeBuild. Every method raises DeploymentFailed for what AWS refuses."""

    def start(self, text: str) -> Run:
        """Start a batch with this buildspec."""
        ...

    def get_run(self, name: str) -> Run: ...

    def pause(self, seconds: float) -> None: ...


def run(
    batches: Sequence[Batch],
    service: BatchService,
    report: Reporter,
    *,
    patience: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run all of them, also when one fails. `patience`, in seconds, is that for each.

    Raises BuildFailed with what failed, or when one has not ended in time: it goes on then, and the
    next is not begun.
    """
    failed: list[str] = []
    for number, batch in enumerate(batches, start=1):
        started = service.start(batch.text)
        event = partial(Event, subject=started.name, number=number, total=len(batches))
        report(event(kind=Kind.STARTED, text=f"started: {len(batch.units)} units and their lists"))
        began = clock()
        ended = _followed(started, batch, service, report, patience=patience, clock=clock)
        elapsed = clock() - began
        if faults := _faults(ended):
            failed.append(f"{ended.name}: {', '.join(faults)}")
            report(event(kind=Kind.FAILED, text=faults[0], elapsed=elapsed))
        else:
            report(event(kind=Kind.FINISHED, elapsed=elapsed))
    if failed:
        lines = "\n  ".join(failed)
        raise BuildFailed(
            f"{len(failed)} of {len(batches)} batches failed:\n  {lines}",
            remedy="The log of each build says why. Lists that were complete are published; run this again "
            "for the rest: what was built is not built again.",
        )


def _followed(
    started: Run,
    batch: Batch,
    service: BatchService,
    report: Reporter,
    *,
    patience: float,
    clock: Callable[[], float],
) -> Run:
    began, said = clock(), dict.fromkeys((each.identifier for each in batch.builds), "")
    names = {each.identifier: each.variables["IMAGES"] for each in batch.units}
    current = started
    while current.state in _GOING_ON:
        if clock() - began > patience:
            raise BuildFailed(
                f"batch {started.name} has not ended after {patience:.0f} s; it goes on",
                remedy="Run this again when it has ended: what is there by then is not built again.",
            )
        service.pause(_POLL)
        current = service.get_run(started.name)
        for identifier, state in current.builds:
            if state and state != said.get(identifier):
                said[identifier] = state
                subject = names.get(identifier, identifier)
                report(Event(kind=_kind(state), subject=subject, text=state, elapsed=clock() - began))
    return current


def _kind(state: str) -> Kind:
    if state in _GOING_ON:
        return Kind.STAGE
    return Kind.FINISHED if state == SUCCEEDED else Kind.FAILED


def _faults(ended: Run) -> list[str]:
    """What a batch that published everything has none of."""
    states = dict(ended.builds)
    # A unit's build may fail without failing the batch; publishing may not, and neither may it be left out.
    if ended.state == SUCCEEDED and states.get(PUBLISH) == SUCCEEDED:
        return []
    builds = [f"{name} {state or 'was not begun'}" for name, state in ended.builds if state != SUCCEEDED]
    return [f"{ended.state}{f' ({ended.reason})' if ended.reason else ''}", *builds]
