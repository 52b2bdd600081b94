"""The same cases on the registry in memory and on a real one."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import MemoryRegistry
from tests.registry_process import running_registry
from toolkit.adapters.registry import HttpRegistry
from toolkit.publish import Registry


@pytest.fixture(scope="session")
def registry_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def http_registry(registry_host: str, tmp_path: Path) -> Iterator[HttpRegistry]:
    registry = HttpRegistry(registry_host, docker_config=tmp_path / "no-docker-config")
    yield registry
    registry.close()


@pytest.fixture(params=["in memory", "docker-registry"])
def registry(request: pytest.FixtureRequest) -> Registry:
    if request.param == "in memory":
        return MemoryRegistry()
    real: HttpRegistry = request.getfixturevalue("http_registry")
    return real


@pytest.fixture
def repository() -> str:
    """A repository that no other test uses."""
    return f"team-{uuid.uuid4().hex[:12]}/pytorch-inference"
