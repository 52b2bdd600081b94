"""Builder nodes for real: two engines as two nodes, split builds, a node that dies in the middle of one."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.ecr.hosts import make_certificates
from tests.engines import TestEngine, running_engine
from tests.grpc_proxy import mutual_tls, remote_buildkit
from tests.integration.conftest import ONE, TWO, SmallProject
from toolkit.machine.places import ENGINE_SOCKET

AMD64 = ("linux/amd64",)
ARM64 = ("linux/arm64",)


@dataclass(frozen=True)
class FleetProject:
    """A small project whose docker client keeps its builders in a directory of the test."""

    small: SmallProject

    def nodes(self, **tables: str) -> None:
        """[builders.fleet] with these nodes, as TOML."""
        path = self.small.directory / "images.toml"
        text = path.read_text().partition("[builders.")[0]
        path.write_text(
            text + "".join(f"[builders.fleet.nodes.{name}]\n{table}\n" for name, table in tables.items())
        )

    def digests(self) -> dict[str, str]:
        record = json.loads((self.small.directory / "dist" / "release.json").read_text())
        return {image["identifier"]: image["digest"] for image in record["images"]}

    def log(self, identifier: str) -> Path:
        return self.small.directory / "dist" / "logs" / f"{identifier}.log"

    def builders(self) -> set[str]:
        """The instances that Buildx keeps."""
        return {path.name for path in (self.docker / "buildx" / "instances").glob("*")}

    @property
    def docker(self) -> Path:
        return Path(self.small.environment["DOCKER_CONFIG"])

    def buildx(self, *arguments: str) -> None:
        subprocess.run(
            ("docker", "buildx", *arguments),
            env={**os.environ, "DOCKER_CONFIG": str(self.docker)},
            capture_output=True,
            check=True,
        )


@pytest.fixture
def fleet(small: SmallProject, tmp_path: Path) -> FleetProject:
    (tmp_path / "docker").mkdir()
    environment = {**small.environment, "DOCKER_CONFIG": str(tmp_path / "docker")}
    return FleetProject(replace(small, environment=environment))


@pytest.fixture
def here() -> Iterator[str]:
    """The machine's own engine as a remote BuildKit."""
    with remote_buildkit(Path(ENGINE_SOCKET)) as address:
        yield address


def remote(address: str, platforms: tuple[str, ...], **keys: str) -> str:
    more = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    return f'kind = "remote"\nendpoint = "{address}"\nplatforms = {json.dumps(list(platforms))}\n{more}'


def local(engine: TestEngine, platforms: tuple[str, ...]) -> str:
    return f'kind = "local"\nendpoint = "{engine.host}"\nplatforms = {json.dumps(list(platforms))}\n'


def told(events: str) -> list[Mapping[str, str]]:
    return [json.loads(line) for line in events.splitlines() if line.startswith("{")]


def test_a_release_split_over_two_nodes_has_the_digests_of_one_engine(
    fleet: FleetProject, here: str, second_engine: TestEngine, tmp_path: Path
) -> None:
    made = make_certificates(tmp_path / "tls", ["arm64.build.example"])
    keys = fleet.docker / "arm64-node"
    keys.mkdir()
    for name, path in {"ca.pem": made.ca, "cert.pem": made.certificate, "key.pem": made.key}.items():
        (keys / name).write_bytes(path.read_bytes())
    tls = mutual_tls(ca=made.ca, certificate=made.certificate, key=made.key)
    with remote_buildkit(second_engine.socket, tls=tls) as far:
        fleet.nodes(
            amd64=remote(here, AMD64),
            arm64=remote(far, ARM64, certificates="arm64-node", server_name="arm64.build.example"),
        )
        # The machine that releases needs no engine of its own.
        split = fleet.small.run(
            *("release", *ONE, "--no-cache", "--builder", "fleet"),
            environment={"DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock"},
        )
        assert split.code == 0, split.err
        over_two = fleet.digests()
    for name, identifier in zip(("amd64", "arm64"), ONE, strict=True):
        log = fleet.log(identifier).read_text()
        assert f'building with "fleet.{name}" instance using remote driver' in log
    fleet.small.run("builder", "remove", "fleet")
    alone = fleet.small.run(
        "release", *ONE, "--no-cache", environment={"REGISTRY": f"{fleet.small.registry}/b"}
    )
    assert alone.code == 0, alone.err
    assert set(over_two) == set(ONE)
    assert over_two == fleet.digests()


def kill_in_the_step(engine: TestEngine, log: Path) -> threading.Thread:
    """End the engine once the build that writes this log is in its RUN."""

    def watch() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if log.exists() and "in the middle" in log.read_text().replace("echo in the middle", ""):
                engine.kill()
                return
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_the_unit_of_a_node_that_dies_is_built_on_another_one_and_the_rest_is_as_ever(
    fleet: FleetProject, here: str
) -> None:
    fleet.small.template("RUN echo in the middle; sleep 6")
    doomed, other = TWO[0], ONE[0]
    with running_engine() as engine:
        fleet.nodes(a=remote(here, AMD64), b=local(engine, AMD64))
        planned = fleet.small.run("plan", other, doomed, "--builder", "fleet")
        assert "on node a or, should it die, on b" in planned.out
        assert "on node b or, should it die, on a" in planned.out
        killer = kill_in_the_step(engine, fleet.log(doomed))
        ran = fleet.small.run("build", other, doomed, "--builder", "fleet", "--jobs", "2", "--json")
        killer.join()
        assert ran.code == 0, ran.err
        warnings = [event for event in told(ran.err + ran.out) if "was lost" in event["text"]]
        assert [(event["event"], event["subject"]) for event in warnings] == [("warning", doomed)]
        assert warnings[0]["text"].startswith("node b was lost: ")
        assert warnings[0]["text"].endswith("; it is built again on node a")
        assert 'building with "fleet.a" instance' in fleet.log(doomed).read_text()


def test_the_last_node_for_a_platform_that_dies_fails_its_unit_alone(fleet: FleetProject, here: str) -> None:
    fleet.small.template("RUN echo in the middle; sleep 6")
    with running_engine() as engine:
        fleet.nodes(a=remote(here, AMD64), b=local(engine, ARM64))
        killer = kill_in_the_step(engine, fleet.log(ONE[1]))
        ran = fleet.small.run("release", *ONE, TWO[0], "--builder", "fleet", "--jobs", "3")
        killer.join()
        text = ran.failed_with(5)
        assert f"{ONE[1]} was not built: no node for linux/arm64 is left (b: " in text
        assert "1 of 3 units failed:" in text


def test_builders_are_made_once_mended_when_they_drift_and_removed_alone(
    fleet: FleetProject, here: str
) -> None:
    fleet.buildx("create", "--name", "mine", "--driver", "remote", here)
    fleet.nodes(a=remote(here, AMD64))
    first = fleet.small.run("builder", "ensure")
    assert first.code == 0, first.err
    assert first.out.splitlines()[1].split() == ["fleet", "a", "remote", "linux/amd64", "amd64", "answers"]
    assert fleet.builders() == {"mine", "fleet", "fleet.a"}
    again = fleet.small.run("builder", "ensure", "fleet")
    assert (again.code, again.err, again.out) == (0, "", first.out)

    fleet.buildx("create", "--name", "fleet.a", "--node", "fleet-a", "--platform", "linux/arm64", here)
    mended = fleet.small.run("builder", "ensure", "fleet")
    assert mended.err.splitlines()[0] == "docker buildx rm --force --keep-state fleet.a"
    assert fleet.small.run("builder", "ensure", "fleet").err == ""

    removed = fleet.small.run("builder", "remove", "fleet")
    assert removed.out == "fleet: removed\n"
    assert fleet.builders() == {"mine"}
    assert fleet.small.run("builder", "remove", "mine").out == "mine: nothing was made by this toolkit\n"
    assert fleet.builders() == {"mine"}


# Does on this machine what a far one would be asked to do.
SSH = """#!/bin/sh
echo "$@" >>"$0.log"
exec docker --host HOST system dial-stdio
"""


def test_an_engine_behind_ssh_is_a_node(
    fleet: FleetProject, second_engine: TestEngine, tmp_path: Path
) -> None:
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(SSH.replace("HOST", second_engine.host))
    ssh.chmod(0o755)
    endpoint = "ssh://build@far.build.example:2222"
    fleet.nodes(far=f'kind = "ssh"\nendpoint = "{endpoint}"\nplatforms = ["linux/amd64"]\n')
    path = {"PATH": f"{ssh.parent}:{os.environ['PATH']}"}
    ran = fleet.small.run("build", ONE[0], "--builder", "fleet", environment=path)
    assert ran.code == 0, ran.err
    asked = ssh.with_name("ssh.log").read_text()
    assert "-l build -p 2222" in asked
    assert "far.build.example docker system dial-stdio" in asked.replace(" -- ", " ")
    assert fleet.builders() == set()


def test_a_builder_of_that_name_that_someone_else_made_is_left_alone(fleet: FleetProject, here: str) -> None:
    fleet.buildx("create", "--name", "fleet", "--driver", "remote", here)
    fleet.nodes(a=remote(here, AMD64))
    text = fleet.small.run("builder", "ensure").failed_with(1)
    assert "Buildx has a builder fleet already that this toolkit did not make" in text
    assert fleet.builders() == {"fleet"}


def test_nodes_that_do_not_answer_are_told_and_stop_only_what_they_alone_are_for(
    fleet: FleetProject, here: str
) -> None:
    dead = "tcp://127.0.0.1:9"
    fleet.nodes(a=remote(here, AMD64), b=remote(dead, (*AMD64, *ARM64)))
    listed = fleet.small.run("builder", "ensure", "--json")
    assert listed.code == 1
    rows = {row["node"]: row for row in json.loads(listed.out)}
    assert (rows["a"]["architecture"], rows["a"]["trouble"]) == ("amd64", "")
    assert (rows["b"]["architecture"], rows["b"]["trouble"]) == (None, f"nothing answers at {dead}")

    looked = fleet.small.run("preflight", *ONE, "--builder", "fleet")
    assert looked.code == 1
    assert "a, linux/amd64: answers, amd64" in looked.out
    assert f"b, linux/amd64, linux/arm64: not used, nothing answers at {dead}" in looked.out
    assert "no node of builder fleet for linux/arm64 can be used" in looked.out
    assert fleet.small.run("preflight", ONE[0], "--builder", "fleet").code == 0


def test_an_image_that_refuses_emulation_is_not_built_where_it_would_need_it(
    fleet: FleetProject, here: str
) -> None:
    fleet.small.template("RUN true")
    fleet.small.catalog('repository = "one"\n', 'repository = "one"\nemulation = "refuse"\n')
    fleet.nodes(a=remote(here, (*AMD64, *ARM64)))
    assert fleet.small.run("builder", "ensure").code == 0
    planned = fleet.small.run("plan", *ONE, "--builder", "fleet")
    assert "cannot be built: RUN steps of linux/arm64 would run under emulation on node a" in planned.out
    for command in ("build", "release"):
        text = fleet.small.run(command, ONE[1], "--builder", "fleet").failed_with(1)
        assert 'its row says emulation = "refuse": ' + ONE[1] in text
        assert "images.toml:" in text
    assert not fleet.log(ONE[1]).exists()
