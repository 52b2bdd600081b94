"""(framework, version, region, instance type …) → the URI of an image that runs there.

`retrieve` takes what `sagemaker.image_uris.retrieve` takes and gives a text; `resolve` gives the same answer
with its reasons. docs/resolver.md has the differences from the SDK. Pure but for reading toolkit/data.
"""

from toolkit.resolve.release import lookup_released, resolve_released
from toolkit.resolve.request import (
    ArchitectureUnavailable,
    FrameworkUnknown,
    ImageConsumer,
    Request,
    Resolution,
    Unresolvable,
)
from toolkit.resolve.resolver import resolve, retrieve

__all__ = [
    "ArchitectureUnavailable",
    "FrameworkUnknown",
    "ImageConsumer",
    "Request",
    "Resolution",
    "Unresolvable",
    "lookup_released",
    "resolve",
    "resolve_released",
    "retrieve",
]
