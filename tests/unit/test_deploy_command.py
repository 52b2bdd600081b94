"""`toolkit deploy sagemaker` without --apply: no network, no credentials."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.deployments import AMD64, ARM64, AWS, MODEL, REGION, ROLE
from tests.records import image, record
from toolkit.cli.deploy import deploy
from toolkit.errors import DeploymentRefused, UsageError
from toolkit.hardware import InstanceTypeInvalid

USUAL = ("demo", "--role", ROLE, "--region", REGION)
MINE = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, model: str = MODEL) -> Result:
    asked = ("sagemaker", *USUAL, "--model-data", model, *arguments)
    return CliRunner().invoke(deploy, asked, catch_exceptions=False, standalone_mode=False)


def plan(*arguments: str, model: str = MODEL) -> dict[str, object]:
    shown: dict[str, object] = json.loads(run(*arguments, model=model).stdout)
    return shown


def requests(shown: dict[str, object], operation: str) -> list[dict[str, object]]:
    calls = shown["calls"]
    assert isinstance(calls, list)
    return [each["request"] for each in calls if each["operation"] == operation]


PYTORCH = ("--framework", "pytorch", "--version", "1.12.1")


def test_the_image_follows_from_framework_and_each_instance_type() -> None:
    shown = plan(*PYTORCH, "--instance-type", "ml.c5.xlarge=90", "--instance-type", "ml.c7g.xlarge=10")
    containers = [each["PrimaryContainer"]["Image"] for each in requests(shown, "CreateModel")]  # type: ignore[index]
    assert containers == [f"{AWS}/pytorch-inference:1.12.1-cpu-py38", ARM64.uri]
    (config,) = requests(shown, "CreateEndpointConfig")
    assert [each["InitialVariantWeight"] for each in config["ProductionVariants"]] == [90, 10]  # type: ignore[attr-defined]


def test_what_needs_credentials_is_not_checked_and_nothing_else_is_on_stdout() -> None:
    done = run(*PYTORCH, "--instance-type", "ml.c7g.xlarge")
    outcomes = [each["outcome"] for each in json.loads(done.stdout)["checks"]]
    assert outcomes.count("not checked") == 5
    assert set(outcomes) == {"passed", "not checked"}
    assert done.stderr == "nothing was sent: 4 checks passed, 5 not checked; --apply sends it\n"


def test_a_mismatch_is_refused_in_less_than_a_second_with_the_image_to_use() -> None:
    started = time.monotonic()
    with pytest.raises(DeploymentRefused) as refused:
        run("--image", AMD64.uri, "--instance-type", "ml.c7g.xlarge", "--apply")
    assert time.monotonic() - started < 1
    assert refused.value.remedy == f"On ml.c7g.xlarge use --image {ARM64.uri}"


def test_ones_own_release_is_deployed_and_its_sibling_is_named_on_the_wrong_machine() -> None:
    rows = [
        image(
            f"pytorch-{each}",
            registry=MINE,
            region=REGION,
            digest=f"sha256:{digit * 64}",
            uri=f"{MINE}/pytorch-inference@sha256:{digit * 64}",
        )
        for each, digit in (("amd64", "7"), ("arm64", "8"))
    ]
    Path("mine.json").write_text(record(*rows).dumps())
    shown = plan("--framework", "pytorch", "--record", "mine.json", "--instance-type", "ml.c7g.large")
    (model,) = requests(shown, "CreateModel")
    assert model["PrimaryContainer"]["Image"] == rows[1].uri  # type: ignore[index]
    with pytest.raises(DeploymentRefused, match=f"use --image {rows[1].uri}"):
        run("--image", rows[0].uri, "--record", "mine.json", "--instance-type", "ml.c7g.large")


def test_elastic_inference_is_planned_but_applied_only_when_that_is_said() -> None:
    asked = ("--framework", "tensorflow", "--version", "2.3.0", "--instance-type", "ml.c5.large")
    planned = run(*asked, "--accelerator-type", "ml.eia2.medium")
    assert '"AcceleratorType": "ml.eia2.medium"' in planned.stdout
    assert "ended 2024-04" in planned.stderr
    with pytest.raises(DeploymentRefused, match="ended 2024-04"):
        run(*asked, "--accelerator-type", "ml.eia2.medium", "--apply")


def test_an_image_that_nobody_looks_after_is_deployed_with_a_warning() -> None:
    support = {"state": "legacy", "date": "2026-08-31", "source": "https://example.com"}
    mine = image(
        registry=MINE, region=REGION, uri=f"{MINE}/pytorch-inference@sha256:{'1' * 64}", support=support
    )
    Path("mine.json").write_text(record(mine).dumps())
    shown = run("--framework", "pytorch", "--record", "mine.json", "--instance-type", "ml.c7g.large")
    assert shown.stderr.startswith("warning: pytorch-arm64 is legacy since 2026-08-31\n")


def local(path: str, text: str = "x") -> str:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return path


TO = ("--upload-to", "s3://models/demo")
TYPE = ("--instance-type", "ml.c7g.xlarge")


def test_local_model_and_script_become_one_archive_that_every_image_reads() -> None:
    local("model/model.pt")
    local("code/inference.py")
    shown = plan(*PYTORCH, *TYPE, *TO, "--script", "code", model="model")
    (upload,) = requests(shown, "PutObject")
    (made,) = requests(shown, "CreateModel")
    container = made["PrimaryContainer"]
    assert isinstance(container, dict)
    assert container["ModelDataUrl"] == f"s3://models/{upload['Key']}"
    assert container["Environment"]["SAGEMAKER_SUBMIT_DIRECTORY"] == "/opt/ml/model/code"
    assert container["Environment"]["SAGEMAKER_PROGRAM"] == "inference.py"


def test_a_local_script_beside_a_model_in_s3_is_uploaded_for_images_that_fetch_it() -> None:
    local("entry.py")
    mine = image(registry=MINE, region=REGION, uri=f"{MINE}/pytorch-inference@sha256:{'1' * 64}")
    Path("mine.json").write_text(record(mine).dumps())
    named = ("--image", mine.uri, "--record", "mine.json", *TYPE, *TO, "--script", "entry.py")
    shown = plan(*named, "--program", "entry.py")
    (upload,) = requests(shown, "PutObject")
    (made,) = requests(shown, "CreateModel")
    assert made["PrimaryContainer"]["Environment"]["SAGEMAKER_SUBMIT_DIRECTORY"] == (  # type: ignore[index]
        f"s3://models/{upload['Key']}"
    )
    local("packed.tar.gz")
    for model in (MODEL, "packed.tar.gz"):
        with pytest.raises(UsageError, match="look for their code in the model archive"):
            run(*PYTORCH, *TYPE, *TO, "--script", "entry.py", "--program", "entry.py", model=model)


def test_an_archive_on_this_machine_is_uploaded_as_it_is() -> None:
    local("packed.tar.gz", "bytes")
    (upload,) = requests(plan(*PYTORCH, *TYPE, *TO, model="packed.tar.gz"), "PutObject")
    assert upload["Body"] == "the file packed.tar.gz"


@pytest.mark.parametrize(
    ("arguments", "model", "said"),
    [
        ((*PYTORCH, *TYPE), "model", "--upload-to"),
        ((*PYTORCH, *TYPE, *TO, "--script", "code"), "model", "no file inference.py"),
        ((*PYTORCH, *TYPE, "--image", ARM64.uri), MODEL, "both say what the image is"),
        (TYPE, MODEL, "the image is not given"),
        (("--image", ARM64.uri, "--version", "1", *TYPE), MODEL, "--version"),
        ((*PYTORCH, "--instance-type", "ml.c7g.xlarge=lots"), MODEL, "is not a weight"),
        ((*PYTORCH, *TYPE, "--env", "1x"), MODEL, "sets no variable"),
        ((*PYTORCH, *TYPE, *TO), "nowhere", "neither a file nor a directory"),
        ((*PYTORCH, *TYPE, "--source", "aws", "--record", "x"), MODEL, "--source aws"),
    ],
)
def test_what_makes_no_sense_is_told(arguments: tuple[str, ...], model: str, said: str) -> None:
    local("model/model.pt")
    local("code/other.py")
    with pytest.raises(UsageError, match=said):
        run(*arguments, model=model)


def test_a_misspelled_instance_type_is_told_with_the_nearest() -> None:
    with pytest.raises(InstanceTypeInvalid, match=r"ml\.c7g"):
        run(*PYTORCH, "--instance-type", "ml.c7g.xlrage")


def test_the_region_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("sagemaker", "demo", "--role", ROLE, "--model-data", MODEL, *PYTORCH, *TYPE)
    with pytest.raises(UsageError, match="--region"):
        CliRunner().invoke(deploy, asked, catch_exceptions=False, standalone_mode=False)
    monkeypatch.setenv("AWS_REGION", REGION)
    done = CliRunner().invoke(deploy, asked, catch_exceptions=False, standalone_mode=False)
    assert json.loads(done.stdout)["region"] == REGION


def test_help_shows_every_option_with_its_meaning_and_a_whole_example() -> None:
    shown = CliRunner().invoke(deploy, ["sagemaker", "--help"]).stdout
    assert "Example: toolkit deploy sagemaker demo" in " ".join(shown.split())
    group = CliRunner().invoke(deploy, ["--help"]).stdout
    assert "sagemaker" in group
