"""Inference Recommender through boto3."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from tests.deployments import PACKAGE_ARN as ARN
from tests.deployments import REGION, benchmark
from toolkit.adapters.aws import Aws
from toolkit.adapters.recommender import InferenceRecommender
from toolkit.deployers.benchmarking import Job, Measurement
from toolkit.deployers.recommender import Load, ModelMetadata, group, job, package
from toolkit.errors import DeploymentFailed

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/serving"


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        made = Aws(REGION, ca_bundle=None)
        assert made.sagemaker
        yield made


@pytest.fixture
def stub(aws: Aws) -> Iterator[Stubber]:
    with Stubber(aws.sagemaker) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def summary(model: str) -> dict[str, str]:
    return {
        "Model": model,
        "Framework": "PYTORCH",
        "FrameworkVersion": "1.7",
        "Domain": "COMPUTER_VISION",
        "Task": "IMAGE_CLASSIFICATION",
    }


def test_metadata_are_read_page_by_page(aws: Aws, stub: Stubber) -> None:
    stub.add_response(
        "list_model_metadata", {"ModelMetadataSummaries": [summary("resnet50")], "NextToken": "more"}, {}
    )
    stub.add_response(
        "list_model_metadata", {"ModelMetadataSummaries": [summary("unet")]}, {"NextToken": "more"}
    )
    found = InferenceRecommender(aws).model_metadata()
    assert [row.name for row in found] == ["resnet50", "unet"]
    assert found[0] == ModelMetadata(
        name="resnet50",
        framework="PYTORCH",
        version="1.7",
        domain="COMPUTER_VISION",
        task="IMAGE_CLASSIFICATION",
    )


@pytest.mark.parametrize("load", [None, Load(latency_ms=100)])
def test_every_request_is_sent_as_it_is_printed(load: Load | None, aws: Aws, stub: Stubber) -> None:
    made = benchmark(load=load)
    subject = made.subjects[0]
    service = InferenceRecommender(aws)
    calls = (group(made), package(made, subject), job(made, subject, ARN))
    methods = ("create_model_package_group", "create_model_package", "create_inference_recommendations_job")
    answers = ({"ModelPackageGroupArn": ARN}, {"ModelPackageArn": ARN}, {"JobArn": ARN})
    for call, method, answer in zip(calls, methods, answers, strict=True):
        stub.add_response(method, answer, dict(call.request))
        assert service.answer(call) == answer


def test_a_group_is_looked_for_before_it_is_made(aws: Aws, stub: Stubber) -> None:
    service = InferenceRecommender(aws)
    stub.add_client_error(
        "describe_model_package_group", "ValidationException", "ModelPackageGroup resnet does not exist."
    )
    assert not service.is_there(group(benchmark()))
    stub.add_client_error("describe_model_package_group", "ValidationException", "The name is not valid.")
    with pytest.raises(DeploymentFailed, match="not valid"):
        service.is_there(group(benchmark()))


def test_a_job_is_read_with_its_measurements(aws: Aws, stub: Stubber) -> None:
    stub.add_response(
        "describe_inference_recommendations_job",
        {
            "JobName": "resnet-arm64-1",
            "JobType": "Default",
            "JobArn": "arn:aws:sagemaker:us-west-2:123456789012:inference-recommendations-job/a",
            "RoleArn": ROLE,
            "Status": "COMPLETED",
            "CreationTime": NOW,
            "LastModifiedTime": NOW,
            "InputConfig": {"ModelPackageVersionArn": ARN},
            "InferenceRecommendations": [
                {
                    "Metrics": {
                        "CostPerHour": 0.2,
                        "CostPerInference": 5e-6,
                        "MaxInvocations": 648,
                        "ModelLatency": 41,
                        "CpuUtilization": 80.5,
                        "MemoryUtilization": float("nan"),
                    },
                    "EndpointConfiguration": {
                        "EndpointName": "e",
                        "VariantName": "v",
                        "InstanceType": "ml.c7g.xlarge",
                        "InitialInstanceCount": 2,
                    },
                    "ModelConfiguration": {
                        "EnvironmentParameters": [
                            {"Key": "OMP_NUM_THREADS", "ValueType": "string", "Value": "2"}
                        ]
                    },
                },
                {
                    "EndpointConfiguration": {
                        "EndpointName": "e",
                        "VariantName": "v",
                        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1},
                    },
                    "ModelConfiguration": {},
                },
            ],
        },
        {"JobName": "resnet-arm64-1"},
    )
    assert InferenceRecommender(aws).lookup_job("resnet-arm64-1") == Job(
        name="resnet-arm64-1",
        status="COMPLETED",
        measurements=(
            Measurement(
                instance_type="ml.c7g.xlarge",
                count=2,
                cost_per_hour=0.2,
                cost_per_inference=5e-6,
                invocations=648,
                latency=41,
                cpu=80.5,
                memory=None,
                environment={"OMP_NUM_THREADS": "2"},
            ),
        ),
    )


def test_a_job_that_is_not_there_is_none(aws: Aws, stub: Stubber) -> None:
    stub.add_client_error("describe_inference_recommendations_job", "ResourceNotFound", "no such job")
    assert InferenceRecommender(aws).lookup_job("x") is None
