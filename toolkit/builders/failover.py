"""A Builder over the nodes of a fleet: a unit whose node dies is built on the next one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from toolkit.build import Builder, BuildRequest, NodeLost, OnStage
from toolkit.builders.placement import Assign, Fleet
from toolkit.errors import BuildFailed, NeedNotMet
from toolkit.progress import Event, Kind, Reporter
from toolkit.render import RenderedUnit

# On so many nodes a unit is tried: one whose build brings its machine down should not bring all of them down.
_TRIALS = 3


@dataclass(frozen=True, kw_only=True)
class NodesBuilder:
    """`nodes` has a builder for each node that can be used, by name; `assign` says which are tried.

    A node that was lost keeps nobody waiting: it gets nothing more while there is another one, and after that
    only when it `answers` again.
    """

    fleet: Fleet
    nodes: Mapping[str, Builder]
    assign: Assign
    answers: Callable[[str], bool]
    report: Reporter
    _lost: dict[str, str] = field(default_factory=dict)
    _built_on: dict[str, str] = field(default_factory=dict)

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        """Raises BuildFailed when no node for its platform is left, and what a builder raises."""
        rendered = request.rendered
        identifier = rendered.unit.identifier
        placement = self.assign(rendered)
        if placement.refusal:
            raise NeedNotMet(f"{identifier}: {placement.refusal}", remedy=placement.remedy)
        tried: list[str] = []
        name = self._next(placement.nodes, tried)
        while name:
            tried.append(name)
            on_stage(f"on node {name}")
            try:
                self.nodes[name].build(request, on_stage=on_stage)
            except NodeLost as lost:
                self._lost[name] = lost.message
                following = self._next(placement.nodes, tried)
                self._tell(identifier, f"node {name} was lost: {lost.message}", following)
                name = following
            else:
                self._lost.pop(name, None)
                self._built_on[identifier] = name
                return
        gave_up = len(tried) == _TRIALS
        why = f"{_TRIALS} nodes died of it" if gave_up else f"no node for {rendered.unit.platform} is left"
        lost_nodes = dict(self._lost)  # another thread may find one back
        told = "; ".join(f"{each}: {lost_nodes[each]}" for each in placement.nodes if each in lost_nodes)
        raise BuildFailed(
            f"{identifier} was not built: {why} ({told})",
            remedy="Bring a node up, then run the same command again: what was built stays. "
            f"`toolkit builder list {self.fleet.name}` shows how they are.",
        )

    def _next(self, nodes: Sequence[str], tried: Sequence[str]) -> str | None:
        if len(tried) == _TRIALS:
            return None
        left = [name for name in nodes if name not in tried]
        there = next((name for name in left if name not in self._lost), None)
        return there or next((name for name in left if self.answers(name)), None)

    def emulates(self, rendered: RenderedUnit) -> bool:
        """Of a unit that was built: whether its node ran programs of a foreign architecture."""
        return self.fleet.emulates(rendered, self._built_on[rendered.unit.identifier])

    def _tell(self, identifier: str, loss: str, following: str | None) -> None:
        further = f"it is built again on node {following}" if following else "it is tried on no other"
        self.report(Event(kind=Kind.WARNING, subject=identifier, text=f"{loss}; {further}"))


def _conforms(builder: NodesBuilder) -> Builder:
    return builder
