"""The values: an instance type, its family, its accelerator, its uses, and who says so."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from toolkit.errors import UsageError
from toolkit.oci import Architecture, Platform

SAGEMAKER_PREFIX = "ml."


class InstanceTypeInvalid(UsageError, ValueError):
    """A text that can be no instance type. A ValueError, as the SageMaker SDK raises for one."""


class AcceleratorKind(StrEnum):
    """Which kind of image a machine's accelerator needs.

    `neuron` is the first Inferentia, `neuronx` everything after it; `other` has images of none of
    these kinds (Gaudi, Qualcomm AI 100, FPGAs, media cards).
    """

    NONE = "none"
    GPU = "gpu"
    NEURON = "neuron"
    NEURONX = "neuronx"
    EIA = "eia"
    OTHER = "other"


class Use(StrEnum):
    """What SageMaker takes an `ml.` type for; each is an enum of its service model."""

    ENDPOINT = "endpoint"
    TRANSFORM = "transform"
    TRAINING = "training"
    PROCESSING = "processing"
    CLUSTER = "cluster"
    NOTEBOOK = "notebook"
    APP = "app"
    ENDPOINT_ACCELERATOR = "endpoint-accelerator"
    NOTEBOOK_ACCELERATOR = "notebook-accelerator"


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """`count` is a fraction for a part of a GPU; `memory_mib` is that of all devices. None: not known."""

    kind: AcceleratorKind
    vendor: str = ""
    model: str = ""
    count: float | None = None
    memory_mib: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """`KIND[ VENDOR[ MODEL]]`, or `-` for none."""
        kind, _, rest = text.partition(" ")
        vendor, _, model = rest.partition(" ")
        return cls(
            kind=AcceleratorKind.NONE if kind == "-" else AcceleratorKind(kind), vendor=vendor, model=model
        )

    def __str__(self) -> str:
        count = f"{self.count:g} × " if self.count and self.count != 1 else ""
        named = " ".join(word for word in (self.vendor, self.model) if word)
        return f"{self.kind} ({count}{named})" if named else self.kind.value


NO_ACCELERATOR = Accelerator(kind=AcceleratorKind.NONE)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Who says so. `date` (YYYY-MM-DD) is the day it was read, "" for rules and general knowledge."""

    title: str
    date: str = ""


@dataclass(frozen=True, kw_only=True)
class Family:
    """What all sizes of a family have in common; `accelerator` is without count and memory.

    `os` is `darwin` for Apple's machines, which run no Linux containers themselves.
    """

    name: str
    architecture: Architecture
    os: str
    accelerator: Accelerator
    assumed: bool
    source: Source

    @property
    def platform(self) -> Platform:
        return Platform(os=self.os, architecture=self.architecture.value)


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """One type under the name it was asked by: `c7g.xlarge` of EC2 or `ml.c7g.xlarge` of SageMaker.

    `assumed` when neither botocore nor EC2 lists the type: a new size of a known family; or when only
    the naming rules classify its family. `uses` is empty for EC2's names and where SageMaker has no use.
    """

    name: str
    family: Family
    size: str
    vcpus: int | None
    memory_mib: int | None
    accelerator: Accelerator
    uses: tuple[Use, ...]
    assumed: bool
    source: Source

    @property
    def architecture(self) -> Architecture:
        return self.family.architecture

    @property
    def platform(self) -> Platform:
        return self.family.platform

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "family": self.family.name,
            "size": self.size,
            "os": self.family.os,
            "architecture": self.architecture.value,
            "vcpus": self.vcpus,
            "memory_mib": self.memory_mib,
            "accelerator": {
                "kind": self.accelerator.kind.value,
                "vendor": self.accelerator.vendor,
                "model": self.accelerator.model,
                "count": self.accelerator.count,
                "memory_mib": self.accelerator.memory_mib,
            },
            "uses": [use.value for use in self.uses],
            "assumed": self.assumed,
            "source": {"title": self.source.title, "date": self.source.date},
        }
