"""Images of the right architecture and accelerator, where the SDK's answer has another or none."""

from collections.abc import Iterator
from dataclasses import replace

from toolkit.hardware import AcceleratorKind
from toolkit.oci import Architecture
from toolkit.regions import ecr_host
from toolkit.resolve.machine import Machine
from toolkit.resolve.request import (
    EIA,
    INFERENCE,
    INFERENCE_GRAVITON,
    INFERENCE_SCOPES,
    ImageConsumer,
    Request,
    Resolution,
    Unresolvable,
)
from toolkit.resolve.sdk import Answer, answer, is_retired, scoped_config
from toolkit.resolve.tables import (
    DeepLearningContainer,
    Generation,
    deep_learning_container_accounts,
    deep_learning_containers,
    second,
    third,
)

_ARM64_SUFFIX = "-arm64"
# AWS tags EC2's images also for EKS; those for any consumer carry no such suffix.
_CONSUMERS = {ImageConsumer.SAGEMAKER: ("sagemaker", "any"), ImageConsumer.EKS: ("ec2", "any")}


def architecture_of(repository: str, tag: str) -> Architecture:
    """AWS names the architecture of its images only where it is arm64."""
    name = f"{repository}-{tag}-"
    is_arm64 = "-graviton-" in name or f"{_ARM64_SUFFIX}-" in name
    return Architecture.ARM64 if is_arm64 else Architecture.AMD64


def variants(request: Request, machine: Machine) -> Iterator[Resolution]:
    """The SDKs' images of the machine's architecture for the version that was asked for, or for all."""
    assert machine.family
    is_sagemaker = request.consumer is ImageConsumer.SAGEMAKER and not request.accelerator_type
    if not is_sagemaker or request.image_scope not in INFERENCE_SCOPES:
        return
    for sdk in (second(), third()):
        for asked in _variants(request, machine, sdk):
            try:
                found = answer(asked, sdk)
            except Unresolvable:
                continue
            if architecture_of(found.repository, found.tag) is machine.family.architecture:
                yield resolution(found, sdk, *sentence(machine))


def containers(request: Request, machine: Machine) -> Iterator[Resolution]:
    """Deep learning containers that the SDK does not know, of the machine's architecture and accelerator."""
    accounts = deep_learning_container_accounts()
    if request.image_scope not in INFERENCE_SCOPES or request.region not in accounts:
        return
    host = ecr_host(accounts[request.region], request.region)
    for row in _rows(request, machine):
        if _is_version(row.version, request.version):
            yield Resolution(
                uri=f"{host}/{row.repository}:{row.tag}",
                architecture=row.architecture,
                version=row.version,
                source="aws/deep-learning-containers",
                status=row.status,
                why=(*sentence(machine), *_patches(row)),
            )


def _variants(request: Request, machine: Machine, sdk: Generation) -> Iterator[Request]:
    """The request as the SDK would have to be asked to name images of the machine's architecture."""
    assert machine.family
    if machine.family.architecture is Architecture.AMD64:
        if request.image_scope == INFERENCE_GRAVITON or request.framework.endswith(_ARM64_SUFFIX):
            framework = request.framework.removesuffix(_ARM64_SUFFIX)
            yield replace(request, framework=framework, image_scope=INFERENCE, instance_type=machine.sdk_name)
        return
    if machine.kind is not AcceleratorKind.NONE:
        return  # All arm64 images of the SDK are for CPUs.
    graviton = f"ml.{sdk.rules['graviton_families'][0]}"
    for framework, scope, instance_type in (
        (request.framework, INFERENCE_GRAVITON, graviton),
        (f"{request.framework}{_ARM64_SUFFIX}", INFERENCE, machine.sdk_name),
    ):
        for version in _versions(request.version, framework, scope, sdk):
            yield replace(
                request,
                framework=framework,
                version=version,
                image_scope=scope,
                instance_type=instance_type,
            )


def _versions(asked: str | None, framework: str, scope: str, sdk: Generation) -> tuple[str, ...]:
    """Those to try: the one asked for as it was given if the SDK lists it, or all when none was given."""
    config = scoped_config(framework, scope, sdk)
    if config is None:
        return ()
    if not asked:
        return tuple(config["versions"])
    return (asked,) if asked in config["versions"] or asked in config.get("version_aliases", {}) else ()


def _rows(request: Request, machine: Machine) -> Iterator[DeepLearningContainer]:
    """Rows never answer what the SDK decides by tables of its own: compiler, tag parts, accelerators."""
    assert machine.family
    is_sagemaker = request.consumer is ImageConsumer.SAGEMAKER
    if request.container_version or request.training_compiler or (is_sagemaker and request.accelerator_type):
        return
    # What the SDK refuses for a common machine was asked wrongly, unless the version is one it lacks.
    if is_sagemaker and not request.version and machine.is_common:
        return
    kind = EIA if request.accelerator_type else machine.kind.value
    for row in deep_learning_containers():
        if (
            row.framework == request.framework
            and row.architecture is machine.family.architecture
            and row.accelerator == kind
            and row.consumer in _CONSUMERS[request.consumer]
            and request.py_version in (None, row.python)
            and f"-{request.sdk_version or ''}" in row.tag
            and not is_retired(row.framework, machine.family.name, row.version, second())
        ):
            yield row


def _is_version(version: str, asked: str | None) -> bool:
    """2.19 is any 2.19.x."""
    return not asked or version == asked or version.startswith(f"{asked}.")


def resolution(found: Answer, sdk: Generation, *why: str) -> Resolution:
    return Resolution(
        uri=found.uri,
        architecture=architecture_of(found.repository, found.tag),
        version=found.version,
        source=sdk.source,
        status="published",
        why=(*why, f"{found.repository}:{found.tag} is in the tables of {sdk.source}"),
    )


def sentence(machine: Machine) -> tuple[str, ...]:
    if machine.family is None:
        return ()
    kind = machine.kind
    return (f"{machine}" + ("" if kind is AcceleratorKind.NONE else f" with an accelerator of kind {kind}"),)


def _patches(row: DeepLearningContainer) -> tuple[str, ...]:
    said = {
        "published": "its tag is in AWS's tables of images",
        "derived": "its tag follows from AWS's build files and was not seen published",
    }[row.status]
    if not row.patched_until:
        return (said,)
    until = "have ended" if row.patched_until == "ended" else f"end {row.patched_until}"
    return (said, f"AWS's patches for it {until}")
