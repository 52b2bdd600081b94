"""Reading instance_families.tsv and instance_types.tsv of toolkit/data, when the first question is asked."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType

from toolkit.hardware.model import (
    SAGEMAKER_PREFIX,
    Accelerator,
    Family,
    InstanceType,
    InstanceTypeInvalid,
    Source,
    Use,
)
from toolkit.hardware.naming import classify
from toolkit.oci import Architecture

_DATA = Path(__file__).parents[1] / "data"


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
    assumed = family.assumed or row is None
    row = row or _Row()
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
