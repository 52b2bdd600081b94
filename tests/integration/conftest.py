"""A small real project in a directory of its own, a real registry, the real engine."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from mypy_boto3_ecr import ECRClient

from tests.ecr.stand_in import StandIn, running
from tests.ecr.state import Behaviour
from tests.engines import TestEngine, running_engine
from tests.registry_process import running_registry
from toolkit.catalog import parse_catalog
from toolkit.cli.project import read_project
from toolkit.cli.settings import Settings
from toolkit.lock import Lock, LockedUnit, format_lock, inputs_digest

PROJECT = Path(__file__).parents[2]

# Compiled once for all runs, wherever this process keeps its own or keeps none: half a run's time.
RUN = {
    "PYTHONPATH": str(PROJECT),
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(PROJECT / ".cache" / "bytecode"),
}

# No package is installed, so a build takes seconds; base, exporter, verification and publishing are
# those of every image. What a template adds stands in `{{ extra }}`'s place, see `small`.
CATALOG = """
[groups]
default = ["*"]
[bases.debian11]
{base}
[images.one]
title = "One"
framework = "one"
versions = ["1.0"]
python = "3.9"
base = "debian11"
accelerator = "cpu"
architectures = ["amd64", "arm64"]
consumers = ["sagemaker"]
template = "small.Dockerfile.j2"
repository = "one"
packages.all = ["six==1.17.0"]
[images.two]
title = "Two"
framework = "two"
versions = ["2.0"]
python = "3.9"
base = "debian11"
accelerator = "cpu"
architectures = ["amd64", "arm64"]
consumers = ["eks"]
template = "small.Dockerfile.j2"
repository = "two"
packages.all = ["six==1.17.0"]
"""

TEMPLATE = """\
FROM {{ base }}
COPY --chmod=0755 serve /usr/local/bin/serve
%s
CMD ["serve"]
"""

ONE = ("one-1.0-cpu-py39-debian11-sagemaker-amd64", "one-1.0-cpu-py39-debian11-sagemaker-arm64")
TWO = ("two-2.0-cpu-py39-debian11-eks-amd64", "two-2.0-cpu-py39-debian11-eks-arm64")


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, what programs read and what people read."""

    code: int
    out: str
    err: str

    def failed_with(self, code: int) -> str:
        """The words of a failure, which never has a traceback."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        return self.err


@dataclass(frozen=True)
class SmallProject:
    """A catalog of two images on disk; `run` calls the toolkit as a user would, or `program` in its place."""

    directory: Path
    registry: str
    program: str = "toolkit"
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Ran:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.directory,
            env={**os.environ, **RUN, "REGISTRY": self.registry, **self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ran(code=done.returncode, out=done.stdout, err=done.stderr)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", self.program, *arguments]

    def template(self, extra: str) -> None:
        """Put lines of a Dockerfile into the one template."""
        (self.directory / "dockerfiles" / "small.Dockerfile.j2").write_text(TEMPLATE % extra)

    def catalog(self, old: str, new: str) -> None:
        path = self.directory / "images.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def lock(self) -> None:
        """A lock that fits, as a test's own file: nothing is asked of an index."""
        settings = Settings(catalog=self.directory / "images.toml", environment={})
        project = read_project(settings)
        units = {
            unit.identifier: LockedUnit(
                inputs=inputs_digest(unit, project.sources.serving_requirements),
                created="2026-11-21T00:00:00Z",
            )
            for unit in project.units
        }
        settings.lock.write_text(format_lock(Lock(bases=project.lock.bases, units=units)))


def base_table() -> str:
    """The real base of the project's own catalog, word for word."""
    text = (PROJECT / "images.toml").read_text()
    parse_catalog(text)
    found = re.search(r"^\[bases\.debian11\]\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """An empty registry on a port of its own; its access log is `registry_log`'s."""
    home = tmp_path / "registry"
    home.mkdir()
    with running_registry(home) as address:
        yield address


@pytest.fixture
def small(tmp_path: Path, registry: str) -> SmallProject:
    """Two images on both platforms; shares the bases and packages that set-up made."""
    directory = tmp_path / "project"
    (directory / "dockerfiles" / "serving").mkdir(parents=True)
    (directory / "images.toml").write_text(CATALOG.format(base=base_table()))
    shutil.copy(PROJECT / "images.lock", directory / "images.lock")
    (directory / "dockerfiles" / "serving" / "serve").write_text("#!/bin/sh\nexec sleep 1000\n")
    (directory / ".cache").mkdir()
    for shared in ("bases", "packages", "tools"):
        (PROJECT / ".cache" / shared).mkdir(parents=True, exist_ok=True)
        (directory / ".cache" / shared).symlink_to(PROJECT / ".cache" / shared)
    project = SmallProject(directory=directory, registry=registry)
    project.template("")
    project.lock()
    return project


@pytest.fixture(scope="session")
def second_engine() -> Iterator[TestEngine]:
    """A second real engine on this machine, for DOCKER_HOST; who kills one takes `running_engine`."""
    with running_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def ecr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """An account of Amazon ECR of this module's own; see tests/ecr."""
    with running(tmp_path_factory.mktemp("ecr")) as stand_in:
        yield stand_in


@dataclass(frozen=True)
class EcrProject:
    """A small project whose catalog names the stand-in `prod`; each has repositories of its own."""

    small: SmallProject
    ecr: StandIn
    prefix: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {**self.ecr.environment, "REGISTRY": "prod"}

    def run(self, *arguments: str, **environment: str) -> Ran:
        return self.small.run(*arguments, environment={**self.environment, **environment})

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.small.command(*arguments),
            cwd=self.small.directory,
            env={**os.environ, **RUN, **self.small.environment, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def table(self, **keys: str) -> None:
        """[registries.prod] with further keys, as TOML."""
        lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
        path = self.small.directory / "images.toml"
        text = path.read_text().partition("[registries.prod]")[0]
        path.write_text(
            f'{text}[registries.prod]\nkind = "ecr"\naccount = "{self.ecr.account}"\nregion = "us-west-2"\n'
            f'prefix = "{self.prefix}"\n{lines}'
        )

    @property
    def api(self) -> ECRClient:
        return self.ecr.api()

    def make_repositories(self, *names: str) -> None:
        for name in names or ("one", "two", "releases"):
            self.api.create_repository(repositoryName=f"{self.prefix}/{name}")


@pytest.fixture
def ecr_project(small: SmallProject, ecr: StandIn, request: pytest.FixtureRequest) -> EcrProject:
    ecr.state.behaviour = Behaviour()
    ecr.state.calls.clear()
    ecr.state.tokens.clear()
    made = EcrProject(small=small, ecr=ecr, prefix=f"t{abs(hash(request.node.name)) % 10**8}")
    made.table()
    return made


@pytest.fixture
def prepared_project(ecr_project: EcrProject, tmp_path: Path) -> EcrProject:
    """The same with prepared images: a release takes a second or two. For what is not about building."""
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    program = replace(
        ecr_project.small, program="tests.without_engine", environment={"PREPARED": str(prepared)}
    )
    return replace(ecr_project, small=program)


def requests(tmp_path: Path) -> list[str]:
    """Method and path of every request that the registry of the test answered so far."""
    log = (tmp_path / "registry" / "registry.log").read_text()
    return re.findall(r'"((?:GET|HEAD|PUT|POST|PATCH|DELETE) \S+) HTTP', log)
