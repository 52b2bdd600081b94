"""What is, what should be → what has to change, told like a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from toolkit.catalog.registry import EcrRegistry, Encryption
from toolkit.ecr.policies import PULL_SID, comparable
from toolkit.ecr.settings import ReplicationRule, RepositorySettings
from toolkit.errors import Conflict


class Kind(StrEnum):
    """What one change is about; the order is that in which changes are made."""

    CREATE = "create"
    TAGS = "tags"
    SCAN = "scan"
    POLICY = "policy"
    LIFECYCLE = "lifecycle"
    REPLICATION = "replication"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One call. `wanted` is the repository as it should be; of replication, `rules` are."""

    kind: Kind
    region: str
    name: str
    text: str
    wanted: RepositorySettings | None = None
    rules: tuple[ReplicationRule, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind.value:<11}  {self.region:<14}  {self.name}: {self.text}"


def repository_changes(
    region: str, wanted: RepositorySettings, observed: RepositorySettings | None
) -> tuple[Change, ...]:
    """What brings one repository of a region to `wanted`; nothing when it is so."""

    def change(kind: Kind, text: str) -> Change:
        return Change(kind=kind, region=region, name=wanted.name, text=text, wanted=wanted)

    if observed is None:
        found = [change(Kind.CREATE, f"{_tags(wanted)}; {_scan(wanted)}; {_encryption(wanted)}")]
        if wanted.policy is not None:
            found.append(change(Kind.POLICY, _policy(wanted)))
        if wanted.lifecycle is not None:
            found.append(change(Kind.LIFECYCLE, _lifecycle(wanted)))
        return tuple(found)
    pairs = (
        (Kind.TAGS, (wanted.mutability, wanted.filters) != (observed.mutability, observed.filters), _tags),
        (Kind.SCAN, wanted.scans_on_push != observed.scans_on_push, _scan),
        (Kind.POLICY, comparable(wanted.policy) != comparable(observed.policy), _policy),
        (Kind.LIFECYCLE, wanted.lifecycle != observed.lifecycle, _lifecycle),
    )
    return tuple(
        change(kind, f"{told(observed)} -> {told(wanted)}") for kind, differs, told in pairs if differs
    )


def lasting_difference(
    region: str, wanted: RepositorySettings, observed: RepositorySettings | None
) -> Conflict | None:
    """The encryption of a repository cannot be changed once it is there.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
    """
    if observed is None or observed.encryption is wanted.encryption:
        return None
    return Conflict(
        f"{wanted.name} in {region} is encrypted with {observed.encryption.value}, images.toml says "
        f"{wanted.encryption.value}: ECR never changes it",
        remedy=f'Write encryption = "{observed.encryption.value}", or take another prefix.',
    )


def replication_changes(
    registry: EcrRegistry, wanted: Sequence[ReplicationRule], observed: Sequence[ReplicationRule]
) -> tuple[Change, ...]:
    new = wanted[len(observed) :]
    return tuple(
        Change(
            kind=Kind.REPLICATION,
            region=registry.region,
            name=", ".join(rule.prefixes),
            text=f"to {', '.join(region for region, _ in rule.destinations)}; "
            f"{len(observed)} other rules stay",
            rules=tuple(wanted),
        )
        for rule in new
    )


def _tags(settings: RepositorySettings) -> str:
    word = "immutable" if settings.mutability.startswith("IMMUTABLE") else "mutable"
    return f"tags {word} except {' '.join(settings.filters)}" if settings.filters else f"tags {word}"


def _scan(settings: RepositorySettings) -> str:
    return "scan on push" if settings.scans_on_push else "no scan on push"


def _encryption(settings: RepositorySettings) -> str:
    if settings.encryption is Encryption.AES256:
        return "encryption AES256"
    return f"encryption {settings.encryption.value} with {settings.kms_key or 'the key that AWS manages'}"


def _policy(settings: RepositorySettings) -> str:
    if settings.policy is None:
        return "no policy"
    statements = settings.policy.get("Statement", ())
    ours = next((each for each in statements if each.get("Sid") == PULL_SID), None)
    if ours is None:
        return f"{len(statements)} statements of others"
    principals = ours["Principal"]["AWS"]
    accounts = [principals] if isinstance(principals, str) else principals
    names = ", ".join(sorted(each.split(":")[4] if ":" in each else each for each in accounts))
    others = f", {len(statements) - 1} statements of others" if len(statements) > 1 else ""
    return f"{names} may pull{others}"


def _lifecycle(settings: RepositorySettings) -> str:
    rules: Sequence[Mapping[str, str]] = (settings.lifecycle or {}).get("rules", ())
    if not rules:
        return "no lifecycle policy"
    return "; ".join(str(rule.get("description") or f"rule {rule.get('rulePriority')}") for rule in rules)
