"""What [registries.NAME] says, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from toolkit.regions import ecr_host


class RegistryKind(StrEnum):
    """What kind of registry a [registries.NAME] table describes."""

    ECR = "ecr"
    OCI = "oci"


class Encryption(StrEnum):
    """How Amazon ECR encrypts a repository, in its own words.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_EncryptionConfiguration.html
    """

    AES256 = "AES256"
    KMS = "KMS"
    KMS_DSSE = "KMS_DSSE"


class ScanMode(StrEnum):
    """When Amazon ECR looks for known vulnerabilities."""

    ON_PUSH = "on-push"
    MANUAL = "manual"


@dataclass(frozen=True, kw_only=True)
class OciRegistry:
    """A registry that is reached as `host`, HOST[:PORT]; `prefix` stands before every repository.

    `cache` is the whole name of the repository that keeps the steps of builds, "" for none.
    """

    name: str
    host: str
    prefix: str
    cache: str
    line: int


@dataclass(frozen=True, kw_only=True)
class EcrRegistry:
    """Amazon ECR of one account: home region, further `regions`, and the `accounts` that pull.

    `kms_key` is "" for the key that AWS manages. Images that no public tag ever named are expired
    after `unpublished_days`; None leaves their lifecycle alone. `cache` is the whole name of the repository
    of the home region that keeps the steps of builds, "" for none.
    """

    name: str
    account: str
    region: str
    regions: tuple[str, ...]
    accounts: tuple[str, ...]
    prefix: str
    encryption: Encryption
    kms_key: str
    scan: ScanMode
    unpublished_days: int | None
    cache: str
    line: int

    @property
    def host(self) -> str:
        """Of the home region, where releases are pushed to."""
        return ecr_host(self.account, self.region)

    @property
    def hosts(self) -> Mapping[str, str]:
        """The host of each region, the home region first."""
        return {region: ecr_host(self.account, region) for region in (self.region, *self.regions)}


CatalogRegistry = OciRegistry | EcrRegistry
