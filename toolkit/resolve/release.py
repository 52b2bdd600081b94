"""The image of one's own release that runs on the instance type."""

from collections.abc import Iterator

from toolkit.hardware import AcceleratorKind
from toolkit.oci import Architecture
from toolkit.record import PublishedImage, ReleaseRecord
from toolkit.resolve.machine import get_machine
from toolkit.resolve.request import INFERENCE_SCOPES, ImageConsumer, Request, Resolution, version_key


def resolve_released(request: Request, record: ReleaseRecord) -> Resolution | None:
    """The URI of `lookup_released`, with its reasons."""
    image = lookup_released(request, record)
    if image is None:
        return None
    return Resolution(
        uri=image.uri,
        architecture=Architecture(image.architecture),
        version=image.version,
        source=f"release {record.release}",
        status="released",
        why=(*_reasons(request), f"{image.identifier} is in release {record.release}"),
    )


def lookup_released(request: Request, record: ReleaseRecord) -> PublishedImage | None:
    """The newest released image that answers `request`; None when none does.

    Without an instance type an image is taken only where all that match are of one architecture.
    Raises InstanceTypeInvalid.
    """
    found = sorted(_matching(request, record), key=lambda image: version_key(image.version))
    if not found:
        return None
    every = [image for image in found if image.version == found[-1].version]
    # Without a region the home registry's, whose rows come first.
    newest = [image for image in every if image.registry == every[0].registry]
    if len({image.architecture for image in newest}) > 1 and len({image.uri for image in newest}) > 1:
        return None
    return newest[-1]


def _matching(request: Request, record: ReleaseRecord) -> Iterator[PublishedImage]:
    consumers = {ImageConsumer.SAGEMAKER: ("sagemaker",), ImageConsumer.EKS: ("eks", "generic")}[
        request.consumer
    ]
    if request.image_scope not in INFERENCE_SCOPES or request.accelerator_type:
        return iter(())
    return (
        image
        for image in record.images
        if image.framework == request.framework and image.consumer in consumers and _fits(request, image)
    )


def _fits(request: Request, image: PublishedImage) -> bool:
    is_version = not request.version or f"{image.version}.".startswith(f"{request.version}.")
    # A registry that is not ECR has no region: it serves all of them.
    return is_version and image.region in ("", request.region or image.region) and _runs(request, image)


_KINDS = {
    AcceleratorKind.NONE: "cpu",
    AcceleratorKind.GPU: "cuda",
    AcceleratorKind.NEURON: "neuron",
    AcceleratorKind.NEURONX: "neuronx",
    AcceleratorKind.EIA: "eia",
}


def _runs(request: Request, image: PublishedImage) -> bool:
    machine = get_machine(request.instance_type) if request.instance_type else None
    if machine is None or machine.family is None:
        return True
    return image.architecture == machine.family.architecture.value and image.accelerator == _KINDS.get(
        machine.kind
    )


def _reasons(request: Request) -> tuple[str, ...]:
    return (f"{get_machine(request.instance_type)}",) if request.instance_type else ()
