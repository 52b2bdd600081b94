"""The only speller of image ids, unit identifiers and tags.

image id         tensorflow-2.9.1-cpu-py39-debian11-sagemaker
unit identifier  tensorflow-2.9.1-cpu-py39-debian11-sagemaker-arm64
list tag         2.9.1-cpu-py39-debian11-sagemaker, with -r2 after it for revision 2
arch tag         2.9.1-cpu-py39-debian11-sagemaker-arm64
build tag        b-0123456789abcdef
staged tag       b-0123456789abcdef-0123456789ab
cache tag        tensorflow-2.9.1-cpu-py39-debian11-sagemaker-arm64, in a repository for caches alone

An image of a vendor's SDK has its version between Python and os, as AWS has: `py310-sdk2.20.2-ubuntu20.04`.
"""

import hashlib
import re
from functools import lru_cache

from toolkit.oci import Architecture, Digest

DEFAULT_PATTERN = "{version}-{accelerator}-py{py}-{os}-{consumer}"
"""What images whose catalog entry has no `tag` are tagged with: AWS's order, the consumer last."""

SDK_PATTERN = "{version}-{accelerator}-py{py}-sdk{sdk}-{os}-{consumer}"
"""The same for images with an `sdk`."""

PATTERN_PLACEHOLDERS = ("version", "accelerator", "py", "sdk", "os", "consumer", "framework")
"""What a tag pattern may hold in braces."""

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

TAG_LIMIT = 128
"""Characters: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests"""

_TAG = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{TAG_LIMIT - 1}}}")
_BUILD_ID = re.compile(r"[0-9a-f]{16,}")


def image_id(
    *, framework: str, version: str, accelerator: str, python: str, sdk: str = "", os: str, consumer: str
) -> str:
    """`python` is like "3.9", `sdk` like "2.20.2" or nothing, `os` the name of the base."""
    py = f"py{_py(python)}-sdk{sdk}" if sdk else f"py{_py(python)}"
    return f"{framework}-{version}-{accelerator}-{py}-{os}-{consumer}"


def unit_identifier(image_id: str, architecture: Architecture) -> str:
    return f"{image_id}-{architecture}"


def list_tag(
    pattern: str = DEFAULT_PATTERN,
    *,
    framework: str,
    version: str,
    accelerator: str,
    python: str,
    sdk: str = "",
    os: str,
    consumer: str,
    revision: int = 1,
) -> str:
    """The tag of the manifest list. Raises KeyError for a placeholder not in PATTERN_PLACEHOLDERS."""
    values = {
        "framework": framework,
        "version": version,
        "accelerator": accelerator,
        "py": _py(python),
        "sdk": sdk,
        "os": os,
        "consumer": consumer,
    }
    tag = "".join([values[part] if odd else part for odd, part in _parts(pattern)])
    return f"{tag}-r{revision}" if revision > 1 else tag


@lru_cache(maxsize=64)
def _parts(pattern: str) -> tuple[tuple[bool, str], ...]:
    """Its texts and, at odd places, the names of its placeholders."""
    return tuple((at % 2 == 1, part) for at, part in enumerate(PLACEHOLDER.split(pattern)))


def arch_tag(list_tag: str, architecture: Architecture) -> str:
    """The tag of one architecture's image, beside the list's."""
    return f"{list_tag}-{architecture}"


def build_tag(build_id: str) -> str:
    """The tag by which a build is found again.

    Raises ValueError unless `build_id` is 16 or more hex digits.
    """
    if not _BUILD_ID.fullmatch(build_id):
        raise ValueError(f"not a build id: {build_id!r}")
    return f"b-{build_id[:16]}"


def staged_tag(build_id: str, digest: Digest) -> str:
    """The tag of what is known of one image under a build's tag: it goes where that goes, and no public tag
    begins like it. With the image's digest, as a tag that is put once may never move again.

    Raises ValueError unless `build_id` is 16 or more hex digits.
    """
    return f"{build_tag(build_id)}-{digest.hex[:12]}"


def cache_tag(identifier: str) -> str:
    """The tag of a unit's build cache: its identifier, so that it is found whatever changed in the unit.

    One that is longer than a tag may be ends with a hash of the whole.
    """
    if len(identifier) <= TAG_LIMIT:
        return identifier
    rest = hashlib.sha256(identifier.encode()).hexdigest()[:16]
    return f"{identifier[: TAG_LIMIT - len(rest) - 1]}-{rest}"


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def _py(python: str) -> str:
    return python.replace(".", "")
