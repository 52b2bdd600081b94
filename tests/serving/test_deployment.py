"""`toolkit deploy` and `toolkit predict` from end to end: command line, AWS's API, our serving runtime."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments import REGION, ROLE
from tests.sagemaker_stand_in import StandIn, running
from toolkit.oci import Architecture, MediaType

TIMES = "def model_fn(model_dir):\n    return lambda array: array * {factor}\n"
BROKEN = "def model_fn(model_dir):\n    raise RuntimeError('the weights are of another model')\n"
MADE = ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running(tmp_path_factory.mktemp("sagemaker")) as stand_in:
        yield stand_in


@pytest.fixture
def project(tmp_path: Path, cloud: StandIn) -> Path:
    """A model and its script; nothing was asked of the cloud yet."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_text("1")
    write(tmp_path, TIMES.format(factor=2))
    cloud.operations.clear()
    return tmp_path


def write(project: Path, script: str) -> None:
    (project / "code").mkdir(exist_ok=True)
    (project / "code/inference.py").write_text(script)


def toolkit(
    cloud: StandIn, project: Path, *arguments: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    hidden = ("AWS_", "http_proxy", "HTTP_PROXY")
    own = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return subprocess.run(
        [sys.executable, "-m", "toolkit", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=project,
        env={**own, **cloud.environment, "PYTHONPATH": str(Path(__file__).parents[2]), **environ},
    )


def deploy(
    cloud: StandIn, project: Path, image: str, *types: str, name: str = "demo"
) -> subprocess.CompletedProcess[str]:
    asked = [word for each in types or ("ml.c7g.xlarge",) for word in ("--instance-type", each)]
    local = ("--model-data", "model", "--script", "code", "--upload-to", "s3://models/demo")
    named = ("--image", image, "--role", ROLE)
    return toolkit(cloud, project, "deploy", "sagemaker", name, *named, *local, *asked, "--apply")


def predict(cloud: StandIn, project: Path, *arguments: str) -> object:
    asked = toolkit(cloud, project, "predict", *arguments, "--data", "[[1, 2]]")
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)


def test_an_endpoint_is_made_asked_updated_and_found_up_to_date(cloud: StandIn, project: Path) -> None:
    image = cloud.push("1.12.1-arm64", Architecture.ARM64)
    made = deploy(cloud, project, image)
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"arn:aws:sagemaker:{REGION}:123456789012:endpoint/demo\n"
    assert cloud.operations == MADE
    assert "toolkit predict demo" in made.stderr
    assert predict(cloud, project, "demo") == [[2, 4]]

    again = deploy(cloud, project, image)
    assert (again.returncode, again.stdout, cloud.operations) == (0, made.stdout, MADE)

    write(project, TIMES.format(factor=3))
    updated = deploy(cloud, project, image)
    assert updated.returncode == 0, updated.stderr
    assert cloud.operations[3:] == ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint"]
    assert predict(cloud, project, "demo") == [[3, 6]]

    write(project, BROKEN)
    failed = deploy(cloud, project, image)
    assert failed.returncode == 8
    assert "was rolled back" in failed.stderr
    assert "the weights are of another model" in failed.stderr
    assert cloud.operations[-2:] == ["DeleteEndpointConfig", "DeleteModel"]
    assert predict(cloud, project, "demo") == [[3, 6]], "the endpoint serves as before"

    body = ("--data", "<x/>", "--content-type", "application/xml")
    asked = toolkit(cloud, project, "predict", "demo", *body)
    assert asked.returncode == 8
    assert "answers 415" in asked.stderr, "the container's own status, through SageMaker's ModelError"
    assert "--content-type" in asked.stderr


def test_an_endpoint_that_does_not_come_up_leaves_nothing(cloud: StandIn, project: Path) -> None:
    write(project, BROKEN)
    failed = deploy(cloud, project, cloud.push("broken", Architecture.ARM64), name="broken")
    assert failed.returncode == 8
    assert "did not pass the ping health check" in failed.stderr
    assert "the weights are of another model" in failed.stderr
    assert cloud.operations == [*MADE, "DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"]
    assert "broken" not in cloud.endpoints


def test_traffic_is_split_and_then_moved_without_new_instances(cloud: StandIn, project: Path) -> None:
    image = cloud.push("split", Architecture.ARM64)
    assert deploy(cloud, project, image, "ml.c6g.xlarge=90", "ml.c7g.xlarge=10", name="split").returncode == 0
    containers = dict(cloud.endpoints["split"].containers)
    assert predict(cloud, project, "split", "--variant", "ml-c7g-xlarge") == [[2, 4]]
    moved = deploy(cloud, project, image, "ml.c6g.xlarge=50", "ml.c7g.xlarge=50", name="split")
    assert moved.returncode == 0, moved.stderr
    assert cloud.operations == [*MADE, "UpdateEndpointWeightsAndCapacities"]
    assert cloud.endpoints["split"].weights == {"ml-c6g-xlarge": 50, "ml-c7g-xlarge": 50}
    assert cloud.endpoints["split"].containers == containers


@pytest.mark.parametrize(
    ("architecture", "media_type", "said"),
    [
        (Architecture.AMD64, MediaType.DOCKER_MANIFEST, "ECR says linux/amd64, ml.c7g.xlarge is linux/arm64"),
        (Architecture.ARM64, MediaType.OCI_MANIFEST, "and SageMaker takes"),
        (None, MediaType.DOCKER_MANIFEST, "is not in ECR in us-west-2"),
    ],
)
def test_what_ecr_holds_is_looked_at_before_anything_is_sent(
    architecture: Architecture | None, media_type: MediaType, said: str, cloud: StandIn, project: Path
) -> None:
    image = cloud.push("lie", architecture or Architecture.ARM64, media_type)
    if architecture is None:
        del cloud.images["lie"]
    refused = deploy(cloud, project, image)
    assert refused.returncode == 8
    assert said in refused.stderr
    assert cloud.operations == []


def test_without_credentials_the_ways_to_log_in_are_told(cloud: StandIn, project: Path) -> None:
    nobody = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": "/",
    }
    asked = toolkit(cloud, project, "predict", "demo", "--data", "[[1]]", **nobody)
    assert asked.returncode == 1
    assert "AWS_PROFILE" in asked.stderr


def test_a_model_is_measured_on_the_candidates_that_can_run_it(cloud: StandIn, project: Path) -> None:
    (project / "samples").mkdir()
    (project / "samples/a.json").write_text("[[1]]")
    asked = (
        *("deploy", "recommender", "resnet", "--role", ROLE, "--model-framework", "pytorch"),
        *("--model-version", "1.12.1", "--image", cloud.push("measured", Architecture.ARM64)),
        *("--model-data", "model", "--payload", "samples", "--upload-to", "s3://models/resnet"),
        *("--instance-type", "ml.c7g.large", "--instance-type", "ml.c6g.large"),
        *("--input", '{"input0": [1, 2]}', "--domain", "COMPUTER_VISION", "--apply"),
    )
    measured = toolkit(cloud, project, *asked)
    assert measured.returncode == 0, measured.stderr
    assert cloud.operations == [
        "CreateModelPackageGroup",
        "CreateModelPackage",
        "CreateInferenceRecommendationsJob",
    ]
    (package,) = cloud.packages.values()
    assert package["InferenceSpecification"]["Containers"][0]["NearestModelName"] == "resnet50"
    assert "ml.c7g.large" in measured.stdout
    again = toolkit(cloud, project, *asked, "--json")
    rows = json.loads(again.stdout)["rows"]
    assert [row["architecture"] for row in rows] == ["arm64", "arm64"]
    assert len(cloud.operations) == 3
