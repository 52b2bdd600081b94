"""The further regions of a registry of the catalog, and how long Amazon ECR has to reach them."""

import time
from collections.abc import Callable, Iterator
from functools import cache, partial

from toolkit.catalog.registry import EcrRegistry
from toolkit.cli.connections import registry_at
from toolkit.cli.ecr import controls_of
from toolkit.cli.registries import Place
from toolkit.cli.settings import Settings
from toolkit.deployers.waiting import pauses
from toolkit.distribution import Region
from toolkit.ecr.settings import ReplicationRule
from toolkit.errors import ToolkitError
from toolkit.journal import Journal, event_of
from toolkit.progress import Event, Kind, Reporter
from toolkit.publish import Step, TagMoved, TagMoving

# ECR promises no time, https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html: what is not
# there by then is sent from here, and what comes meanwhile is the same.
_SECONDS = 300.0
_PAUSE = 15.0


def regions_of(settings: Settings, place: Place, report: Reporter) -> tuple[Region, ...]:
    """None where the catalog names no further region. Nobody is asked before something is missing there."""
    if place.ecr is None:
        return ()
    rules = cache(partial(_rules, settings, place.ecr, report))
    return tuple(
        Region(
            name=name,
            registry=registry_at(settings, host, report),
            replicates=partial(_covers, rules, (name, place.ecr.account)),
        )
        for name, host in place.ecr.hosts.items()
        if name != place.ecr.region
    )


def _covers(
    rules: Callable[[], tuple[ReplicationRule, ...]], destination: tuple[str, str], repository: str
) -> bool:
    return any(rule.covers(repository, destination) for rule in rules())


def _rules(settings: Settings, registry: EcrRegistry, report: Reporter) -> tuple[ReplicationRule, ...]:
    """The home region's; none where AWS does not tell, as then nothing is waited for."""
    try:
        return controls_of(settings, registry)[0].list_replication()
    except ToolkitError as error:
        text = f"whether ECR replicates is not known, all is sent from here: {error.message}"
        report(Event(kind=Kind.NOTE, text=text))
        return ()


def turns() -> Iterator[None]:
    """For all regions together."""
    end = time.monotonic() + _SECONDS
    for pause in pauses(_PAUSE):
        if time.monotonic() + pause > end:
            return
        time.sleep(pause)
        yield


def tags_into(journal: Journal) -> Callable[[Step], None]:
    """Blobs of regions are not written down: whoever goes on asks each region what it has."""

    def write_down(step: Step) -> None:
        if isinstance(step, TagMoving | TagMoved) and (event := event_of(step)):
            journal.append(event)

    return write_down
