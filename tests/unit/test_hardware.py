"""Every EC2 type and every ml.* type, held against EC2's own data and botocore's enums."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import botocore.loaders
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.data_instances import described_types
from toolkit.errors import ExitCode, ToolkitError
from toolkit.hardware import (
    NAMING_RULES,
    AcceleratorKind,
    InstanceTypeInvalid,
    Use,
    classify,
    get_family,
    get_instance_type,
    instance_type_names,
)
from toolkit.oci import Architecture

described = cache(described_types)


@cache
def shapes(service: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = botocore.loaders.Loader().load_service_model(service, "service-2")["shapes"]
    return found


def sagemaker_types() -> set[str]:
    """Every ml.* value of any enum of SageMaker's service model."""
    return {
        name
        for shape in shapes("sagemaker").values()
        for name in shape.get("enum", ())
        if name.startswith("ml.")
    }


def kind_by_description(row: Mapping[str, Any]) -> str:
    if "NeuronInfo" in row:
        versions = {device["CoreInfo"]["Version"] for device in row["NeuronInfo"]["NeuronDevices"]}
        return "neuron" if versions == {1} else "neuronx"
    if "GpuInfo" in row:
        return "gpu"
    others = ("InferenceAcceleratorInfo", "FpgaInfo", "MediaAcceleratorInfo")
    return "other" if any(each in row for each in others) else "none"


def test_the_data_that_is_tested_against_is_the_one_that_was_counted() -> None:
    """Of an older or newer moto these are other numbers; no test below may pass for lack of rows."""
    assert len(described()) == 1395
    assert (
        sum("arm64" in row["ProcessorInfo"]["SupportedArchitectures"] for row in described().values()) == 418
    )
    assert len(sagemaker_types()) == 442


def test_every_type_that_ec2_describes_has_the_architecture_that_ec2_says() -> None:
    for name, row in described().items():
        supported = set(row["ProcessorInfo"]["SupportedArchitectures"])
        found = get_instance_type(name)
        assert (supported <= {"arm64", "arm64_mac"}) == (found.architecture is Architecture.ARM64), name
        assert (supported <= {"arm64_mac", "x86_64_mac"}) == (found.platform.os == "darwin"), name
        assert not found.assumed, name


def test_every_type_that_ec2_describes_has_its_vcpus_memory_and_kind_of_accelerator() -> None:
    differing = {}
    for name, row in described().items():
        found = get_instance_type(name)
        expected = (row["VCpuInfo"]["DefaultVCpus"], row["MemoryInfo"]["SizeInMiB"])
        assert (found.vcpus, found.memory_mib) == expected, name
        if found.accelerator.kind != kind_by_description(row):
            differing[name] = found.accelerator.kind
    # EC2 tells of trn2u nothing but its CPU: our row says what is in it.
    assert differing == {"trn2u.48xlarge": AcceleratorKind.NEURONX}


def test_every_gpu_that_ec2_describes_is_named_with_its_maker_count_and_memory() -> None:
    gpus = {name: row["GpuInfo"] for name, row in described().items() if "GpuInfo" in row}
    assert len(gpus) >= 65
    for name, info in gpus.items():
        (gpu,) = info["Gpus"]
        found = get_instance_type(name).accelerator
        assert (found.vendor, found.model) == (gpu["Manufacturer"], gpu["Name"])
        assert found.memory_mib == info["TotalGpuMemoryInMiB"]
        assert found.count
        assert found.count == (gpu["Count"] or gpu["GpuPartitionSize"])


def test_every_ml_type_of_botocore_is_known_with_all_its_uses() -> None:
    enums = {
        Use.ENDPOINT: "ProductionVariantInstanceType",
        Use.TRANSFORM: "TransformInstanceType",
        Use.TRAINING: "TrainingInstanceType",
        Use.PROCESSING: "ProcessingInstanceType",
        Use.CLUSTER: "ClusterInstanceType",
    }
    assert sagemaker_types() <= set(instance_type_names())
    for name in sagemaker_types():
        found = get_instance_type(name)
        assert found.uses, name
        for use, shape in enums.items():
            assert (use in found.uses) == (name in shapes("sagemaker")[shape]["enum"]), (name, use)


def test_an_ml_type_is_the_machine_of_its_ec2_type() -> None:
    graviton = set()
    for name in sagemaker_types():
        row = described().get(name.removeprefix("ml."))
        found = get_instance_type(name)
        if row:
            assert found.architecture.ec2 in row["ProcessorInfo"]["SupportedArchitectures"], name
            assert found.accelerator == get_instance_type(name.removeprefix("ml.")).accelerator
            graviton |= {name} if found.architecture is Architecture.ARM64 else set()
    assert len(graviton) >= 105


def test_every_type_of_ec2s_enum_is_listed_and_only_families_without_any_row_are_assumed() -> None:
    enum = set(shapes("ec2")["InstanceType"]["enum"])
    assert enum == {name for name in instance_type_names() if not name.startswith("ml.")}
    assumed = {get_instance_type(name).family.name for name in enum if get_instance_type(name).assumed}
    assert assumed == {
        *("cc1", "cc2", "cr1", "hi1"),
        *("u-9tb1", "u-12tb1", "u-18tb1", "u-24tb1", "u7ib-12tb", "u7inh-32tb"),
    }
    assert {get_family(name).architecture for name in assumed} == {Architecture.AMD64}


@pytest.mark.parametrize(
    ("name", "architecture", "os", "accelerator"),
    [
        ("a1.large", "arm64", "linux", "none"),
        ("ml.t4g.2xlarge", "arm64", "linux", "none"),
        ("ml.m7g.large", "arm64", "linux", "none"),
        ("hpc7g.4xlarge", "arm64", "linux", "none"),
        ("im4gn.large", "arm64", "linux", "none"),
        ("g5g.16xlarge", "arm64", "linux", "gpu (2 × NVIDIA T4g)"),
        ("g5.xlarge", "amd64", "linux", "gpu (NVIDIA A10G)"),
        ("g4ad.xlarge", "amd64", "linux", "gpu (AMD Radeon Pro V520)"),
        ("g6f.large", "amd64", "linux", "gpu (0.125 × NVIDIA L4)"),
        ("gr6f.4xlarge", "amd64", "linux", "gpu (0.5 × NVIDIA L4)"),
        ("ml.p3.16xlarge", "amd64", "linux", "gpu (8 × NVIDIA V100)"),
        ("ml.p6e-gb200.36xlarge", "arm64", "linux", "gpu (4 × NVIDIA GB200)"),
        ("ml.p6-b200.48xlarge", "amd64", "linux", "gpu (8 × NVIDIA B200)"),
        ("ml.inf1.xlarge", "amd64", "linux", "neuron (AWS Inferentia)"),
        ("ml.inf2.48xlarge", "amd64", "linux", "neuronx (12 × AWS Inferentia2)"),
        ("ml.trn1.2xlarge", "amd64", "linux", "neuronx (AWS Trainium)"),
        ("trn2u.48xlarge", "amd64", "linux", "neuronx (AWS Trainium2)"),
        ("ml.eia2.medium", "amd64", "linux", "eia (AWS eia2)"),
        ("dl1.24xlarge", "amd64", "linux", "other (8 × Intel Gaudi)"),
        ("dl2q.24xlarge", "amd64", "linux", "other (8 × Qualcomm AI100)"),
        ("mac1.metal", "amd64", "darwin", "none"),
        ("mac2-m2pro.metal", "arm64", "darwin", "none"),
        ("u7i-12tb.224xlarge", "amd64", "linux", "none"),
        ("c7i-flex.large", "amd64", "linux", "none"),
    ],
)
def test_exceptions_are_what_they_are(name: str, architecture: str, os: str, accelerator: str) -> None:
    found = get_instance_type(name)
    assert (found.architecture.value, found.platform.os) == (architecture, os)
    assert str(found.accelerator) == accelerator
    assert not found.assumed
    assert found.source.title
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found.source.date)


def test_a_type_that_sagemaker_does_not_offer_is_known_and_has_no_use() -> None:
    assert get_instance_type("ml.t4g.2xlarge").uses == ()
    assert get_instance_type("ml.t4g.2xlarge").vcpus == 8


def test_an_ec2_name_has_no_use_in_sagemaker() -> None:
    assert get_instance_type("ml.c7g.xlarge").uses == (Use.ENDPOINT, Use.CLUSTER)
    assert get_instance_type("c7g.xlarge").uses == ()


@pytest.mark.parametrize(
    ("name", "architecture", "kind"),
    [
        ("c99g.xlarge", "arm64", "none"),
        ("ml.m10gd.2xlarge", "arm64", "none"),
        ("c10g-flex.large", "arm64", "none"),
        ("m99i.large", "amd64", "none"),
        ("c99i-flex.large", "amd64", "none"),
        ("g9.xlarge", "amd64", "gpu"),
        ("g9g.xlarge", "arm64", "gpu"),
        ("ml.p8-b400.48xlarge", "amd64", "gpu"),
        ("p7e-gb300.36xlarge", "arm64", "gpu"),
        ("inf3.xlarge", "amd64", "neuronx"),
        ("ml.trn9.48xlarge", "amd64", "neuronx"),
        ("u-99tb1.metal", "amd64", "none"),
    ],
)
def test_a_family_that_no_data_knows_is_classified_by_its_name_and_assumed(
    name: str, architecture: str, kind: str
) -> None:
    found = get_instance_type(name)
    assert (found.architecture.value, found.accelerator.kind.value) == (architecture, kind)
    assert found.assumed
    assert found.vcpus is None
    assert found.source.title.startswith("the rules of naming: ")


def test_a_new_size_of_a_known_family_is_what_the_family_is_and_assumed() -> None:
    found = get_instance_type("ml.g5g.96xlarge")
    assert (found.architecture, found.accelerator.kind) == (Architecture.ARM64, AcceleratorKind.GPU)
    assert found.accelerator.count is None
    assert found.assumed
    assert found.source.title.startswith("what all g5g have in common in EC2's DescribeInstanceTypes")


def test_a_size_that_only_botocore_lists_is_not_assumed() -> None:
    found = get_instance_type("m9g.metal-24xl")
    assert (found.architecture, found.vcpus, found.assumed) == (Architecture.ARM64, None, False)


def test_the_naming_rules_alone_classify_all_that_ec2_describes_but_the_exceptions() -> None:
    """The rules are for families to come; how they do on those that are there says what they are worth."""
    wrong = {}
    for family in sorted({name.partition(".")[0] for name in described()}):
        real, guessed = get_family(family), classify(family)
        if (real.platform, real.accelerator.kind) != (guessed.platform, guessed.accelerator.kind):
            wrong[family] = (guessed.platform, guessed.accelerator.kind.value)
    assert {family: (str(platform), kind) for family, (platform, kind) in wrong.items()} == {
        "a1": ("linux/amd64", "none"),
        "inf1": ("linux/amd64", "neuronx"),
        "mac1": ("darwin/arm64", "none"),
    }


@given(st.from_regex(r"[a-z]{1,3}[1-9][0-9]?[a-z]{0,4}(-[a-z0-9]{1,5})?", fullmatch=True))
def test_the_rules_answer_for_every_family_that_could_be(family: str) -> None:
    found = get_family(family)
    assert found.source.title
    assert found.accelerator.kind in AcceleratorKind
    assert found.platform.architecture in ("amd64", "arm64")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ml.C6g.xlarge", "'ml.c6g.xlarge'"),
        ("c7g.xlrge", "'c7g.xlarge'"),
        ("ml.c7g..xlarge", "'ml.c7g.xlarge'"),
        ("ml.c7g", "'ml.c7g.large'"),
        ("c7g.metal48xl", "'c7g.metal'"),
        (" c7g.xlarge", "'c7g.xlarge'"),
        ("c7g.xlarge\n", "'c7g.xlarge'"),
        ("m7g.0xlarge", "'m7g.xlarge'"),
    ],
)
def test_a_malformed_name_is_an_error_with_the_nearest_real_one(name: str, nearest: str) -> None:
    with pytest.raises(InstanceTypeInvalid, match="is not an instance type") as caught:
        get_instance_type(name)
    assert f"Did you mean {nearest}?" in caught.value.remedy


@pytest.mark.parametrize(
    "name", ["", ".", "ml.", "ml", "xlarge", "local", "hello.large", "c7g.", ".xlarge", "ml_c6g"]
)
def test_what_can_be_no_instance_type_is_an_error(name: str) -> None:
    with pytest.raises(InstanceTypeInvalid):
        get_instance_type(name)


@given(st.text(max_size=20))
def test_any_text_is_an_instance_type_or_an_error_of_ours(text: str) -> None:
    try:
        name = get_instance_type(text).name
    except InstanceTypeInvalid:
        name = text
    assert name == text


def test_the_error_is_what_the_sagemaker_sdk_raises_and_the_command_line_tells() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        get_instance_type("nonsense")
    with pytest.raises(ToolkitError) as caught:
        get_family("nonsense")
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_family_is_asked_by_its_name_alone() -> None:
    assert get_family("c6g").architecture is Architecture.ARM64
    assert get_family("geospatial").assumed
    assert not get_family("g5g").assumed


def test_every_rule_says_why_and_the_last_answer_everything() -> None:
    assert all(rule.reason for rule in NAMING_RULES)
    assert {rule.pattern for rule in NAMING_RULES[-2:]} == {".*"}


def test_the_json_of_a_type_can_be_written_and_read_back() -> None:
    found = json.loads(json.dumps(get_instance_type("ml.g5.12xlarge").to_json()))
    assert found["accelerator"] == {
        "kind": "gpu",
        "vendor": "NVIDIA",
        "model": "A10G",
        "count": 4,
        "memory_mib": 91552,
    }
    assert found["uses"] == ["endpoint", "transform", "training", "processing", "cluster", "notebook", "app"]
