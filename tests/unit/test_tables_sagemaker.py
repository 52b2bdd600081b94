"""Release record → the SageMaker SDK's image_uri_config. tests/differential lets the SDK read it."""

import json
from typing import Any

import pytest

from tests.records import image, record
from toolkit.record import PublishedImage
from toolkit.tables.sagemaker import left_out, to_config

GRAVITON = "pytorch-inference-graviton"
REGISTRY = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


def in_ecr(identifier: str = "pytorch-arm64", **changes: Any) -> PublishedImage:
    architecture = identifier.rpartition("-")[2]
    ours = {
        "registry": REGISTRY,
        "account": "123456789012",
        "region": "us-west-2",
        "tag": f"1.12.1-cpu-py39-debian11-sagemaker-{architecture}",
    }
    return image(identifier, **ours | changes)


def config(*images: PublishedImage) -> Any:
    return json.loads(to_config(record(*images)))


def test_each_architecture_is_in_the_scope_in_which_the_sdk_looks_for_it() -> None:
    found = config(in_ecr("pytorch-amd64"), in_ecr("pytorch-arm64"))
    assert list(found["pytorch"]) == ["inference", "inference_graviton"]
    assert found["pytorch"]["inference_graviton"]["versions"]["1.12.1"]["py39"] == {
        "repository": "pytorch-inference",
        "tag_prefix": "1.12.1",
        "registries": {"us-west-2": "123456789012"},
        "processors": ["cpu"],
        "container_version": {"cpu": "debian11-sagemaker-arm64"},
    }


def test_the_short_version_is_an_alias_of_the_newest_patch() -> None:
    found = config(
        in_ecr("a-amd64", version="2.10.0"),
        in_ecr("b-amd64", version="2.9.0"),
        in_ecr("c-amd64", version="2.9.1"),
    )
    assert found["pytorch"]["inference"]["version_aliases"] == {"2.10": "2.10.0", "2.9": "2.9.1"}


def test_an_image_in_several_regions_is_one_entry() -> None:
    tokyo = in_ecr(region="ap-northeast-1", registry=REGISTRY.replace("us-west-2", "ap-northeast-1"))
    found = config(in_ecr(), tokyo)["pytorch"]["inference_graviton"]["versions"]["1.12.1"]["py39"]
    assert sorted(found["registries"]) == ["ap-northeast-1", "us-west-2"]


def test_images_of_neuron_are_in_the_configuration_of_their_tool() -> None:
    tag = "1.13.1-neuron-py310-sdk2.20.2-ubuntu20.04-amd64"
    found = config(in_ecr("a-amd64", accelerator="neuron", python="3.10", version="1.13.1", tag=tag))
    (entry,) = found["pytorch-neuron"]["inference"]["versions"]["1.13.1"].values()
    assert entry["container_version"]["inf"] == "sdk2.20.2-ubuntu20.04-amd64"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"consumer": "eks"}, "it is for eks, and the SDK's images are for SageMaker"),
        ({"registry": "a:80", "account": ""}, "the SDK makes URIs of ECR only, and a:80 is another registry"),
        ({"region": "us-nowhere"}, f"the SDK makes URIs of ECR only, and {REGISTRY} is another registry"),
        ({"framework": "mxnet"}, "the SDK asks for no cpu image of mxnet on arm64"),
        ({"accelerator": "cuda"}, "the SDK asks for no cuda image of pytorch on arm64"),
        ({"tag": "1-my-arm64"}, "the SDK makes tags like VERSION-cpu-py39-OS, and this one is 1-my-arm64"),
        ({"repository": GRAVITON}, f"the SDK adds -sagemaker to every tag of {GRAVITON}"),
    ],
)  # fmt: skip
def test_what_the_sdk_cannot_say_is_left_out_with_the_reason(changes: dict[str, str], reason: str) -> None:
    one = in_ecr(**changes)
    assert left_out(record(one)) == (f"{one.identifier}: {reason}",)
    assert config(one) == {}


def test_of_two_images_of_one_version_and_python_the_second_is_left_out() -> None:
    other = in_ecr("b-arm64", tag="1.12.1-cpu-py39-ubuntu20.04-sagemaker-arm64")
    assert left_out(record(in_ecr("a-arm64"), other)) == (
        "b-arm64: the SDK knows one image of pytorch 1.12.1 for py39 on arm64, and there is another",
    )
    (entry,) = config(in_ecr("a-arm64"), other)["pytorch"]["inference_graviton"]["versions"][
        "1.12.1"
    ].values()
    assert entry["container_version"] == {"cpu": "debian11-sagemaker-arm64"}
