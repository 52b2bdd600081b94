"""`toolkit instances`."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from toolkit.cli.instances import instances
from toolkit.errors import NothingSelected
from toolkit.hardware import InstanceTypeInvalid, instance_type_names


def run(*arguments: str) -> str:
    return CliRunner().invoke(instances, arguments, catch_exceptions=False, standalone_mode=False).stdout


def rows(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*arguments, "--json"))
    return found


def test_everything_is_listed_ec2_first() -> None:
    lines = run().splitlines()
    assert len(lines) == 1 + len(instance_type_names())
    assert lines[0].split("  ")[0].strip() == "type"
    assert lines[1].startswith("a1.medium")
    assert lines[-1].startswith("ml.")


def test_filters_hold_together() -> None:
    found = rows("ml.*", "--architecture", "arm64", "--use", "endpoint")
    # 94 by EC2's data, and the Grace of p6e-gb200.
    assert len(found) >= 95
    assert all(row["architecture"] == "arm64" and "endpoint" in row["uses"] for row in found)


def test_neuron_is_not_neuronx() -> None:
    assert {row["family"] for row in rows("--accelerator", "neuron")} == {"inf1"}
    assert {row["family"] for row in rows("--accelerator", "neuronx")} == {
        "inf2",
        "trn1",
        "trn1n",
        "trn2",
        "trn2u",
    }


def test_the_table_says_what_is_assumed_and_what_is_no_linux() -> None:
    table = run("ml.c99g.xlarge", "mac2.metal", "ml.c7g.xlarge").splitlines()
    assert table[1].split() == ["ml.c99g.xlarge", "arm64", "assumed", "-", "-", "none", "-"]
    assert table[2].split() == ["mac2.metal", "arm64", "darwin", "8", "16", "GiB", "none", "-"]
    assert table[3].split() == ["ml.c7g.xlarge", "arm64", "4", "8", "GiB", "none", "endpoint,", "cluster"]


def test_a_type_that_is_named_twice_is_listed_once() -> None:
    assert [row["name"] for row in rows("c7g.metal", "c7g.m*")] == ["c7g.metal", "c7g.medium"]


def test_what_matches_nothing_is_an_error() -> None:
    with pytest.raises(NothingSelected, match="no instance type is like that"):
        run("z1d.*", "--architecture", "arm64")
    with pytest.raises(InstanceTypeInvalid, match="'c7g' is not an instance type"):
        run("c7g")
