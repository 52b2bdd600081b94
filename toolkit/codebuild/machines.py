"""Which machines of CodeBuild build what, as data. Each name is an enumeration of botocore's model.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-compute-types.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from toolkit.oci import Architecture
from toolkit.record import PublishedImage

GB = 1000**3


# All run in the image of the project, buildspecs/Dockerfile, so that no build names one. CodeBuild's own have
# no apt, which bases are unpacked with, and an engine without the containerd image store
# (https://github.com/aws/aws-codebuild-docker-images/blob/master/al/x86_64/standard/6.0/dockerd-entrypoint.sh);
# and a project pulls either its own image or CodeBuild's (`ImagePullCredentialsType`).
ENVIRONMENTS: Mapping[Architecture, str] = MappingProxyType(
    {Architecture.AMD64: "LINUX_CONTAINER", Architecture.ARM64: "ARM_CONTAINER"}
)


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A compute type of either architecture. Its `disk` has so many GB, on which it builds images that
    unpack to as many as `unpacked`."""

    name: str
    disk: int
    unpacked: int


# A build writes the layers three times (the engine's, their export, the layout that is compressed) beside
# wheels and the base, which is to fit half of the disk; and it is to take minutes: two processors need two
# for 3 GB of layers (docs/architecture.md, Measured), and each type has at least twice those of the one
# before. Time itself decides nothing: a faster machine would be given back for a slower one by the next
# release.
COMPUTES = (
    Compute(name="BUILD_GENERAL1_SMALL", disk=64, unpacked=2),
    Compute(name="BUILD_GENERAL1_MEDIUM", disk=128, unpacked=6),
    Compute(name="BUILD_GENERAL1_LARGE", disk=128, unpacked=20),
    Compute(name="BUILD_GENERAL1_XLARGE", disk=256, unpacked=40),
    Compute(name="BUILD_GENERAL1_2XLARGE", disk=824, unpacked=130),
)

_UNKNOWN = 3 * GB
"""What an image unpacks to that no record tells of."""


def compute_for(last: PublishedImage | None) -> Compute:
    """The smallest compute type that builds an image as large as its last build was."""
    unpacked = last.unpacked_size if last else _UNKNOWN
    return next((each for each in COMPUTES if unpacked <= each.unpacked * GB), COMPUTES[-1])
