"""What is asked, what is answered, and the ways in which there is no answer."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from toolkit.errors import UsageError
from toolkit.oci import Architecture


class Unresolvable(UsageError, ValueError):
    """No image answers the request. A ValueError, as the SageMaker SDK raises."""


class FrameworkUnknown(Unresolvable, FileNotFoundError):
    """No table has this framework. The SDK's is a FileNotFoundError: it opens a file of that name."""


class ArchitectureUnavailable(Unresolvable):
    """AWS has such an image, but for another architecture than the instance type has.

    `available` are the versions that exist for `architecture`, oldest first.
    """

    def __init__(
        self, message: str, *, remedy: str, architecture: Architecture, available: tuple[str, ...]
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.architecture = architecture
        self.available = available


class ImageConsumer(StrEnum):
    """Where the image is to run; tags differ: `-sagemaker` and `-ec2`."""

    SAGEMAKER = "sagemaker"
    EKS = "eks"


INFERENCE = "inference"
INFERENCE_GRAVITON = "inference_graviton"
TRAINING = "training"
EIA = "eia"
# Scopes that an inference image answers; without one, inference is meant.
INFERENCE_SCOPES = (None, INFERENCE, INFERENCE_GRAVITON)


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of the SDK's `retrieve` that select an image; None and "" mean not given.

    `instance_type` is `ml.c7g.xlarge`, `c7g.xlarge`, a family as `ml.c7g`, `local` or `local_gpu`.
    """

    framework: str
    region: str
    version: str | None = None
    py_version: str | None = None
    instance_type: str | None = None
    accelerator_type: str | None = None
    image_scope: str | None = None
    container_version: str | None = None
    distribution: Mapping[str, Any] | None = field(default=None, hash=False)
    base_framework_version: str | None = None
    training_compiler: bool = False
    sdk_version: str | None = None
    inference_tool: str | None = None
    serverless: bool = False
    consumer: ImageConsumer = ImageConsumer.SAGEMAKER


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """One image. `status` is `published` when its tag was seen published, `derived` when it follows from
    a pattern of tags, `released` for one's own; `source` is the table it is from; `why` are sentences."""

    uri: str
    architecture: Architecture
    version: str
    source: str
    status: str
    why: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"why": list(self.why)}


def version_key(version: str) -> tuple[int, ...]:
    """Sorts versions by their numbers: 2.9.1 < 2.10 = 2.10.0; a text without numbers is the least."""
    return tuple(int(number) for number in re.findall(r"\d+", re.sub(r"(\.0+)+$", "", version)))


def validated(value: str | None, options: Iterable[str], what: str) -> str:
    """`value` if it is one of `options`. Raises Unresolvable with the options and the nearest of them."""
    known = tuple(options)
    if value is not None and value in known:
        return value
    import difflib

    near = difflib.get_close_matches(value or "", known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    said = f"Unsupported {what}: {value}." if value else f"The {what} is not given."
    raise Unresolvable(said, remedy=f"{hint}Supported {what}(s): {', '.join(known)}.")
