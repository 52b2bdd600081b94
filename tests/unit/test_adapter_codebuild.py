"""Batches of CodeBuild through boto3."""

from collections.abc import Iterator

import pytest
from botocore.stub import ANY, Stubber

from toolkit.adapters.aws import Aws
from toolkit.adapters.codebuild import CodeBuildBatches
from toolkit.codebuild.running import Run
from toolkit.errors import DeploymentFailed

PROJECT, BATCH = "images-batch", "images-batch:4f5a5a2c-0000-4000-8000-000000000000"
TEXT = "version: 0.2\n"


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        made = Aws("us-west-2", ca_bundle=None)
        assert made.codebuild
        yield made


@pytest.fixture
def stub(aws: Aws) -> Iterator[Stubber]:
    with Stubber(aws.codebuild) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def answer(state: str, **more: object) -> dict[str, object]:
    return {"id": BATCH, "buildBatchStatus": state, **more}


def test_a_batch_is_started_with_its_buildspec_at_the_commit_that_was_planned(
    aws: Aws, stub: Stubber
) -> None:
    request = {
        "projectName": PROJECT,
        "buildspecOverride": TEXT,
        "idempotencyToken": ANY,
        "sourceVersion": "0123abc",
    }
    stub.add_response("start_build_batch", {"buildBatch": answer("IN_PROGRESS")}, request)
    started = CodeBuildBatches(aws, project=PROJECT, source_version="0123abc").start(TEXT)
    assert started == Run(name=BATCH, state="IN_PROGRESS")


def test_without_a_commit_the_project_says_what_is_built(aws: Aws, stub: Stubber) -> None:
    request = {"projectName": PROJECT, "buildspecOverride": TEXT, "idempotencyToken": ANY}
    stub.add_response("start_build_batch", {"buildBatch": answer("IN_PROGRESS")}, request)
    assert CodeBuildBatches(aws, project=PROJECT).start(TEXT).name == BATCH


def test_the_state_of_each_build_and_what_went_wrong_are_read(aws: Aws, stub: Stubber) -> None:
    groups = [
        {"identifier": "one", "currentBuildSummary": {"buildStatus": "SUCCEEDED"}},
        {"identifier": "publish"},
    ]
    phases = [
        {"phaseType": "SUBMITTED"},
        {"phaseType": "IN_PROGRESS", "contexts": [{"message": "one build failed"}, {"message": ""}]},
    ]
    found = {"buildBatches": [answer("FAILED", buildGroups=groups, phases=phases)]}
    stub.add_response("batch_get_build_batches", found, {"ids": [BATCH]})
    assert CodeBuildBatches(aws, project=PROJECT).get_run(BATCH) == Run(
        name=BATCH,
        state="FAILED",
        builds=(("one", "SUCCEEDED"), ("publish", "")),
        reason="one build failed",
    )


def test_a_batch_that_was_deleted_is_told(aws: Aws, stub: Stubber) -> None:
    stub.add_response("batch_get_build_batches", {"buildBatches": [], "buildBatchesNotFound": [BATCH]})
    with pytest.raises(DeploymentFailed, match="is not there any more"):
        CodeBuildBatches(aws, project=PROJECT).get_run(BATCH)


def test_a_project_that_is_not_there_is_told_with_what_makes_it(aws: Aws, stub: Stubber) -> None:
    stub.add_client_error("start_build_batch", "ResourceNotFoundException", "Project cannot be found")
    with pytest.raises(DeploymentFailed) as caught:
        CodeBuildBatches(aws, project=PROJECT).start(TEXT)
    assert caught.value.message == "there is no project images-batch of CodeBuild in us-west-2"
    assert "pipeline.cfn.yaml" in caught.value.remedy


@pytest.mark.parametrize(
    ("code", "remedy"), [("AccountLimitExceededException", "quota"), ("AccessDeniedException", "permission")]
)
def test_what_aws_refuses_is_told_with_what_mends_it(aws: Aws, stub: Stubber, code: str, remedy: str) -> None:
    stub.add_client_error("start_build_batch", code, "no")
    with pytest.raises(DeploymentFailed, match=f"StartBuildBatch images-batch: .*{code}: no") as caught:
        CodeBuildBatches(aws, project=PROJECT).start(TEXT)
    assert remedy in caught.value.remedy
