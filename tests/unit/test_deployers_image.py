"""What is known of the image that is to be deployed."""

import pytest

from tests.records import DIGEST, HOST, INDEX, image, record
from toolkit.deployers.image import DeployableImage, Origin, choose_image, describe_image
from toolkit.hardware import AcceleratorKind
from toolkit.oci import Architecture, Reference
from toolkit.regions import ecr_host
from toolkit.resolve import ImageConsumer, Request, Unresolvable
from toolkit.resolve.names import lookup_aws_image
from toolkit.resolve.tables import deep_learning_containers

AWS = "763104351884.dkr.ecr.us-west-2.amazonaws.com"
AMD, ARM = image("pytorch-amd64", digest="sha256:" + "5" * 64), image("pytorch-arm64")
RELEASE = record(AMD, ARM)


@pytest.mark.parametrize(
    ("name", "architecture", "accelerator", "framework"),
    [
        ("pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker", "amd64", "none", "pytorch"),
        ("pytorch-inference:2.6.0-gpu-py312-cu124-ubuntu22.04-sagemaker", "amd64", "gpu", "pytorch"),
        ("pytorch-inference-graviton:2.4.0-cpu-py311-ubuntu22.04-sagemaker", "arm64", "none", "pytorch"),
        ("tensorflow-inference-eia:2.3.0-cpu-py37-ubuntu18.04", "amd64", "eia", "tensorflow"),
        ("pytorch-training-neuron:1.11-neuron-py38-sdk2.4.0-ubuntu20.04", "amd64", "neuronx", "pytorch"),
        ("huggingface-pytorch-inference-neuronx:1.13.1", "amd64", "neuronx", "huggingface-pytorch"),
    ],
)
def test_the_name_of_an_aws_image_says_what_it_is(
    name: str, architecture: str, accelerator: str, framework: str
) -> None:
    found = lookup_aws_image(Reference.parse(f"{AWS}/{name}"))
    assert found
    assert (found.architecture, found.accelerator, found.framework) == (
        Architecture(architecture),
        AcceleratorKind(accelerator),
        framework,
    )


def test_names_say_what_the_table_of_containers_says() -> None:
    rows = deep_learning_containers()
    assert len(rows) > 30
    for row in rows:
        found = lookup_aws_image(Reference.parse(f"{AWS}/{row.repository}:{row.tag}"))
        assert found
        assert row.version.startswith(found.version)
        said = (found.framework, found.architecture, found.accelerator)
        assert said == (row.framework, row.architecture, AcceleratorKind(row.accelerator))


def test_a_name_that_does_not_say_the_accelerator_leaves_it_open() -> None:
    host = ecr_host("246618743249", "us-west-2")
    found = lookup_aws_image(Reference.parse(f"{host}/sagemaker-xgboost:1.7-1"))
    assert found
    assert found.accelerator is None
    assert found.framework == "xgboost"


def test_an_aws_image_by_digest_alone_has_the_architecture_that_its_repository_says() -> None:
    for repository, expected in (
        ("pytorch-inference-graviton", (Architecture.ARM64,)),
        ("sagemaker-xgboost", ()),
    ):
        account = {"sagemaker-xgboost": "246618743249"}.get(repository, "763104351884")
        uri = f"{ecr_host(account, 'us-west-2')}/{repository}@{DIGEST}"
        assert describe_image(uri, None).architectures == expected


@pytest.mark.parametrize("host", ["123456789012.dkr.ecr.us-west-2.amazonaws.com", "localhost:5000"])
def test_an_image_that_is_not_awss_is_not_judged_by_its_name(host: str) -> None:
    assert lookup_aws_image(Reference.parse(f"{host}/pytorch-inference-graviton:1")) is None


@pytest.mark.parametrize(
    "uri", [ARM.uri, f"{HOST}/pytorch-inference:1.12.1-arm64", f"{HOST}/pytorch-inference@{DIGEST}"]
)
def test_an_image_of_the_release_is_known_by_digest_and_by_tag(uri: str) -> None:
    found = describe_image(uri, RELEASE)
    assert (found.uri, found.origin, found.architectures) == (uri, Origin.RELEASE, (Architecture.ARM64,))
    assert (found.published, found.media_type) == ((ARM,), ARM.media_type)


@pytest.mark.parametrize("name", [":1.12.1", f"@{INDEX}"])
def test_a_list_of_the_release_has_the_architectures_of_all_its_images(name: str) -> None:
    found = describe_image(f"{HOST}/pytorch-inference{name}", RELEASE)
    assert found.architectures == (Architecture.AMD64, Architecture.ARM64)
    assert (found.published, found.media_type) == ((AMD, ARM), "")


def test_of_any_other_image_nothing_is_known() -> None:
    uri = "localhost:5000/pytorch-inference-arm64:1"
    assert describe_image(uri, RELEASE) == DeployableImage(uri=uri, origin=Origin.GIVEN)


def request(instance_type: str, consumer: str = "sagemaker") -> Request:
    return Request(
        framework="pytorch",
        region="us-west-2",
        instance_type=instance_type,
        image_scope="inference",
        consumer=ImageConsumer(consumer),
    )


def test_ones_own_release_is_chosen_before_awss_images() -> None:
    assert choose_image(request("ml.c7g.large"), RELEASE).published == (ARM,)
    assert choose_image(request("ml.c7g.large"), None).origin is Origin.AWS
    assert choose_image(request("ml.inf2.xlarge"), RELEASE).accelerator is AcceleratorKind.NEURONX


def test_for_kubernetes_the_list_is_chosen() -> None:
    uri = f"{HOST}/pytorch-inference@{INDEX}"
    held = record(*(image(f"pytorch-{each}", consumer="eks", uri=uri) for each in ("amd64", "arm64")))
    assert choose_image(request("c7g.large", "eks"), held).architectures == ("amd64", "arm64")


def test_a_release_that_is_asked_alone_says_that_it_has_none() -> None:
    with pytest.raises(Unresolvable, match=r"no image of pytorch that runs on ml\.g5\.xlarge"):
        choose_image(request("ml.g5.xlarge"), RELEASE, is_aws_asked=False)
