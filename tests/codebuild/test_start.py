"""buildspecs/start.yml, run as CodeBuild would: what it starts is a batch that the executor can run."""

import json
import shutil
import sys
from pathlib import Path

from tests.checkouts import commit
from tests.codebuild.buildspec import parse_buildspec, read_buildspec
from tests.codebuild.executor import Build, Machine
from tests.http_server import Received, Reply, serving
from tests.projects import ROOT
from tests.registry_process import running_registry

# What a clone has that planning takes.
PARTS = (
    ".gitignore",
    "Makefile",
    "buildspecs",
    "dockerfiles",
    "images.lock",
    "images.toml",
    "locks",
    "scripts",
    "toolkit",
)


def repository(directory: Path) -> str:
    """This project as it is now, as one commit; its id."""
    directory.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, directory / part)
    return commit(directory)


def test_a_push_starts_a_batch_of_its_commit_with_all_that_is_not_published(tmp_path: Path) -> None:
    def answer(request: Received) -> Reply:
        nodes = parse_buildspec(json.loads(request.body)["buildspecOverride"]).batch
        assert nodes
        groups = [
            {"identifier": node.identifier, "currentBuildSummary": {"buildStatus": "SUCCEEDED"}}
            for node in nodes.nodes
        ]
        batch = {"id": "images-build:1", "buildBatchStatus": "SUCCEEDED", "buildGroups": groups}
        return Reply(body=json.dumps({"buildBatch": batch}).encode())

    head = repository(tmp_path / "source")
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as registry, serving(answer) as service:
        environment = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL_CODEBUILD": service.url,
            "VENV": sys.prefix,
        }
        done = Build(
            spec=read_buildspec(ROOT / "buildspecs" / "start.yml"),
            source=tmp_path / "source",
            home=tmp_path / "build",
            machine=Machine(environment=environment),
            variables={"PROJECT": "images-build", "REGISTRY": registry, "ARGS": "--registry-cache steps"},
        ).run()
    assert done.succeeded, done.log.read_text()
    (request,) = service.requests
    asked = json.loads(request.body)
    assert asked["sourceVersion"] == head
    batch = parse_buildspec(asked["buildspecOverride"]).batch
    assert batch
    *units, publish = batch.nodes
    assert {node.type for node in units} == {"LINUX_CONTAINER", "ARM_CONTAINER"}
    assert {node.variables["ARGS"] for node in units} == {"--registry-cache steps"}
    assert publish.depend_on == tuple(node.identifier for node in units)
    assert all((ROOT / node.buildspec).is_file() for node in batch.nodes)
    assert "[1/1] images-build:1: done" in done.log.read_text()
