"""What is refused before the first call, and what is said not to be checked."""

from dataclasses import replace

import pytest

from tests.aws_models import enumeration
from tests.deployments import AMD64, ARM64, AWS, MODEL, deployment, instead, variant
from tests.records import image, record
from toolkit.deployers.checks import Check, Outcome
from toolkit.deployers.image import DeployableImage, describe_image
from toolkit.deployers.sagemaker import CODE_DIR, Deployment, Script
from toolkit.deployers.sagemaker_checks import (
    RemoteImage,
    accelerator_types,
    local_checks,
    remote_checks,
)
from toolkit.oci import MediaType, Platform, Reference

OWN = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
EI = describe_image(f"{AWS}/tensorflow-inference-eia:2.3.0-cpu-py37-ubuntu18.04", None)


def wrong(wanted: Deployment) -> list[str]:
    return [each.detail for each in local_checks(wanted, instead=instead) if each.outcome is Outcome.FAILED]


def remedies(wanted: Deployment) -> str:
    return " ".join(each.remedy for each in local_checks(wanted, instead=instead))


def released(**changes: object) -> DeployableImage:
    """An image of one's own release in ECR, for arm64."""
    mine = image(
        "pytorch-arm64", **{"registry": OWN, "account": "123456789012", "region": "us-west-2"} | changes
    )
    uri = str(mine.pinned)
    return describe_image(uri, record(replace(mine, uri=uri)))


def test_an_image_that_fits_passes_and_its_media_type_is_not_checked_by_a_name() -> None:
    outcomes = {each.name: each.outcome for each in local_checks(deployment(), instead=instead)}
    assert outcomes.pop(f"media type of {ARM64.uri}") is Outcome.NOT_CHECKED
    assert set(outcomes.values()) == {Outcome.PASSED}


def test_an_image_of_the_release_passes_by_its_record() -> None:
    checks = local_checks(deployment(variant(image=released())), instead=instead)
    assert {each.outcome for each in checks} == {Outcome.PASSED}


def test_another_architecture_is_refused_with_the_image_to_use() -> None:
    wanted = deployment(variant("ml.c7g.xlarge", image=AMD64))
    assert wrong(wanted) == [f"ml.c7g.xlarge is arm64, but {AMD64.uri} is amd64 by AWS's tables"]
    assert remedies(wanted).strip() == "Use another on ml.c7g.xlarge."


def test_each_variant_is_checked_against_its_own_machine() -> None:
    assert wrong(deployment(variant("ml.c5.large", image=AMD64), variant("ml.m6g.large", image=AMD64))) == [
        f"ml.m6g.large is arm64, but {AMD64.uri} is amd64 by AWS's tables"
    ]


@pytest.mark.parametrize(
    ("instance_type", "said"),
    [
        ("c7g.xlarge", "c7g.xlarge is EC2's name; SageMaker's is ml.c7g.xlarge"),
        ("ml.t4g.medium", "SageMaker takes no ml.t4g.medium for endpoints, nor any other of its family"),
    ],
)
def test_a_type_that_sagemaker_has_no_endpoints_on_is_refused(instance_type: str, said: str) -> None:
    assert wrong(deployment(variant(instance_type))) == [said]


def test_a_type_that_is_newer_than_the_tables_is_not_checked() -> None:
    checks = local_checks(deployment(variant("ml.c99g.large")), instead=instead)
    (found,) = [each for each in checks if each.name == "instance type ml.c99g.large"]
    assert found.outcome is Outcome.NOT_CHECKED


def test_an_image_of_another_region_is_refused_with_the_one_of_this_region() -> None:
    there = describe_image(ARM64.uri.replace("us-west-2", "eu-west-1"), None)
    wanted = deployment(variant(image=there))
    assert len(wrong(wanted)) == 1
    assert "is in eu-west-1" in wrong(wanted)[0]
    assert "Use another on ml.c7g.xlarge." in remedies(wanted)


def test_an_image_outside_of_ecr_is_refused_with_the_line_that_releases_it_there() -> None:
    wanted = deployment(variant(image=describe_image("localhost:5000/mine:1", None)))
    assert "at localhost:5000" in wrong(wanted)[0]
    assert "make release REGISTRY=ACCOUNT.dkr.ecr.us-west-2.amazonaws.com" in remedies(wanted)


def test_a_manifest_list_is_refused_with_the_image_of_the_platform() -> None:
    rows = [
        image(f"pytorch-{each}", registry=OWN, region="us-west-2", digest="sha256:" + digit * 64)
        for each, digit in (("amd64", "7"), ("arm64", "8"))
    ]
    listed = describe_image(f"{OWN}/pytorch-inference:1.12.1", record(*rows))
    wanted = deployment(variant(image=listed))
    assert wrong(wanted) == [
        f"{listed.uri} is a manifest list, and SageMaker takes the image of one platform"
    ]
    assert f"use --image {OWN}/pytorch-inference@sha256:{'8' * 64}" in remedies(wanted)


def test_oci_media_types_are_refused() -> None:
    assert (
        MediaType.OCI_MANIFEST
        in wrong(deployment(variant(image=released(media_type=MediaType.OCI_MANIFEST))))[0]
    )


def test_a_role_of_another_partition_is_refused() -> None:
    (said,) = wrong(deployment(role="arn:aws-cn:iam::123456789012:role/serving"))
    assert "aws-cn" in said


def test_the_accelerators_are_the_enumeration_of_the_api() -> None:
    assert sorted(accelerator_types()) == sorted(enumeration("sagemaker", "ProductionVariantAcceleratorType"))


def test_elastic_inference_on_its_image_and_host_passes() -> None:
    assert wrong(deployment(variant("ml.c5.large", image=EI), accelerator_type="ml.eia2.medium")) == []


def test_an_accelerator_that_never_was_is_refused_with_those_that_were() -> None:
    wanted = deployment(variant("ml.c5.large", image=EI), accelerator_type="ml.eia9.bogus")
    assert wrong(wanted) == ["'ml.eia9.bogus' is no accelerator of Elastic Inference"]
    assert "ml.eia1.xlarge" in remedies(wanted)


@pytest.mark.parametrize("host", ["ml.c6g.large", "ml.p3.2xlarge", "ml.inf1.xlarge", "ml.g5.xlarge"])
def test_elastic_inference_is_refused_on_arm64_gpu_and_neuron_hosts(host: str) -> None:
    wanted = deployment(variant(host, image=EI), accelerator_type="ml.eia1.large")
    assert [each for each in wrong(wanted) if "Elastic Inference" in each or "of its own" in each]


def test_an_image_without_elastic_inference_takes_no_accelerator_and_the_reverse() -> None:
    assert wrong(deployment(variant("ml.c5.large", image=AMD64), accelerator_type="ml.eia1.large"))
    assert wrong(deployment(variant("ml.c5.large", image=EI)))


def script_check(image: DeployableImage, directory: str) -> Check:
    wanted = deployment(variant(image=image), script=Script(program="a.py", directory=directory))
    (found,) = [each for each in local_checks(wanted, instead=instead) if each.name.startswith("script")]
    return found


@pytest.mark.parametrize(
    ("uri", "directory", "outcome"),
    [
        (ARM64.uri, "s3://models/code.tar.gz", Outcome.FAILED),
        (ARM64.uri, CODE_DIR, Outcome.PASSED),
        (
            "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.5-1-arm64",
            "s3://m-m/c.tar.gz",
            Outcome.PASSED,
        ),
        (f"{OWN}/mine:1", "s3://models/code.tar.gz", Outcome.NOT_CHECKED),
    ],
)
def test_a_script_in_s3_is_for_images_that_fetch_it(uri: str, directory: str, outcome: Outcome) -> None:
    assert script_check(describe_image(uri, None), directory).outcome is outcome


def test_ones_own_images_fetch_their_script() -> None:
    assert script_check(released(), "s3://models/code.tar.gz").outcome is Outcome.PASSED


class Answers:
    """ECR with one image, and S3 with one object."""

    def __init__(self, found: RemoteImage | None, *, has: bool | None = True) -> None:
        self.found = found
        self.has = has

    def lookup_image(self, reference: Reference) -> RemoteImage | None:
        return self.found

    def has_object(self, uri: str) -> bool | None:
        return self.has


RIGHT = RemoteImage(media_type=MediaType.DOCKER_MANIFEST, platform=Platform("linux", "arm64", "v8"))


def remote(found: RemoteImage | None, *, has: bool | None = True) -> list[str]:
    checks = remote_checks(deployment(), Answers(found, has=has), stored=(MODEL,))
    return [each.outcome for each in checks]


def test_without_credentials_nothing_of_aws_is_taken_for_checked() -> None:
    checks = remote_checks(deployment(), None, stored=(MODEL,))
    assert [each.outcome for each in checks] == ["not checked"] * 4


def test_what_ecr_and_s3_say_passes_or_fails() -> None:
    assert remote(RIGHT) == ["passed"] * 4
    assert remote(None)[0] == "failed"
    assert remote(RemoteImage(media_type=MediaType.DOCKER_LIST, platform=None))[1] == "failed"
    assert remote(RemoteImage(media_type=MediaType.OCI_MANIFEST, platform=RIGHT.platform))[1] == "failed"
    assert remote(replace(RIGHT, platform=Platform("linux", "amd64")))[2] == "failed"
    assert remote(RIGHT, has=False)[3] == "failed"
    assert remote(RIGHT, has=None)[3] == "not checked"
