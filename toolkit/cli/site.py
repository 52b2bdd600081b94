"""`--builder`: where a run builds, this machine's own engine or the nodes of a builder of the catalog."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import click

from toolkit.builders.placement import Assign, Fleet, assign_here
from toolkit.catalog.builder import CatalogBuilder
from toolkit.catalog.faults import nearest
from toolkit.cli.project import Project
from toolkit.cli.settings import DEFAULT_REGISTRY, Settings
from toolkit.errors import UsageError
from toolkit.oci import Architecture
from toolkit.plan import Plan
from toolkit.progress import Event, Kind, Reporter
from toolkit.render import RenderedUnit

if TYPE_CHECKING:
    from toolkit.adapters.builder_nodes import BuilderNodes
    from toolkit.cli.world import Nodes
    from toolkit.machine.facts import Facts


def builder_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--builder",
        default="",
        envvar="BUILDER",
        metavar="NAME",
        help="Build on the nodes of this one of [builders] in the catalog; without it, on this machine's "
        "engine. The environment variable BUILDER says the same.",
    )(command)


def get_builder(name: str, builders: Mapping[str, CatalogBuilder]) -> CatalogBuilder | None:
    """None for "", which is this machine. Raises UsageError for a name that the catalog does not have."""
    if not name or name in builders:
        return builders.get(name)
    near = nearest(name, builders)
    there = f"images.toml names {', '.join(builders) or 'none'} in [builders]."
    raise UsageError(
        f"{name!r} is not a builder of the catalog",
        remedy=f"{f'Did you mean {near!r}? ' if near else ''}{there}",
    )


def builder_nodes(settings: Settings, facts: "Callable[[], Facts] | None" = None) -> "BuilderNodes":
    """`facts` tells of this machine, which is looked at without."""
    from toolkit.adapters.builder_nodes import BuilderNodes
    from toolkit.cli.world import look

    seen = facts or cache(lambda: look(settings, DEFAULT_REGISTRY))
    return BuilderNodes(
        environment=settings.environment,
        configuration=settings.docker_config,
        endpoint=lambda: seen().endpoint,
    )


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where one run builds. What is asked of machines is asked once, when it is first needed."""

    project: Project
    builder: CatalogBuilder | None
    report: Reporter

    @cached_property
    def facts(self) -> "Facts":
        from toolkit.cli.world import look

        return look(self.project.settings, DEFAULT_REGISTRY)

    @property
    def native(self) -> frozenset[Architecture]:
        """What this machine's engine runs without emulation."""
        own = self.facts.engine.architecture if self.facts.engine else self.facts.host.architecture
        return frozenset(each for each in Architecture if each == own)

    @cached_property
    def fleet(self) -> Fleet | None:
        """The builder's nodes, after Buildx was told of them; None without a builder.

        A node that cannot be used is told. Raises NeedNotMet when Buildx cannot be told.
        """
        if self.builder is None:
            return None
        fleet, commands = builder_nodes(self.project.settings, lambda: self.facts).ensure(self.builder)
        for command in commands:
            self._tell(Kind.NOTE, f"docker buildx {' '.join(command)}")
        for state in fleet.nodes:
            if state.trouble:
                self._tell(Kind.WARNING, f"node {state.node.name} cannot be used: {state.trouble}")
        return fleet

    def assign(self, units: Iterable[RenderedUnit]) -> Assign:
        """For a run that builds `units`."""
        return self.fleet.assign_among(units) if self.fleet else assign_here(self.native)

    def nodes_of(self, plan: Plan) -> "Nodes | None":
        """For this plan what `nodes` has; asks nobody when nothing is built."""
        return self.nodes([each.rendered for each in plan.to_build])

    def nodes(self, units: Sequence[RenderedUnit]) -> "Nodes | None":
        """What the workshop takes in place of this machine's own engine, for a run that builds `units`.

        Tells of emulation what the catalog wants to be told.
        """
        if not units:
            return None
        assign = self.assign(units)
        for rendered in units:
            if warning := assign(rendered).warning:
                self.report(Event(kind=Kind.WARNING, subject=rendered.unit.identifier, text=warning))
        if self.builder is None or self.fleet is None:
            return None
        from toolkit.cli.world import Nodes

        client = builder_nodes(self.project.settings, lambda: self.facts)
        return Nodes(builder=self.builder, fleet=self.fleet, assign=assign, client=client, report=self.report)

    def _tell(self, kind: Kind, text: str) -> None:
        assert self.builder
        self.report(Event(kind=kind, subject=f"builder {self.builder.name}", text=text))
