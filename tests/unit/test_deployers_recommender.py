"""The requests of Inference Recommender, and which instance types are tried."""

import json
from dataclasses import replace

import pytest

from scripts import data_recommender
from tests.aws_models import faults
from tests.deployments import AMD64, ARM64, AWS, benchmark, deployment, variant
from tests.deployments import PACKAGE_ARN as ARN
from tests.deployments import metadata as row
from toolkit.deployers.candidates import candidates, default_candidates
from toolkit.deployers.image import describe_image
from toolkit.deployers.recommender import (
    Load,
    document,
    get_framework,
    get_named_model,
    group,
    job,
    job_name,
    nearest_model,
    package,
)
from toolkit.errors import DeploymentRefused, UsageError
from toolkit.hardware import Use, get_instance_type

LOAD = Load(users=2, seconds=300, latency_ms=100, invocations=1000)


@pytest.mark.parametrize("load", [None, Load(), LOAD])
@pytest.mark.parametrize("nearest", ["", "resnet50"])
def test_every_request_is_one_that_the_service_model_takes(load: Load | None, nearest: str) -> None:
    made = benchmark(load=load, nearest=nearest)
    for subject in made.subjects:
        for call in (group(made), package(made, subject), job(made, subject, ARN)):
            assert faults("sagemaker", call.operation, call.request) == []


def test_each_architecture_gets_one_package_and_one_job_over_its_own_types() -> None:
    made = benchmark()
    assert [subject.label for subject in made.subjects] == ["amd64", "arm64"]
    amd64, arm64 = made.subjects
    assert (amd64.types, arm64.types) == (["ml.c7i.xlarge", "ml.m7i.xlarge"], ["ml.c7g.xlarge"])
    request = package(made, arm64).request
    assert request["InferenceSpecification"]["SupportedRealtimeInferenceInstanceTypes"] == ["ml.c7g.xlarge"]
    assert request["InferenceSpecification"]["Containers"][0]["Image"] == ARM64.uri
    config = job(made, arm64, ARN).request["InputConfig"]
    assert config == {
        "ModelPackageVersionArn": ARN,
        "EndpointConfigurations": [{"InstanceType": "ml.c7g.xlarge"}],
    }


def test_a_package_says_all_that_the_service_asks_of_the_model() -> None:
    made = benchmark(nearest="resnet50")
    request = package(made, made.subjects[0]).request
    (container,) = request["InferenceSpecification"]["Containers"]
    said = {
        "Domain": request["Domain"],
        "Task": request["Task"],
        "Framework": container["Framework"],
        "FrameworkVersion": container["FrameworkVersion"],
        "NearestModelName": container["NearestModelName"],
        "SamplePayloadUrl": request["SamplePayloadUrl"],
        "SupportedContentTypes": request["InferenceSpecification"]["SupportedContentTypes"],
        "SupportedResponseMIMETypes": request["InferenceSpecification"]["SupportedResponseMIMETypes"],
    }
    assert said == {
        "Domain": "COMPUTER_VISION",
        "Task": "IMAGE_CLASSIFICATION",
        "Framework": "PYTORCH",
        "FrameworkVersion": "1.12.1",
        "NearestModelName": "resnet50",
        "SamplePayloadUrl": "s3://models/payload.tar.gz",
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    assert json.loads(container["ModelInput"]["DataInputConfig"]) == {"input0": [1, 3, 224, 224]}
    assert container["Environment"]["SAGEMAKER_REGION"] == "us-west-2"


def test_an_advanced_job_has_its_load_and_its_stops() -> None:
    made = benchmark(load=LOAD)
    request = job(made, made.subjects[0], ARN).request
    assert request["JobType"] == "Advanced"
    assert request["InputConfig"]["TrafficPattern"]["Phases"] == [
        {"InitialNumberOfUsers": 2, "SpawnRate": 1, "DurationInSeconds": 300}
    ]
    assert request["InputConfig"]["ResourceLimit"] == {"MaxNumberOfTests": 2, "MaxParallelOfTests": 2}
    assert request["StoppingConditions"] == {
        "ModelLatencyThresholds": [{"Percentile": "P95", "ValueInMilliseconds": 100}],
        "MaxInvocations": 1000,
    }


def test_a_job_is_named_after_what_it_measures() -> None:
    made = benchmark()
    name = job_name(made, made.subjects[0])
    assert name.startswith("resnet-amd64-")
    assert job_name(benchmark(nearest="resnet50"), made.subjects[0]) == name
    assert job_name(benchmark(load=Load()), made.subjects[0]) != name
    assert job_name(benchmark(payload="s3://models/other.tar.gz"), made.subjects[0]) != name


@pytest.mark.parametrize(
    ("framework", "expected"),
    [
        ("pytorch", "PYTORCH"),
        ("tensorflow", "TENSORFLOW"),
        ("xgboost", "XGBOOST"),
        ("scikit-learn", "SAGEMAKER-SCIKIT-LEARN"),
    ],
)
def test_frameworks_are_called_what_the_service_calls_them(framework: str, expected: str) -> None:
    assert get_framework(replace(AMD64, framework=framework)) == expected


@pytest.mark.parametrize("framework", ["mxnet", ""])
def test_a_framework_that_the_service_does_not_know_is_refused_with_the_list(framework: str) -> None:
    with pytest.raises(DeploymentRefused, match="TENSORFLOW, PYTORCH, XGBOOST, SAGEMAKER-SCIKIT-LEARN"):
        get_framework(replace(AMD64, framework=framework))


def test_what_an_image_serves_can_be_said() -> None:
    unknown = describe_image(f"{AWS.replace('763104351884', '123456789012')}/mine:1", None)
    assert get_framework(unknown, "pytorch") == "PYTORCH"
    with pytest.raises(DeploymentRefused, match="MXNET"):
        get_framework(unknown, "MXNET")


def test_the_nearest_model_is_of_the_same_domain_then_task_then_framework_then_version() -> None:
    rows = [
        row("bert", domain="NATURAL_LANGUAGE_PROCESSING"),
        row("unet", task="IMAGE_SEGMENTATION"),
        row("xception", framework="TENSORFLOW", version="1.12"),
        row("resnet18", version="1.4"),
        row("resnet50", version="1.11"),
    ]
    order = []
    while found := nearest_model(benchmark(), rows):
        order.append(found.name)
        rows.remove(found)
    assert order == ["resnet50", "resnet18", "xception", "unet"]
    assert nearest_model(benchmark(), []) is None


def test_a_model_that_was_never_benchmarked_is_refused_with_those_that_were() -> None:
    rows = [row("resnet50"), row("unet")]
    assert get_named_model("unet", rows) == rows[1]
    with pytest.raises(DeploymentRefused, match="resnet50, unet"):
        get_named_model("mine", rows)


def test_the_document_has_every_call_and_says_what_only_answers_tell() -> None:
    shown = document(benchmark(), ())
    assert [each["operation"] for each in shown["calls"]] == [
        "ListModelMetadata",
        "CreateModelPackageGroup",
        *("CreateModelPackage", "CreateInferenceRecommendationsJob") * 2,
    ]
    text = json.dumps(shown)
    assert text.count("<the nearest of the answer to ListModelMetadata>") == 2
    assert text.count("<ModelPackageArn of the answer to CreateModelPackage>") == 2
    assert "<the nearest" not in json.dumps(document(benchmark(nearest="resnet50"), ()))


@pytest.mark.parametrize(
    "changes",
    [
        {"version": ""},
        {"version": "10.1.2.3.4.5"},
        {"of": deployment(name="x" * 41)},
        {
            "of": deployment(
                *(
                    variant(f"ml.c7g.{each}")
                    for each in ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
                ),
                *(variant(f"ml.c6g.{each}") for each in ("large", "xlarge", "2xlarge", "4xlarge")),
            )
        },
    ],
)
def test_what_the_api_would_not_take_is_a_fault_at_once(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        benchmark(**changes)


def test_the_default_candidates_are_endpoint_types_of_both_architectures() -> None:
    machines = [get_instance_type(name) for name in default_candidates()]
    assert {machine.architecture for machine in machines} == {"amd64", "arm64"}
    assert all(Use.ENDPOINT in machine.uses for machine in machines)
    assert len(machines) == 6


def test_globs_give_what_runs_and_names_are_kept() -> None:
    def runs(name: str) -> bool:
        return get_instance_type(name).architecture == "arm64"

    assert candidates(("ml.c[57]*.large", "ml.c5.xlarge"), runs) == ("ml.c7g.large", "ml.c5.xlarge")
    assert all(get_instance_type(name).architecture == "arm64" for name in candidates((), runs))


def test_the_vocabulary_is_that_of_the_locked_service_model() -> None:
    assert data_recommender.DATA.read_text(encoding="utf-8") == data_recommender.table(), "run `make data`"


def test_a_text_without_valid_values_is_a_fault_of_the_data_script() -> None:
    with pytest.raises(ValueError, match="no valid values"):
        data_recommender.values("<p>A framework.</p>")
