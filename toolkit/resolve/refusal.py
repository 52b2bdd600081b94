"""Why no image fits, and what there is instead."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from toolkit.hardware import AcceleratorKind
from toolkit.regions import image_families
from toolkit.resolve.candidates import containers, variants
from toolkit.resolve.machine import Machine
from toolkit.resolve.request import (
    EIA,
    INFERENCE,
    INFERENCE_SCOPES,
    ArchitectureUnavailable,
    ImageConsumer,
    Request,
    Unresolvable,
    version_key,
)
from toolkit.resolve.tables import deep_learning_containers, third


def no_machine(request: Request, machine: Machine) -> Unresolvable:
    return Unresolvable(
        f"{machine.name!r} says nothing about the hardware that {request.framework} is to run on",
        remedy="Name an instance type, like c7g.xlarge.",
    )


def unavailable(request: Request, machine: Machine, refusal: Unresolvable | None) -> Unresolvable:
    """Why nothing fits: the SDK's own reason where the architecture is not the matter."""
    assert machine.family
    architecture = machine.family.architecture
    is_elsewhere = request.consumer is not ImageConsumer.SAGEMAKER
    if refusal and (machine.is_common or not _is_known(request)):
        return refusal
    anything = replace(request, version=None, image_scope=INFERENCE, accelerator_type=None, py_version=None)
    found = {each.version for source in (variants, containers) for each in source(anything, machine)}
    available = tuple(sorted(found, key=version_key))
    purpose = f" for {request.image_scope or EIA}" if not _is_inference(request) else ""
    what = " ".join(filter(None, (request.framework, request.version)))
    kind = "" if machine.kind is AcceleratorKind.NONE else f" {machine.kind}"
    where = f" in {request.region}" + (f" for {request.consumer}" if is_elsewhere else "")
    versions = (
        f"{architecture}{kind} images of {request.framework} for inference exist of: {', '.join(available)}."
        if available
        else f"AWS has no {architecture}{kind} image of {request.framework} there at all."
    )
    return ArchitectureUnavailable(
        f"{machine}, and AWS has no {architecture}{kind} image of {what}{purpose}{where}",
        remedy=f"{versions} Or build one: add it to images.toml with {architecture} among its architectures.",
        architecture=architecture,
        available=available,
    )


def _is_inference(request: Request) -> bool:
    return request.image_scope in INFERENCE_SCOPES and not request.accelerator_type


def _is_known(request: Request) -> bool:
    """Whether AWS offers the framework in the region at all, so that only the hardware is the matter."""
    if request.framework in third().frameworks:
        return any(request.region in regions for regions in _regions(request.framework))
    return any(row.framework == request.framework for row in deep_learning_containers())


def _regions(framework: str) -> Iterator[Mapping[str, str]]:
    def walk(node: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
        if "registries" in node:
            yield image_families()[node["registries"]]
        for child in node.values():
            if isinstance(child, dict):
                yield from walk(child)

    yield from walk(third().frameworks[framework])
