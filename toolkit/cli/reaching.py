"""Which sources of what is to be built do not answer, before anything is built."""

from collections.abc import Collection, Mapping
from functools import partial

from toolkit.adapters.fetching import Fetcher
from toolkit.adapters.probing import ask_all
from toolkit.adapters.registry import HttpRegistry
from toolkit.cli.credentials import credentials_of
from toolkit.cli.project import Project
from toolkit.cli.settings import DEFAULT_REGISTRY, Settings
from toolkit.cli.supplies import downloads, fetcher, places
from toolkit.cli.world import look
from toolkit.errors import NeedNotMet, UsageError
from toolkit.machine.mirrors import debian_mirrors
from toolkit.mirrors import Places, without_credentials
from toolkit.plan import Plan
from toolkit.reach import Machine, Place, places_of

_PATIENCE = 2.0
"""Seconds: a plan is not worth waiting longer for."""


def unreachable(project: Project, plan: Plan, bases: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """By identifier of a unit that is to be built a sentence for each of its places that does not answer.

    Each place is asked once, all at the same time. `bases` are the names of those that are made already.
    """
    planned = [each for each in plan.to_build if not each.rendered.unlocked]
    if not planned:
        return {}
    where = places(project.settings)
    machine = Machine(
        index=without_credentials(where.index),
        mirror=without_credentials(where.apt or _debian_mirror(project.settings)),
        bases=bases,
        files=downloads(project.settings).kept(),
    )
    needed = {each.identifier: places_of(each.rendered, machine) for each in planned}
    asked = dict.fromkeys(place for places in needed.values() for place in places)
    ask = partial(_ask, project.settings, where, fetcher(project.settings))
    reasons = ask_all(asked, ask, within=_PATIENCE)
    return {
        identifier: tuple(f"{place.name}: {reasons[place]}" for place in places if place in reasons)
        for identifier, places in needed.items()
    }


def _ask(settings: Settings, where: Places, fetcher: Fetcher, place: Place) -> None:
    if place.image is None:
        fetcher.probe(place.url)
        return
    image = where.registry_mirror(place.image)
    registry = HttpRegistry(
        image.registry,
        docker_config=settings.docker_config,
        ca_bundle=settings.ca_bundle,
        credentials=credentials_of(settings, image.registry),
    )
    if registry.lookup_descriptor(image.repository, image.selector) is None:
        raise UsageError(f"{place.image} is not there")


def _debian_mirror(settings: Settings) -> str:
    facts = look(settings, DEFAULT_REGISTRY)
    try:
        return debian_mirrors(facts.apt_sources, facts.host.codename).main
    except NeedNotMet:
        return ""
