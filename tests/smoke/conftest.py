"""The released images, and a container of each on its own platform."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The reaper's image cannot be had everywhere; containers are removed by their context managers.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

import httpx
import pytest
from testcontainers.core.container import DockerContainer

from tests.released import released
from tests.smoke.models import WRITERS, write_weights
from toolkit.deployers.eks import Workload, manifests
from toolkit.deployers.image import describe_image
from toolkit.hardware import get_instance_type
from toolkit.record import PublishedImage
from toolkit.render import PORT

# TensorFlow under QEMU takes its time to be imported.
READY_WITHIN = 420.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "image" in metafunc.fixturenames:
        images = released().images
        assert images, "the newest release has no image: nothing would be tested"
        metafunc.parametrize("image", images, ids=[image.identifier for image in images], scope="session")


def pull(image: PublishedImage) -> str:
    """The image of exactly this platform, by digest; returns its reference."""
    reference = str(image.pinned)
    platform = f"linux/{image.architecture}"
    subprocess.run(["docker", "pull", "--quiet", "--platform", platform, reference], check=True, timeout=600)
    return reference


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A directory with a model for each framework, written by that framework's own native image."""
    native = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    made: dict[str, Path] = {}
    for image in released().images:
        if image.framework in made or image.architecture != native:
            continue
        work = tmp_path_factory.mktemp(image.framework)
        (work / "model").mkdir()
        write_weights(work)
        program = ["python3", "-c", WRITERS[image.framework]]
        wrote = subprocess.run(
            ["docker", "run", "--rm", "--volume", f"{work}:/scratch", pull(image), *program],
            check=False,
            timeout=300,
            capture_output=True,
            text=True,
        )
        assert wrote.returncode == 0, wrote.stderr[-2000:]
        made[image.framework] = work / "model"
    return made


class Endpoint:
    """A running container that serves, as SageMaker would start it."""

    def __init__(self, container: DockerContainer, url: str) -> None:
        self.container = container
        self.statuses: list[int] = []
        self.http = httpx.Client(base_url=url, timeout=180)

    def logs(self) -> str:
        out, errors = self.container.get_logs()
        return (out + errors).decode(errors="replace")

    def wait_until_ready(self, seconds: float) -> list[int]:
        """The statuses that /ping gave on the way to 200; 0 where nothing answered."""
        seen: list[int] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                seen.append(self.http.get("/ping").status_code)
            except httpx.TransportError:
                seen.append(0)
            if seen[-1] == httpx.codes.OK:
                return seen
            time.sleep(0.5)
        raise AssertionError(f"/ping was not 200 within {seconds} s; the log:\n{self.logs()}")


def workload(image: PublishedImage) -> Workload:
    machine = {"amd64": "c7i.xlarge", "arm64": "c7g.xlarge"}[image.architecture]
    return Workload(
        name="smoke",
        image=describe_image(str(image.pinned), released()),
        machine=get_instance_type(machine),
        region="us-west-2",
        environment={},
    )


@contextmanager
def serving(image: PublishedImage, model: Path) -> Iterator[Endpoint]:
    """The container of `toolkit deploy eks` with the model mounted: its arguments, variables and rights."""
    pod = manifests(workload(image))[0]["spec"]["template"]["spec"]
    (asked,) = pod["containers"]
    user, rights = pod["securityContext"], asked["securityContext"]
    container = DockerContainer(
        pull(image),
        command=asked["args"],
        platform=f"linux/{image.architecture}",
        read_only=rights["readOnlyRootFilesystem"],
        cap_drop=rights["capabilities"]["drop"],
        security_opt=[] if rights["allowPrivilegeEscalation"] else ["no-new-privileges"],
        user=f"{user['runAsUser']}:{user['runAsGroup']}",
    ).with_envs(**{each["name"]: each["value"] for each in asked["env"]})
    container.with_tmpfs_mount("/tmp").with_volume_mapping(str(model), "/opt/ml/model", "ro")
    container.with_exposed_ports(PORT)
    with container:
        host = container.get_container_host_ip()
        yield Endpoint(container, f"http://{host}:{container.get_exposed_port(PORT)}")


@pytest.fixture(scope="session")
def endpoint(image: PublishedImage, models: dict[str, Path]) -> Iterator[Endpoint]:
    """One container per image for all tests of it: an emulated start costs a minute."""
    with serving(image, models[image.framework]) as running:
        running.statuses = running.wait_until_ready(READY_WITHIN)
        yield running
