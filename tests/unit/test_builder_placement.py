"""Which node a unit goes to: native before emulated, each in its turn, as the catalog says of emulation."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.projects import AMD64, ARM64, CATALOG, rendered, template, unit
from toolkit.builders.placement import Fleet, NodeState, Placement, assign_here
from toolkit.catalog.builder import Node, NodeKind, NodePlatform
from toolkit.catalog.model import Emulation
from toolkit.oci import Architecture
from toolkit.render import RenderedUnit

BOTH = (NodePlatform.AMD64, NodePlatform.ARM64)
RUNS = template("FROM {{ base }}\nRUN true\n")


def node(
    name: str,
    *platforms: NodePlatform,
    is_a: Architecture | None = None,
    trouble: str = "",
) -> NodeState:
    return NodeState(
        node=Node(name=name, kind=NodeKind.LOCAL, platforms=platforms, line=1),
        architecture=is_a,
        trouble=trouble,
    )


def built(identifier: str, emulation: Emulation = Emulation.ALLOW, *, runs: bool = True) -> RenderedUnit:
    """A unit; `runs` whether its template runs programs of its own platform."""
    whole = rendered(unit(identifier), sources=RUNS) if runs else rendered(unit(identifier))
    meant = replace(whole.unit, image=replace(whole.unit.image, emulation=emulation))
    return replace(whole, unit=meant)


def placed(nodes: Sequence[NodeState], *units: RenderedUnit) -> list[Placement]:
    assign = Fleet(name="fleet", nodes=nodes).assign_among(units)
    return [assign(each) for each in units]


def test_a_unit_goes_to_a_node_that_is_native_for_it_and_then_to_one_that_emulates() -> None:
    nodes = [node("x", *BOTH, is_a=Architecture.AMD64), node("arm", *BOTH, is_a=Architecture.ARM64)]
    assert placed(nodes, built(ARM64), built(AMD64)) == [
        Placement(nodes=("arm", "x")),
        Placement(nodes=("x", "arm")),
    ]


def test_a_node_gets_only_the_platforms_that_the_catalog_gives_it() -> None:
    nodes = [node("x", NodePlatform.AMD64, is_a=Architecture.AMD64)]
    (found,) = placed(nodes, built(ARM64))
    assert found.nodes == ()
    assert found.refusal == "no node of builder fleet is for linux/arm64"
    assert found.remedy == "Add the platform to a node of [builders.fleet] in images.toml."


def test_of_nodes_that_are_as_good_each_gets_its_turn() -> None:
    nodes = [node(name, NodePlatform.AMD64, is_a=Architecture.AMD64) for name in "abc"]
    pair = [built(AMD64), built("tensorflow-2.9.1-cpu-py39-debian11-eks-amd64")]
    assert [each.nodes for each in placed(nodes, *pair)] == [("a", "b", "c"), ("b", "c", "a")]


def test_a_node_that_cannot_be_used_is_left_out_and_told_when_there_is_no_other() -> None:
    dead = node("arm", NodePlatform.ARM64, trouble="nothing answers at tcp://arm:1234")
    spare = node("x", *BOTH, is_a=Architecture.AMD64)
    assert placed([dead, spare], built(ARM64)) == [Placement(nodes=("x",), emulated=True)]
    (found,) = placed([dead], built(ARM64))
    assert found.refusal == (
        "no node of builder fleet for linux/arm64 can be used (arm: nothing answers at tcp://arm:1234)"
    )


def test_what_no_node_was_asked_is_taken_from_the_catalog() -> None:
    assert placed([node("arm", NodePlatform.ARM64)], built(ARM64)) == [Placement(nodes=("arm",))]


def test_a_unit_that_runs_nothing_of_its_platform_is_native_everywhere() -> None:
    nodes = [node("x", *BOTH, is_a=Architecture.AMD64)]
    assert placed(nodes, built(ARM64, Emulation.REFUSE, runs=False)) == [Placement(nodes=("x",))]
    assert assign_here({Architecture.AMD64})(built(ARM64, Emulation.REFUSE, runs=False)) == Placement()


@pytest.mark.parametrize("nodes", [[], [node("x", *BOTH, is_a=Architecture.AMD64)]])
def test_emulation_is_allowed_told_or_refused_as_the_row_says(nodes: list[NodeState]) -> None:
    def place(emulation: Emulation) -> Placement:
        wanted = built(ARM64, emulation)
        return placed(nodes, wanted)[0] if nodes else assign_here({Architecture.AMD64})(wanted)

    allowed, told, refused = (place(each) for each in Emulation)
    assert (allowed.emulated, allowed.warning, allowed.refusal) == (True, "", "")
    what = "RUN steps of linux/arm64 would run under emulation" + (" on node x" if nodes else "")
    assert (told.warning, told.refusal) == (what, "")
    assert refused.refusal == f'{what}, and its row says emulation = "refuse"'
    assert "--builder" in refused.remedy
    assert "images.toml:" in refused.remedy


def test_a_row_that_refuses_emulation_is_never_tried_on_a_node_that_would() -> None:
    nodes = [
        node("arm", NodePlatform.ARM64, is_a=Architecture.ARM64),
        node("x", *BOTH, is_a=Architecture.AMD64),
    ]
    assert placed(nodes, built(ARM64, Emulation.REFUSE)) == [Placement(nodes=("arm",))]


def test_what_a_row_says_of_emulation_changes_no_image() -> None:
    said = CATALOG.replace('remarks.amd64 = "carries', 'emulation = "refuse"\nremarks.amd64 = "carries')
    before, after = (rendered(unit(ARM64, text)) for text in (CATALOG, said))
    assert after.unit.image.emulation is Emulation.REFUSE
    assert after.build_id == before.build_id
