"""[registries] of the catalog: names for the places that releases go to, and their faults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tomli

from tests.projects import CATALOG
from toolkit.catalog import EcrRegistry, OciRegistry, parse_catalog
from toolkit.catalog.registry import Encryption, ScanMode
from toolkit.cli.registries import Place, get_ecr, get_place, with_cache
from toolkit.errors import CatalogInvalid, UsageError

REGISTRIES = """
[registries.prod]
kind = "ecr"
account = "123456789012"
region = "us-west-2"
regions = ["eu-central-1"]
accounts = ["210987654321"]
prefix = "ml"
encryption = "KMS"
kms_key = "alias/images"
scan = "manual"
unpublished_days = 30
cache = "build-cache"

[registries.here]
kind = "oci"
host = "localhost:5000"
prefix = "demo"
"""


def test_registries_have_names_and_the_hosts_of_their_regions() -> None:
    found = parse_catalog(CATALOG + REGISTRIES).registries
    line = CATALOG.count("\n") + 2
    prod = found["prod"]
    assert prod == EcrRegistry(
        name="prod",
        account="123456789012",
        region="us-west-2",
        regions=("eu-central-1",),
        accounts=("210987654321",),
        prefix="ml",
        encryption=Encryption.KMS,
        kms_key="alias/images",
        scan=ScanMode.MANUAL,
        unpublished_days=30,
        cache="build-cache",
        line=line,
    )
    assert prod.host == "123456789012.dkr.ecr.us-west-2.amazonaws.com"
    assert list(prod.hosts) == ["us-west-2", "eu-central-1"]
    assert found["here"] == OciRegistry(
        name="here", host="localhost:5000", prefix="demo", cache="", line=line + 13
    )


def test_what_a_registry_of_ecr_leaves_out_is_what_ecr_does_by_itself_and_a_scan_of_each_push() -> None:
    text = '[registries.cn]\nkind = "ecr"\naccount = "123456789012"\nregion = "cn-north-1"\n'
    registry = parse_catalog(CATALOG + text).registries["cn"]
    assert isinstance(registry, EcrRegistry)
    assert registry.host == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
    assert (registry.encryption, registry.kms_key) == (Encryption.AES256, "")
    assert (registry.scan, registry.unpublished_days) == (ScanMode.ON_PUSH, None)
    assert registry.regions == registry.accounts == ()


def faults_of(table: str) -> list[str]:
    """What is said of the lines of `table`, which are counted from 1."""
    with pytest.raises(CatalogInvalid) as caught:
        parse_catalog(f"{CATALOG}{table}")
    above = CATALOG.count("\n")
    told = []
    for fault in caught.value.faults:
        _, line, text = fault.split(":", maxsplit=2)
        told.append(f"{int(line) - above}:{text}")
    return told


ECR = '[registries.prod]\nkind = "ecr"\naccount = "123456789012"\nregion = "us-west-2"\n'
CASES = tomli.loads((Path(__file__).parent / "catalog_registry_cases.toml").read_text())["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_each_fault_of_a_registry_is_told_with_its_line(case: Mapping[str, Any]) -> None:
    assert faults_of(case["table"]) == case["faults"]


def test_a_name_means_what_the_catalog_says_and_everything_else_is_a_host() -> None:
    known = parse_catalog(CATALOG + REGISTRIES).registries
    assert get_place("here", lambda: known) == Place(host="localhost:5000", prefix="demo")
    prod = get_place("prod", lambda: known)
    assert (prod.host, prod.prefix) == ("123456789012.dkr.ecr.us-west-2.amazonaws.com", "ml")
    assert prod.ecr == known["prod"]

    def unread() -> dict[str, EcrRegistry | OciRegistry]:
        raise AssertionError("a host needs no catalog")

    assert get_place("localhost:5000/a/b", unread) == Place(host="localhost:5000", prefix="a/b")
    assert get_place("localhost", unread) == Place(host="localhost", prefix="")


def test_a_name_that_the_catalog_does_not_have_is_told_with_the_nearest() -> None:
    known = parse_catalog(CATALOG + REGISTRIES).registries
    with pytest.raises(UsageError, match="'prd' is not a registry of the catalog") as caught:
        get_place("prd", lambda: known)
    assert caught.value.remedy.startswith("Did you mean 'prod'? images.toml names prod, here.")
    with pytest.raises(UsageError) as caught:
        get_place("prod", dict)
    assert caught.value.remedy.startswith("images.toml names none in [registries].")


def test_the_only_registry_of_ecr_needs_no_name() -> None:
    known = parse_catalog(CATALOG + REGISTRIES).registries
    assert get_ecr("", known) is get_ecr("prod", known)
    with pytest.raises(UsageError, match="'here' is no registry of kind ecr"):
        get_ecr("here", known)
    with pytest.raises(UsageError, match="the catalog has no registry of kind ecr"):
        get_ecr("", {})
    with pytest.raises(UsageError, match="several registries"):
        get_ecr("", parse_catalog(CATALOG + REGISTRIES + ECR.replace("prod", "other")).registries)


def test_the_command_line_has_the_last_word_on_the_build_cache() -> None:
    known = parse_catalog(CATALOG + REGISTRIES).registries
    place = get_place("prod", lambda: known)
    assert place.cache == "build-cache"
    assert with_cache(place, None) == place
    assert with_cache(place, "").cache == ""
    assert with_cache(get_place("here", lambda: known), "team/steps").cache == "team/steps"
    with pytest.raises(UsageError, match="Did you mean"):
        with_cache(place, "Team/Steps")
