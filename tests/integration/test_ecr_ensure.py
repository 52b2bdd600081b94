"""`toolkit ecr` against the stand-in of Amazon ECR: what it makes, mends, leaves alone and refuses."""

import json
from typing import Any

import pytest
from mypy_boto3_ecr import ECRClient

from tests.integration.conftest import ONE, EcrProject
from toolkit.errors import ExitCode


def test_it_makes_what_the_catalog_wants_in_every_region_and_then_has_nothing_to_do(
    ecr_project: EcrProject,
) -> None:
    ecr_project.table(regions='["eu-central-1"]', accounts='["210987654321"]', unpublished_days="30")
    names = [f"{ecr_project.prefix}/{name}" for name in ("one", "releases", "two")]

    dry = ecr_project.run("ecr", "ensure", "--dry-run")
    assert dry.code == 0, dry.err
    assert "17 changes: nothing was changed (--dry-run)" in dry.out
    assert not ecr_project.ecr.called("CreateRepository")

    done = ecr_project.run("ecr", "ensure")
    assert done.code == 0, done.err
    assert done.out.splitlines()[:-1] == dry.out.splitlines()[:-1]
    for region in ("us-west-2", "eu-central-1"):
        made = {each["repositoryName"]: each for each in _in(ecr_project, region)}
        assert sorted(made) == names
        one: Any = made[names[0]]
        assert one["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
        (excluded,) = one["imageTagMutabilityExclusionFilters"]
        assert excluded == {"filterType": "WILDCARD", "filter": "*-sagemaker"}
        assert one["imageScanningConfiguration"] == {"scanOnPush": True}
    (rules,) = ecr_project.ecr.called("PutReplicationConfiguration")
    assert rules["replicationConfiguration"] == {
        "rules": [
            {
                "destinations": [{"region": "eu-central-1", "registryId": ecr_project.ecr.account}],
                "repositoryFilters": [{"filter": f"{ecr_project.prefix}/", "filterType": "PREFIX_MATCH"}],
            }
        ]
    }

    ecr_project.ecr.state.calls.clear()
    again = ecr_project.run("ecr", "ensure")
    assert again.code == 0, again.err
    assert again.out.startswith("nothing to change")
    asked = {operation for operation, _, _ in ecr_project.ecr.state.calls}
    assert not [each for each in asked if each.startswith(("Put", "Set", "Create", "Delete"))]


def test_the_repository_of_build_caches_is_made_at_home_alone_and_its_tags_may_move(
    ecr_project: EcrProject,
) -> None:
    cache = f"{ecr_project.prefix}-steps"
    ecr_project.table(regions='["eu-central-1"]', cache=f'"{cache}"')
    done = ecr_project.run("ecr", "ensure")
    assert done.code == 0, done.err
    (made,) = [each for each in _in(ecr_project, "us-west-2") if each["repositoryName"] == cache]
    assert made["imageTagMutability"] == "MUTABLE"
    assert cache not in [each["repositoryName"] for each in _in(ecr_project, "eu-central-1")]
    policy = json.loads(ecr_project.api.get_lifecycle_policy(repositoryName=cache)["lifecyclePolicyText"])
    assert [rule["selection"]["tagStatus"] for rule in policy["rules"]] == ["untagged", "any"]
    assert ecr_project.run("ecr", "ensure").out.startswith("nothing to change")


def _in(project: EcrProject, region: str) -> list[Any]:
    client = project.ecr.api(region)
    found = client.describe_repositories()["repositories"]
    return [each for each in found if each["repositoryName"].startswith(project.prefix)]


def test_it_mends_what_differs_and_keeps_what_others_said(ecr_project: EcrProject) -> None:
    ecr_project.make_repositories()
    name = f"{ecr_project.prefix}/one"
    theirs = {"Sid": "Audit", "Effect": "Allow", "Principal": "*", "Action": "ecr:DescribeImages"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [theirs]})
    ecr_project.api.set_repository_policy(repositoryName=name, policyText=policy)
    ecr_project.table(accounts='["210987654321"]')
    done = ecr_project.run("ecr", "ensure", "--json")
    assert done.code == 0, done.err
    told = {(each["kind"], each["name"]): each["text"] for each in json.loads(done.out)["changes"]}
    assert told["tags", name] == "tags mutable -> tags immutable except *-sagemaker"
    assert told["policy", name] == ("1 statements of others -> 210987654321 may pull, 1 statements of others")
    found = json.loads(ecr_project.api.get_repository_policy(repositoryName=name)["policyText"])
    assert theirs in found["Statement"]
    assert len(found["Statement"]) == 2


def test_no_lifecycle_policy_can_expire_what_a_kept_release_names(prepared_project: EcrProject) -> None:
    assert prepared_project.run("ecr", "ensure").code == 0
    released = prepared_project.run("release", "one-*")
    assert released.code == 0, released.err
    name = f"{prepared_project.prefix}/one"
    kept = sorted(set(_digests(prepared_project.api, name).values()))
    assert len(kept) == 3

    # A policy of others, on a list that stands behind the release.
    selection = {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 365}
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    theirs = json.dumps({"rules": [rule]}, indent=2)
    prepared_project.api.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=theirs)
    words = prepared_project.run("ecr", "ensure").failed_with(ExitCode.CONFLICT)
    assert words.count("would be expired by the lifecycle policy: rule 1 (any images") == 3
    assert "(the list of one-1.0-cpu-py39-debian11-sagemaker-amd64 of release 2" in words

    # Ours, if ECR saw it otherwise than we do.
    prepared_project.table(unpublished_days="30")
    prepared_project.ecr.behaviour.preview = {kept[0]: 2}
    words = prepared_project.run("ecr", "ensure").failed_with(ExitCode.CONFLICT)
    assert f"{name}@{kept[0]} in us-west-2" in words
    assert "rule 2, says ECR's preview" in words
    assert prepared_project.api.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"] == theirs

    # Ours, where ECR gives no preview.
    prepared_project.ecr.behaviour.preview_error = "AccessDeniedException"
    done = prepared_project.run("ecr", "ensure")
    assert done.code == 0, done.err
    assert "3 kept images and lists held against lifecycle policies" in done.out
    assert "note: preview of the lifecycle policy" in done.err
    assert "our own evaluation found nothing that would expire" in done.err
    assert "b-*" in prepared_project.api.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]


def test_an_immutable_tag_of_another_image_is_a_conflict_that_names_both_and_the_way_forward(
    prepared_project: EcrProject,
) -> None:
    assert prepared_project.run("ecr", "ensure").code == 0
    assert prepared_project.run("release", "one-*").code == 0
    before = _digests(prepared_project.api, f"{prepared_project.prefix}/one")
    prepared_project.small.template("LABEL changed=yes")
    prepared_project.small.lock()
    prepared_project.ecr.state.requests.clear()
    words = prepared_project.run("release", "one-*").failed_with(ExitCode.CONFLICT)
    assert "2 things would stop this release; nothing was built" in words
    for architecture in ("amd64", "arm64"):
        assert before[f"1.0-cpu-py39-debian11-sagemaker-{architecture}"] in words
    assert "cannot be given to a build with other inputs (dockerfile)" in words
    assert "[images.one]: add `revision = 2`" in words
    assert not [
        request for request in prepared_project.ecr.state.requests if request.startswith(("PUT", "POST"))
    ]
    after = _digests(prepared_project.api, f"{prepared_project.prefix}/one")
    assert {tag: after[tag] for tag in before} == before

    prepared_project.small.catalog('repository = "one"', 'repository = "one"\nrevision = 2')
    prepared_project.small.lock()
    forward = prepared_project.run("release", ONE[0], ONE[1])
    assert forward.code == 0, forward.err
    assert "1.0-cpu-py39-debian11-sagemaker-r2" in _digests(
        prepared_project.api, f"{prepared_project.prefix}/one"
    )


def _digests(api: ECRClient, repository: str) -> dict[str, str]:
    found = api.describe_images(repositoryName=repository)["imageDetails"]
    return {tag: each["imageDigest"] for each in found for tag in each.get("imageTags", ())}


@pytest.mark.parametrize("purpose", ["release", "pull", "ensure"])
def test_policies_are_printed_without_credentials(ecr_project: EcrProject, purpose: str) -> None:
    printed = ecr_project.small.run("ecr", "policy", "--for", purpose)
    assert printed.code == 0, printed.err
    document = json.loads(printed.out)
    assert document["Version"] == "2012-10-17"
    assert f":{ecr_project.ecr.account}:repository/{ecr_project.prefix}/one" in printed.out


def test_without_credentials_it_is_told_what_to_log_in_to(ecr_project: EcrProject) -> None:
    ran = ecr_project.run("ecr", "ensure", "--dry-run", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    words = ran.failed_with(ExitCode.NEED_NOT_MET)
    assert "there are no credentials for AWS" in words
    assert "aws sso login" in words
