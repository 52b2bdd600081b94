"""`toolkit uri`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.records import image, record
from toolkit.cli.uri import uri
from toolkit.errors import UsageError
from toolkit.record import Package
from toolkit.resolve import ArchitectureUnavailable, Unresolvable

AWS = "763104351884.dkr.ecr.us-west-2.amazonaws.com"
GRAVITON = f"{AWS}/pytorch-inference-graviton:1.12.1-cpu-py38-ubuntu20.04-sagemaker"
ASKED = ("pytorch", "--version", "1.12.1", "--instance-type", "ml.c6g.4xlarge")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(uri, arguments, catch_exceptions=False, standalone_mode=False)


def release(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(record(image("pytorch-1-arm64", uri="own/arm")).dumps())


def test_the_uri_alone_is_on_stdout() -> None:
    shown = run(*ASKED, "--region", "us-west-2", "--explain")
    assert shown.stdout == f"{GRAVITON}\n"
    assert "ml.c6g.4xlarge is arm64" in shown.stderr


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_that_of_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "us-west-2")
    assert run(*ASKED).stdout == f"{GRAVITON}\n"


def test_without_a_region_aws_cannot_be_asked() -> None:
    with pytest.raises(UsageError, match="--region"):
        run(*ASKED)


def test_json_has_the_architecture_the_source_and_the_reasons() -> None:
    shown = json.loads(run(*ASKED, "--region", "us-west-2", "--json").stdout)
    assert (shown["uri"], shown["architecture"], shown["status"]) == (GRAVITON, "arm64", "published")
    assert shown["why"]


def test_ones_own_release_comes_first_and_aws_answers_what_it_has_not() -> None:
    release(Path("dist/release.json"))
    assert run(*ASKED).stdout == "own/arm\n"
    assert run(*ASKED, "--source", "aws", "--region", "us-west-2").stdout == f"{GRAVITON}\n"
    other = ("pytorch", "--version", "2.0.0", "--instance-type", "c7g.large", "--region", "us-west-2")
    assert run(*other).stdout.startswith(f"{AWS}/pytorch-inference-graviton:2.0.0-")


def test_a_release_that_is_asked_alone_says_what_it_has() -> None:
    release(Path("mine.json"))
    named = ("--source", "release", "--record", "mine.json")
    assert run(*ASKED, *named).stdout == "own/arm\n"
    with pytest.raises(Unresolvable, match="pytorch-1-arm64"):
        run("pytorch", "--instance-type", "ml.c5.large", *named)


def test_a_record_and_aws_alone_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="--record"):
        run(*ASKED, "--source", "aws", "--record", "mine.json")


def test_eks_gets_the_image_that_is_not_sagemakers() -> None:
    asked = ("pytorch", "--instance-type", "c7g.xlarge", "--region", "us-west-2", "--consumer", "eks")
    assert run(*asked).stdout == f"{AWS}/pytorch-inference-arm64:2.6.0-cpu-py312-ubuntu22.04-ec2\n"


def test_where_aws_has_nothing_the_catalogs_units_are_named() -> None:
    root = Path(__file__).parents[2]
    asked = ("pytorch", "--version", "2.8.0", "--instance-type", "ml.c8g.large", "--region", "us-west-2")
    with pytest.raises(ArchitectureUnavailable, match=r"pytorch-1\.12\.1-.*-arm64"):
        run(*asked, "--source", "aws", "--catalog", str(root / "images.toml"))


def test_a_migration_names_the_newest_graviton_type_and_what_differs() -> None:
    mkl = (
        Package(name="mkl", version="2022.1", kind="python"),
        Package(name="torch", version="1.12.1", kind="python"),
    )
    held = record(
        image("pytorch-1-amd64", uri="own/amd", packages=mkl, size=300_000_000),
        image("pytorch-1-arm64", uri="own/arm", size=200_000_000),
    )
    Path("mine.json").write_text(held.dumps())
    asked = ("pytorch", "--instance-type", "ml.c5.xlarge", "--migrate", "graviton", "--record", "mine.json")
    assert run(*asked).stdout.splitlines() == [
        "instance type  ml.c5.xlarge → ml.c8g.xlarge",
        "image          own/amd",
        "             → own/arm",
        "  size           300 MB  →  200 MB",
        "  unpacked       900 MB  =  900 MB",
        "  python    mkl  2022.1  →  -",
    ]
    shown = json.loads(run(*asked, "--json").stdout)
    assert shown["difference"]["packages"] == [
        {"kind": "python", "name": "mkl", "before": "2022.1", "after": ""}
    ]


def test_a_migration_between_images_of_aws_says_that_packages_are_not_known() -> None:
    asked = ("pytorch", "--version", "2.3.0", "--instance-type", "ml.m5.large", "--region", "us-west-2")
    shown = run(*asked, "--migrate", "graviton").stdout
    assert "pytorch-inference-graviton:2.3.0-" in shown
    assert "not known" in shown
