"""`toolkit builder` and `--builder`: what they say of names that the catalog lacks, and of the nodes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.projects import CATALOG, ROOT
from tests.unit.test_builder_placement import node
from toolkit.builders.placement import Fleet
from toolkit.catalog import parse_catalog
from toolkit.catalog.builder import NodePlatform
from toolkit.cli.builder import builder, print_nodes
from toolkit.cli.site import get_builder
from toolkit.errors import UsageError
from toolkit.oci import Architecture

FLEET = '[builders.fleet.nodes.here]\nkind = "local"\nplatforms = ["linux/amd64"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "images.toml").write_text(CATALOG)
    (tmp_path / "dockerfiles").symlink_to(ROOT / "dockerfiles")
    return tmp_path / "images.toml"


def test_a_builder_that_the_catalog_does_not_have_is_told_with_the_nearest() -> None:
    known = parse_catalog(CATALOG + FLEET).builders
    assert get_builder("", known) is None
    assert get_builder("fleet", known) is known["fleet"]
    with pytest.raises(UsageError, match="'flet' is not a builder of the catalog") as caught:
        get_builder("flet", known)
    assert caught.value.remedy == "Did you mean 'fleet'? images.toml names fleet in [builders]."
    with pytest.raises(UsageError) as caught:
        get_builder("fleet", {})
    assert caught.value.remedy == "images.toml names none in [builders]."


def test_a_catalog_without_builders_says_what_one_looks_like(project: Path) -> None:
    for command in ("ensure", "list"):
        done = CliRunner().invoke(builder, [command, "--catalog", str(project)])
        assert isinstance(done.exception, UsageError)
        assert "[builders.fleet.nodes.here]" in done.exception.remedy


def test_nothing_is_removed_that_was_not_made(project: Path, tmp_path: Path) -> None:
    arguments = ["remove", "fleet", "--catalog", str(project)]
    done = CliRunner().invoke(builder, arguments, env={"DOCKER_CONFIG": str(tmp_path / "docker")})
    assert (done.exit_code, done.output) == (0, "fleet: nothing was made by this toolkit\n")


def test_the_table_of_nodes_has_what_each_is_for_and_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    good = node("here", NodePlatform.AMD64, NodePlatform.ARM64, is_a=Architecture.AMD64)
    print_nodes([Fleet(name="fleet", nodes=[good])], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "builder  node  kind   for                       native  state",
        "fleet    here  local  linux/amd64, linux/arm64  amd64   answers",
    ]


def test_a_node_that_cannot_be_used_is_a_need_that_is_not_met(capsys: pytest.CaptureFixture[str]) -> None:
    dead = node("far", NodePlatform.ARM64, trouble="nothing answers at tcp://far:1234")
    with pytest.raises(SystemExit) as ended:
        print_nodes([Fleet(name="fleet", nodes=[dead])], as_json=True)
    assert ended.value.code == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["architecture"], row["trouble"]) == (None, "nothing answers at tcp://far:1234")
