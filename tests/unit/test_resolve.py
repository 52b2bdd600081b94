"""The image for the machine: what guides promise, and each rule of the SDK by name."""

from dataclasses import replace

import pytest

from tests.records import image, record
from toolkit.errors import ToolkitError, UsageError
from toolkit.hardware import get_instance_type, instance_type_names
from toolkit.oci import Architecture
from toolkit.regions import image_families
from toolkit.resolve import (
    ArchitectureUnavailable,
    FrameworkUnknown,
    ImageConsumer,
    Request,
    Unresolvable,
    resolve,
    resolve_released,
    retrieve,
)
from toolkit.resolve.candidates import architecture_of
from toolkit.resolve.tables import deep_learning_containers, second, third

DLC = "763104351884.dkr.ecr.us-west-2.amazonaws.com"


def uri(framework: str, version: str | None = None, machine: str | None = None, **more: object) -> str:
    return retrieve(
        framework,
        str(more.pop("region", "us-west-2")),
        version,
        instance_type=machine,
        **more,  # type: ignore[arg-type]
    )


def tag(*arguments: str | None, **more: object) -> str:
    """`repository:tag` of the answer."""
    return uri(*arguments, **more).partition("/")[2]  # type: ignore[arg-type]


# What guides promise


def test_tensorflow_on_t4g_is_the_graviton_image() -> None:
    assert uri("tensorflow", "2.9.1", "ml.t4g.2xlarge") == (
        f"{DLC}/tensorflow-inference-graviton:2.9.1-cpu-py38-ubuntu20.04-sagemaker"
    )


def test_pytorch_on_c6g_is_the_graviton_image() -> None:
    assert uri("pytorch", "1.12.1", "ml.c6g.4xlarge") == (
        f"{DLC}/pytorch-inference-graviton:1.12.1-cpu-py38-ubuntu20.04-sagemaker"
    )


@pytest.mark.parametrize("scope", ["inference", "inference_graviton", "training"])
@pytest.mark.parametrize("version", ["1.12.1", "2.0.1", "2.3", "2.6.0"])
def test_c5_never_names_graviton(version: str, scope: str) -> None:
    named = uri("pytorch", version, "ml.c5.4xlarge", image_scope=scope, py_version=None)
    assert "graviton" not in named
    assert "arm64" not in named


@pytest.mark.parametrize("scope", [None, "inference"])
@pytest.mark.parametrize(
    ("framework", "newest"),
    [
        ("pytorch", "pytorch-inference-arm64:2.6.0-cpu-py312-ubuntu22.04-sagemaker"),
        ("tensorflow", "tensorflow-inference-arm64:2.19.0-cpu-py312-ubuntu22.04-sagemaker"),
        ("xgboost", "sagemaker-xgboost:1.5-1-arm64"),
        ("sklearn", "sagemaker-scikit-learn:1.0-1-arm64-cpu-py3"),
    ],
)
def test_without_a_version_a_graviton_type_the_sdk_does_not_list_gets_the_newest_arm64_image(
    framework: str, newest: str, scope: str | None
) -> None:
    assert tag(framework, None, "ml.m7g.large", image_scope=scope) == newest


def test_what_only_the_third_sdk_has_is_its_answer() -> None:
    assert tag("pytorch", "2.6.0", "ml.c7g.xlarge") == (
        "pytorch-inference-arm64:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
    )


def test_training_on_graviton_is_an_error_that_says_what_there_is() -> None:
    with pytest.raises(ArchitectureUnavailable, match=r"is arm64.*no arm64 image.*for training") as caught:
        uri("pytorch", "2.3.0", "ml.c7g.xlarge", image_scope="training")
    assert caught.value.architecture is Architecture.ARM64
    assert caught.value.available[-1] == "2.6.0"
    assert "images.toml" in str(caught.value)
    assert isinstance(caught.value, ValueError)


# The rules of the SDK: docs/resolver.md, and one test per line of what was read from its code


@pytest.mark.parametrize("spelled", ["ml.c6g.xlarge", "ml_c6g", "ml.c6g"])
def test_a_family_may_be_spelled_in_three_ways(spelled: str) -> None:
    assert "graviton" in tag("pytorch", "2.3.0", spelled)


@pytest.mark.parametrize("spelled", ["ml.C6g.xlarge", "ml.c6g.huge", "c6g", "", "ml.", "xlarge.c6g"])
def test_a_malformed_instance_type_is_a_value_error(spelled: str) -> None:
    with pytest.raises(ValueError, match="instance type"):
        uri("pytorch", "2.5.1", spelled, image_scope="inference")


@pytest.mark.parametrize("spelled", ["c6g.xlarge", "ml.c6g.metal-48xl", "c6g.metal"])
def test_bare_names_and_metal_sizes_are_accepted(spelled: str) -> None:
    assert "graviton" in tag("pytorch", "2.3.0", spelled)


@pytest.mark.parametrize("family", second().rules["graviton_families"])
def test_the_eight_families_of_the_sdk_get_the_inference_image(family: str) -> None:
    assert tag("tensorflow", "2.16.1", f"ml.{family}.large", image_scope="inference") == (
        "tensorflow-inference-graviton:2.16.1-cpu-py310-ubuntu20.04-sagemaker"
    )


@pytest.mark.parametrize("family", ["m7g", "r7g", "r7gd", "c7gd", "c7gn", "c8g", "m8g", "r8g", "t4g", "x2gd"])
def test_families_the_sdk_does_not_list_get_the_same_arm64_image(family: str) -> None:
    assert tag("pytorch", "2.4.0", f"ml.{family}.large", image_scope="inference") == (
        "pytorch-inference-graviton:2.4.0-cpu-py311-ubuntu22.04-sagemaker"
    )


def test_g5g_never_gets_the_x86_gpu_image() -> None:
    with pytest.raises(ArchitectureUnavailable, match="arm64 gpu"):
        uri("pytorch", "2.5.1", "ml.g5g.xlarge", image_scope="inference")


@pytest.mark.parametrize("framework", ["kmeans", "huggingface-llm", "spark"])
@pytest.mark.parametrize("machine", ["ml.c6g.large", "ml.m7g.large"])
def test_other_frameworks_have_nothing_for_graviton(framework: str, machine: str) -> None:
    with pytest.raises(ArchitectureUnavailable):
        uri(framework, None, machine)


def test_the_graviton_scope_works_without_an_instance_type() -> None:
    assert "graviton" in tag("pytorch", "2.3.0", image_scope="inference_graviton")


def test_the_graviton_scope_on_an_x86_type_is_the_x86_image_of_that_version() -> None:
    assert tag("pytorch", "2.3.0", "ml.c5.xlarge", image_scope="inference_graviton") == (
        "pytorch-inference:2.3.0-cpu-py311"
    )


@pytest.mark.parametrize(
    ("framework", "versions"),
    [
        ("pytorch", ["1.12.1", "2.0.0", "2.0.1", "2.1.0", "2.2.1", "2.3.0", "2.4.0"]),
        ("tensorflow", ["2.9.1", "2.12.1", "2.13.0", "2.14.1", "2.16.1"]),
        ("xgboost", ["1.3-1", "1.5-1"]),
        ("sklearn", ["1.0-1"]),
    ],
)
def test_the_graviton_versions_are_those_of_the_sdk(framework: str, versions: list[str]) -> None:
    config = second().frameworks[framework]["inference_graviton"]
    assert list(config["versions"]) == versions
    for version in versions:
        assert architecture_of(*tag(framework, version, "ml.c7g.large").split(":")) is Architecture.ARM64


def test_a_container_version_of_the_caller_gives_way_to_the_table() -> None:
    assert tag("pytorch", "2.4.0", "ml.c7g.large", container_version="mine") == (
        "pytorch-inference-graviton:2.4.0-cpu-py311-ubuntu22.04-sagemaker"
    )


def test_sklearn_has_one_graviton_version_which_listed_families_get_whatever_is_asked() -> None:
    assert tag("sklearn", "1.2-1", "ml.c6g.large").endswith(":1.0-1-arm64-cpu-py3")
    with pytest.raises(ArchitectureUnavailable, match=r"1\.2-1"):
        uri("sklearn", "1.2-1", "ml.m7g.large")


def test_elastic_inference_takes_the_place_of_any_scope() -> None:
    for scope in ("inference", "training", None):
        assert tag(
            "pytorch",
            "1.5.1",
            "ml.c5.large",
            accelerator_type="ml.eia2.medium",
            image_scope=scope,
            py_version="py3",
        ) == ("pytorch-inference-eia:1.5.1-cpu-py3")


def test_elastic_inference_on_graviton_is_an_error() -> None:
    for framework, version in (("pytorch", "1.5.1"), ("mxnet", "1.7.0")):
        with pytest.raises(ArchitectureUnavailable, match="arm64"):
            uri(framework, version, "ml.c6g.large", accelerator_type="ml.eia2.medium")


@pytest.mark.parametrize("accelerator", ["eia2", "ml.inf1"])
def test_another_accelerator_type_is_a_value_error(accelerator: str) -> None:
    with pytest.raises(ValueError, match="Elastic Inference"):
        uri("pytorch", "1.5.1", "ml.c5.large", accelerator_type=accelerator)


def test_elastic_inference_has_no_image_for_a_gpu_type() -> None:
    with pytest.raises(ValueError, match="processor"):
        uri("tensorflow", "2.0.0", "ml.p3.2xlarge", accelerator_type="ml.eia2.medium")


def test_an_alias_stays_in_the_tag_as_given() -> None:
    assert tag("pytorch", "2.4", "ml.c7g.large").startswith("pytorch-inference-graviton:2.4-cpu-py311")


def test_an_only_version_is_taken_whatever_is_asked() -> None:
    assert tag("kmeans", "17", "ml.c5.large") == "kmeans:1"


@pytest.mark.parametrize(
    ("machine", "processor"),
    [
        ("local", "cpu"),
        ("local_gpu", "gpu"),
        ("ml.c5.large", "cpu"),
        ("ml.g5.xlarge", "gpu"),
        ("ml.p3.2xlarge", "gpu"),
        ("ml.geospatial.interactive", "gpu"),
    ],
)
def test_the_processor_follows_from_the_family(machine: str, processor: str) -> None:
    assert (
        tag("pytorch", "2.5.1", machine, image_scope="inference")
        == f"pytorch-inference:2.5.1-{processor}-py311"
    )


def test_inferentia_frameworks_have_images_for_inf() -> None:
    assert tag("inferentia-pytorch", "1.9", "ml.inf1.xlarge", py_version="py3").endswith(":1.9-inf-py3")


def test_trainium_training_has_the_newest_neuron_sdk_in_its_tag() -> None:
    assert tag("pytorch", "1.11.0", "ml.trn1.2xlarge", image_scope="training") == (
        "pytorch-training-neuron:1.11.0-neuron-py38-sdk2.4.0-ubuntu20.04"
    )


def test_trainium_is_for_pytorch_only() -> None:
    with pytest.raises(ValueError, match=r"Trainium|neuronx"):
        uri("xgboost", "1.5-1", "ml.trn1.2xlarge")


@pytest.mark.parametrize(
    ("framework", "machine", "expected"),
    [
        (
            "tensorflow",
            "inf1.2xlarge",
            "tensorflow-inference-neuron:2.10.1-neuron-py310-sdk2.17.0-ubuntu20.04",
        ),
        ("pytorch", "ml.inf1.xlarge", "pytorch-inference-neuron:1.13.1-neuron-py310-sdk2.20.2-ubuntu20.04"),
        ("pytorch", "ml.inf2.xlarge", "pytorch-inference-neuronx:2.9.0-neuronx-py312-sdk2.31.1-ubuntu24.04"),
        ("mxnet", "ml.inf1.xlarge", "mxnet-inference-neuron:1.8.0-neuron-py38-sdk2.5.0-ubuntu20.04"),
    ],
)
def test_neuron_images_that_the_sdk_does_not_know_are_found(
    framework: str, machine: str, expected: str
) -> None:
    assert tag(framework, None, machine) == expected


def test_huggingface_tags_carry_both_versions() -> None:
    assert tag(
        "huggingface",
        "4.26.0",
        "ml.g5.xlarge",
        image_scope="inference",
        base_framework_version="pytorch1.13.1",
    ).startswith("huggingface-pytorch-inference:1.13.1-transformers4.26.0-gpu-py39-cu117")


def test_p4d_and_smdistributed_add_the_cuda_suffix() -> None:
    known = {"image_scope": "training", "py_version": "py36"}
    assert tag("pytorch", "1.6.0", "ml.p4d.24xlarge", **known).endswith("-gpu-py36-cu110-ubuntu18.04")
    assert tag("pytorch", "1.6.0", "ml.p3.16xlarge", distribution={"smdistributed": {}}, **known).endswith(
        "-gpu-py36-cu110-ubuntu18.04"
    )
    assert tag("pytorch", "1.6.0", "ml.p3.16xlarge", **known).endswith("-gpu-py36")


@pytest.mark.parametrize(("framework", "version"), [("pytorch", "1.13.1"), ("tensorflow", "2.12.1")])
def test_p2_has_no_images_of_newer_versions(framework: str, version: str) -> None:
    with pytest.raises(ValueError, match="p2"):
        uri(framework, version, "ml.p2.xlarge", image_scope="inference")


def test_triton_has_no_gpu_in_its_tag() -> None:
    assert not tag("sagemaker-tritonserver", "23.12", "ml.g5.xlarge").endswith("-gpu")
    assert tag("sagemaker-tritonserver", "23.12", "ml.c5.xlarge").endswith("-cpu")


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow", "mxnet"])
def test_a_framework_has_one_account_per_region(framework: str) -> None:
    accounts: dict[str, set[str]] = {}
    for scope in second().frameworks[framework].values():
        for version in scope["versions"].values():
            for each in [version] if "repository" in version else version.values():
                if not each["repository"].startswith("sagemaker-"):
                    for region, account in image_families()[each["registries"]].items():
                        accounts.setdefault(region, set()).add(account)
    assert len(accounts) > 30
    assert all(len(found) == 1 for found in accounts.values())


def test_a_region_without_the_version_is_a_value_error_that_names_the_others() -> None:
    with pytest.raises(ValueError, match="us-west-2"):
        uri("pytorch", "2.5.1", "ml.c5.large", region="us-iso-east-1", image_scope="inference")


def test_the_host_has_the_suffix_of_the_partition() -> None:
    named = uri("pytorch", "2.3.0", "ml.c7g.large", region="cn-north-1")
    assert named.startswith("727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch-inference-graviton:")


def test_an_unknown_framework_is_the_sdks_file_not_found_and_names_the_nearest() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        uri("pytroch", "2.5.1", "ml.c5.large")
    assert isinstance(caught.value, FrameworkUnknown)
    assert "'pytorch'" in str(caught.value)


def test_jumpstart_models_are_not_in_tables() -> None:
    with pytest.raises(Unresolvable, match="JumpStart"):
        uri("pytorch", "2.5.1", "ml.c5.large", model_id="model", model_version="1.0.0")


# Every machine, every image


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow", "xgboost", "sklearn", "mxnet", "kmeans"])
@pytest.mark.parametrize("consumer", list(ImageConsumer))
def test_no_instance_type_gets_an_image_of_another_architecture(
    framework: str, consumer: ImageConsumer
) -> None:
    asked = Request(framework=framework, region="us-east-1", image_scope="inference", consumer=consumer)
    for name in instance_type_names():
        try:
            found = resolve(replace(asked, instance_type=name))
        except (Unresolvable, UsageError):
            continue
        assert found.architecture is get_instance_type(name).architecture
        assert ("graviton" in found.uri or "arm64" in found.uri) is (found.architecture is Architecture.ARM64)


def test_every_container_of_aws_is_reached_by_some_machine() -> None:
    machines = {
        (Architecture.ARM64, "none"): "c7g.xlarge",
        (Architecture.ARM64, "gpu"): "g5g.xlarge",
        (Architecture.AMD64, "none"): "c5.xlarge",
        (Architecture.AMD64, "gpu"): "g5.xlarge",
        (Architecture.AMD64, "neuron"): "inf1.xlarge",
        (Architecture.AMD64, "neuronx"): "inf2.xlarge",
        (Architecture.AMD64, "eia"): "c5.xlarge",
    }
    for row in deep_learning_containers():
        found = resolve(
            Request(
                framework=row.framework,
                region="us-west-2",
                version=row.version,
                py_version=row.python,
                instance_type=machines[row.architecture, row.accelerator],
                accelerator_type="ml.eia2.medium" if row.accelerator == "eia" else None,
                sdk_version=next((part for part in row.tag.split("-") if part.startswith("sdk")), None),
                consumer=ImageConsumer.SAGEMAKER if row.consumer == "sagemaker" else ImageConsumer.EKS,
            )
        )
        assert found.uri == f"{DLC}/{row.repository}:{row.tag}" or found.source == third().source


def test_a_tag_that_was_not_seen_published_says_so() -> None:
    found = resolve(
        Request(framework="pytorch", region="us-west-2", version="2.5.1", instance_type="ml.c7g.large")
    )
    assert found.status == "derived"
    assert any("not seen published" in sentence for sentence in found.why)


def test_an_apple_machine_runs_no_linux_image() -> None:
    with pytest.raises(ToolkitError, match="darwin"):
        uri("pytorch", "2.5.1", "mac2.metal")


# One's own release


RELEASED = record(
    image("pytorch-1-arm64", uri="own/arm"),
    image("pytorch-1-amd64", uri="own/amd"),
    image("pytorch-2-arm64", uri="own/new", version="2.0.0"),
    image("pytorch-3-arm64", uri="own/list", version="3.0.0", consumer="eks"),
)
OWN = Request(framework="pytorch", region="us-west-2", image_scope="inference")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"instance_type": "ml.c7g.large"}, "own/new"),
        ({"instance_type": "ml.c7g.large", "version": "1.12"}, "own/arm"),
        ({"instance_type": "ml.c5.large"}, "own/amd"),
        ({"instance_type": "c7g.large", "consumer": ImageConsumer.EKS}, "own/list"),
        ({"instance_type": "ml.c5.large", "version": "2.0.0"}, None),
        ({"instance_type": "ml.c5.large", "version": "1.1"}, None),
        ({"instance_type": "ml.g5.xlarge"}, None),
        ({"instance_type": "ml.c5.large", "image_scope": "training"}, None),
        ({"version": "1.12.1"}, None),
    ],
)
def test_the_newest_released_image_of_the_machines_architecture_is_taken(
    changes: dict[str, object], expected: str | None
) -> None:
    found = resolve_released(replace(OWN, **changes), RELEASED)  # type: ignore[arg-type]
    assert (found and found.uri) == expected


def test_an_image_in_another_region_is_not_taken() -> None:
    released = record(image("pytorch-1-arm64", region="eu-west-1"))
    asked = replace(OWN, instance_type="ml.c7g.large")
    assert resolve_released(asked, released) is None
    assert resolve_released(replace(asked, region="eu-west-1"), released) is not None
