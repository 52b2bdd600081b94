"""A release on many machines, on paper: how long it would take, and which limit it would meet first. Pure.

Nothing is planned here for anybody to follow: it is what CodeBuild or a Buildx builder with nodes do by
themselves. Units begin in their order, each on the first node of its platform that is free; when those of a
batch are staged, one job publishes their lists; then the next batch begins.
"""

import heapq
import math
import statistics
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolkit.errors import UsageError
from toolkit.oci import Architecture
from toolkit.quotas import ECR_RATES, Api
from toolkit.record import PublishedImage

# Until CodeBuild runs a build's first command: "provisioning times exceed 90 seconds per run",
# https://github.com/aws/aws-codebuild-docker-images/issues/526; 180 to 190 for Arm in one region, …/793.
PROVISION_SECONDS = 90.0

# `toolkit publish` with a registry on the same machine: docs/scale.md. Each list is settled after the other.
LIST_SECONDS = 0.4

# What `toolkit stage` asks for one unit, and `toolkit publish` once, for each list and for each unit of it,
# when all of them had been published before and have changed. Blobs of the image come on top.
STAGE: Mapping[Api, int] = {
    Api.READ_MANIFEST: 12,
    Api.PUT_MANIFEST: 2,
    Api.FIND_BLOB: 2,
    Api.READ_BLOB: 3,
    Api.START_UPLOAD: 2,
    Api.END_UPLOAD: 2,
}
STAGE_SIBLING: Mapping[Api, int] = {Api.READ_MANIFEST: 1}
BLOB: Mapping[Api, int] = {Api.FIND_BLOB: 1, Api.START_UPLOAD: 1, Api.END_UPLOAD: 1}
PUBLISH: Mapping[Api, int] = {
    Api.READ_MANIFEST: 7,
    Api.PUT_MANIFEST: 2,
    Api.FIND_BLOB: 2,
    Api.READ_BLOB: 1,
    Api.START_UPLOAD: 2,
    Api.END_UPLOAD: 2,
}
PUBLISH_LIST: Mapping[Api, int] = {Api.READ_MANIFEST: 8, Api.PUT_MANIFEST: 1}
PUBLISH_UNIT: Mapping[Api, int] = {Api.READ_MANIFEST: 9, Api.PUT_MANIFEST: 1, Api.READ_BLOB: 1}

Requests = dict[Api, int]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A unit that is to be staged. `seconds` are those of its last build with all that follows; `assumed`
    when no record has it. `blobs` are its layers and its configuration; `group` is its list."""

    identifier: str
    architecture: Architecture
    seconds: float
    blobs: int
    group: tuple[str, ...]
    assumed: bool = False


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A unit that is to be timed: what `Job` needs besides its time."""

    identifier: str
    framework: str
    architecture: Architecture
    blobs: int
    group: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Machines, and how many units. `nodes` take any platform; where there are none, `own` has those of each.

    `units` of 0 are as many as there are. `provision` are the seconds until a node begins with a unit, and a
    `batch` has so many units at most, 0 without end.
    """

    nodes: int = 0
    own: tuple[tuple[Architecture, int], ...] = ()
    jobs: int = 1
    units: int = 0
    provision: float = PROVISION_SECONDS
    batch: int = 0

    @property
    def machines(self) -> str:
        """How many, of what, and what is not as usual about them."""
        nodes = "+".join(f"{count} {each}" for each, count in self.own) or str(self.nodes)
        jobs = f" x {self.jobs}" if self.jobs > 1 else ""
        batch = f", batches of {self.batch}" if self.batch else ""
        return f"{nodes}{jobs}{batch}"

    def pool(self, architecture: Architecture) -> str:
        return architecture.value if self.own else ""

    @property
    def pools(self) -> Mapping[str, int]:
        """Slots by what `pool` says."""
        if not self.own:
            return {"": self.nodes * self.jobs}
        return {architecture.value: count * self.jobs for architecture, count in self.own}

    @classmethod
    def parse(cls, text: str) -> "Scenario":
        """`nodes=50` or `amd64=30,arm64=20`, and `jobs`, `units`, `provision`, `batch`. Raises UsageError."""
        values: dict[str, int] = {}
        for part in text.split(","):
            key, _, number = part.strip().partition("=")
            known = key in ("nodes", *_NUMBERS) or key in tuple(Architecture)
            least = 0 if key in ("provision", "batch") else 1
            if not known or key in values or not number.isdecimal() or not least <= int(number) <= _MOST:
                raise _misspelled(text, part)
            values[key] = int(number)
        own = tuple((each, values.pop(each.value)) for each in Architecture if each.value in values)
        if bool(own) == ("nodes" in values):
            raise _misspelled(text, text)
        return cls(own=own, **values)


_NUMBERS = ("jobs", "units", "provision", "batch")
_MOST = 1_000_000


def _misspelled(text: str, part: str) -> UsageError:
    return UsageError(
        f"--simulate {text}: {part.strip()!r} cannot be simulated",
        remedy="Write nodes=50 or amd64=30,arm64=20, with any of jobs=2, units=10000, batch=98 and "
        "provision=90 (seconds) behind it.",
    )


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a release cannot be quicker than, in seconds, and why."""

    name: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """Seconds and counts. `bounds` are those of the makespan, the largest first; `requests` those to the
    registry. `billed` are minutes as CodeBuild counts them, each build's rounded up."""

    scenario: Scenario
    units: int
    lists: int
    assumed: int
    batches: int
    makespan: float
    publishing: float
    machine_seconds: float
    billed_minutes: int
    requests: Mapping[Api, int]
    bounds: tuple[Bound, ...]

    @property
    def lower_bound(self) -> float:
        return self.bounds[0].seconds

    def to_json(self) -> dict[str, Any]:
        return {
            "nodes": self.scenario.nodes or {each.value: count for each, count in self.scenario.own},
            "jobs": self.scenario.jobs,
            "provision_seconds": self.scenario.provision,
            "batch": self.scenario.batch,
            "units": self.units,
            "lists": self.lists,
            "assumed": self.assumed,
            "batches": self.batches,
            "makespan_seconds": round(self.makespan, 1),
            "publishing_seconds": round(self.publishing, 1),
            "lower_bound_seconds": round(self.lower_bound, 1),
            "machine_minutes": round(self.machine_seconds / 60, 1),
            "billed_minutes": self.billed_minutes,
            "requests": {api.value: count for api, count in self.requests.items()},
            "bounds": {each.name: round(each.seconds, 1) for each in self.bounds},
        }


def timed(wanted: Sequence[Wanted], record: Sequence[PublishedImage]) -> tuple[Job, ...]:
    """Each with the seconds that the record has for it, else with the median of its framework and
    platform, of its platform, or of all. Raises UsageError for a record without any."""
    seconds: dict[tuple[str, ...], list[float]] = {}
    for image in record:
        if image.durations:
            took = sum(image.durations.values())
            architecture = image.architecture
            for key in ((image.identifier,), (image.framework, architecture), ("", architecture), ("", "")):
                seconds.setdefault(key, []).append(took)
    if not seconds:
        raise UsageError(
            "no record says how long builds take",
            remedy="Release something here first, or name a record: --record PATH|ID|REFERENCE",
        )
    medians = {key: statistics.median(found) for key, found in seconds.items()}

    def job(each: Wanted) -> Job:
        keys: tuple[tuple[str, ...], ...] = (
            (each.identifier,),
            (each.framework, each.architecture.value),
            ("", each.architecture.value),
            ("", ""),
        )
        key = next(key for key in keys if key in medians)
        return Job(
            identifier=each.identifier,
            architecture=each.architecture,
            seconds=medians[key],
            blobs=each.blobs,
            group=each.group,
            assumed=key != keys[0],
        )

    return tuple(map(job, wanted))


def repeated(jobs: Sequence[Job], count: int) -> tuple[Job, ...]:
    """`count` units: these again and again, each time as another catalog's. All of them for 0."""
    if not count or not jobs:
        return tuple(jobs)
    return tuple(
        replace(each, identifier=f"{each.identifier}#{turn}", group=(*each.group, str(turn)))
        for turn, each in ((at // len(jobs), jobs[at % len(jobs)]) for at in range(count))
    )


def simulate(
    some: Sequence[Job],
    scenario: Scenario,
    *,
    rates: Mapping[Api, float] = ECR_RATES,
    list_seconds: float = LIST_SECONDS,
) -> Simulation:
    """Raises UsageError when units of a platform have no node."""
    jobs = repeated(some, scenario.units)
    pools = scenario.pools
    if missing := sorted(
        {each.architecture.value for each in jobs if scenario.pool(each.architecture) not in pools}
    ):
        raise UsageError(
            f"there are units for {', '.join(missing)} and no node",
            remedy=f"Add {','.join(f'{each}=1' for each in missing)} to --simulate, or choose other units.",
        )
    now, publishing, requests = 0.0, 0.0, Requests()
    batches = tuple(_batches(jobs, scenario.batch))
    for batch in batches:
        asked = [_staging(each, siblings) for each, siblings in _with_siblings(batch)]
        staged = _staged(batch, scenario, [_least(each, rates) for each in asked])
        lists = len({each.group for each in batch})
        published = _total([(PUBLISH, 1), (PUBLISH_LIST, lists), (PUBLISH_UNIT, len(batch))])
        took = _publishing(published, lists, scenario, rates, list_seconds)
        now, publishing = now + staged + took, publishing + took
        requests = _total([(requests, 1), (published, 1), *((each, 1) for each in asked)])
    works = [scenario.provision + each.seconds for each in jobs]
    machine = [*works, *([publishing / len(batches)] * len(batches) if batches else [])]
    return Simulation(
        scenario=scenario,
        units=len(jobs),
        lists=len({each.group for each in jobs}),
        assumed=sum(each.assumed for each in jobs),
        batches=len(batches),
        makespan=now,
        publishing=publishing,
        machine_seconds=sum(machine),
        billed_minutes=sum(math.ceil(each / 60) for each in machine),
        requests={api: requests[api] for api in Api if api in requests},
        bounds=_bounds(jobs, scenario, publishing, requests, rates),
    )


def list_schedule(seconds: Sequence[float], slots: int) -> float:
    """When the last of them ends, each begun in its order on the slot that is free first (Graham, 1966)."""
    free = [0.0] * slots
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def _staged(jobs: Sequence[Job], scenario: Scenario, quotas: Sequence[float]) -> float:
    """When the last unit is staged. `quotas` are the seconds that the requests of each take of what the
    registry gives to all machines together: so long no other unit ends."""
    waiting: dict[str, deque[tuple[Job, float]]] = {name: deque() for name in scenario.pools}
    for each, asked in zip(jobs, quotas, strict=True):
        waiting[scenario.pool(each.architecture)].append((each, asked))
    running: list[tuple[float, int, float, str]] = []
    begun, end = 0, 0.0

    def begin(pool: str, now: float) -> None:
        nonlocal begun
        if waiting[pool]:
            begun += 1
            job, asked = waiting[pool].popleft()
            heapq.heappush(running, (now + scenario.provision + job.seconds, begun, asked, pool))

    for pool, slots in scenario.pools.items():
        for _ in range(min(slots, len(waiting[pool]))):
            begin(pool, 0.0)
    while running:
        built, _, asked, pool = heapq.heappop(running)
        end = max(built, end + asked)
        begin(pool, end)
    return end


def _publishing(
    requests: Requests, lists: int, scenario: Scenario, rates: Mapping[Api, float], list_seconds: float
) -> float:
    return scenario.provision + max(lists * list_seconds, _least(requests, rates))


def _least(requests: Requests, rates: Mapping[Api, float]) -> float:
    """Seconds that these take at least, if nobody else asks."""
    return max((count / rates[api] for api, count in requests.items() if api in rates), default=0.0)


def _bounds(
    jobs: Sequence[Job],
    scenario: Scenario,
    publishing: float,
    requests: Requests,
    rates: Mapping[Api, float],
) -> tuple[Bound, ...]:
    """Each holds whatever the order of the units. Publishing comes after the nodes' work and the longest."""
    work: dict[str, float] = dict.fromkeys(scenario.pools, 0.0)
    for each in jobs:
        work[scenario.pool(each.architecture)] += scenario.provision + each.seconds
    once = publishing if jobs else 0.0
    found = [
        Bound(name=f"{name} nodes".strip(), seconds=seconds / scenario.pools[name] + once)
        for name, seconds in work.items()
    ]
    longest = max((scenario.provision + each.seconds for each in jobs), default=0.0)
    found.append(Bound(name="longest unit", seconds=longest + once))
    found += [
        Bound(name=api.value, seconds=count / rates[api]) for api, count in requests.items() if api in rates
    ]
    return tuple(sorted(found, key=lambda each: -each.seconds))


def _batches(jobs: Sequence[Job], most: int) -> Iterator[Sequence[Job]]:
    """As `toolkit codebuild batch` fills them: no list is divided."""
    groups: dict[tuple[str, ...], list[Job]] = {}
    for each in jobs:
        groups.setdefault(each.group, []).append(each)
    batch: list[Job] = []
    for group in groups.values():
        if batch and most and len(batch) + len(group) > most:
            yield batch
            batch = []
        batch += group
    if batch:
        yield batch


def _with_siblings(jobs: Sequence[Job]) -> Iterator[tuple[Job, int]]:
    behind: dict[tuple[str, ...], int] = {}
    for each in jobs:
        behind[each.group] = behind.get(each.group, 0) + 1
    for each in jobs:
        yield each, behind[each.group]


def _staging(job: Job, siblings: int) -> Requests:
    return _total([(STAGE, 1), (STAGE_SIBLING, siblings), (BLOB, job.blobs)])


def _total(parts: Sequence[tuple[Mapping[Api, int], int]]) -> Requests:
    found = Requests()
    for requests, times in parts:
        for api, count in requests.items():
            found[api] = found.get(api, 0) + count * times
    return found
