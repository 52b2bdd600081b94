"""ECR's control plane through boto3, each request and answer held against botocore's own model of ECR."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from tests.projects import digest
from tests.unit.test_ecr import settings
from toolkit.adapters.aws import Aws
from toolkit.adapters.ecr import EcrControl
from toolkit.catalog.registry import Encryption
from toolkit.ecr.changes import Change, Kind
from toolkit.ecr.lifecycle import wanted_policy
from toolkit.ecr.settings import Mutability, ReplicationRule
from toolkit.errors import NeedNotMet, RegistryTrouble

NAME = "ml/pytorch-inference"
SUBJECT = {"registryId": "123456789012", "repositoryName": NAME}
POLICY = json.dumps(wanted_policy(["*-sagemaker"], 30))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Aws:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return Aws("us-west-2", ca_bundle=None)


@pytest.fixture
def stub(aws: Aws) -> Iterator[Stubber]:
    with Stubber(aws.ecr) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def control(aws: Aws) -> EcrControl:
    seconds = iter(range(0, 10_000, 100))
    return EcrControl(aws, account="123456789012", sleep=lambda _: None, clock=lambda: float(next(seconds)))


def change(kind: Kind, **others: Any) -> Change:
    return Change(kind=kind, region="us-west-2", name=NAME, text="", wanted=settings(**others))


def test_a_repository_is_made_with_all_that_cannot_be_changed_later(
    stub: Stubber, control: EcrControl
) -> None:
    asked = {
        **SUBJECT,
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "*-sagemaker"}],
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/images"},
    }
    stub.add_response("create_repository", {}, asked)
    control.apply(change(Kind.CREATE, encryption=Encryption.KMS, kms_key="alias/images"))


def test_a_repository_that_another_run_made_meanwhile_is_no_error(stub: Stubber, control: EcrControl) -> None:
    stub.add_client_error("create_repository", "RepositoryAlreadyExistsException", "there")
    control.apply(change(Kind.CREATE))


def test_settings_are_read_as_they_are_wanted(stub: Stubber, control: EcrControl) -> None:
    wanted = settings()
    there = {
        "repositoryName": NAME,
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "*-sagemaker"}],
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    asked = {"registryId": "123456789012", "repositoryNames": [NAME]}
    stub.add_response("describe_repositories", {"repositories": [there]}, asked)
    stub.add_response("get_repository_policy", {"policyText": json.dumps(wanted.policy)}, SUBJECT)
    stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": POLICY}, SUBJECT)
    assert control.lookup_repositories([NAME]) == {NAME: wanted}


def test_what_is_not_there_is_none(stub: Stubber, control: EcrControl) -> None:
    stub.add_client_error("describe_repositories", "RepositoryNotFoundException")
    assert control.lookup_repositories([NAME]) == {}
    plain = {"repositoryName": NAME, "imageTagMutability": "MUTABLE"}
    stub.add_response("describe_repositories", {"repositories": [plain]})
    stub.add_client_error("get_repository_policy", "RepositoryPolicyNotFoundException")
    stub.add_client_error("get_lifecycle_policy", "LifecyclePolicyNotFoundException")
    (found,) = control.lookup_repositories([NAME]).values()
    assert (found.policy, found.lifecycle, found.mutability) == (None, None, Mutability.MUTABLE)


def test_a_preview_is_waited_for_and_read_page_by_page(stub: Stubber, control: EcrControl) -> None:
    stub.add_response("start_lifecycle_policy_preview", {}, {**SUBJECT, "lifecyclePolicyText": POLICY})
    page = {**SUBJECT, "maxResults": 100}
    stub.add_response("get_lifecycle_policy_preview", {"status": "IN_PROGRESS", "previewResults": []}, page)
    for number, token in ((1, {"nextToken": "more"}), (2, {})):
        result = {"imageDigest": digest(number), "appliedRulePriority": number}
        given = {"nextToken": "more"} if number == 2 else {}
        stub.add_response(
            "get_lifecycle_policy_preview",
            {"status": "COMPLETE", "previewResults": [result], **token},
            {**page, **given},
        )
    assert control.preview(NAME, POLICY) == {digest(1): 1, digest(2): 2}


@pytest.mark.parametrize("status", ["FAILED", "EXPIRED"])
def test_a_preview_that_does_not_end_well_is_an_error(
    stub: Stubber, control: EcrControl, status: str
) -> None:
    stub.add_response("start_lifecycle_policy_preview", {})
    stub.add_response("get_lifecycle_policy_preview", {"status": status, "previewResults": []})
    with pytest.raises(RegistryTrouble, match=f"it is {status}"):
        control.preview(NAME, POLICY)


def test_rules_of_replication_go_back_as_they_came(stub: Stubber, control: EcrControl) -> None:
    raw = [
        {
            "destinations": [{"region": "eu-west-1", "registryId": "123456789012"}],
            "repositoryFilters": [{"filter": "other/", "filterType": "PREFIX_MATCH"}],
            "deleteReplication": {"enabled": True},
        },
        {"destinations": [{"region": "eu-central-1", "registryId": "123456789012"}]},
    ]
    stub.add_response("describe_registry", {"replicationConfiguration": {"rules": raw}})
    rules = control.list_replication()
    assert rules[0] == ReplicationRule(
        destinations=(("eu-west-1", "123456789012"),), prefixes=("other/",), deletes=True
    )
    stub.add_response("put_replication_configuration", {}, {"replicationConfiguration": {"rules": raw}})
    control.apply(replace(change(Kind.REPLICATION), wanted=None, rules=rules))


def test_every_other_change_is_one_call(stub: Stubber, control: EcrControl) -> None:
    wanted = settings()
    fixed = {"mutability": Mutability.IMMUTABLE, "filters": ()}
    stub.add_response("put_image_tag_mutability", {}, {**SUBJECT, "imageTagMutability": "IMMUTABLE"})
    control.apply(change(Kind.TAGS, **fixed))
    scanning = {**SUBJECT, "imageScanningConfiguration": {"scanOnPush": True}}
    stub.add_response("put_image_scanning_configuration", {}, scanning)
    control.apply(change(Kind.SCAN))
    stub.add_response("set_repository_policy", {}, {**SUBJECT, "policyText": json.dumps(wanted.policy)})
    control.apply(change(Kind.POLICY))
    stub.add_response("delete_repository_policy", {}, SUBJECT)
    control.apply(change(Kind.POLICY, policy=None))
    stub.add_response("put_lifecycle_policy", {}, {**SUBJECT, "lifecyclePolicyText": POLICY})
    control.apply(change(Kind.LIFECYCLE))


def test_images_are_listed_with_their_tags_and_times(stub: Stubber, control: EcrControl) -> None:
    pushed = datetime(2026, 11, 21, tzinfo=UTC)
    stub.add_response(
        "describe_images",
        {"imageDetails": [{"imageDigest": digest(1), "imageTags": ["a", "b"], "imagePushedAt": pushed}]},
        {**SUBJECT, "maxResults": 1000},
    )
    (image,) = control.list_images(NAME)
    assert (image.digest, image.tags, image.pushed) == (digest(1), ("a", "b"), pushed)


def test_a_scan_that_is_not_done_in_time_is_told_as_it_is(stub: Stubber, control: EcrControl) -> None:
    asked = {**SUBJECT, "imageId": {"imageDigest": digest(1)}, "maxResults": 1000}
    for _ in range(2):
        pending = {"imageScanStatus": {"status": "PENDING", "description": "in the queue"}}
        stub.add_response("describe_image_scan_findings", pending, asked)
    found = control.wait_for_scan(NAME, digest(1), seconds=150)
    assert (found.state, found.description) == ("PENDING", "in the queue")


def test_an_image_that_may_not_be_scanned_again_today_is_waited_for(
    stub: Stubber, control: EcrControl
) -> None:
    stub.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
    stub.add_client_error("start_image_scan", "LimitExceededException")
    stub.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
    assert control.wait_for_scan(NAME, digest(1), seconds=150).state == "NOT_SCANNED"


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("AccessDeniedException", RegistryTrouble, "the credentials may not do this"),
        ("ExpiredTokenException", NeedNotMet, "AWS does not take the credentials"),
        ("UnrecognizedClientException", NeedNotMet, "AWS does not take the credentials"),
        ("ThrottlingException", RegistryTrouble, "AWS is busy"),
        ("InvalidParameterException", RegistryTrouble, "InvalidParameterException: no"),
    ],
)
def test_refusals_of_aws_are_told_with_what_mends_them(
    stub: Stubber, control: EcrControl, code: str, kind: type[Exception], words: str
) -> None:
    stub.add_client_error("describe_registry", code, "no")
    with pytest.raises(kind, match=words):
        control.list_replication()
