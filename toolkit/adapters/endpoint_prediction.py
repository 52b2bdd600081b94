"""Asking an endpoint of SageMaker."""

from typing import Any

from botocore.exceptions import ClientError

from toolkit.adapters.aws import Aws, told
from toolkit.deployers.prediction import Answer, Asker, Question


class EndpointAsker:
    """An endpoint; `variant` is asked alone, "" leaves the choice to its weights."""

    def __init__(self, aws: Aws, endpoint: str, *, variant: str = "") -> None:
        self.name = f"endpoint {endpoint} in {aws.region}"
        self._aws = aws
        self._endpoint = endpoint
        self._variant = variant

    def ask(self, question: Question) -> Answer:
        options: dict[str, Any] = {}
        if question.accept:
            options["Accept"] = question.accept
        if self._variant:
            options["TargetVariant"] = self._variant
        with told(f"InvokeEndpoint {self._endpoint}"):
            try:
                found = self._aws.runtime.invoke_endpoint(
                    EndpointName=self._endpoint,
                    Body=question.body,
                    ContentType=question.content_type,
                    **options,
                )
            except ClientError as error:
                if error.response["Error"].get("Code") == "ModelError":
                    return _of_container(dict(error.response))
                raise
            return Answer(
                status=found["ResponseMetadata"]["HTTPStatusCode"],
                content_type=found.get("ContentType", ""),
                body=found["Body"].read(),
            )


def _of_container(response: dict[str, Any]) -> Answer:
    """A container's own error, within SageMaker's: its status and words, and where its log is.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    """
    words = response.get("OriginalMessage") or response["Error"].get("Message", "")
    log = response.get("LogStreamArn")
    body = f"{words}\n  its log: {log}" if log else words
    return Answer(status=response.get("OriginalStatusCode", 500), content_type="", body=body.encode())


def _conforms(endpoint: EndpointAsker) -> Asker:
    return endpoint
