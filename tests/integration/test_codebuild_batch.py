"""`toolkit codebuild` as a process: batches of a real registry's plan, started at a CodeBuild by hand."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.checkouts import commit
from tests.http_server import Received, Reply, Server, serving
from tests.integration.conftest import ONE, TWO, SmallProject

TARGET = "CodeBuild_20161006"
ELSEWHERE = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-west-2",
    "CODEBUILD_RESOLVED_SOURCE_VERSION": "",
}


@pytest.fixture
def prepared(small: SmallProject, tmp_path: Path) -> SmallProject:
    kept = tmp_path / "prepared"
    kept.mkdir()
    return replace(small, program="tests.without_engine", environment={"PREPARED": str(kept)})


def graph(text: str) -> dict[str, dict[str, str]]:
    """The variables of each build by its identifier."""
    nodes = yaml.safe_load(text)["batch"]["build-graph"]
    return {each["identifier"]: each["env"]["variables"] for each in nodes}


@contextmanager
def codebuild(state: str) -> Iterator[Server]:
    """Every batch has ended in this state when it is started."""

    def answer(request: Received) -> Reply:
        asked = json.loads(request.body)
        groups = [
            {"identifier": name, "currentBuildSummary": {"buildStatus": state}}
            for name in graph(asked["buildspecOverride"])
        ]
        batch = {"id": f"{asked['projectName']}:1", "buildBatchStatus": state, "buildGroups": groups}
        return Reply(body=json.dumps({"buildBatch": batch}).encode())

    with serving(answer) as server:
        yield server


def committed(project: SmallProject) -> str:
    """The project as one commit; its id."""
    (project.directory / ".gitignore").write_text(".cache\ndist\n")
    return commit(project.directory)


def test_a_batch_has_what_a_release_would_build_and_nothing_once_it_is_released(
    prepared: SmallProject,
) -> None:
    written = prepared.run("codebuild", "batch")
    assert written.out == "dist/batch/batch-1.yml\n"
    assert written.err.endswith("4 to build (2 ARM_CONTAINER, 2 LINUX_CONTAINER) in 1 batch\n")
    path = prepared.directory / "dist" / "batch" / "batch-1.yml"
    builds = graph(path.read_text())
    assert [each["IMAGES"] for each in builds.values()] == [
        *ONE,
        *TWO,
        "one-1.0-cpu-py39-debian11-sagemaker two-2.0-cpu-py39-debian11-eks",
    ]
    assert {each["REGISTRY"] for each in builds.values()} == {prepared.registry}

    assert prepared.run("release", "one-*").code == 0
    assert prepared.run("codebuild", "batch", "--out", "elsewhere").out == "elsewhere/batch-1.yml\n"
    rest = graph((prepared.directory / "elsewhere" / "batch-1.yml").read_text())
    assert [each["IMAGES"] for each in rest.values()] == [*TWO, "two-2.0-cpu-py39-debian11-eks"]

    assert prepared.run("release").code == 0
    nothing = prepared.run("codebuild", "batch")
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err.endswith("nothing changed: no batch for 4 units\n")
    assert not path.exists()


@pytest.mark.parametrize(
    ("option", "passed"),
    [
        (("--registry-cache", "steps"), "--registry-cache steps"),
        (("--no-registry-cache",), "--no-registry-cache"),
    ],
)
def test_where_steps_are_kept_is_for_the_builds_of_units(
    prepared: SmallProject, option: tuple[str, ...], passed: str
) -> None:
    written = prepared.run("codebuild", "batch", "--allow-eol", *option)
    *units, publish = graph((prepared.directory / written.out.strip()).read_text()).values()
    assert {each["ARGS"] for each in units} == {f"--allow-eol {passed}"}
    assert publish["ARGS"] == "--allow-eol"


def test_what_a_release_refuses_is_in_no_batch(prepared: SmallProject) -> None:
    lock = prepared.directory / "images.lock"
    lock.write_text(lock.read_text().replace(f'units."{TWO[0]}"', 'units."another"'))
    assert TWO[0] in prepared.run("codebuild", "batch").failed_with(2)
    assert not (prepared.directory / "dist").exists()


def test_batches_are_started_at_the_commit_that_is_checked_out(prepared: SmallProject) -> None:
    head = committed(prepared)
    with codebuild("SUCCEEDED") as server:
        place = {**ELSEWHERE, "AWS_ENDPOINT_URL_CODEBUILD": server.url}
        done = prepared.run("codebuild", "start", "--project", "images", environment=place)
    assert done.code == 0, done.err
    assert done.err.endswith("[1/1] images:1: started: 4 units and their lists\n[1/1] images:1: done \n")
    (request,) = server.requests
    assert request.headers["x-amz-target"] == f"{TARGET}.StartBuildBatch"
    asked = json.loads(request.body)
    assert asked["sourceVersion"] == head
    assert set(graph(asked["buildspecOverride"])) >= {"publish"}


def test_a_batch_that_failed_is_exit_5_and_names_what_did(prepared: SmallProject) -> None:
    with codebuild("FAILED") as server:
        place = {**ELSEWHERE, "AWS_ENDPOINT_URL_CODEBUILD": server.url}
        words = prepared.run(
            *("codebuild", "start", "--project", "images", "--source-version", "main", "one-*"),
            environment=place,
        ).failed_with(5)
    assert "images:1: FAILED, one_1_0_cpu_py39_debian11_sagemaker_amd64 FAILED" in words


def test_what_is_not_committed_is_started_nowhere(prepared: SmallProject) -> None:
    committed(prepared)
    prepared.catalog('title = "One"', 'title = "Another"')
    words = prepared.run("codebuild", "start", "--project", "images", environment=ELSEWHERE).failed_with(2)
    assert "the sources of the images differ from the commit that is checked out" in words


def test_a_directory_that_git_does_not_know_needs_a_commit_by_name(prepared: SmallProject) -> None:
    words = prepared.run("codebuild", "start", "--project", "images", environment=ELSEWHERE).failed_with(2)
    assert "are in no git checkout" in words


def test_without_a_region_nothing_is_asked(prepared: SmallProject) -> None:
    place = ELSEWHERE | {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}
    words = prepared.run("codebuild", "start", "--project", "images", environment=place).failed_with(1)
    assert "Set AWS_REGION" in words
