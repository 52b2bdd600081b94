"""What an EC2 or SageMaker instance type is: architecture, accelerator, vCPU, memory, and who says so.

The answers are rows of toolkit/data/instance_families.tsv and instance_types.tsv, which `make data`
writes; both are read when the first question is asked. A family without a row is classified by the
rules of AWS's naming and says `assumed`:
https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from toolkit.errors import UsageError
from toolkit.oci import Architecture, Platform

_DATA = Path(__file__).with_name("data")
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


@dataclass(frozen=True, kw_only=True)
class NamingRule:
    """What the name of a family says where no data knows it."""

    pattern: str
    architecture: Architecture | None = None
    os: str = "linux"
    accelerator: Accelerator | None = None
    reason: str


# For each question the first rule that matches the whole name and answers it decides; the last two match all.
NAMING_RULES = (
    NamingRule(
        pattern=r"[a-z]+\d+g[a-z]*(-flex)?",
        architecture=Architecture.ARM64,
        reason="g after the generation is AWS Graviton",
    ),
    NamingRule(
        pattern=r".+-gb\d+",
        architecture=Architecture.ARM64,
        reason="gb after the hyphen is NVIDIA Grace Blackwell, whose CPU is Arm",
    ),
    NamingRule(
        pattern=r"mac.*",
        architecture=Architecture.ARM64,
        os="darwin",
        accelerator=NO_ACCELERATOR,
        reason="mac is an Apple machine, Arm after the first",
    ),
    NamingRule(
        pattern=r"(inf|trn)\d+.*",
        accelerator=Accelerator(kind=AcceleratorKind.NEURONX, vendor="AWS"),
        reason="inf and trn are Neuron devices, NeuronX after the first Inferentia",
    ),
    NamingRule(
        pattern=r"(gr?|p)\d+.*",
        accelerator=Accelerator(kind=AcceleratorKind.GPU),
        reason="g and p are GPU machines",
    ),
    NamingRule(
        pattern=r"eia\d+",
        architecture=Architecture.AMD64,
        accelerator=Accelerator(kind=AcceleratorKind.EIA, vendor="AWS"),
        reason="eia is Elastic Inference, whose images are amd64",
    ),
    NamingRule(
        pattern=r"(dl|f|vt)\d+.*",
        accelerator=Accelerator(kind=AcceleratorKind.OTHER),
        reason="dl, f and vt have accelerators of their own",
    ),
    NamingRule(pattern=r".*", architecture=Architecture.AMD64, reason="other names are Intel's and AMD's"),
    NamingRule(pattern=r".*", accelerator=NO_ACCELERATOR, reason="no letter of it stands for an accelerator"),
)


def classify(family: str) -> Family:
    """The family as NAMING_RULES has it, without looking into the data."""
    rules = [rule for rule in NAMING_RULES if re.fullmatch(rule.pattern, family)]
    machine = next(rule for rule in rules if rule.architecture)
    accelerated = next(rule for rule in rules if rule.accelerator)
    assert machine.architecture
    assert accelerated.accelerator
    reasons = dict.fromkeys((machine.reason, accelerated.reason))
    return Family(
        name=family,
        architecture=machine.architecture,
        os=machine.os,
        accelerator=accelerated.accelerator,
        assumed=True,
        source=Source(title=f"the rules of naming: {'; '.join(reasons)}"),
    )


@lru_cache(maxsize=4096)
def get_instance_type(name: str) -> InstanceType:
    """What `name` is, of EC2 or with `ml.` of SageMaker. Raises InstanceTypeInvalid for no such name."""
    ec2_name = name.removeprefix(SAGEMAKER_PREFIX)
    family_name, _, size = ec2_name.partition(".")
    rows = _types()
    row = rows.get(ec2_name) or rows.get(SAGEMAKER_PREFIX + ec2_name)
    if row is None and not (_FAMILY.fullmatch(family_name) and _SIZE.fullmatch(size)):
        raise _invalid(name, "an instance type", instance_type_names())
    family = get_family(family_name)
    source = family.source
    if row is None and not family.assumed:
        source = replace(source, title=f"what all {family.name} have in common in {source.title}")
    assumed, row = family.assumed or row is None, row or _Row()
    return InstanceType(
        name=name,
        family=family,
        size=size,
        vcpus=row.vcpus,
        memory_mib=row.memory_mib,
        accelerator=replace(
            family.accelerator, count=row.accelerators, memory_mib=row.accelerator_memory_mib
        ),
        uses=row.uses if name.startswith(SAGEMAKER_PREFIX) else (),
        assumed=assumed,
        source=source,
    )


def get_family(name: str) -> Family:
    """The family `c7g` of `c7g.xlarge`. Raises InstanceTypeInvalid for no such name."""
    known = _families()
    if name in known:
        return known[name]
    if not (_FAMILY.fullmatch(name) or name in _listed_families()):
        raise _invalid(name, "a family of instance types", tuple(known))
    return classify(name)


def instance_type_names() -> tuple[str, ...]:
    """Every EC2 and `ml.` type that the data lists, in the data's order, EC2's first."""
    rows = _types()
    ec2 = (name for name in rows if not name.startswith(SAGEMAKER_PREFIX))
    sagemaker = (
        SAGEMAKER_PREFIX + name.removeprefix(SAGEMAKER_PREFIX) for name, row in rows.items() if row.uses
    )
    return (*ec2, *sagemaker)


# `u-6tb1`, `c7i-flex`, `p6e-gb200`; a family has a generation, so a digit.
_FAMILY = re.compile(r"(?=.*\d)[a-z]+[a-z0-9]*(-[a-z0-9]+)*")
_SIZE = re.compile(r"nano|micro|small|medium|large|([1-9]\d*)?xlarge|metal(-[1-9]\d*xl)?")


def _invalid(name: str, what: str, known: tuple[str, ...]) -> InstanceTypeInvalid:
    import difflib

    wanted = name.lower().strip()
    prefixes = (f"{wanted}.", f"{wanted.rpartition('.')[0].rstrip('.')}.")
    same_family = ([each for each in known if each.startswith(prefix)] for prefix in prefixes)
    candidates = next(filter(None, same_family), known)
    near = difflib.get_close_matches(wanted, candidates, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return InstanceTypeInvalid(
        f"{name!r} is not {what}", remedy=f"{hint}`toolkit instances` lists them: c7g.xlarge, ml.c7g.xlarge."
    )


@dataclass(frozen=True, kw_only=True)
class _Row:
    vcpus: int | None = None
    memory_mib: int | None = None
    accelerators: float | None = None
    accelerator_memory_mib: int | None = None
    uses: tuple[Use, ...] = ()


@cache
def _families() -> Mapping[str, Family]:
    text = (_DATA / "instance_families.tsv").read_text(encoding="utf-8")
    sources = {
        key: Source(title=title, date="" if date == "-" else date) for key, title, date in _cells(text, "# ")
    }
    families = {}
    for name, architecture, system, accelerator, source in _cells(text):
        families[name] = Family(
            name=name,
            architecture=Architecture(architecture),
            os=system,
            accelerator=Accelerator.parse(accelerator),
            assumed=False,
            source=sources[source],
        )
    return MappingProxyType(families)


@cache
def _types() -> Mapping[str, _Row]:
    text = (_DATA / "instance_types.tsv").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            name: _Row(
                vcpus=None if vcpus == "-" else int(vcpus),
                memory_mib=None if memory == "-" else int(memory),
                accelerators=None if count == "-" else int(count) if count.isdigit() else float(count),
                accelerator_memory_mib=None if device_memory == "-" else int(device_memory),
                uses=tuple(Use(use) for use in uses.split(",")) if uses != "-" else (),
            )
            for name, vcpus, memory, count, device_memory, uses in _cells(text)
        }
    )


@cache
def _listed_families() -> frozenset[str]:
    return frozenset(name.removeprefix(SAGEMAKER_PREFIX).partition(".")[0] for name in _types())


def _cells(text: str, prefix: str = "") -> Iterator[list[str]]:
    """The cells of the lines that begin with `prefix`; a table's own lines begin with no `#`."""
    for line in text.splitlines():
        if line.startswith(prefix) and (prefix or not line.startswith("#")) and "\t" in line:
            yield line.removeprefix(prefix).split("\t")
