"""(framework, version, region, instance type …) → the URI of an image that runs there.

`retrieve` takes what `sagemaker.image_uris.retrieve` takes and gives a text; `resolve` gives the same answer
with its reasons. docs/resolver.md has the differences from the SDK. Pure but for reading toolkit/data.
"""

from toolkit.resolve.release import resolve_released
from toolkit.resolve.request import (
    ArchitectureUnavailable,
    FrameworkUnknown,
    Request,
    Resolution,
    Unresolvable,
    Use,
)
from toolkit.resolve.resolver import resolve, retrieve

__all__ = [
    "ArchitectureUnavailable",
    "FrameworkUnknown",
    "Request",
    "Resolution",
    "Unresolvable",
    "Use",
    "resolve",
    "resolve_released",
    "retrieve",
]
