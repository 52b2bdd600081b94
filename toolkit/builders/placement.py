"""Unit → the nodes that may build it, in the order in which they are tried. Pure.

"Emulated" has one meaning everywhere: RUN steps of the unit's own platform would be run by an emulator. Most
units have none, as they are installed across platforms, so any node builds them natively.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from toolkit.catalog.builder import Node
from toolkit.catalog.model import Emulation
from toolkit.oci import Architecture
from toolkit.render import RenderedUnit, emulates


@dataclass(frozen=True, kw_only=True)
class NodeState:
    """A node as it was found: its own architecture, None when nobody has asked it; `trouble` is why it
    cannot be used, "" when it can."""

    node: Node
    architecture: Architecture | None = None
    trouble: str = ""

    @property
    def native(self) -> frozenset[Architecture]:
        """What it runs without emulation. Until it was asked, what the catalog says it is for."""
        if self.architecture:
            return frozenset({self.architecture})
        return frozenset(each.architecture for each in self.node.platforms)

    def is_for(self, architecture: Architecture) -> bool:
        return architecture in {each.architecture for each in self.node.platforms}


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a unit is built. `nodes` are names in the order of trial, () for the machine's own engine.

    `emulated` is about the first of them. `refusal` says why it cannot be built at all, "" when it can, and
    `remedy` what mends that; `warning` is what the catalog wants to be told.
    """

    nodes: tuple[str, ...] = ()
    emulated: bool = False
    refusal: str = ""
    remedy: str = ""
    warning: str = ""


Assign = Callable[[RenderedUnit], Placement]


def assign_here(native: Collection[Architecture]) -> Assign:
    """On a machine of these architectures."""

    def assign(rendered: RenderedUnit) -> Placement:
        return _judged(rendered, Placement(emulated=emulates(rendered, native)))

    return assign


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The nodes of the builder `name`, in the catalog's order, as they were found."""

    name: str
    nodes: Sequence[NodeState]

    def assign_among(self, units: Iterable[RenderedUnit]) -> Assign:
        """For a run that builds `units`: of several nodes that are as good, each gets its turn.

        The turns follow from the units alone, so `plan` and `release` say the same.
        """
        turns = _turns(units)
        return lambda rendered: self._place(rendered, turns.get(rendered.unit.identifier, 0))

    def emulates(self, rendered: RenderedUnit, node: str) -> bool:
        return emulates(rendered, next(each.native for each in self.nodes if each.node.name == node))

    def _place(self, rendered: RenderedUnit, turn: int) -> Placement:
        architecture = rendered.unit.architecture
        meant = [each for each in self.nodes if each.is_for(architecture)]
        able = [each for each in meant if not each.trouble]
        if not able:
            return Placement(refusal=self._why_none(meant, architecture), remedy=self._remedy(meant))
        native = [each for each in able if architecture in each.native]
        foreign = [each for each in able if each not in native]
        chosen = (*_turned(native, turn), *_turned(foreign, turn))
        if rendered.unit.image.emulation is Emulation.REFUSE:
            chosen = tuple(each for each in chosen if not emulates(rendered, each.native)) or chosen
        return _judged(
            rendered,
            Placement(
                nodes=tuple(each.node.name for each in chosen), emulated=emulates(rendered, chosen[0].native)
            ),
        )

    def _why_none(self, meant: Sequence[NodeState], architecture: Architecture) -> str:
        platform = architecture.platform
        if not meant:
            return f"no node of builder {self.name} is for {platform}"
        troubles = "; ".join(f"{each.node.name}: {each.trouble}" for each in meant)
        return f"no node of builder {self.name} for {platform} can be used ({troubles})"

    def _remedy(self, meant: Sequence[NodeState]) -> str:
        if meant:
            return f"Bring one of them up; `toolkit builder list {self.name}` shows how they are."
        return f"Add the platform to a node of [builders.{self.name}] in images.toml."


def _turns(units: Iterable[RenderedUnit]) -> Mapping[str, int]:
    """Which one of its architecture each unit is."""
    seen: dict[Architecture, int] = {}
    turns = {}
    for rendered in units:
        unit = rendered.unit
        turns[unit.identifier] = seen.get(unit.architecture, 0)
        seen[unit.architecture] = turns[unit.identifier] + 1
    return turns


def _turned(nodes: Sequence[NodeState], turn: int) -> tuple[NodeState, ...]:
    start = turn % len(nodes) if nodes else 0
    return (*nodes[start:], *nodes[:start])


def _judged(rendered: RenderedUnit, placement: Placement) -> Placement:
    """What the catalog says of emulation, once it would be needed."""
    image = rendered.unit.image
    if not placement.emulated or image.emulation is Emulation.ALLOW:
        return placement
    where = f" on node {placement.nodes[0]}" if placement.nodes else ""
    what = f"RUN steps of {rendered.unit.platform} would run under emulation{where}"
    row = f"images.toml:{image.line}: [images.{image.name}]"
    if image.emulation is Emulation.WARN:
        return Placement(nodes=placement.nodes, emulated=True, warning=what)
    return Placement(
        nodes=placement.nodes,
        emulated=True,
        refusal=f'{what}, and its row says emulation = "{image.emulation}"',
        remedy=f"Build it on a node that is native for {rendered.unit.platform} (--builder, [builders]), "
        f'or write emulation = "{Emulation.WARN}": {row}',
    )
