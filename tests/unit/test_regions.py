"""Partitions, hosts and the accounts of AWS's images."""

import pytest

from toolkit.regions import RegionUnknown, ecr_host, get_partition, image_families, lookup_account


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [
        ("us-west-2", "aws", "amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
        ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
        ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
        ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
        ("eu-west-9", "aws", "amazonaws.com"),
    ],
)
def test_a_region_has_a_partition_and_a_suffix(region: str, partition: str, suffix: str) -> None:
    assert get_partition(region).name == partition
    assert ecr_host("123456789012", region) == f"123456789012.dkr.ecr.{region}.{suffix}"


def test_an_unknown_region_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(RegionUnknown, match="us-west-2"):
        get_partition("us_west_2")


def test_every_region_of_every_family_has_a_partition_and_accounts_are_twelve_digits() -> None:
    for accounts in image_families().values():
        for region, account in accounts.items():
            assert get_partition(region).dns_suffix
            assert len(account) == 12 and account.isdigit()


def test_a_family_that_is_not_offered_in_a_region_has_no_account_there() -> None:
    assert lookup_account("pytorch-inference", "us-west-2") == "763104351884"
    assert lookup_account("pytorch-inference", "eusc-de-east-1") is None
