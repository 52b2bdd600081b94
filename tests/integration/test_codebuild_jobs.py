"""A whole batch on this machine: a build for each unit on two engines, then the one that publishes.

The buildspecs are the repository's, run by the executor of tests/codebuild; the batch is the toolkit's.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.checkouts import commit
from tests.codebuild.batch import BatchRun, Ended
from tests.codebuild.buildspec import Node, read_buildspec
from tests.codebuild.executor import Build, Machine, Result
from tests.engines import TestEngine
from tests.integration.conftest import ONE, PROJECT, TWO, Ran, SmallProject
from toolkit.cli.project import read_project
from toolkit.cli.settings import Settings
from toolkit.cli.world import Bases
from toolkit.errors import LockInvalid
from toolkit.oci import MANIFEST_TYPES

# What a clone of this repository has that a release takes, beside catalog, lock and templates.
PARTS = ("Makefile", "buildspecs", "locks", "scripts", "toolkit")

# How this machine reaches its package index, as an image of CodeBuild's would have it.
ROADS = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_", "HTTP", "http", "NO_PROXY", "no_proxy")

LISTS = {"one": "1.0-cpu-py39-debian11-sagemaker", "two": "2.0-cpu-py39-debian11-eks"}


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A repository of a small project, its registry, and machines of two architectures."""

    small: SmallProject
    engines: Mapping[str, str]
    cache: Path
    homes: Path

    def plan(self) -> Path | None:
        """The batch that the toolkit writes, None when there is nothing to do."""
        ran = self.run("codebuild", "batch", "*")
        paths = ran.out.splitlines()
        assert len(paths) <= 1
        return self.small.directory / paths[0] if paths else None

    def run(self, *arguments: str) -> Ran:
        ran = self.small.run(*arguments)
        assert ran.code == 0, ran.err
        return ran

    def batch(self, path: Path, *, without_engine: str = "") -> Ended:
        """`without_engine` is a build whose machine has none."""

        def machine(node: Node) -> Machine:
            lost = node.identifier == without_engine
            return self.machine("unix:///nowhere/docker.sock" if lost else self.engines[node.type])

        return BatchRun(
            spec=read_buildspec(path), source=self.small.directory, home=self.home(), machine=machine
        ).run()

    def release(self, **variables: str) -> Result:
        """On one machine, by the buildspec for that."""
        return Build(
            spec=read_buildspec(self.small.directory / "buildspecs" / "release.yml"),
            source=self.small.directory,
            home=self.home(),
            machine=self.machine(self.engines["LINUX_CONTAINER"]),
            variables=variables,
        ).run()

    def machine(self, engine: str) -> Machine:
        roads = {name: value for name, value in os.environ.items() if name.startswith(ROADS)}
        return Machine(environment={**roads, "DOCKER_HOST": engine, "VENV": sys.prefix}, cache=self.cache)

    def home(self) -> Path:
        return self.homes / f"{len(list(self.homes.glob('*')))}"

    def lists(self, prefix: str = "") -> dict[str, str]:
        """The digest of each list that stands, by repository."""
        accept = ", ".join(MANIFEST_TYPES)
        found = {}
        for name, tag in LISTS.items():
            url = f"http://{self.small.registry}/v2/{prefix}{name}/manifests/{tag}"
            answer = httpx.head(url, headers={"Accept": accept})
            if answer.status_code != httpx.codes.NOT_FOUND:
                found[name] = answer.raise_for_status().headers["Docker-Content-Digest"]
        return found


def words(ended: Ended) -> str:
    """All that the builds said, for who reads that a test failed."""
    return "\n".join(f"== {name}\n{each.log.read_text()}" for name, each in ended.results.items())


def built(ended: Ended) -> set[str]:
    """The units whose builds ran to the end, by their staged files."""
    return {
        path.stem for each in ended.results.values() for path in each.artifacts.rglob("dist/staged/*.json")
    }


def failed(ended: Ended) -> set[str]:
    return {name for name, each in ended.results.items() if not each.succeeded}


def identifiers(units: tuple[str, ...]) -> set[str]:
    return {unit.replace("-", "_").replace(".", "_") for unit in units}


def _commit(directory: Path) -> None:
    (directory / ".gitignore").write_text(".cache\ndist\n__pycache__\n")
    commit(directory)


def _lock_what_the_mirror_has(small: SmallProject) -> None:
    """Builds are asked for locked bases; the mirror may have moved on since this repository was locked."""
    settings = Settings(catalog=small.directory / "images.toml", environment=dict(os.environ))
    project = read_project(settings)
    try:
        Bases(project=project, locked_only=True).ensure(project.catalog.bases["debian11"], lambda event: None)
    except LockInvalid:
        assert small.run("lock", "--upgrade", "*").code == 0


@pytest.fixture
def pipeline(small: SmallProject, second_engine: TestEngine, tmp_path: Path) -> Pipeline:
    """The locked packages of the base are in the cache of the builds, as after an earlier batch."""
    _lock_what_the_mirror_has(small)
    for name in PARTS:
        if (PROJECT / name).is_dir():
            leave_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / name, small.directory / name, ignore=leave_out)
        else:
            shutil.copy(PROJECT / name, small.directory / name)
    _commit(small.directory)
    cache = tmp_path / "cache"
    for part in ("packages/bullseye", "tools"):
        if (PROJECT / ".cache" / part).is_dir():
            shutil.copytree(PROJECT / ".cache" / part, cache / ".cache" / part, copy_function=os.link)
    homes = tmp_path / "builds"
    homes.mkdir()
    return Pipeline(
        small=small,
        engines={
            "LINUX_CONTAINER": "unix:///var/run/docker.sock",
            "ARM_CONTAINER": second_engine.host,
        },
        cache=cache,
        homes=homes,
    )


def test_a_batch_on_two_engines_publishes_what_a_release_does_and_again_only_what_failed(
    pipeline: Pipeline,
) -> None:
    first = pipeline.plan()
    assert first
    bad = next(iter(identifiers(TWO[1:])))

    ended = pipeline.batch(first, without_engine=bad)
    assert set(ended.results) == {*identifiers(ONE + TWO), "publish"}, words(ended)
    assert {name for name, each in ended.results.items() if not each.succeeded} == {bad, "publish"}, words(
        ended
    )
    assert not ended.succeeded
    assert built(ended) == {*ONE, TWO[0]}
    assert f"{TWO[1]} is not staged" in ended.results["publish"].log.read_text()
    assert set(pipeline.lists()) == {"one"}

    again = pipeline.plan()
    assert again
    ended = pipeline.batch(again)
    assert ended.succeeded, words(ended)
    assert set(ended.results) == {bad, "publish"}
    assert built(ended) == {TWO[1]}

    published = pipeline.lists()
    assert set(published) == set(LISTS)
    assert pipeline.plan() is None

    whole = pipeline.release(REGISTRY=f"{pipeline.small.registry}/whole", IMAGES="*")
    assert whole.succeeded, whole.log.read_text()
    assert (whole.artifacts / "dist" / "uris.md").is_file()
    assert pipeline.lists("whole/") == published
