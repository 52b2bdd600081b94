"""Inference Recommender over boto3."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from toolkit.adapters.aws import Aws, is_missing, told
from toolkit.adapters.sagemaker import is_there, send_call
from toolkit.deployers.benchmarking import Job, Measurement, Recommender
from toolkit.deployers.calls import Call
from toolkit.deployers.recommender import ModelMetadata


class InferenceRecommender:
    """`pause` waits."""

    def __init__(self, aws: Aws, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._aws = aws
        self.pause = pause

    def model_metadata(self) -> tuple[ModelMetadata, ...]:
        with told("ListModelMetadata"):
            pages = self._aws.sagemaker.get_paginator("list_model_metadata").paginate()
            return tuple(
                ModelMetadata(
                    name=row["Model"],
                    framework=row["Framework"],
                    version=row["FrameworkVersion"],
                    domain=row["Domain"],
                    task=row["Task"],
                )
                for page in pages
                for row in page["ModelMetadataSummaries"]
            )

    def is_there(self, call: Call) -> bool:
        return is_there(self._aws, call)

    def answer(self, call: Call) -> Mapping[str, Any]:
        return send_call(self._aws, call)

    def lookup_job(self, name: str) -> Job | None:
        with told(f"DescribeInferenceRecommendationsJob {name}"):
            try:
                found = self._aws.sagemaker.describe_inference_recommendations_job(JobName=name)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        return Job(
            name=name,
            status=found["Status"],
            reason=found.get("FailureReason", ""),
            measurements=tuple(
                _measurement(row)
                for row in found.get("InferenceRecommendations", ())
                # A serverless configuration has no instance type.
                if "InstanceType" in row["EndpointConfiguration"]
            ),
        )


def _measurement(row: Mapping[str, Any]) -> Measurement:
    configuration, metrics = row["EndpointConfiguration"], row.get("Metrics", {})
    parameters = row.get("ModelConfiguration", {}).get("EnvironmentParameters", ())
    return Measurement(
        instance_type=configuration["InstanceType"],
        count=configuration.get("InitialInstanceCount", 1),
        cost_per_hour=metrics.get("CostPerHour"),
        cost_per_inference=metrics.get("CostPerInference"),
        invocations=metrics.get("MaxInvocations"),
        latency=metrics.get("ModelLatency"),
        cpu=_known(metrics.get("CpuUtilization")),
        memory=_known(metrics.get("MemoryUtilization")),
        environment={each["Key"]: each["Value"] for each in parameters},
    )


def _known(value: float | None) -> float | None:
    """The service says NaN for what it has not measured."""
    return None if value is None or math.isnan(value) else value


def _conforms(aws: Aws) -> Recommender:
    return InferenceRecommender(aws)
