"""What an image's versions, consumers and architectures multiply to, without what it excludes."""

from collections.abc import Iterator
from dataclasses import dataclass

from toolkit import tags
from toolkit.catalog.model import Consumer, Image, Part
from toolkit.oci import Architecture


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place of an image's matrix: what a build unit is made from."""

    version: str
    consumer: Consumer
    architecture: Architecture


def matrix(image: Image) -> Iterator[Cell]:
    """The cells to build, in the order of the file."""
    for version in image.versions:
        for consumer in image.consumers:
            for architecture in image.architectures:
                if not any(covers(exclusion, version, architecture) for exclusion in image.exclusions):
                    yield Cell(version=version, consumer=consumer, architecture=architecture)


def covers(part: Part, version: str, architecture: Architecture) -> bool:
    return part.version in ("", version) and part.architecture in (None, architecture)


def image_id(image: Image, cell: Cell) -> str:
    return tags.image_id(
        framework=image.framework,
        version=cell.version,
        accelerator=image.accelerator,
        python=image.python,
        sdk=image.sdk.version if image.sdk else "",
        os=image.base,
        consumer=cell.consumer,
    )


def list_tag(image: Image, cell: Cell) -> str:
    return tags.list_tag(
        image.tag,
        framework=image.framework,
        version=cell.version,
        accelerator=image.accelerator,
        python=image.python,
        sdk=image.sdk.version if image.sdk else "",
        os=image.base,
        consumer=cell.consumer,
        revision=image.revision,
    )
