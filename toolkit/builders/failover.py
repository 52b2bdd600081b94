"""A Builder over the nodes of a fleet: a unit whose node dies is built on the next one."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from toolkit.build import Builder, BuildRequest, NodeLost, OnStage
from toolkit.builders.placement import Assign, Fleet
from toolkit.errors import BuildFailed, NeedNotMet
from toolkit.progress import Event, Kind, Reporter
from toolkit.render import RenderedUnit


@dataclass(frozen=True, kw_only=True)
class NodesBuilder:
    """`nodes` has a builder for each node that can be used, by name; `assign` says which are tried.

    A node that was lost gets nothing more: it would keep each later unit waiting.
    """

    fleet: Fleet
    nodes: Mapping[str, Builder]
    assign: Assign
    report: Reporter
    _lost: dict[str, str] = field(default_factory=dict)
    _built_on: dict[str, str] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        """Raises BuildFailed when the last node for its platform is lost, and what a builder raises."""
        rendered = request.rendered
        identifier = rendered.unit.identifier
        placement = self.assign(rendered)
        if placement.refusal:
            raise NeedNotMet(f"{identifier}: {placement.refusal}", remedy=placement.remedy)
        for name in placement.nodes:
            if name in self._lost:
                continue
            on_stage(f"on node {name}")
            try:
                self.nodes[name].build(request, on_stage=on_stage)
            except NodeLost as lost:
                self._note(identifier, name, lost, [each for each in placement.nodes if each != name])
            else:
                self._built_on[identifier] = name
                return
        told = "; ".join(f"{name}: {self._lost[name]}" for name in placement.nodes)
        raise BuildFailed(
            f"{identifier} was not built: no node for {rendered.unit.platform} is left ({told})",
            remedy=f"Bring a node up, then run the same command again: what was built stays. "
            f"`toolkit builder list {self.fleet.name}` shows how they are.",
        )

    def emulates(self, rendered: RenderedUnit) -> bool:
        """Of a unit that was built: whether its node ran programs of a foreign architecture."""
        return self.fleet.emulates(rendered, self._built_on[rendered.unit.identifier])

    def _note(self, identifier: str, name: str, lost: NodeLost, others: list[str]) -> None:
        with self._guard:
            self._lost.setdefault(name, lost.message)
            left = [each for each in others if each not in self._lost]
        further = f"it is built again on node {left[0]}" if left else "there is no other node for it"
        self.report(
            Event(
                kind=Kind.WARNING,
                subject=identifier,
                text=f"node {name} was lost: {lost.message}; {further}",
            )
        )


def _conforms(builder: NodesBuilder) -> Builder:
    return builder
