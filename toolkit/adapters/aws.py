"""Clients of AWS's services with the credentials of this machine, and their errors as ours."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from toolkit.adapters.aws_trouble import error_code, explained
from toolkit.errors import DeploymentFailed, NeedNotMet

if TYPE_CHECKING:
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sts import STSClient

# https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html
_RETRIES: Mapping[str, Any] = {"mode": "standard", "max_attempts": 5}


class Aws:
    """One region. Each client is made when it is first asked for; boto3 finds the credentials.

    `timeout` is how many seconds an answer may take to begin.
    """

    def __init__(self, region: str, *, ca_bundle: Path | None, timeout: float = 60) -> None:
        self.region = region
        self._session = boto3.session.Session(region_name=region)
        self._config = Config(retries=dict(_RETRIES), read_timeout=timeout)  # type: ignore[arg-type]
        # None leaves it to boto3, which knows AWS_CA_BUNDLE.
        self._verify = str(ca_bundle) if ca_bundle else None

    @cached_property
    def sagemaker(self) -> "SageMakerClient":
        return self._session.client("sagemaker", config=self._config, verify=self._verify)

    @cached_property
    def runtime(self) -> "SageMakerRuntimeClient":
        return self._session.client("sagemaker-runtime", config=self._config, verify=self._verify)

    @cached_property
    def s3(self) -> "S3Client":
        return self._session.client("s3", config=self._config, verify=self._verify)

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        return self._session.client("logs", config=self._config, verify=self._verify)

    @cached_property
    def codebuild(self) -> "CodeBuildClient":
        return self._session.client("codebuild", config=self._config, verify=self._verify)

    @cached_property
    def ecr(self) -> "ECRClient":
        return self._session.client("ecr", config=self._config, verify=self._verify)

    @cached_property
    def sts(self) -> "STSClient":
        return self._session.client("sts", config=self._config, verify=self._verify)


# SageMaker's words for what is not there, under a code that it has for every other fault too.
_MISSING = ("Could not find", "does not exist")


def is_missing(error: ClientError) -> bool:
    said = error.response["Error"]
    code, message = said.get("Code"), said.get("Message", "")
    return code in ("404", "NoSuchKey", "NotFound", "ResourceNotFound") or (
        code == "ValidationException" and any(words in message for words in _MISSING)
    )


# What is said of registries elsewhere, or nowhere.
_REMEDIES = {
    "AccessDenied": "Give the caller this permission on it, or use other credentials.",
    "AccessDeniedException": "Give the caller this permission on it, or use other credentials.",
    "AccountLimitExceededException": "Wait for builds to end, or ask for a higher quota (Service Quotas).",
    "ResourceLimitExceeded": "Ask for a higher quota in the console (Service Quotas), or use another type.",
}


@contextmanager
def told(what: str) -> Iterator[None]:
    """Errors of boto3 while doing `what` as NeedNotMet, for the credentials, or DeploymentFailed."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        found = explained(error, what)
        if isinstance(found, NeedNotMet):
            raise found from error
        code = error_code(error) if isinstance(error, ClientError) else ""
        raise DeploymentFailed(found.message, remedy=_REMEDIES.get(code, found.remedy)) from error
