"""`toolkit deploy recommender` without --apply."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.deployments import AMD64, ARM64, MODEL, REGION, ROLE
from toolkit.cli.deploy import deploy
from toolkit.deployers.recommender import vocabulary
from toolkit.errors import DeploymentRefused, NothingSelected, UsageError

PYTORCH = ("--framework", "pytorch", "--version", "1.12.1")
PAYLOAD = ("--payload", "s3://models/payload.tar.gz")
INPUT = ("--input", '{"input0": [1, 4]}')


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    asked = ("recommender", "resnet", "--role", ROLE, "--region", REGION, "--model-data", MODEL, *arguments)
    return CliRunner().invoke(deploy, asked, catch_exceptions=False, standalone_mode=False)


def plan(*arguments: str) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = json.loads(run(*arguments).stdout)["calls"]
    return calls


def of(calls: list[dict[str, Any]], operation: str) -> list[dict[str, Any]]:
    return [call["request"] for call in calls if call["operation"] == operation]


def test_both_architectures_are_packaged_and_the_model_metadata_are_not_checked() -> None:
    shown = json.loads(run(*PYTORCH, *PAYLOAD, *INPUT).stdout)
    packages = of(shown["calls"], "CreateModelPackage")
    images = [each["InferenceSpecification"]["Containers"][0]["Image"] for each in packages]
    assert images == [f"{AMD64.uri.rpartition('-ubuntu')[0]}", ARM64.uri]
    (metadata,) = [each for each in shown["checks"] if each["name"] == "model metadata"]
    assert metadata["outcome"] == "not checked"


def test_samples_are_packed_side_by_side_and_uploaded() -> None:
    for name in ("samples/deep/a.json", "samples/b.json"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    calls = plan(*PYTORCH, "--payload", "samples", *INPUT, "--upload-to", "s3://models/r")
    (upload,) = of(calls, "PutObject")
    with tarfile.open(upload["Body"].removeprefix("the file ")) as archive:
        assert archive.getnames() == ["a.json", "b.json"]
    assert of(calls, "CreateModelPackage")[0]["SamplePayloadUrl"] == f"s3://models/{upload['Key']}"


def test_a_sample_that_no_request_can_carry_is_told() -> None:
    Path("samples").mkdir()
    with Path("samples/large.npy").open("wb") as file:
        file.truncate(vocabulary().payload_bytes + 1)
    with pytest.raises(UsageError, match="6291457 bytes"):
        run(*PYTORCH, "--payload", "samples", *INPUT, "--upload-to", "s3://models/r")


def test_samples_of_one_name_are_told() -> None:
    for name in ("samples/x/a.json", "samples/y/a.json"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    with pytest.raises(UsageError, match="the same name"):
        run(*PYTORCH, "--payload", "samples", *INPUT, "--upload-to", "s3://models/r")


def test_an_image_of_one_architecture_is_tried_on_its_own_types() -> None:
    calls = plan("--image", ARM64.uri, *PAYLOAD, *INPUT)
    (job,) = of(calls, "CreateInferenceRecommendationsJob")
    names = [each["InstanceType"] for each in job["InputConfig"]["EndpointConfigurations"]]
    assert names == ["ml.c8g.xlarge", "ml.m8g.xlarge", "ml.r8g.xlarge"]
    with pytest.raises(DeploymentRefused, match=r"ml\.c5\.large is amd64"):
        run("--image", ARM64.uri, *PAYLOAD, *INPUT, "--instance-type", "ml.c5.large")
    with pytest.raises(NothingSelected):
        run("--image", ARM64.uri, *PAYLOAD, *INPUT, "--instance-type", "ml.c5.*")


def test_gpu_types_get_an_image_and_a_job_of_their_own() -> None:
    types = ("--instance-type", "ml.g5.xlarge", "--instance-type", "ml.c5.xlarge")
    names = [
        each["JobName"]
        for each in of(plan(*PYTORCH, *PAYLOAD, *INPUT, *types), "CreateInferenceRecommendationsJob")
    ]
    assert [name.rpartition("-")[0] for name in names] == ["resnet-amd64-gpu", "resnet-amd64"]


def test_an_advanced_job_has_the_load_that_is_given() -> None:
    load = ("--job", "advanced", "--users", "2", "--seconds", "240", "--max-latency", "80")
    jobs = of(plan(*PYTORCH, *PAYLOAD, *INPUT, *load), "CreateInferenceRecommendationsJob")
    assert {each["JobType"] for each in jobs} == {"Advanced"}
    assert jobs[0]["StoppingConditions"]["ModelLatencyThresholds"][0]["ValueInMilliseconds"] == 80


def test_a_framework_that_the_service_does_not_know_is_refused_with_the_list() -> None:
    with pytest.raises(DeploymentRefused, match="SAGEMAKER-SCIKIT-LEARN"):
        run("--framework", "mxnet", "--version", "1.9.0", "--instance-type", "ml.c5.large", *PAYLOAD, *INPUT)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"a": 1}', '{"a": [0]}', '{"a": ["x"]}'])
def test_inputs_without_shapes_are_told(text: str) -> None:
    with pytest.raises(UsageError, match="with their shapes"):
        run(*PYTORCH, *PAYLOAD, "--input", text)
