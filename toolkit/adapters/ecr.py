"""ECR's control plane through boto3: implements ecr.ensure.Control and what preflight and scans ask."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from toolkit.adapters.aws import Aws
from toolkit.adapters.aws_trouble import aws_trouble, error_code
from toolkit.catalog.registry import Encryption
from toolkit.ecr.changes import Change, Kind
from toolkit.ecr.ensure import Control
from toolkit.ecr.lifecycle import StoredImage
from toolkit.ecr.scanning import Finding, Scan, parse_findings
from toolkit.ecr.settings import Mutability, ReplicationRule, RepositorySettings
from toolkit.errors import RegistryTrouble
from toolkit.oci import Digest

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import EncryptionConfigurationTypeDef, RepositoryTypeDef

_PREVIEW_SECONDS = 300.0
_SCAN_PAUSE = 5.0


class EcrControl:
    """One account in one region."""

    def __init__(
        self,
        aws: Aws,
        *,
        account: str,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._aws = aws
        self._account = account
        self._sleep = sleep
        self._clock = clock

    @property
    def region(self) -> str:
        return self._aws.region

    @property
    def _client(self) -> "ECRClient":
        return self._aws.ecr

    def identity(self) -> str:
        """The ARN that this run's credentials belong to. Needs no permission."""
        with aws_trouble("who this run is to AWS"):
            return self._aws.sts.get_caller_identity()["Arn"]

    def lookup_repositories(self, names: Sequence[str]) -> Mapping[str, RepositorySettings]:
        found = {}
        for name in names:
            with aws_trouble(f"repository {name} in {self.region}"):
                if there := self._lookup_repository(name):
                    found[name] = _settings(
                        there,
                        self._document(self._client.get_repository_policy, name, "policyText"),
                        self._document(self._client.get_lifecycle_policy, name, "lifecyclePolicyText"),
                    )
        return found

    def _lookup_repository(self, name: str) -> "RepositoryTypeDef | None":
        try:
            answer = self._client.describe_repositories(registryId=self._account, repositoryNames=[name])
        except ClientError as error:
            if error_code(error) == "RepositoryNotFoundException":
                return None
            raise
        return answer["repositories"][0]

    def _document(self, ask: Callable[..., Any], name: str, key: str) -> Mapping[str, Any] | None:
        try:
            answer = ask(registryId=self._account, repositoryName=name)
        except ClientError as error:
            if error_code(error) in ("RepositoryPolicyNotFoundException", "LifecyclePolicyNotFoundException"):
                return None
            raise
        document = json.loads(answer[key])
        return document if isinstance(document, dict) else None

    def list_replication(self) -> tuple[ReplicationRule, ...]:
        with aws_trouble(f"replication in {self.region}"):
            # deleteReplication is in botocore's model and not yet in the stubs.
            rules: Any = self._client.describe_registry()["replicationConfiguration"]["rules"]
        return tuple(
            ReplicationRule(
                destinations=tuple((each["region"], each["registryId"]) for each in rule["destinations"]),
                prefixes=tuple(each["filter"] for each in rule.get("repositoryFilters", ())),
                deletes=rule["deleteReplication"]["enabled"] if "deleteReplication" in rule else None,
            )
            for rule in rules
        )

    def list_images(self, repository: str) -> tuple[StoredImage, ...]:
        with aws_trouble(f"images of {repository} in {self.region}"):
            pages = self._client.get_paginator("describe_images").paginate(
                registryId=self._account, repositoryName=repository, PaginationConfig={"PageSize": 1000}
            )
            return tuple(
                StoredImage(
                    digest=Digest(each["imageDigest"]),
                    tags=tuple(each.get("imageTags", ())),
                    pushed=each["imagePushedAt"],
                )
                for page in pages
                for each in page["imageDetails"]
            )

    def preview(self, repository: str, policy: str) -> Mapping[Digest, int]:
        """Raises RegistryTrouble where ECR gives no preview."""
        subject = self._subject(repository)
        what = f"preview of the lifecycle policy of {repository} in {self.region}"
        with aws_trouble(what):
            self._client.start_lifecycle_policy_preview(**subject, lifecyclePolicyText=policy)
            deadline = self._clock() + _PREVIEW_SECONDS
            found: dict[Digest, int] = {}
            token: Any = {}
            while True:
                answer = self._client.get_lifecycle_policy_preview(**subject, **token, maxResults=100)
                status = answer["status"]
                if status == "IN_PROGRESS" and self._clock() < deadline:
                    self._sleep(2.0)
                    continue
                if status != "COMPLETE":
                    raise RegistryTrouble(f"{what}: it is {status}")
                found |= {
                    Digest(each["imageDigest"]): each["appliedRulePriority"]
                    for each in answer["previewResults"]
                }
                if "nextToken" not in answer:
                    return found
                token = {"nextToken": answer["nextToken"]}

    def wait_for_scan(self, repository: str, digest: str, *, seconds: float) -> Scan:
        """What ECR found in one image. Where it never looked, a scan is asked for.

        A scan that is not done after `seconds` is returned as it is then.
        """
        deadline = self._clock() + seconds
        asked = False
        while True:
            with aws_trouble(f"scan of {repository}@{digest} in {self.region}"):
                found = self._lookup_scan(repository, digest)
                if found is None and not asked:
                    self._start_scan(repository, digest)
                    asked = True
            if found and not found.is_under_way:
                return found
            if self._clock() >= deadline:
                return found or Scan(state="NOT_SCANNED", description=f"nothing after {seconds:.0f} s")
            self._sleep(_SCAN_PAUSE)

    def _lookup_scan(self, repository: str, digest: str) -> Scan | None:
        """None when there is no scan of it."""
        subject = {**self._subject(repository), "imageId": {"imageDigest": digest}}
        findings: list[Finding] = []
        token: Any = {}
        while True:
            try:
                answer = self._client.describe_image_scan_findings(**subject, **token, maxResults=1000)
            except ClientError as error:
                if error_code(error) == "ScanNotFoundException":
                    return None
                raise
            findings += parse_findings(answer)
            status = answer.get("imageScanStatus", {})
            if "nextToken" not in answer:
                return Scan(
                    state=str(status.get("status", "")),
                    description=str(status.get("description", "")),
                    findings=tuple(findings),
                )
            token = {"nextToken": answer["nextToken"]}

    def _start_scan(self, repository: str, digest: str) -> None:
        try:
            self._client.start_image_scan(**self._subject(repository), imageId={"imageDigest": digest})
        except ClientError as error:
            # Once a day and image; and where scanning is enhanced, Amazon Inspector begins by itself.
            if error_code(error) not in ("LimitExceededException", "ValidationException"):
                raise

    def apply(self, change: Change) -> None:
        """May be called again: what is as it should be stays so."""
        with aws_trouble(f"{change.name} in {self.region}"):
            if change.kind is Kind.REPLICATION:
                self._client.put_replication_configuration(
                    replicationConfiguration={"rules": [_rule(rule) for rule in change.rules]}
                )
            elif change.wanted:
                self._apply(change.kind, change.wanted)

    def _apply(self, kind: Kind, wanted: RepositorySettings) -> None:
        subject = self._subject(wanted.name)
        match kind:
            case Kind.CREATE:
                self._create(wanted)
            case Kind.TAGS:
                self._client.put_image_tag_mutability(**subject, **_mutability(wanted))
            case Kind.SCAN:
                self._client.put_image_scanning_configuration(
                    **subject, imageScanningConfiguration={"scanOnPush": wanted.scans_on_push}
                )
            case Kind.POLICY if wanted.policy is None:
                self._client.delete_repository_policy(**subject)
            case Kind.POLICY:
                self._client.set_repository_policy(**subject, policyText=json.dumps(wanted.policy))
            case Kind.LIFECYCLE:
                self._client.put_lifecycle_policy(**subject, lifecyclePolicyText=json.dumps(wanted.lifecycle))
            case Kind.REPLICATION:
                raise AssertionError("replication is of the registry, not of a repository")

    def _subject(self, repository: str) -> Any:
        return {"registryId": self._account, "repositoryName": repository}

    def _create(self, wanted: RepositorySettings) -> None:
        encryption: EncryptionConfigurationTypeDef = {"encryptionType": wanted.encryption.value}
        if wanted.kms_key:
            encryption["kmsKey"] = wanted.kms_key
        try:
            self._client.create_repository(
                **self._subject(wanted.name),
                **_mutability(wanted),
                imageScanningConfiguration={"scanOnPush": wanted.scans_on_push},
                encryptionConfiguration=encryption,
            )
        except ClientError as error:
            # Another run made it meanwhile; what it made differently the next look tells.
            if error_code(error) != "RepositoryAlreadyExistsException":
                raise


def _settings(
    there: "RepositoryTypeDef", policy: Mapping[str, Any] | None, lifecycle: Mapping[str, Any] | None
) -> RepositorySettings:
    encryption = there.get("encryptionConfiguration", {"encryptionType": "AES256"})
    filters = there.get("imageTagMutabilityExclusionFilters", ())
    return RepositorySettings(
        name=there["repositoryName"],
        mutability=Mutability(there["imageTagMutability"]),
        filters=tuple(sorted(each["filter"] for each in filters)),
        scans_on_push=there.get("imageScanningConfiguration", {}).get("scanOnPush", False),
        encryption=Encryption(encryption["encryptionType"]),
        kms_key=encryption.get("kmsKey", ""),
        policy=policy,
        lifecycle=lifecycle,
    )


def _mutability(wanted: RepositorySettings) -> Any:
    filters = [{"filterType": "WILDCARD", "filter": each} for each in wanted.filters]
    return {
        "imageTagMutability": wanted.mutability.value,
        **({"imageTagMutabilityExclusionFilters": filters} if filters else {}),
    }


def _rule(rule: ReplicationRule) -> Any:
    filters = [{"filter": prefix, "filterType": "PREFIX_MATCH"} for prefix in rule.prefixes]
    return {
        "destinations": [{"region": region, "registryId": account} for region, account in rule.destinations],
        **({"repositoryFilters": filters} if filters else {}),
        **({"deleteReplication": {"enabled": rule.deletes}} if rule.deletes is not None else {}),
    }


def _conforms(control: EcrControl) -> Control:
    return control
