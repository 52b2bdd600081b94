"""Batches of CodeBuild over boto3. It takes codebuild:StartBuildBatch and codebuild:BatchGetBuildBatches."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from toolkit.adapters.aws import Aws, told
from toolkit.adapters.aws_trouble import error_code
from toolkit.codebuild.running import BatchService, Run
from toolkit.errors import DeploymentFailed

if TYPE_CHECKING:
    from mypy_boto3_codebuild.type_defs import BuildBatchTypeDef


class CodeBuildBatches:
    """Those of one project. `source_version` is the commit that they take, "" what the project says."""

    def __init__(
        self,
        aws: Aws,
        *,
        project: str,
        source_version: str = "",
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._aws = aws
        self.project = project
        self.source_version = source_version
        self.pause = pause

    def start(self, text: str) -> Run:
        what = f"StartBuildBatch {self.project}"
        source = {"sourceVersion": self.source_version} if self.source_version else {}
        with told(what), self._known():
            # What boto3 sends again starts no second batch; the next call does.
            answer = self._aws.codebuild.start_build_batch(
                projectName=self.project,
                buildspecOverride=text,
                idempotencyToken=str(uuid.uuid4()),
                **source,  # type: ignore[arg-type]
            )
        return _run(answer["buildBatch"])

    def get_run(self, name: str) -> Run:
        with told(f"BatchGetBuildBatches {name}"):
            found = self._aws.codebuild.batch_get_build_batches(ids=[name])["buildBatches"]
        if not found:
            raise DeploymentFailed(f"batch {name} is not there any more", remedy="Run this again.")
        return _run(found[0])

    @contextmanager
    def _known(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            raise DeploymentFailed(
                f"there is no project {self.project} of CodeBuild in {self._aws.region}",
                remedy="buildspecs/pipeline.cfn.yaml makes it; its name is an output of the stack.",
            ) from error


def _run(batch: "BuildBatchTypeDef") -> Run:
    contexts = (each for phase in batch.get("phases", ()) for each in phase.get("contexts", ()))
    reasons = dict.fromkeys(text for each in contexts if (text := each.get("message", "").strip()))
    return Run(
        name=batch["id"],
        state=batch["buildBatchStatus"],
        builds=tuple(
            (each["identifier"], each.get("currentBuildSummary", {}).get("buildStatus", ""))
            for each in batch.get("buildGroups", ())
        ),
        reason="; ".join(reasons),
    )


def _conforms(aws: Aws) -> BatchService:
    return CodeBuildBatches(aws, project="")
