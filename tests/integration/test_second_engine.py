"""The second engine, of builder nodes and of CodeBuild's machines: real, apart, and gone afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engines import TestEngine
from tests.integration.conftest import ONE, PROJECT, SmallProject
from toolkit.machine.places import ENGINE_SOCKET

# Says where the engine is, and waits to be killed.
OWNER = """
import time
from tests.engines import running_engine
with running_engine() as engine:
    print(engine.socket, engine.pid, flush=True)
    time.sleep(600)
"""


def releases(small: SmallProject, **environment: str) -> dict[str, str]:
    """The digest of each unit of a release that builds everything."""
    ran = small.run("release", *ONE, "--no-cache", environment=environment)
    assert ran.code == 0, ran.err
    record = json.loads((small.directory / "dist" / "release.json").read_text())
    return {image["identifier"]: image["digest"] for image in record["images"]}


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_release_on_the_second_engine_has_the_digests_of_the_first(
    small: SmallProject, second_engine: TestEngine
) -> None:
    first = releases(small, REGISTRY=f"{small.registry}/first")
    second = releases(small, REGISTRY=f"{small.registry}/second", DOCKER_HOST=second_engine.host)
    assert set(first) == set(ONE)
    assert second == first


def test_nothing_of_an_engine_is_left_when_the_process_that_asked_for_it_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        path, number = owner.stdout.readline().split()
        directory, pid = Path(path).parent, int(number)
        containerd = int((directory / "exec/containerd/containerd.pid").read_text())
        assert is_running(pid)
        assert is_running(containerd)
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while directory.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not directory.exists()
    assert not is_running(pid)
    assert not is_running(containerd)
    mounts = Path("/proc/self/mounts").read_text()
    assert str(directory) not in mounts


@pytest.mark.usefixtures("second_engine")
def test_the_engine_of_the_machine_keeps_its_own_network() -> None:
    networks = subprocess.run(
        ["docker", f"--host=unix://{ENGINE_SOCKET}", "network", "inspect", "bridge"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(networks.stdout)[0]["Options"]["com.docker.network.bridge.name"] == "docker0"
    assert Path("/sys/class/net/docker0").exists()
