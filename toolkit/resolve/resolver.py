"""The image that runs on the instance type: the SDK's where its architecture is right, else one that is."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from toolkit.oci import Architecture
from toolkit.resolve.candidates import architecture_of, containers, resolution, sentence, variants
from toolkit.resolve.machine import Machine, get_machine
from toolkit.resolve.refusal import no_machine, unavailable
from toolkit.resolve.request import (
    INFERENCE_GRAVITON,
    INFERENCE_SCOPES,
    ImageConsumer,
    Request,
    Resolution,
    Unresolvable,
    version_key,
)
from toolkit.resolve.sdk import Answer, answer
from toolkit.resolve.tables import second, third


def retrieve(  # noqa: PLR0917 - the SDK's signature, position by position
    framework: str,
    region: str,
    version: str | None = None,
    py_version: str | None = None,
    instance_type: str | None = None,
    accelerator_type: str | None = None,
    image_scope: str | None = None,
    container_version: str | None = None,
    distribution: Mapping[str, Any] | None = None,
    base_framework_version: str | None = None,
    training_compiler_config: object = None,
    model_id: str | None = None,
    model_version: str | None = None,
    hub_arn: str | None = None,  # noqa: ARG001 - with what follows, only for JumpStart's models
    tolerate_vulnerable_model: bool = False,  # noqa: ARG001
    tolerate_deprecated_model: bool = False,  # noqa: ARG001
    sdk_version: str | None = None,
    inference_tool: str | None = None,
    serverless_inference_config: object = None,
    sagemaker_session: object = None,  # noqa: ARG001
    config_name: str | None = None,  # noqa: ARG001
    model_type: object = None,  # noqa: ARG001
) -> str:
    """The URI that `sagemaker.image_uris.retrieve` gives for the same arguments, wherever it runs there.

    Raises Unresolvable (a ValueError), FrameworkUnknown (also a FileNotFoundError) and InstanceTypeInvalid.
    """
    if model_id is not None or model_version is not None:
        raise Unresolvable(
            "Images of JumpStart models are looked up in AWS, not in tables",
            remedy="Ask for the framework and version that the model is served with.",
        )
    request = Request(
        framework=framework,
        region=region,
        version=version,
        py_version=py_version,
        instance_type=instance_type,
        accelerator_type=accelerator_type,
        image_scope=image_scope,
        container_version=container_version,
        distribution=distribution,
        base_framework_version=base_framework_version,
        training_compiler=bool(training_compiler_config),
        sdk_version=sdk_version,
        inference_tool=inference_tool,
        serverless=serverless_inference_config is not None,
    )
    return resolve(request).uri


def resolve(request: Request) -> Resolution:
    """The image of AWS's that answers `request`. Raises what `retrieve` raises."""
    if not request.instance_type:
        return _resolve_anywhere(request)
    machine = get_machine(request.instance_type)
    refusal: Unresolvable | None = None
    if request.consumer is ImageConsumer.SAGEMAKER:
        asked = replace(request, instance_type=machine.sdk_name)
        for sdk in (second, third):
            try:
                found = answer(asked, sdk())
            except Unresolvable as error:
                refusal = refusal or error
                continue
            if _suits(found, request, machine):
                return resolution(found, sdk(), *sentence(machine))
            refusal = None
            break
    if machine.family is None:
        raise refusal or no_machine(request, machine)
    found_elsewhere = itertools.chain(
        # What the SDK refuses for an amd64 machine it refuses for another reason than the architecture.
        () if refusal and machine.family.architecture is Architecture.AMD64 else variants(request, machine),
        containers(request, machine),
    )
    if best := max(found_elsewhere, key=lambda each: version_key(each.version), default=None):
        return best
    raise unavailable(request, machine, refusal)


def _resolve_anywhere(request: Request) -> Resolution:
    """Without an instance type any architecture is right."""
    if request.consumer is not ImageConsumer.SAGEMAKER:
        raise Unresolvable(
            f"An image for {request.consumer} is chosen by the instance type, which is not given",
            remedy="Give the type of the nodes, like c7g.xlarge.",
        )
    try:
        return resolution(answer(request, second()), second())
    except Unresolvable as refusal:
        try:
            return resolution(answer(request, third()), third())
        except Unresolvable:
            raise refusal from None


def _suits(found: Answer, request: Request, machine: Machine) -> bool:
    """Whether the SDK's answer runs on the machine and is for what was asked."""
    if machine.family is None:
        return True
    if architecture_of(found.repository, found.tag) is not machine.family.architecture:
        return False
    # On Graviton the SDK replaces whatever scope was asked for by that of inference.
    return found.scope != INFERENCE_GRAVITON or request.image_scope in INFERENCE_SCOPES
