"""Releases to Amazon ECR, as far as its stand-in is one: tokens, immutable tags, missing repositories."""

import base64
import json
import os
import signal
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from mypy_boto3_ecr import ECRClient

from tests.ecr.stand_in import StandIn
from tests.ecr.state import Behaviour
from tests.integration.conftest import ONE, PROJECT, Ran, SmallProject
from toolkit.errors import ExitCode


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
            env={**os.environ, "PYTHONPATH": str(PROJECT), **self.environment},
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
        return boto3.client(
            "ecr",
            region_name="us-west-2",
            endpoint_url=self.ecr.endpoint,
            aws_access_key_id="x",
            aws_secret_access_key="y",
        )

    def make_repositories(self, *names: str) -> None:
        for name in names or ("one", "two", "releases"):
            self.api.create_repository(repositoryName=f"{self.prefix}/{name}")


@pytest.fixture
def project(small: SmallProject, ecr: StandIn, request: pytest.FixtureRequest) -> EcrProject:
    ecr.state.behaviour = Behaviour()
    ecr.state.calls.clear()
    ecr.state.tokens.clear()
    made = EcrProject(small=small, ecr=ecr, prefix=f"t{abs(hash(request.node.name)) % 10**8}")
    made.table()
    return made


def _command_lines(stop: threading.Event, seen: set[bytes]) -> None:
    while not stop.wait(0.01):
        for process in Path("/proc").glob("[0-9]*"):
            try:
                seen.add((process / "cmdline").read_bytes())
            except OSError:
                continue


def _files(*directories: Path) -> Iterator[tuple[str, bytes]]:
    for directory in directories:
        for path in directory.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield str(path), path.read_bytes()


def _unpacked(content: bytes) -> bytes:
    """A gzip layer's bytes; nothing for what is none."""
    try:
        return zlib.decompressobj(31).decompress(content)
    except zlib.error:
        return b""


def test_the_token_of_a_release_is_asked_for_once_and_stands_nowhere(
    project: EcrProject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project.make_repositories()
    seen: set[bytes] = set()
    stop = threading.Event()
    watcher = threading.Thread(target=_command_lines, args=(stop, seen))
    watcher.start()
    ran = project.run("release", "one-*")
    stop.set()
    watcher.join()
    assert ran.code == 0, ran.err
    assert len(project.ecr.called("GetAuthorizationToken")) == 1
    (token,) = project.ecr.state.tokens
    needles = [token.encode(), base64.b64encode(f"AWS:{token}".encode())[:-4]]

    assert any(b"buildx" in line and b"--config" in line for line in seen)
    places = {"stdout": ran.out.encode(), "stderr": ran.err.encode(), "command lines": b"\n".join(seen)}
    places |= dict(_files(project.small.directory, tmp_path_factory.getbasetemp()))
    assert any(name.endswith("release.json") for name in places)
    assert any("/blobs/" in name and _unpacked(content) for name, content in places.items())
    for name, content in places.items():
        for needle in needles:
            assert needle not in content, name
            assert needle not in _unpacked(content), name
    assert not list((project.small.directory / ".cache" / "docker-config").glob("run-*"))

    record = json.loads((project.small.directory / "dist" / "release.json").read_text())
    assert {(row["account"], row["region"]) for row in record["images"]} == {
        (project.ecr.account, "us-west-2")
    }
    again = project.run("release", "one-*")
    assert again.code == 0
    assert "nothing changed: 2 units and 1 lists" in again.err


def test_a_token_is_renewed_before_it_ends(project: EcrProject) -> None:
    project.make_repositories()
    project.ecr.behaviour.token_seconds = 2.0
    ran = project.run("release", "--no-cache", ONE[0])
    assert ran.code == 0, ran.err
    assert len(project.ecr.called("GetAuthorizationToken")) > 1


def test_a_token_that_says_it_ended_in_2015_is_used_all_the_same(project: EcrProject) -> None:
    project.make_repositories()
    project.ecr.behaviour.tokens_say_2015 = True
    assert project.run("release", ONE[0]).code == 0
    assert len(project.ecr.called("GetAuthorizationToken")) == 1


def test_a_repository_that_is_not_there_is_told_at_once_with_what_makes_it(project: EcrProject) -> None:
    project.make_repositories("two", "releases")
    words = project.run("release", ONE[0]).failed_with(ExitCode.REGISTRY_TROUBLE)
    assert f"the repository {project.prefix}/one does not exist" in words
    assert "Create it: `toolkit ecr ensure`" in words
    assert "trying again" not in words


def test_the_private_docker_config_is_gone_after_sigterm(project: EcrProject) -> None:
    project.make_repositories()
    project.small.template("RUN sleep 600")
    project.small.lock()
    run = project.start("release", ONE[0])
    home = project.small.directory / ".cache" / "docker-config"
    deadline = time.monotonic() + 60
    while not list(home.glob("run-*/config.json")) and time.monotonic() < deadline:
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    (directory,) = home.glob("run-*")
    assert directory.stat().st_mode & 0o777 == 0o700
    config = directory / "config.json"
    assert config.stat().st_mode & 0o777 == 0o600
    assert list(json.loads(config.read_text())["auths"]) == [project.ecr.host]
    run.send_signal(signal.SIGTERM)
    _, words = run.communicate(timeout=60)
    assert run.returncode == ExitCode.INTERRUPTED, words
    assert not list(home.iterdir())


def test_what_a_killed_run_left_goes_with_the_next(project: EcrProject) -> None:
    project.make_repositories()
    left = project.small.directory / ".cache" / "docker-config" / "run-killed"
    left.mkdir(parents=True)
    (left / ".lock").touch()
    (left / "config.json").write_text("{}")
    assert project.run("release", ONE[0]).code == 0
    assert not left.exists()
