"""A release with nothing to do, asked for twice: the second time it is answered before anything is loaded.

Images are prepared, all else is real: tests/torture.py. Whether the commands were loaded is read from
Python's own account of its imports.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.projects import ROOT
from tests.registry_process import running_registry
from tests.torture import LISTS, Project, tags_of
from toolkit.oci import MANIFEST_TYPES

LONG_TO_LOAD = {"click", "dataclasses", "httpx", "jinja2", "json", "pathlib", "re", "typing"}
ONE = LISTS["one"]


@dataclass(frozen=True, kw_only=True)
class Yard:
    """A project whose release is in the registry, and remembered."""

    project: Project
    registry: str

    def ask(self, *arguments: str, path: str | None = None) -> tuple[str, set[str]]:
        """What `toolkit release` tells, and the modules that it loaded. `path` is its PATH."""
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "toolkit", "release", *arguments],
            cwd=self.project.directory,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "REGISTRY": self.registry,
                "PATH": os.environ["PATH"] if path is None else path,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        lines = done.stderr.splitlines()
        loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
        words = "\n".join(line for line in lines if not line.startswith("import time:"))
        return words, loaded

    def settle(self) -> str:
        """Ask until it is answered at once; what is told then."""
        for _ in range(4):
            words, loaded = self.ask()
            if "toolkit.cli" not in loaded:
                return words
        raise AssertionError("it is never remembered")

    def repair(self) -> None:
        """Release what is to be released, as often as it takes."""
        code, words = self.project.run(self.registry)
        assert code == 0, words


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    home = tmp_path_factory.mktemp("standing")
    with running_registry(home) as registry:
        project = Project.make(home / "project", home / "prepared")
        yard = Yard(project=project, registry=registry)
        yard.repair()
        yield yard


@pytest.fixture
def yard(settled: Yard) -> Yard:
    settled.repair()
    settled.settle()
    return settled


def test_it_says_the_same_and_loads_nothing_that_takes_longer_than_the_work(yard: Yard) -> None:
    at_once, loaded = yard.ask()
    assert not loaded & LONG_TO_LOAD
    in_full, commands = yard.ask("--no-cache")
    assert "toolkit.cli" in commands
    assert at_once == in_full
    assert "nothing changed: 4 units and 2 lists" in at_once
    assert "(6 HEAD requests, no engine used)" in at_once


def edit_the_catalog(yard: Yard) -> None:
    with (yard.project.directory / "images.toml").open("a") as file:
        file.write("# nothing\n")


def remove_a_table(yard: Yard) -> None:
    (yard.project.directory / "dist" / "uris.html").unlink()


def _manifests(yard: Yard, repository: str) -> str:
    return f"http://{yard.registry}/v2/{repository}/manifests"


def another_image_under_a_list_tag(yard: Yard) -> None:
    accept = {"Accept": ", ".join(MANIFEST_TYPES)}
    where = _manifests(yard, "one")
    image = httpx.get(f"{where}/{ONE}-amd64", headers=accept, trust_env=False)
    kind = {"Content-Type": image.headers["content-type"]}
    put = httpx.put(f"{where}/{ONE}", content=image.content, headers=kind, trust_env=False)
    assert put.status_code == 201


def a_build_tag_that_is_gone(yard: Yard) -> None:
    build = next(tag for tag in tags_of(yard.registry, "two") if tag.startswith("b-"))
    digest = tags_of(yard.registry, "two")[build]
    gone = httpx.delete(f"{_manifests(yard, 'two')}/{digest}", trust_env=False)
    assert gone.status_code == 202


@pytest.mark.parametrize(
    "change", [edit_the_catalog, remove_a_table, another_image_under_a_list_tag, a_build_tag_that_is_gone]
)
def test_whatever_changed_the_commands_look_for_themselves(
    yard: Yard, change: Callable[[Yard], None]
) -> None:
    change(yard)
    # Without PATH there is no engine: what would be built is refused.
    _, loaded = yard.ask(path="")
    assert "toolkit.cli" in loaded
    yard.repair()
    assert (yard.project.directory / "dist" / "uris.html").exists()
    assert yard.settle().endswith(
        "4 units and 2 lists are published as images.toml says (6 HEAD requests, no engine used)"
    )
