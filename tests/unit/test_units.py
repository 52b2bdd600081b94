"""Catalog → build units, and choosing among them."""

import pytest

from tests.projects import CATALOG, PYTORCH, catalog, unit, units
from toolkit.catalog.model import Consumer
from toolkit.errors import ExitCode, NothingSelected
from toolkit.oci import Architecture, Platform
from toolkit.units import select, with_siblings

PYTORCH_ID = "pytorch-1.12.1-cpu-py39-debian11-sagemaker"
SAGEMAKER_ID = "tensorflow-2.9.1-cpu-py39-debian11-sagemaker"
EKS_ID = "tensorflow-2.9.1-cpu-py39-debian11-eks"
EVERY = [
    f"{PYTORCH_ID}-amd64",
    f"{PYTORCH_ID}-arm64",
    f"{EKS_ID}-amd64",
    f"{EKS_ID}-arm64",
    f"{SAGEMAKER_ID}-amd64",
    f"{SAGEMAKER_ID}-arm64",
]


def chosen(*patterns: str) -> list[str]:
    return [each.identifier for each in select(units(), patterns, catalog().groups)]


def test_an_image_expands_to_version_times_consumer_times_architecture_sorted_by_identifier() -> None:
    assert [each.identifier for each in units()] == EVERY


def test_the_order_of_the_file_does_not_change_the_order_of_units() -> None:
    reversed_arches = CATALOG.replace('["amd64", "arm64"]', '["arm64", "amd64"]')
    assert [each.identifier for each in units(reversed_arches)] == EVERY


def test_an_excluded_cell_is_no_unit() -> None:
    text = CATALOG.replace(
        PYTORCH,
        PYTORCH.replace('versions = ["1.12.1"]', 'versions = ["1.12.1", "1.13.1"]')
        + 'exclude = [{ version = "1.13.1", architecture = "arm64", reason = "no wheel" }]\n',
    )
    found = [each.identifier for each in units(text) if each.image.framework == "pytorch"]
    assert found == [
        "pytorch-1.12.1-cpu-py39-debian11-sagemaker-amd64",
        "pytorch-1.12.1-cpu-py39-debian11-sagemaker-arm64",
        "pytorch-1.13.1-cpu-py39-debian11-sagemaker-amd64",
    ]


def test_a_unit_knows_its_names_platform_and_requirements() -> None:
    arm = unit(f"{SAGEMAKER_ID}-arm64")
    assert (arm.image_id, arm.version, arm.consumer) == (SAGEMAKER_ID, "2.9.1", Consumer.SAGEMAKER)
    assert (arm.architecture, arm.platform) == (Architecture.ARM64, Platform("linux", "arm64"))
    assert (arm.repository, arm.list_tag) == ("tensorflow-inference", "2.9.1-cpu-py39-debian11-sagemaker")
    assert arm.arch_tag == "2.9.1-cpu-py39-debian11-sagemaker-arm64"
    assert arm.requirements == ("tensorflow-cpu-aws==2.9.1",)


def test_a_remark_belongs_to_its_architecture_alone() -> None:
    assert unit(f"{PYTORCH_ID}-amd64").remark == "carries CUDA libraries"
    assert unit(f"{PYTORCH_ID}-arm64").remark == ""


def test_no_pattern_takes_the_default_group() -> None:
    assert chosen() == [each for each in EVERY if "-eks-" not in each]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([f"{PYTORCH_ID}-arm64"], [f"{PYTORCH_ID}-arm64"]),
        ([PYTORCH_ID], [f"{PYTORCH_ID}-amd64", f"{PYTORCH_ID}-arm64"]),
        (["pytorch-*-arm64"], [f"{PYTORCH_ID}-arm64"]),
        (["*-eks"], [f"{EKS_ID}-amd64", f"{EKS_ID}-arm64"]),
        (["arm"], [each for each in EVERY if each.endswith("-arm64")]),
        (["*"], EVERY),
        ([f"{EKS_ID}-arm64", "pytorch-*-arm64"], [f"{PYTORCH_ID}-arm64", f"{EKS_ID}-arm64"]),
        ([PYTORCH_ID, "pytorch-*"], [f"{PYTORCH_ID}-amd64", f"{PYTORCH_ID}-arm64"]),
    ],
    ids=["identifier", "image id", "glob", "glob of image ids", "group", "all", "several", "overlapping"],
)
def test_patterns_choose_units_in_the_order_of_the_plan(patterns: list[str], expected: list[str]) -> None:
    assert chosen(*patterns) == expected


def test_a_typo_names_the_nearest_identifier() -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen("pytorch-1.12.1-cpu-py39-debian11-sagemaker-amr64")
    assert "'pytorch-1.12.1-cpu-py39-debian11-sagemaker-amr64'" in caught.value.message
    assert f"Did you mean '{PYTORCH_ID}-arm64'?" in caught.value.remedy
    assert caught.value.exit_code is ExitCode.NOTHING_SELECTED


@pytest.mark.parametrize(
    ("typo", "meant"), [("ram", "arm"), ("defualt", "default"), (PYTORCH_ID[:-1], PYTORCH_ID)]
)
def test_a_misspelt_group_or_image_id_is_suggested_too(typo: str, meant: str) -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen(typo)
    assert f"Did you mean '{meant}'?" in caught.value.remedy


def test_one_pattern_without_units_is_an_error_even_when_others_have_some() -> None:
    with pytest.raises(NothingSelected, match=r"'mxnet-\*'"):
        chosen("pytorch-*", "mxnet-*")


def test_a_glob_with_a_typo_names_the_unit_that_shares_most_with_it() -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen("pytorch-*-arm46")
    assert f"Did you mean '{PYTORCH_ID}" in caught.value.remedy


def test_what_resembles_nothing_is_told_how_to_see_all_units() -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen("?")
    assert "toolkit plan '*'" in caught.value.remedy


def test_siblings_stand_behind_one_list() -> None:
    found = with_siblings([unit(f"{SAGEMAKER_ID}-arm64")], units())
    assert [each.identifier for each in found] == [f"{SAGEMAKER_ID}-amd64", f"{SAGEMAKER_ID}-arm64"]
