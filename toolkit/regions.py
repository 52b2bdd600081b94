"""AWS partitions and regions, and the account that keeps AWS's own images per region.

Tables of toolkit/data, which `make data` writes from botocore and the SageMaker SDKs.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from toolkit.errors import UsageError

_DATA = Path(__file__).with_name("data")


class RegionUnknown(UsageError, ValueError):
    """No partition has a region of this name. A ValueError, as the SageMaker SDK raises for one."""


@dataclass(frozen=True, kw_only=True)
class Partition:
    """`aws`, `aws-cn` …; `regions` maps the name of a region to its description.

    `region_pattern` matches the names of all its regions, also of those that the table does not list.
    """

    name: str
    dns_suffix: str
    region_pattern: str
    regions: Mapping[str, str]


@cache
def partitions() -> tuple[Partition, ...]:
    return tuple(
        Partition(
            name=name,
            dns_suffix=each["dns_suffix"],
            region_pattern=each["region_pattern"],
            regions=MappingProxyType(each["regions"]),
        )
        for name, each in _read("regions.json")["partitions"].items()
    )


@lru_cache(maxsize=1024)
def get_partition(region: str) -> Partition:
    """The partition of `region`. Raises RegionUnknown when no partition has such regions."""
    for partition in partitions():
        if region in partition.regions:
            return partition
    for partition in partitions():
        if re.match(partition.region_pattern, region):
            return partition
    raise RegionUnknown(f"{region!r} is not a region of AWS", remedy=_nearest(region))


def ecr_host(account: str, region: str) -> str:
    """`ACCOUNT.dkr.ecr.REGION.SUFFIX`. Raises RegionUnknown."""
    return f"{account}.dkr.ecr.{region}.{get_partition(region).dns_suffix}"


# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_ECR_HOST = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<suffix>[a-z0-9.-]+)"
)


@dataclass(frozen=True, kw_only=True)
class EcrHost:
    """A registry of Amazon ECR by its host."""

    account: str
    region: str
    host: str

    def __str__(self) -> str:
        return self.host


@lru_cache(maxsize=1024)
def parse_ecr_host(host: str) -> EcrHost | None:
    """None for any other registry: also for a host that only looks like one of a region's."""
    found = _ECR_HOST.fullmatch(host)
    if found is None:
        return None
    try:
        suffix = get_partition(found["region"]).dns_suffix
    except RegionUnknown:
        return None
    return (
        EcrHost(account=found["account"], region=found["region"], host=host)
        if found["suffix"] == suffix
        else None
    )


@cache
def image_families() -> Mapping[str, Mapping[str, str]]:
    """Name of a family of AWS images → region → account. A family is named after its first repository."""
    registries = _read("aws_accounts.json")["registries"]
    return MappingProxyType({name: MappingProxyType(accounts) for name, accounts in registries.items()})


def lookup_account(family: str, region: str) -> str | None:
    """The account of a family's images in `region`; None where AWS does not offer them."""
    return image_families()[family].get(region)


def _nearest(region: str) -> str:
    import difflib

    known = [name for partition in partitions() for name in partition.regions]
    near = difflib.get_close_matches(region, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else "Write it like us-west-2."


def _read(name: str) -> Any:
    return json.loads((_DATA / name).read_text(encoding="utf-8"))
