"""The image that a deployer names, and what is known of it without asking anyone."""

from dataclasses import dataclass, field
from enum import StrEnum

from toolkit.hardware import AcceleratorKind
from toolkit.oci import Architecture, Reference
from toolkit.record import PublishedImage, ReleaseRecord, account_and_region
from toolkit.resolve import Request, Resolution, Unresolvable, lookup_released, resolve
from toolkit.resolve.names import lookup_aws_image


class Origin(StrEnum):
    """Who says what the image is."""

    RELEASE = "a release of one's own"
    AWS = "AWS's tables"
    GIVEN = "nobody but its URI"


@dataclass(frozen=True, kw_only=True)
class DeployableImage:
    """`uri` is what is deployed. What is not known is empty: `architectures`, `framework`, `version`,
    `media_type`; an `accelerator` that is not known is None.

    `architectures` has more than one where `uri` names a manifest list; `published` are the images
    of one's own release behind it, one for each of them.
    """

    uri: str
    origin: Origin
    architectures: tuple[Architecture, ...] = ()
    accelerator: AcceleratorKind | None = None
    framework: str = ""
    version: str = ""
    media_type: str = ""
    published: tuple[PublishedImage, ...] = ()
    why: tuple[str, ...] = field(default=(), compare=False)

    @property
    def reference(self) -> Reference:
        return Reference.parse(self.uri)

    @property
    def region(self) -> str:
        """The region of the ECR registry it is in; "" for any other registry."""
        return account_and_region(self.reference.registry)[1]


def choose_image(
    request: Request, record: ReleaseRecord | None, *, is_aws_asked: bool = True
) -> DeployableImage:
    """The image that answers `request`: of one's own release where that has one, else AWS's.

    Raises Unresolvable and InstanceTypeInvalid.
    """
    if record and (released := lookup_released(request, record)):
        return describe_image(released.uri, record)
    if record and not is_aws_asked:
        what = " ".join(filter(None, (request.framework, request.version)))
        raise Unresolvable(
            f"release {record.release} has no image of {what} that runs on {request.instance_type}",
            remedy="Release one, or leave out --source release to take AWS's.",
        )
    return _of_aws(resolve(request))


def describe_image(uri: str, record: ReleaseRecord | None) -> DeployableImage:
    """What is known of the image at `uri`. Raises UsageError when it is no reference."""
    reference = Reference.parse(uri)
    if record and (published := _published(reference, record)):
        return _of_release(uri, reference, published, record)
    named = lookup_aws_image(reference)
    if named is None:
        return DeployableImage(uri=uri, origin=Origin.GIVEN)
    return DeployableImage(
        uri=uri,
        origin=Origin.AWS,
        architectures=(named.architecture,) if named.architecture else (),
        accelerator=named.accelerator,
        framework=named.framework,
        version=named.version,
    )


def _of_aws(found: Resolution) -> DeployableImage:
    named = lookup_aws_image(Reference.parse(found.uri))
    return DeployableImage(
        uri=found.uri,
        origin=Origin.AWS,
        architectures=(found.architecture,),
        accelerator=named.accelerator if named else None,
        framework=named.framework if named else "",
        version=found.version,
        why=found.why,
    )


_ACCELERATORS = {
    "cpu": AcceleratorKind.NONE,
    "cuda": AcceleratorKind.GPU,
    "neuron": AcceleratorKind.NEURON,
    "neuronx": AcceleratorKind.NEURONX,
    "eia": AcceleratorKind.EIA,
}


def _of_release(
    uri: str, reference: Reference, published: tuple[PublishedImage, ...], record: ReleaseRecord
) -> DeployableImage:
    first = published[0]
    is_list = not any(_is_named(reference, image, image.digest, image.tag) for image in published)
    return DeployableImage(
        uri=uri,
        origin=Origin.RELEASE,
        architectures=tuple(sorted(Architecture(image.architecture) for image in published)),
        accelerator=_ACCELERATORS.get(first.accelerator),
        framework=first.framework,
        version=first.version,
        media_type="" if is_list else first.media_type,
        published=published,
        why=tuple(f"{image.identifier} is in release {record.release}" for image in published),
    )


def _published(reference: Reference, record: ReleaseRecord) -> tuple[PublishedImage, ...]:
    """The image that `reference` names, or those behind the list that it names."""
    alone = tuple(each for each in record.images if _is_named(reference, each, each.digest, each.tag))
    return alone[:1] or tuple(
        each for each in record.images if _is_named(reference, each, each.index_digest, each.index_tag)
    )


def _is_named(reference: Reference, image: PublishedImage, digest: str, tag: str) -> bool:
    is_there = (reference.registry, reference.repository) == (image.registry, image.repository)
    return is_there and (reference.digest == digest if reference.digest else reference.tag == tag)
