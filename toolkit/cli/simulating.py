"""`toolkit plan --simulate`: what a release of the plan's units would take on many machines."""

import json
import re
from collections.abc import Iterator, Sequence

from toolkit.cli.plan_text import duration_text
from toolkit.errors import UsageError
from toolkit.plan import Action
from toolkit.preview import Preview, PreviewRow
from toolkit.quotas import ECR_RATES
from toolkit.record import ReleaseRecord
from toolkit.simulation import Scenario, Simulation, Wanted, simulate, timed

SCHEMA_VERSION = 1

_HEAD = ("units", "nodes", "makespan", "at least", "bound by", "publishing", "machines", "billed")
_STAGE = re.compile(r"^FROM\b", re.MULTILINE)
_STEP = re.compile(r"^(?:RUN|COPY|ADD)\b", re.MULTILINE)


def simulations(
    preview: Preview, scenarios: Sequence[Scenario], record: ReleaseRecord | None
) -> tuple[Simulation, ...]:
    """For each scenario what the plan builds or, where it says how many units, all that were chosen.

    Raises UsageError when nothing is to be built, when no record says how long builds take, and when a
    platform has no node.
    """
    images = record.home if record else ()
    every = timed([_wanted(row) for row in preview.rows], images)
    building = {row.planned.identifier for row in preview.rows if row.planned.action is Action.BUILD}
    changed = tuple(job for job in every if job.identifier in building)
    if not changed and any(not each.units for each in scenarios):
        raise UsageError(
            "nothing is to be built, so there is nothing to simulate",
            remedy="To simulate a release of all that is chosen: --offline, or units=NUMBER in --simulate.",
        )
    return tuple(simulate(every if each.units else changed, each) for each in scenarios)


def _wanted(row: PreviewRow) -> Wanted:
    unit = row.planned.rendered.unit
    return Wanted(
        identifier=unit.identifier,
        framework=unit.image.framework,
        architecture=unit.architecture,
        blobs=_blobs(row.planned.rendered.dockerfile),
        group=unit.list_key,
    )


def _blobs(dockerfile: str) -> int:
    """The base's layer, one for each step of the last stage, and the configuration."""
    *_, last = _STAGE.split(dockerfile)
    return 2 + len(_STEP.findall(last))


def simulation_lines(found: Sequence[Simulation]) -> Iterator[str]:
    """A table with a row for each scenario; under it what the largest asks of the registry."""
    rows = [_HEAD, *map(_cells, found)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEAD))]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    most = max(found, key=lambda each: each.units)
    yield f"requests to the registry for {most.units} units, and what Amazon ECR needs for them at least:"
    for api, count in most.requests.items():
        rate = ECR_RATES[api]
        yield f"  {api.value:<16}  {count:>8}  {duration_text(count / rate):>8} at {rate:g}/s"
    if assumed := max(each.assumed for each in found):
        yield f"{assumed} of the units are in no record: each takes the median of its framework and platform"


def _cells(found: Simulation) -> tuple[str, ...]:
    return (
        f"{found.units}",
        found.scenario.machines,
        duration_text(found.makespan),
        duration_text(found.lower_bound),
        found.bounds[0].name,
        duration_text(found.publishing),
        f"{found.machine_seconds / 60:.0f} min",
        f"{found.billed_minutes} min",
    )


def simulations_json(found: Sequence[Simulation]) -> str:
    document = {
        "schema_version": SCHEMA_VERSION,
        "rates": {api.value: rate for api, rate in ECR_RATES.items()},
        "simulations": [each.to_json() for each in found],
    }
    return json.dumps(document, indent=2)
