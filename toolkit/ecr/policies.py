"""Who may do what: policies of repositories for accounts that pull, and of identities. JSON documents.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policies.html
https://docs.aws.amazon.com/AmazonECR/latest/userguide/security-iam.html
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from toolkit.catalog.registry import EcrRegistry
from toolkit.regions import get_partition

Document = Mapping[str, Any]

VERSION = "2012-10-17"
PULL_SID = "MultiarchImagesPull"
"""By this name our own statement is found again among others in a repository's policy."""

_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
# What preflight asks: are the repositories there, may their tags move, how full are they?
_LOOK = (
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "ecr:GetLifecyclePolicy",
    "ecr:GetRepositoryPolicy",
)
_PUSH = (
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImageScanFindings",
    "ecr:InitiateLayerUpload",
    "ecr:ListImages",
    "ecr:PutImage",
    "ecr:StartImageScan",
    "ecr:UploadLayerPart",
)
# What BuildKit sends to read and to write a cache.
_CACHE = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
_ENSURE = (
    "ecr:CreateRepository",
    "ecr:DeleteRepositoryPolicy",
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview",
    "ecr:GetRepositoryPolicy",
    "ecr:PutImageScanningConfiguration",
    "ecr:PutImageTagMutability",
    "ecr:PutLifecyclePolicy",
    "ecr:SetRepositoryPolicy",
    "ecr:StartLifecyclePolicyPreview",
)
_REGISTRY = ("ecr:DescribeRegistry", "ecr:PutReplicationConfiguration")


class Purpose(StrEnum):
    """What an identity does with the registry."""

    RELEASE = "release"
    PLAN = "plan"
    PULL = "pull"
    ENSURE = "ensure"


def identity_policy(purpose: Purpose, registry: EcrRegistry, repositories: Sequence[str]) -> Document:
    """The least that AWS must allow for `purpose`, in all regions of the registry."""
    arns = [_arn(registry, region, name) for region in registry.hosts for name in repositories]
    caches = [_arn(registry, registry.region, registry.cache)] if registry.cache else []
    # A token opens every registry that its owner may use: this action has no narrower resource.
    token = _allow("Token", ("ecr:GetAuthorizationToken",), "*")
    match purpose:
        case Purpose.PULL:
            statements = [token, _allow("Pull", _PULL, arns)]
        case Purpose.PLAN:
            statements = [token, _allow("Plan", tuple(sorted((*_PULL, *_LOOK))), arns)]
        case Purpose.RELEASE:
            statements = [token, _allow("Release", tuple(sorted((*_PULL, *_LOOK, *_PUSH))), arns)]
            if caches:
                statements.append(_allow("BuildCache", _CACHE, caches))
            if registry.regions:  # whether replication is to be waited for
                statements.append(_allow("Replication", ("ecr:DescribeRegistry",), "*"))
        case Purpose.ENSURE:
            pull = tuple(sorted((*_ENSURE, *_PULL, "ecr:ListImages")))
            statements = [token, _allow("Repositories", pull, [*arns, *caches])]
            if registry.regions:
                statements += [_allow("Replication", _REGISTRY, "*"), _service_role(registry)]
            if registry.kms_key:
                keys = ("kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant")
                statements.append(_allow("Key", keys, "*"))
    return {"Version": VERSION, "Statement": statements}


def _arn(registry: EcrRegistry, region: str, repository: str) -> str:
    return f"arn:{get_partition(region).name}:ecr:{region}:{registry.account}:repository/{repository}"


def _allow(sid: str, actions: Sequence[str], resource: str | Sequence[str]) -> dict[str, Any]:
    where = resource if isinstance(resource, str) else list(resource)
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": where}


def _service_role(registry: EcrRegistry) -> dict[str, Any]:
    """ECR makes its role for replication when the first rule is put.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/using-service-linked-roles.html
    """
    partition = get_partition(registry.region).name
    role = f"arn:{partition}:iam::{registry.account}:role/aws-service-role/replication.ecr.amazonaws.com/*"
    condition = {"StringLike": {"iam:AWSServiceName": "replication.ecr.amazonaws.com"}}
    return {**_allow("ReplicationRole", ("iam:CreateServiceLinkedRole",), role), "Condition": condition}


def repository_policy(registry: EcrRegistry, before: Document | None) -> Document | None:
    """The policy `before` with our statement as it should be; other people's statements stay.

    None when there is nothing to say.
    """
    others = statements_of_others(before)
    partition = get_partition(registry.region).name
    ours = {
        "Sid": PULL_SID,
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:{partition}:iam::{account}:root" for account in registry.accounts]},
        "Action": list(_PULL),
    }
    if not registry.accounts:
        return others
    told = others or {"Version": (before or {}).get("Version", VERSION), "Statement": []}
    return {**told, "Statement": [*told["Statement"], ours]}


def statements_of_others(policy: Document | None) -> Document | None:
    """The policy without our statement; None when nothing is left of it."""
    before = policy or {}
    others = [each for each in before.get("Statement", ()) if each.get("Sid") != PULL_SID]
    return {"Version": before.get("Version", VERSION), "Statement": others} if others else None


def comparable(document: Document | None) -> object:
    """Equal for two spellings of one policy: AWS gives a list of one as a text, and lists in any order."""
    if document is None:
        return None
    return {
        "Version": document.get("Version"),
        "Statement": sorted((_canonical(each) for each in document.get("Statement", ())), key=repr),
    }


def _canonical(value: Any) -> Any:
    match value:
        case dict():
            return {key: _listed(key, value[key]) for key in sorted(value)}
        case _:
            return value


def _listed(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return _canonical(value)
    if key in ("Sid", "Effect"):
        return value
    return sorted(map(str, value)) if isinstance(value, list) else [str(value)]
