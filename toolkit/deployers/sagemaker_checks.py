"""What must be true before the first call to SageMaker.

What needs no credentials is checked at once; the rest is asked through `Cloud`, or said to be not checked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from toolkit.contracts import SAGEMAKER
from toolkit.deployers.checks import Check, Instead, check_machine, failed, not_checked, passed
from toolkit.deployers.image import DeployableImage, Origin
from toolkit.deployers.sagemaker import CODE_DIR, Deployment, Variant
from toolkit.hardware import (
    SAGEMAKER_PREFIX,
    AcceleratorKind,
    InstanceType,
    Use,
    get_instance_type,
    instance_type_names,
)
from toolkit.oci import Architecture, Platform, Reference
from toolkit.regions import ecr_host, get_partition
from toolkit.support import known_ends


@dataclass(frozen=True, kw_only=True)
class RemoteImage:
    """What a registry holds; `platform` is None for a manifest list."""

    media_type: str
    platform: Platform | None


class Cloud(Protocol):
    """What is asked before the first call. Raises DeploymentFailed when it cannot be asked."""

    def lookup_image(self, reference: Reference) -> RemoteImage | None:
        """None when ECR has no such image."""
        ...

    def has_object(self, uri: str) -> bool | None:
        """Whether S3 has it; None when this caller may not look, though the role may."""
        ...


def local_checks(deployment: Deployment, *, instead: Instead) -> tuple[Check, ...]:
    """Everything that tables and the release record can tell. Raises RegionUnknown."""
    accelerator_type = deployment.accelerator_type
    if accelerator_type and accelerator_type not in (known := accelerator_types()):
        why = f"{accelerator_type!r} is no accelerator of Elastic Inference"
        return (failed("accelerator type", why, f"Those were: {', '.join(known)}."),)
    return (
        *_variant_checks(deployment, instead),
        *_role(deployment),
        *_accelerator_type(deployment),
        *_script(deployment),
    )


def end_of_elastic_inference() -> str:
    """When the service ended, and who says so."""
    end = known_ends().accelerators[AcceleratorKind.EIA.value]
    return f"{end.reason} ({end.source}): no endpoint with an accelerator type comes up any more"


def accelerator_types() -> tuple[str, ...]:
    """The API's enumeration ProductionVariantAcceleratorType."""
    return tuple(
        each for each in instance_type_names() if Use.ENDPOINT_ACCELERATOR in get_instance_type(each).uses
    )


def _variant_checks(deployment: Deployment, instead: Instead) -> Iterator[Check]:
    attached = AcceleratorKind.EIA if deployment.accelerator_type else None
    for variant in deployment.variants:
        yield _endpoint_type(variant.machine)
        yield from check_machine(variant.image, variant.machine, instead=instead, attached=attached)
        yield _registry(variant, deployment.region, instead)
        yield _media_type(variant)


def _images(deployment: Deployment) -> tuple[DeployableImage, ...]:
    """Each once, in the order of the variants."""
    return tuple({variant.image.uri: variant.image for variant in deployment.variants}.values())


def _endpoint_type(machine: InstanceType) -> Check:
    name = f"instance type {machine.name}"
    if Use.ENDPOINT in machine.uses:
        return passed(name, f"SageMaker takes {machine.name} for endpoints")
    if not machine.name.startswith(SAGEMAKER_PREFIX):
        return failed(
            name,
            f"{machine.name} is EC2's name; SageMaker's is {SAGEMAKER_PREFIX}{machine.name}",
            f"Use --instance-type {SAGEMAKER_PREFIX}{machine.name}",
        )
    if machine.assumed:
        return not_checked(name, f"the tables here have no {machine.name}: it may be newer than they are")
    same = [
        each
        for each in instance_type_names()
        if each.startswith(f"{SAGEMAKER_PREFIX}{machine.family.name}.")
        and Use.ENDPOINT in get_instance_type(each).uses
    ]
    has = f"of its family it takes {', '.join(same)}" if same else "nor any other of its family"
    return failed(name, f"SageMaker takes no {machine.name} for endpoints, {has}")


def _registry(variant: Variant, region: str, instead: Instead) -> Check:
    image = variant.image
    name = f"registry of {image.uri}"
    if image.region == region:
        return passed(name, f"{image.uri} names ECR in {region}")
    where = f"in {image.region}" if image.region else f"at {image.reference.registry}"
    pulls = f"SageMaker pulls from ECR in its own region, {region}, only"
    if image.origin is Origin.AWS:
        return failed(name, f"{image.uri} is {where}, and {pulls}", instead(image, variant.machine.name))
    host = ecr_host("ACCOUNT", region)
    return failed(
        name,
        f"{image.uri} is {where}, and {pulls}",
        f"Release it there: make release REGISTRY={host}. Or take AWS's image: --source aws",
    )


def _media_type(variant: Variant) -> Check:
    image, machine = variant.image, variant.machine
    name, known = f"media type of {image.uri}", [each.value for each in SAGEMAKER.manifest_types]
    if len(image.architectures) > 1:
        right = [str(each.pinned) for each in image.published if each.architecture == machine.architecture]
        return failed(
            name,
            f"{image.uri} is a manifest list, and SageMaker takes the image of one platform",
            f"On {machine.name} use --image {right[0]}" if right else "Name the image of the platform.",
        )
    if not image.media_type:
        return not_checked(name, f"no release here says what it is; SageMaker takes {', '.join(known)}")
    if image.media_type in known:
        return passed(name, f"{image.uri} is {image.media_type} by {image.origin}")
    return failed(
        name,
        f"{image.uri} is {image.media_type}, and SageMaker takes {', '.join(known)}",
        'Release it for SageMaker: consumers = ["sagemaker"] in images.toml',
    )


def _role(deployment: Deployment) -> Iterator[Check]:
    partition = get_partition(deployment.region).name
    if deployment.role_partition != partition:
        where = f"{deployment.role_partition}, and {deployment.region} of {partition}"
        yield failed("role", f"{deployment.role} is of the partition {where}")


def _accelerator_type(deployment: Deployment) -> Iterator[Check]:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html"""
    if not deployment.accelerator_type:
        return
    for variant in deployment.variants:
        name = f"{deployment.accelerator_type} on {variant.machine.name}"
        if why := _no_host(variant):
            yield failed(name, why, "Use a cpu type of amd64: --instance-type ml.c5.xlarge")
        else:
            yield passed(name, f"{variant.machine.name} is amd64 and has no accelerator of its own")


def _no_host(variant: Variant) -> str:
    """Why an accelerator cannot be attached to the machine; "" where nothing is known against it."""
    machine = variant.machine
    if machine.architecture is not Architecture.AMD64:
        return f"{machine.name} is {machine.architecture}, and Elastic Inference has amd64 hosts only"
    if machine.accelerator.kind is not AcceleratorKind.NONE:
        return f"{machine.name} has an accelerator of its own, {machine.accelerator}"
    return ""


# Images of AWS that fetch their code from S3 by themselves; all others look into the model archive.
# https://github.com/aws/sagemaker-containers/blob/master/src/sagemaker_containers/_modules.py
_FETCH_CODE = ("scikit-learn", "xgboost")


def fetches_code(image: DeployableImage) -> bool | None:
    """Whether the image reads an s3:// SAGEMAKER_SUBMIT_DIRECTORY; None when nothing is known of it."""
    if image.origin is Origin.GIVEN:
        return None
    return image.origin is Origin.RELEASE or image.framework in _FETCH_CODE


def _script(deployment: Deployment) -> Iterator[Check]:
    script = deployment.script
    if script is None:
        return
    for image in _images(deployment):
        name = f"script in {image.uri}"
        if script.directory == CODE_DIR:
            yield passed(name, f"{script.program} is in code/ of the model archive, which every image reads")
        elif (knows_how := fetches_code(image)) is None:
            yield not_checked(name, f"whether {image.uri} fetches its code from S3 is not known")
        elif knows_how:
            yield passed(name, f"{image.uri} fetches {script.directory} when it starts")
        else:
            yield failed(
                name,
                f"{image.uri} does not fetch {script.directory}: it looks into code/ of its model",
                "Give --script and --model-data as local paths: they are packed into one archive.",
            )


def remote_checks(deployment: Deployment, cloud: Cloud | None, *, stored: Sequence[str]) -> tuple[Check, ...]:
    """Whether the images are in that region and what the registry says they are, and whether S3 has
    `stored`; without `cloud` each of them is not checked. Raises DeploymentFailed when it cannot be asked."""
    images = {variant.image.uri: variant for variant in deployment.variants}
    return (
        *(check for variant in images.values() for check in _in_ecr(variant, cloud)),
        *(_in_s3(uri, cloud) for uri in stored),
    )


_WHEN = "with credentials: only with --apply"


def _in_ecr(variant: Variant, cloud: Cloud | None) -> Iterator[Check]:
    image, wanted = variant.image, variant.machine.platform
    there, kind, platform = (
        f"{what} of {image.uri} in ECR" for what in ("presence", "media type", "platform")
    )
    if cloud is None:
        yield from (not_checked(name, f"asks ECR, {_WHEN}") for name in (there, kind, platform))
        return
    found = cloud.lookup_image(image.reference)
    if found is None:
        why = "AWS's tables name it, but it is" if image.origin is Origin.AWS else "It is"
        yield failed(
            there, f"{image.uri} is not in ECR in {image.region}", f"{why} not there, or not any more."
        )
        return
    yield passed(there, f"ECR in {image.region} has it")
    known = [each.value for each in SAGEMAKER.manifest_types]
    if found.media_type not in known:
        yield failed(
            kind, f"{image.uri} is {found.media_type} in ECR, and SageMaker takes {', '.join(known)}"
        )
        return
    yield passed(kind, f"ECR says {found.media_type}")
    said = f"ECR says {found.platform}, {variant.machine.name} is {wanted}"
    is_right = found.platform is not None and found.platform.normalized == wanted
    yield passed(platform, said) if is_right else failed(platform, f"{image.uri}: {said}")


def _in_s3(uri: str, cloud: Cloud | None) -> Check:
    name = f"presence of {uri}"
    if cloud is None:
        return not_checked(name, f"asks S3, {_WHEN}")
    has = cloud.has_object(uri)
    if has is None:
        return not_checked(name, "this caller may not look into the bucket; the role has to")
    return (
        passed(name, "S3 has it") if has else failed(name, f"S3 has no {uri}", "Upload it, or mend the URI.")
    )
