"""What images.toml says, as frozen values. Everything here has passed validation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from toolkit.oci import Architecture, Reference


class Accelerator(StrEnum):
    """What the image computes on besides the CPU; an axis of its own, apart from the architecture."""

    CPU = "cpu"
    CUDA = "cuda"
    NEURON = "neuron"
    NEURONX = "neuronx"
    EIA = "eia"


class Consumer(StrEnum):
    """Whose contract an image keeps."""

    SAGEMAKER = "sagemaker"
    EKS = "eks"
    GENERIC = "generic"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A base made of a Debian suite's packages; `packages` are the names asked for, sorted."""

    suite: str
    packages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Base:
    """What an image starts FROM.

    `origin` is a recipe or an image of a registry; `python` is like "3.9", `glibc` like "2.31"
    (it decides which manylinux wheels fit); `name` is the os part of identifiers, "debian11".
    """

    name: str
    python: str
    glibc: str
    origin: Recipe | Reference
    line: int


@dataclass(frozen=True, kw_only=True)
class ForeignElf:
    """Files that may hold another machine's ELF because they are data, with the reason."""

    path: str  # glob, matched against the absolute path in the image
    reason: str
    machine: str = "*"  # name as the report prints it: "CUDA", "BPF", "*" for any


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """Units of an image that are not built, and why. No version ("") or no architecture means any."""

    version: str
    architecture: Architecture | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Image:
    """One [images.NAME] table. `line` is where it stands in images.toml.

    `packages` and `remarks` are per architecture; requirement texts may hold `{version}` until
    the image is expanded to build units.
    """

    name: str
    title: str
    framework: str
    versions: tuple[str, ...]
    python: str
    base: str
    accelerator: Accelerator
    architectures: tuple[Architecture, ...]
    consumers: tuple[Consumer, ...]
    template: str
    repository: str
    tag: str
    packages: Mapping[Architecture, tuple[str, ...]]
    remarks: Mapping[Architecture, str]
    foreign_elf: tuple[ForeignElf, ...]
    exclusions: tuple[Exclusion, ...] = ()
    revision: int
    line: int


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """images.toml as a whole; images and bases in the order of the file."""

    images: tuple[Image, ...]
    bases: Mapping[str, Base]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
