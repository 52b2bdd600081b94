"""The checks that come before the first call."""

import pytest

from toolkit.deployers.checks import Outcome, check_machine, ensure_passed, not_checked, passed
from toolkit.deployers.image import DeployableImage, Origin
from toolkit.errors import DeploymentRefused, ExitCode
from toolkit.hardware import AcceleratorKind, get_instance_type
from toolkit.oci import Architecture

PASSED, FAILED, NOT_CHECKED = Outcome.PASSED, Outcome.FAILED, Outcome.NOT_CHECKED


def that(_image: DeployableImage, instance_type: str) -> str:
    return f"Use that one on {instance_type}."


def outcomes(architecture: str, accelerator: str, instance_type: str) -> list[Outcome]:
    image = DeployableImage(
        uri="host/name:1",
        origin=Origin.AWS,
        architectures=(Architecture(architecture),) if architecture else (),
        accelerator=AcceleratorKind(accelerator) if accelerator else None,
    )
    return [check.outcome for check in check_machine(image, get_instance_type(instance_type), instead=that)]


@pytest.mark.parametrize(
    ("architecture", "accelerator", "instance_type", "expected"),
    [
        ("arm64", "none", "ml.c7g.xlarge", [PASSED, PASSED]),
        ("amd64", "none", "ml.c7g.xlarge", [FAILED, PASSED]),
        ("amd64", "none", "ml.m5.large", [PASSED, PASSED]),
        ("arm64", "none", "ml.m5.large", [FAILED, PASSED]),
        ("amd64", "gpu", "ml.m5.large", [PASSED, FAILED]),
        ("amd64", "none", "ml.g5.xlarge", [PASSED, FAILED]),
        ("arm64", "none", "g5g.xlarge", [PASSED, FAILED]),
        ("amd64", "neuron", "ml.inf1.xlarge", [PASSED, PASSED]),
        ("amd64", "neuron", "ml.inf2.xlarge", [PASSED, FAILED]),
        ("amd64", "neuronx", "ml.trn1.2xlarge", [PASSED, PASSED]),
        ("arm64", "none", "mac2.metal", [FAILED, PASSED]),
        ("", "", "ml.m5.large", [NOT_CHECKED, NOT_CHECKED]),
    ],
)
def test_architecture_and_accelerator_are_those_of_the_machine(
    architecture: str, accelerator: str, instance_type: str, expected: list[Outcome]
) -> None:
    assert outcomes(architecture, accelerator, instance_type) == expected


def test_every_failure_is_told_at_once_with_what_to_use_instead() -> None:
    image = DeployableImage(
        uri="host/name:1",
        origin=Origin.AWS,
        architectures=(Architecture.AMD64,),
        accelerator=AcceleratorKind.GPU,
    )
    checks = check_machine(image, get_instance_type("ml.c7g.large"), instead=that)
    with pytest.raises(DeploymentRefused) as refused:
        ensure_passed(checks)
    assert refused.value.exit_code is ExitCode.DEPLOYMENT_REFUSED
    assert str(refused.value).splitlines() == [
        "ml.c7g.large is arm64, but host/name:1 is amd64 by AWS's tables",
        "ml.c7g.large has no accelerator, but host/name:1 is for GPUs",
        "  Use that one on ml.c7g.large.",
    ]


def test_what_was_not_checked_refuses_nothing() -> None:
    ensure_passed((passed("a", ""), not_checked("b", "")))


def test_a_machine_that_only_its_name_tells_of_says_so() -> None:
    image = DeployableImage(uri="h/n:1", origin=Origin.AWS, architectures=(Architecture.ARM64,))
    architecture, _ = check_machine(image, get_instance_type("ml.z99g.large"), instead=that)
    assert "by the rules of naming" in architecture.detail
