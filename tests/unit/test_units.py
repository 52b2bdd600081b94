"""Catalog → build units."""

from tests.projects import CATALOG, PYTORCH, unit, units
from toolkit.catalog.model import Consumer
from toolkit.oci import Architecture, Platform
from toolkit.units import with_siblings

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


def test_siblings_stand_behind_one_list() -> None:
    found = with_siblings([unit(f"{SAGEMAKER_ID}-arm64")], units())
    assert [each.identifier for each in found] == [f"{SAGEMAKER_ID}-amd64", f"{SAGEMAKER_ID}-arm64"]
