"""What is found out about a builder before a docker client is started."""

from pathlib import Path

import pytest

from tests.projects import CATALOG
from tests.unit.test_catalog_builders import BUILDERS
from toolkit.adapters.builder_nodes import Address, BuilderNodes, Notes
from toolkit.catalog import parse_catalog
from toolkit.errors import NeedNotMet
from toolkit.oci import Architecture

FLEET = parse_catalog(CATALOG + BUILDERS).builders["fleet"]


def nodes(directory: Path) -> BuilderNodes:
    return BuilderNodes(environment={}, configuration=directory, endpoint=lambda: "unix:///run/docker.sock")


def test_keys_that_are_not_there_are_named_before_buildx_is_told_anything(tmp_path: Path) -> None:
    (tmp_path / "arm64-node").mkdir()
    (tmp_path / "arm64-node" / "ca.pem").write_text("a CA")
    with pytest.raises(NeedNotMet) as caught:
        nodes(tmp_path).ensure(FLEET)
    assert caught.value.message == f"{tmp_path}/arm64-node has no cert.pem, key.pem"


def test_an_engine_is_reached_by_its_host_and_a_buildkit_by_the_name_of_its_instance(tmp_path: Path) -> None:
    here, remote, ssh = FLEET.nodes
    client = nodes(tmp_path)
    assert client.address(FLEET, here) == Address(host="unix:///run/docker.sock", builder="default")
    assert client.address(FLEET, remote) == Address(host="", builder="fleet.arm64")
    assert client.address(FLEET, ssh) == Address(
        host="ssh://build@second.build.example:2222", builder="default"
    )


def test_what_nodes_said_is_remembered_without_asking_them_again(tmp_path: Path) -> None:
    client = nodes(tmp_path)
    assert [each.architecture for each in client.remembered(FLEET).nodes] == [None, None, None]
    client.notes.write("fleet", made={"fleet.arm64": "remote"}, nodes={"arm64": "arm64"})
    client.notes.write("other", made={"other.a": "remote"}, nodes={})
    assert client.notes.made("fleet") == {"fleet.arm64": "remote"}
    assert [each.architecture for each in client.remembered(FLEET).nodes] == [None, Architecture.ARM64, None]
    client.notes.write("fleet", made={}, nodes={})
    assert client.notes.read() == {"other": {"made": {"other.a": "remote"}, "nodes": {}}}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"builders": []}'])
def test_notes_that_cannot_be_read_are_none_so_that_nothing_is_removed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "builders.json"
    path.write_text(text)
    assert Notes(path=path).made("fleet") == {}
