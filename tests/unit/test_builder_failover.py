"""A unit whose node dies is built on the next one; nothing else goes to a node that was lost."""

from pathlib import Path

import pytest

from tests.projects import AMD64
from tests.unit.test_builder_placement import built, node
from toolkit.build import BuildRequest, NodeLost, OnStage, lost_node
from toolkit.builders.failover import NodesBuilder
from toolkit.builders.placement import Fleet
from toolkit.catalog.builder import NodePlatform
from toolkit.errors import BuildFailed, NeedNotMet, ToolkitError
from toolkit.oci import Architecture
from toolkit.progress import Event
from toolkit.render import RenderedUnit

OTHER = "tensorflow-2.9.1-cpu-py39-debian11-eks-amd64"


class Machine:
    """Builds, or raises what it was given."""

    def __init__(self, error: ToolkitError | None = None) -> None:
        self.error = error
        self.is_up = error is None
        self.asked: list[str] = []

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        self.asked.append(request.rendered.unit.identifier)
        if self.error:
            raise self.error


def request(directory: Path, rendered: RenderedUnit) -> BuildRequest:
    return BuildRequest(
        rendered=rendered,
        base_layout=None,
        layout=directory / "layout",
        log=directory / "log",
        revision="",
        source="",
    )


def crew(events: list[Event], units: list[RenderedUnit], **machines: Machine) -> NodesBuilder:
    nodes = [node(name, NodePlatform.AMD64, is_a=Architecture.AMD64) for name in machines]
    fleet = Fleet(name="fleet", nodes=nodes)
    return NodesBuilder(
        fleet=fleet,
        nodes=machines,
        assign=fleet.assign_among(units),
        answers=lambda name: machines[name].is_up,
        report=events.append,
    )


def test_a_unit_of_a_lost_node_is_built_on_the_next_and_the_person_is_told(tmp_path: Path) -> None:
    events: list[Event] = []
    units = [built(AMD64), built(OTHER)]
    a, b = Machine(NodeLost("error reading from server: EOF")), Machine()
    builder = crew(events, units, a=a, b=b)
    builder.build(request(tmp_path, units[0]), on_stage=lambda _: None)
    assert [str(each.kind) + " " + each.subject + " " + each.text for each in events] == [
        f"warning {AMD64} node a was lost: error reading from server: EOF; it is built again on node b"
    ]
    assert (a.asked, b.asked) == ([AMD64], [AMD64])
    assert not builder.emulates(units[0])
    # Its turn is b's anyway, but none comes to a any more.
    builder.build(request(tmp_path, units[0]), on_stage=lambda _: None)
    assert a.asked == [AMD64]


def test_when_the_last_node_is_lost_the_unit_fails_and_says_which_died_of_what(tmp_path: Path) -> None:
    events: list[Event] = []
    units = [built(AMD64)]
    builder = crew(events, units, a=Machine(NodeLost("EOF")), b=Machine(NodeLost("connection refused")))
    with pytest.raises(BuildFailed) as failed:
        builder.build(request(tmp_path, units[0]), on_stage=lambda _: None)
    assert failed.value.message == (
        f"{AMD64} was not built: no node for linux/amd64 is left (a: EOF; b: connection refused)"
    )
    assert "toolkit builder list fleet" in failed.value.remedy
    assert [each.text for each in events] == [
        "node a was lost: EOF; it is built again on node b",
        "node b was lost: connection refused; it is tried on no other",
    ]


def test_a_node_that_came_back_is_taken_when_there_is_no_other(tmp_path: Path) -> None:
    units = [built(AMD64)]
    a = Machine(NodeLost("EOF"))
    builder = crew([], units, a=a)
    with pytest.raises(BuildFailed, match="no node for linux/amd64 is left"):
        builder.build(request(tmp_path, units[0]), on_stage=lambda _: None)
    with pytest.raises(BuildFailed, match="no node for linux/amd64 is left"):
        builder.build(request(tmp_path, units[0]), on_stage=lambda _: None)
    assert len(a.asked) == 1
    a.error, a.is_up = None, True
    builder.build(request(tmp_path, units[0]), on_stage=lambda _: None)
    assert len(a.asked) == 2


def test_a_unit_that_brings_its_machines_down_does_not_get_all_of_them(tmp_path: Path) -> None:
    units = [built(AMD64)]
    machines = {name: Machine(NodeLost("EOF")) for name in "abcde"}
    with pytest.raises(BuildFailed, match=r"3 nodes died of it \(a: EOF; b: EOF; c: EOF\)"):
        crew([], units, **machines).build(request(tmp_path, units[0]), on_stage=lambda _: None)
    assert [len(each.asked) for each in machines.values()] == [1, 1, 1, 0, 0]


def test_a_unit_that_fails_by_itself_is_tried_nowhere_else(tmp_path: Path) -> None:
    units = [built(AMD64)]
    b = Machine()
    builder = crew([], units, a=Machine(BuildFailed("exit code: 1")), b=b)
    with pytest.raises(BuildFailed, match="exit code: 1"):
        builder.build(request(tmp_path, units[0]), on_stage=lambda _: None)
    assert b.asked == []


def test_a_unit_without_a_node_says_what_its_placement_says(tmp_path: Path) -> None:
    arm = built("pytorch-1.12.1-cpu-py39-debian11-sagemaker-arm64")
    with pytest.raises(NeedNotMet, match="no node of builder fleet is for linux/arm64"):
        crew([], [arm], a=Machine()).build(request(tmp_path, arm), on_stage=lambda _: None)


# The last lines of builds whose dockerd was killed: by the docker driver, by the remote driver, and of one
# that began afterwards. Seen of Buildx 0.13.1.
@pytest.mark.parametrize(
    "line",
    [
        "ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading from server: "
        "read unix @->/run/docker.sock: read: connection reset by peer",
        "ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading from server: "
        "EOF",
        "ERROR: Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon "
        "running?",
    ],
)
def test_the_last_line_tells_that_a_node_went_away(line: str) -> None:
    assert lost_node(["#5 [1/2] RUN true", line]) == line.removeprefix("ERROR: ")


@pytest.mark.parametrize(
    "lines",
    [
        [
            "#5 1.0 ERROR: code = Unavailable",
            'ERROR: failed to solve: process "/bin/sh -c pip" did not complete successfully: exit code: 1',
        ],
        ["ERROR: failed to solve: debian:none: failed to resolve source metadata: connection refused"],
        [],
    ],
)
def test_what_a_step_says_does_not(lines: list[str]) -> None:
    assert lost_node(lines) == ""
