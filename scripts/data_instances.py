"""instance_families.tsv and instance_types.tsv of toolkit/data, from botocore and moto.

botocore's service models name the types: EC2's enum, and SageMaker's one per use. moto carries what
EC2's DescribeInstanceTypes answered; scripts/unlisted_instance_types.toml has what that leaves out.
"""

import gzip
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import botocore.loaders

from toolkit.hardware import SAGEMAKER_PREFIX, Use

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "toolkit/data"
UNLISTED = Path(__file__).with_name("unlisted_instance_types.toml")

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Types.html
SHAPES = {
    Use.ENDPOINT: "ProductionVariantInstanceType",
    Use.TRANSFORM: "TransformInstanceType",
    Use.TRAINING: "TrainingInstanceType",
    Use.PROCESSING: "ProcessingInstanceType",
    Use.CLUSTER: "ClusterInstanceType",
    Use.NOTEBOOK: "InstanceType",
    Use.APP: "AppInstanceType",
    Use.ENDPOINT_ACCELERATOR: "ProductionVariantAcceleratorType",
    Use.NOTEBOOK_ACCELERATOR: "NotebookInstanceAcceleratorType",
}

# EC2's word for what a machine runs → our architecture and operating system. i386 is always beside x86_64.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ProcessorInfo.html
MACHINES = {
    "x86_64": ("amd64", "linux"),
    "arm64": ("arm64", "linux"),
    "x86_64_mac": ("amd64", "darwin"),
    "arm64_mac": ("arm64", "darwin"),
}


@dataclass(frozen=True, kw_only=True)
class Device:
    """The accelerators of one type: `what` is KIND VENDOR MODEL as in the table, memory that of all."""

    what: str = "-"
    count: float | None = None
    memory_mib: int | None = None


@dataclass(kw_only=True)
class TypeRow:
    vcpus: int | None = None
    memory_mib: int | None = None
    accelerators: float | None = None
    accelerator_memory_mib: int | None = None
    uses: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class FamilyRow:
    architecture: str
    os: str
    accelerator: str
    source: str


def device_of(described: Mapping[str, Any]) -> Device:
    """The one kind of accelerator that DescribeInstanceTypes tells of a type.

    Neuron devices come before InferenceAcceleratorInfo, which repeats some of them.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceTypeInfo.html
    """
    if gpus := described.get("GpuInfo"):
        (gpu,) = gpus["Gpus"]
        # A part of a GPU has Count 0, and its share as GpuPartitionSize.
        return Device(
            what=f"gpu {gpu['Manufacturer']} {gpu['Name']}",
            count=gpu["Count"] or gpu["GpuPartitionSize"] * gpu["LogicalGpuCount"],
            memory_mib=gpus["TotalGpuMemoryInMiB"],
        )
    if neuron := described.get("NeuronInfo"):
        (device,) = neuron["NeuronDevices"]
        # NeuronCore-v1 is what the first SDK, Neuron, compiles for; all later cores are NeuronX's.
        kind = "neuron" if device["CoreInfo"]["Version"] == 1 else "neuronx"
        return Device(
            what=f"{kind} AWS {device['Name']}",
            count=device["Count"],
            memory_mib=neuron["TotalNeuronDeviceMemoryInMiB"],
        )
    for info, items, total in (
        ("InferenceAcceleratorInfo", "Accelerators", "TotalInferenceMemoryInMiB"),
        ("FpgaInfo", "Fpgas", "TotalFpgaMemoryInMiB"),
        ("MediaAcceleratorInfo", "Accelerators", "TotalMediaMemoryInMiB"),
    ):
        if other := described.get(info):
            (item,) = other[items]
            model = item["Name"].removeprefix(f"{item['Manufacturer']} ")
            return Device(
                what=f"other {item['Manufacturer']} {model}", count=item["Count"], memory_mib=other[total]
            )
    return Device()


def machine_of(described: Mapping[str, Any]) -> tuple[str, str]:
    """Architecture and operating system of what a type boots."""
    (machine,) = {
        MACHINES[name] for name in described["ProcessorInfo"]["SupportedArchitectures"] if name != "i386"
    }
    return machine


def described_types() -> dict[str, Any]:
    """DescribeInstanceTypes' answer by type, as moto carries it."""
    packed = (files("moto") / "ec2/resources/instance_types.json.gz").read_bytes()
    found: dict[str, Any] = json.loads(gzip.decompress(packed))
    return found


def enum_of(service: str, shape: str) -> tuple[str, ...]:
    """The values of an enum of botocore's service model."""
    model = botocore.loaders.Loader().load_service_model(service, "service-2")
    return tuple(model["shapes"][shape]["enum"])


def uses_of_types() -> dict[str, list[str]]:
    """`ml.` type → what SageMaker takes it for."""
    shapes = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")["shapes"]
    uses: dict[str, list[str]] = {}
    for use, shape in SHAPES.items():
        for name in shapes[shape]["enum"]:
            # AppInstanceType's `system` is no machine one could name.
            if name.startswith(SAGEMAKER_PREFIX):
                uses.setdefault(name, []).append(use.value)
    named = {name for shape in shapes.values() for name in shape.get("enum", ())}
    if missed := sorted(each for each in named - uses.keys() if each.startswith(SAGEMAKER_PREFIX)):
        raise SystemExit(
            f"SHAPES of {__name__} leaves out the enum that has {', '.join(missed)}: add it, and to Use"
        )
    return uses


def tables() -> tuple[dict[str, FamilyRow], dict[str, TypeRow]]:
    """Families and types. SystemExit where the sources contradict each other."""
    families: dict[str, FamilyRow] = {}
    types: dict[str, TypeRow] = {}
    for name, described in described_types().items():
        device, (architecture, system) = device_of(described), machine_of(described)
        row = FamilyRow(architecture=architecture, os=system, accelerator=device.what, source="ec2")
        family = families.setdefault(family_of(name), row)
        if family != row:
            raise SystemExit(f"{name} differs from its family: {row} instead of {family}")
        types[name] = TypeRow(
            vcpus=described["VCpuInfo"]["DefaultVCpus"],
            memory_mib=described["MemoryInfo"]["SizeInMiB"],
            accelerators=device.count,
            accelerator_memory_mib=device.memory_mib,
        )
    for name in enum_of("ec2", "InstanceType"):
        types.setdefault(name, TypeRow())
    for name, uses in uses_of_types().items():
        ec2_name = name.removeprefix(SAGEMAKER_PREFIX)
        types.setdefault(ec2_name if ec2_name in types else name, TypeRow()).uses = uses
    for family_name, unlisted in read_unlisted()["families"].items():
        add_unlisted(families, types, family_name, unlisted)
    return families, types


def add_unlisted(
    families: dict[str, FamilyRow], types: dict[str, TypeRow], name: str, unlisted: Mapping[str, Any]
) -> None:
    """One family of unlisted_instance_types.toml. SystemExit where the data has come to know it."""
    known = families.get(name)
    accelerator = unlisted.get("accelerator", "-")
    stale = SystemExit(f"{UNLISTED.name}: the data has {name} now: take that row out")
    if "source" in unlisted:
        if known and known.accelerator != "-":
            raise stale
        families[name] = FamilyRow(
            architecture=unlisted.get("architecture", known.architecture if known else "amd64"),
            os=known.os if known else "linux",
            accelerator=accelerator,
            source=unlisted["source"],
        )
    elif not known:
        raise SystemExit(f"{UNLISTED.name}: {name} says neither a source nor is it in the data")
    for size, told in unlisted.get("types", {}).items():
        row = types[f"{name}.{size}"]
        if row.vcpus is not None:
            raise stale
        row.vcpus, row.memory_mib = told.get("vcpus"), told.get("memory_mib")
        row.accelerators = told.get("accelerators")


def read_unlisted() -> dict[str, Any]:
    return tomllib.loads(UNLISTED.read_text(encoding="utf-8"))


def family_of(name: str) -> str:
    return name.removeprefix(SAGEMAKER_PREFIX).partition(".")[0]


def sources(read: str) -> dict[str, tuple[str, str]]:
    """Source → title and the day it was read; `read` is the day for the packages."""
    return {
        "ec2": (f"EC2's DescribeInstanceTypes in moto {version('moto')}", read),
        "names": (f"the service models of botocore {version('botocore')}", read),
        **{key: (each["title"], each["date"]) for key, each in read_unlisted()["sources"].items()},
    }


def day_read(before: str, today: str) -> str:
    """The day of the table `before` if it was made from the same packages, else today."""
    titles = {key: title for key, (title, _) in sources(today).items() if key in ("ec2", "names")}
    lines = [line.removeprefix("# ").split("\t") for line in before.splitlines() if line.startswith("# ")]
    days = [cells[2] for cells in lines if len(cells) == 3 and titles.get(cells[0]) == cells[1]]
    return days[0] if len(days) == len(titles) else today


def generated(before: str, today: str) -> dict[str, str]:
    """File name → text. `before` is the table of families as it is, for its dates."""
    families, types = tables()
    head = "# Written by `make data` (scripts/data_instances.py). A cell without an answer is `-`.\n"
    told = sources(day_read(before, today))
    family_lines = [
        *(f"# {key}\t{title}\t{day}" for key, (title, day) in told.items()),
        "# family, architecture, operating system, accelerator, source",
        *(
            "\t".join((name, row.architecture, row.os, row.accelerator, row.source))
            for name, row in sorted(families.items())
        ),
    ]
    type_lines = [
        "# type, vCPU, memory in MiB, accelerators, their memory in MiB, what SageMaker takes ml.TYPE for",
        *(line_of(name, row) for name, row in sorted(types.items(), key=lambda each: type_order(each[0]))),
    ]
    return {
        "instance_families.tsv": head + lines_of(family_lines),
        "instance_types.tsv": head + lines_of(type_lines),
    }


def line_of(name: str, row: TypeRow) -> str:
    numbers = (row.vcpus, row.memory_mib, row.accelerators, row.accelerator_memory_mib)
    cells = (
        "-" if each is None else f"{each:g}" if isinstance(each, float) else str(each) for each in numbers
    )
    return "\t".join((name, *cells, ",".join(row.uses) or "-"))


def lines_of(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def type_order(name: str) -> tuple[str, int, int, str]:
    """By family and from small to large, so that a new size is one line in its place."""
    size = name.rpartition(".")[2]
    words = ("nano", "micro", "small", "medium", "large", "xlarge")
    number = "".join(character for character in size if character.isdigit())
    rank = words.index(size) if size in words else len(words) + size.startswith("metal")
    return family_of(name), rank, int(number or 0), size


def main() -> None:
    before = TABLES / "instance_families.tsv"
    texts = generated(before.read_text() if before.exists() else "", f"{datetime.now(UTC):%Y-%m-%d}")
    for name, text in texts.items():
        (TABLES / name).write_text(text, encoding="utf-8")
        print(f"toolkit/data/{name}: {len(text.splitlines())} lines, {len(text):,} bytes")
