"""[registries.NAME] → CatalogRegistry: names for the places that releases go to."""

from collections.abc import Iterable, Mapping

from toolkit.catalog import grammar
from toolkit.catalog.faults import Faults, did_you_mean, quote
from toolkit.catalog.model import Image
from toolkit.catalog.positions import Path
from toolkit.catalog.registry import (
    CatalogRegistry,
    EcrRegistry,
    Encryption,
    OciRegistry,
    RegistryKind,
    ScanMode,
)
from toolkit.catalog.table import Table
from toolkit.regions import get_partition, partitions


def read_registries(registries: Table, faults: Faults) -> dict[str, CatalogRegistry]:
    """The registries without fault, by name, in the order of the file."""
    found: dict[str, CatalogRegistry] = {}
    for name, table in registries.tables("registry", grammar.REGISTRY_NAME):
        before = len(faults)
        registry = _read(name, table, table.choice("kind", RegistryKind))
        if registry and len(faults) == before:
            found[name] = registry
    return found


def _read(name: str, table: Table, kind: RegistryKind | None) -> CatalogRegistry | None:
    """None, and none of its other keys judged, when its kind cannot be told."""
    match kind:
        case RegistryKind.ECR:
            return _read_ecr(name, table)
        case RegistryKind.OCI:
            return _read_oci(name, table)
        case None:
            if "kind" not in table:
                table.fault(
                    table.path, 'kind is missing: add kind = "ecr", or kind = "oci" for any other registry'
                )
            return None


def _read_oci(name: str, table: Table) -> OciRegistry:
    host = table.text("host", grammar.REGISTRY_HOST)
    prefix = table.text("prefix", grammar.REPOSITORY, default="")
    cache = _cache(table)
    table.close()
    return OciRegistry(name=name, host=host, prefix=prefix, cache=cache, line=table.line(table.path))


def _read_ecr(name: str, table: Table) -> EcrRegistry:
    account = table.text("account", grammar.ACCOUNT)
    region = _region(table)
    regions = _regions(table, region)
    accounts = table.texts("accounts", grammar.ACCOUNT, word="account", required=False)
    if account and account in accounts:
        table.fault(
            table.at("accounts"), f"account {quote(account)} owns the registry and may pull anyway: remove it"
        )
    prefix = table.text("prefix", grammar.REPOSITORY, default="")
    encryption = table.choice("encryption", Encryption, required=False) or Encryption.AES256
    kms_key = _kms_key(table, encryption, regions)
    scan = table.choice("scan", ScanMode, required=False) or ScanMode.ON_PUSH
    keeps = "unpublished_days" in table
    days = table.count("unpublished_days", default=1)
    cache = _cache(table)
    table.close()
    return EcrRegistry(
        name=name,
        account=account,
        region=region,
        regions=regions,
        accounts=accounts,
        prefix=prefix,
        encryption=encryption,
        kms_key=kms_key,
        scan=scan,
        unpublished_days=days if keeps else None,
        cache=cache,
        line=table.line(table.path),
    )


def _cache(table: Table) -> str:
    """A whole name, which `prefix` does not stand before: rules of replication go by prefixes, and a cache
    that was copied to further regions would cost its transfer and serve nobody."""
    return table.text("cache", grammar.REPOSITORY, default="")


def check_caches(registries: Mapping[str, CatalogRegistry], images: Iterable[Image], faults: Faults) -> None:
    """A cache has a repository of its own: its tags move with every build, and what they leave expires."""
    repositories = {image.repository: image for image in reversed(tuple(images))}
    for name, registry in registries.items():
        start = f"{registry.prefix}/" if registry.prefix else ""
        taken = repositories.get(registry.cache.removeprefix(start)) if registry.cache else None
        if taken and registry.cache.startswith(start):
            faults.add(
                ("registries", name, "cache"),
                f"registry {quote(name)}: cache {quote(registry.cache)} is the repository of image "
                f"{quote(taken.name)} (line {taken.line}): give the cache a name of its own",
            )


def _region(table: Table) -> str:
    """The home region; "" when AWS has none of this name."""
    region = table.text("region", grammar.REGION)
    return region if _is_region(table, region, table.at("region")) else ""


def _is_region(table: Table, region: str, path: Path) -> bool:
    """Only what toolkit/data/regions.json lists: a pattern would let misspellings through."""
    known = {name for partition in partitions() for name in partition.regions}
    if region and region not in known:
        mend = did_you_mean(region, known) or ". Where it is new, `make data` brings it"
        table.fault(path, f"region {quote(region)} is not one of AWS{mend}")
    return region in known


def _regions(table: Table, home: str) -> tuple[str, ...]:
    """Further regions, each of the home region's partition: nothing is replicated across partitions.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html
    """
    elements = table.elements("regions", grammar.REGION, word="region", required=False)
    for region, path in elements.items():
        if not _is_region(table, region, path) or not home:
            continue
        if region == home:
            table.fault(path, f"region {quote(region)} is the home region: remove it from regions")
        elif (there := get_partition(region).name) != (here := get_partition(home).name):
            table.fault(
                path,
                f"region {quote(region)} is of partition {there}, the home region {quote(home)} of {here}: "
                "images are not replicated across partitions; write another registry for it",
            )
    return tuple(elements)


def _kms_key(table: Table, encryption: Encryption, regions: tuple[str, ...]) -> str:
    """The key must exist in the region of each repository; an alias can be given in each.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_EncryptionConfiguration.html
    """
    key = table.text("kms_key", grammar.KMS_KEY, default="")
    if key and encryption is Encryption.AES256:
        table.fault(table.at("kms_key"), f"kms_key goes with encryption = {quote(Encryption.KMS)}: add it")
    if key and regions and not key.startswith("alias/"):
        table.fault(
            table.at("kms_key"),
            f"kms_key {quote(key)} is a key of one region, and regions names others: give the keys of all "
            'of them one alias and write "alias/NAME"',
        )
    return key
