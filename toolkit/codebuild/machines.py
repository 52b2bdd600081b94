"""Which machines of CodeBuild build what, as data. Each name is an enumeration of botocore's model.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-compute-types.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from toolkit.oci import Architecture
from toolkit.record import PublishedImage

GB = 1000**3


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A compute type; `memory` and `disk` are GB.

    `unpacked` is up to how many GB of unpacked layers an image is built on it.
    """

    name: str
    memory: int
    cpus: int
    disk: int
    unpacked: int


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Those of one architecture: environment type, curated image, compute types from small to large."""

    type: str
    image: str
    computes: tuple[Compute, ...]


# How large an image each may build. A build writes the layers three times (the engine's, their export, the
# layout that is compressed) beside wheels and the base, which is to fit half of the disk; and it is to take
# minutes: two processors need two for 3 GB of layers (docs/architecture.md, Measured). Time itself decides
# nothing: a machine that was faster would be given back for a slower one by the next release.
MACHINES: Mapping[Architecture, Machines] = MappingProxyType(
    {
        # The images: https://github.com/aws/aws-codebuild-docker-images/tree/master/al
        Architecture.AMD64: Machines(
            type="LINUX_CONTAINER",
            image="aws/codebuild/amazonlinux-x86_64-standard:6.0",
            computes=(
                Compute(name="BUILD_GENERAL1_SMALL", memory=3, cpus=2, disk=64, unpacked=2),
                Compute(name="BUILD_GENERAL1_MEDIUM", memory=7, cpus=4, disk=128, unpacked=6),
                Compute(name="BUILD_GENERAL1_LARGE", memory=15, cpus=8, disk=128, unpacked=20),
                Compute(name="BUILD_GENERAL1_XLARGE", memory=70, cpus=36, disk=256, unpacked=40),
                Compute(name="BUILD_GENERAL1_2XLARGE", memory=145, cpus=72, disk=824, unpacked=130),
            ),
        ),
        Architecture.ARM64: Machines(
            type="ARM_CONTAINER",
            image="aws/codebuild/amazonlinux-aarch64-standard:4.0",
            computes=(
                Compute(name="BUILD_GENERAL1_SMALL", memory=4, cpus=2, disk=64, unpacked=2),
                Compute(name="BUILD_GENERAL1_MEDIUM", memory=8, cpus=4, disk=128, unpacked=6),
                Compute(name="BUILD_GENERAL1_LARGE", memory=16, cpus=8, disk=128, unpacked=20),
                Compute(name="BUILD_GENERAL1_XLARGE", memory=64, cpus=32, disk=256, unpacked=40),
                Compute(name="BUILD_GENERAL1_2XLARGE", memory=96, cpus=48, disk=824, unpacked=130),
            ),
        ),
    }
)

_UNKNOWN = 3 * GB
"""What an image unpacks to that no record tells of."""


def compute_for(architecture: Architecture, last: PublishedImage | None) -> Compute:
    """The smallest compute type that builds an image as large as its last build was."""
    unpacked = last.unpacked_size if last else _UNKNOWN
    computes = MACHINES[architecture].computes
    return next((each for each in computes if unpacked <= each.unpacked * GB), computes[-1])
