"""What a registry of ECR is like, or should be: repositories and replication."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from toolkit.catalog.registry import EcrRegistry, Encryption, ScanMode
from toolkit.ecr.immutability import exclusion_filters, fits, fixed_tags, movable_tags
from toolkit.ecr.lifecycle import cache_policy, wanted_policy
from toolkit.ecr.policies import Document, repository_policy, statements_of_others
from toolkit.record import NEWEST, RELEASES
from toolkit.units import BuildUnit


class Mutability(StrEnum):
    """In AWS's words. https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html"""

    MUTABLE = "MUTABLE"
    IMMUTABLE = "IMMUTABLE"
    IMMUTABLE_WITH_EXCLUSION = "IMMUTABLE_WITH_EXCLUSION"
    MUTABLE_WITH_EXCLUSION = "MUTABLE_WITH_EXCLUSION"


@dataclass(frozen=True, kw_only=True)
class RepositorySettings:
    """`filters` are the exceptions from `mutability`. None for a document that there is not."""

    name: str
    mutability: Mutability
    filters: tuple[str, ...]
    scans_on_push: bool
    encryption: Encryption
    kms_key: str
    policy: Document | None
    lifecycle: Mapping[str, Any] | None

    def is_fixed(self, tag: str) -> bool:
        """Whether `tag`, once it is there, stays with its image."""
        is_exception = any(fits(pattern, tag) for pattern in self.filters)
        return self.mutability.startswith("IMMUTABLE") != is_exception


@dataclass(frozen=True, kw_only=True)
class ReplicationRule:
    """`destinations` are (region, account), `prefixes` those of repository names, none for all.

    `deletes` is what the rule says of deletions, None when it says nothing.
    """

    destinations: tuple[tuple[str, str], ...]
    prefixes: tuple[str, ...]
    deletes: bool | None = None

    def covers(self, repository: str, destination: tuple[str, str]) -> bool:
        fits = not self.prefixes or any(repository.startswith(prefix) for prefix in self.prefixes)
        return fits and destination in self.destinations


def full_name(registry: EcrRegistry, repository: str) -> str:
    return f"{registry.prefix}/{repository}" if registry.prefix else repository


def repositories_of(registry: EcrRegistry, units: Iterable[BuildUnit]) -> tuple[str, ...]:
    """Full names: those of the catalog, and the one for records."""
    return tuple(sorted({full_name(registry, name) for name in (*(u.repository for u in units), RELEASES)}))


def wanted_cache(
    registry: EcrRegistry, region: str, observed: Mapping[str, RepositorySettings]
) -> tuple[RepositorySettings, ...]:
    """The repository of build caches, which only the home region has: builds read and write there.

    BuildKit moves its tags with each build. ECR takes a cache that is an image's manifest of OCI media types:
    https://aws.amazon.com/blogs/containers/announcing-remote-cache-support-in-amazon-ecr-for-buildkit-clients/
    """
    if not registry.cache or region != registry.region:
        return ()
    before = observed.get(registry.cache)
    cache = RepositorySettings(
        name=registry.cache,
        mutability=Mutability.MUTABLE,
        filters=(),
        scans_on_push=False,
        encryption=registry.encryption,
        kms_key=registry.kms_key,
        policy=statements_of_others(before.policy if before else None),
        lifecycle=cache_policy(),
    )
    return (cache,)


def wanted_settings(
    registry: EcrRegistry,
    units: Sequence[BuildUnit],
    observed: Mapping[str, RepositorySettings],
) -> tuple[RepositorySettings, ...]:
    """Every repository as it should be; `observed` has what stays: other people's statements, a lifecycle
    that the catalog leaves alone. Raises UsageError for tags that ECR cannot be told apart."""
    by_repository: dict[str, list[BuildUnit]] = {}
    for unit in units:
        by_repository.setdefault(unit.repository, []).append(unit)
    found = [
        _wanted(registry, name, _filters(name, rows), registry.unpublished_days, observed)
        for name, rows in sorted(by_repository.items())
    ]
    return (*found, _wanted(registry, RELEASES, (NEWEST,), None, observed))


def _filters(repository: str, units: Sequence[BuildUnit]) -> tuple[str, ...]:
    return exclusion_filters(movable_tags(units), fixed_tags(units), repository=repository)


def _wanted(
    registry: EcrRegistry,
    repository: str,
    filters: tuple[str, ...],
    days: int | None,
    observed: Mapping[str, RepositorySettings],
) -> RepositorySettings:
    name = full_name(registry, repository)
    before = observed.get(name)
    kept = before.lifecycle if before else None
    # What only revisions have is immutable without exception, and kept as a whole: no lifecycle.
    return RepositorySettings(
        name=name,
        mutability=Mutability.IMMUTABLE_WITH_EXCLUSION if filters else Mutability.IMMUTABLE,
        filters=filters,
        scans_on_push=registry.scan is ScanMode.ON_PUSH,
        encryption=registry.encryption,
        kms_key=registry.kms_key,
        policy=repository_policy(registry, before.policy if before else None),
        lifecycle=wanted_policy(filters, days) if days and filters else kept,
    )


def wanted_replication(
    registry: EcrRegistry, repositories: Sequence[str], observed: Sequence[ReplicationRule]
) -> tuple[ReplicationRule, ...]:
    """`observed`, and a rule for what they do not cover: nobody's rule is changed or dropped."""
    destinations = tuple((region, registry.account) for region in registry.regions)
    lacking = [
        name
        for name in repositories
        if not all(any(rule.covers(name, place) for rule in observed) for place in destinations)
    ]
    if not lacking:
        return tuple(observed)
    prefixes = (f"{registry.prefix}/",) if registry.prefix else tuple(lacking)
    return (*observed, ReplicationRule(destinations=destinations, prefixes=prefixes))
