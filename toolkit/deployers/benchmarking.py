"""Running a benchmark: what is missing is sent, the jobs are followed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from toolkit.deployers.calls import Call
from toolkit.deployers.recommender import (
    Benchmark,
    ModelMetadata,
    Subject,
    get_named_model,
    group,
    job,
    job_name,
    nearest_model,
    package,
)
from toolkit.deployers.sagemaker import SERVICE
from toolkit.deployers.waiting import pauses
from toolkit.errors import DeploymentFailed, ToolkitError
from toolkit.hardware import get_instance_type
from toolkit.oci import Architecture
from toolkit.progress import Event, Kind, Reporter


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One instance type under load. Costs are US dollars; `invocations` are those of a minute at most;
    `latency` is milliseconds by AWS's guide; the rest is percent. None: the service does not say."""

    instance_type: str
    count: int = 1
    cost_per_hour: float | None = None
    cost_per_inference: float | None = None
    invocations: int | None = None
    latency: int | None = None
    cpu: float | None = None
    memory: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def architecture(self) -> Architecture:
        return get_instance_type(self.instance_type).architecture

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "architecture": self.architecture.value}


@dataclass(frozen=True, kw_only=True)
class Job:
    """`status` is SageMaker's: PENDING, IN_PROGRESS, COMPLETED, FAILED …"""

    name: str
    status: str
    reason: str = ""
    measurements: tuple[Measurement, ...] = ()


class Recommender(Protocol):
    """The service. Every method raises DeploymentFailed for what AWS refuses."""

    def model_metadata(self) -> tuple[ModelMetadata, ...]: ...

    def is_there(self, call: Call) -> bool: ...

    def answer(self, call: Call) -> Mapping[str, Any]:
        """Send it; the service's answer."""
        ...

    def lookup_job(self, name: str) -> Job | None: ...

    def pause(self, seconds: float) -> None: ...


_GOING_ON = frozenset({"PENDING", "IN_PROGRESS", "STOPPING", "DELETING"})
_POLL = 30.0


def measure(
    benchmark: Benchmark,
    uploads: Sequence[Call],
    service: Recommender,
    report: Reporter,
    *,
    patience: float,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Job, ...]:
    """Every job once it has ended, also those that failed. A job that is there is followed, not paid again.

    Raises DeploymentRefused for a model that was never benchmarked, and DeploymentFailed when a request
    is refused or `patience`, in seconds, is over; jobs that were started go on then.
    """
    names = [job_name(benchmark, subject) for subject in benchmark.subjects]
    missing = [
        subject
        for subject, name in zip(benchmark.subjects, names, strict=True)
        if service.lookup_job(name) is None
    ]
    if missing:
        benchmark = _with_nearest(benchmark, service, report)
        for call in (*uploads, group(benchmark)):
            if not service.is_there(call):
                _tell(report, benchmark, call.operation)
                service.answer(call)
    for subject in missing:
        _start(benchmark, subject, service, report)
    return _followed(benchmark, names, service, report, patience=patience, clock=clock)


def _with_nearest(benchmark: Benchmark, service: Recommender, report: Reporter) -> Benchmark:
    rows = service.model_metadata()
    if benchmark.nearest:
        get_named_model(benchmark.nearest, rows)
        return benchmark
    found = nearest_model(benchmark, rows)
    if found is None:
        _tell(report, benchmark, f"the service has benchmarked no model of {benchmark.domain}: none is named")
        return benchmark
    what = f"{found.name} ({found.task}, {found.framework} {found.version})"
    _tell(report, benchmark, f"nearest of {len(rows)} benchmarked models: {what}")
    return replace(benchmark, nearest=found.name)


def _start(benchmark: Benchmark, subject: Subject, service: Recommender, report: Reporter) -> None:
    """A package whose job does not start is removed again."""
    arn = str(service.answer(package(benchmark, subject))["ModelPackageArn"])
    call = job(benchmark, subject, arn)
    _tell(report, benchmark, f"{call.request['JobType']} job {call.request['JobName']}")
    try:
        service.answer(call)
    except ToolkitError:
        request = {"ModelPackageName": arn}
        service.answer(Call(service=SERVICE, operation="DeleteModelPackage", request=request))
        raise


def _followed(
    benchmark: Benchmark,
    names: Sequence[str],
    service: Recommender,
    report: Reporter,
    *,
    patience: float,
    clock: Callable[[], float],
) -> tuple[Job, ...]:
    started, said = clock(), ""
    waits = pauses(_POLL)
    while True:
        jobs = [service.lookup_job(name) or Job(name=name, status="DELETED") for name in names]
        elapsed = clock() - started
        words = ", ".join(f"{each.name}: {each.status}" for each in jobs)
        if words != said:
            said = words
            _tell(report, benchmark, words, elapsed)
        if not any(each.status in _GOING_ON for each in jobs):
            return tuple(jobs)
        if elapsed > patience:
            raise DeploymentFailed(
                f"after {elapsed:.0f} s not every job has ended: {words}",
                remedy="Run this again to follow them further.",
            )
        service.pause(next(waits))


def _tell(report: Reporter, benchmark: Benchmark, text: str, elapsed: float = 0.0) -> None:
    report(Event(kind=Kind.STAGE, subject=benchmark.of.name, text=text, elapsed=elapsed))
