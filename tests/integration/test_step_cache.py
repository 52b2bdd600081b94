"""Steps of builds in a registry, with two real engines: the other takes what one built, and never a harm."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.engines import TestEngine, running_engine
from tests.integration.conftest import ONE, SmallProject
from tests.projects import rendered, unit
from toolkit.adapters.step_cache import CachingBuilder, StepCache
from toolkit.build import BuildRequest, OnStage
from toolkit.errors import BuildFailed
from toolkit.record import ReleaseRecord

# A program in a stage that is copied from and one in the image itself: mode=max keeps both.
STEPS = """\
FROM {{ base }} AS other
RUN echo %s | tee /srv/other
FROM {{ base }}
COPY --from=other /srv/other /srv/
COPY --chmod=0755 serve /usr/local/bin/serve
RUN cat /srv/other | tee /srv/made
"""
CACHE = ("--registry-cache", "team/steps")
ONE_OF_BOTH = ONE[0]
OCI = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
BLOBS = "docker/registry/v2/blobs/sha256"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[TestEngine]:
    """An engine that never built anything: another machine."""
    with running_engine() as engine:
        yield engine


def release(small: SmallProject, place: str, engine: TestEngine | None, *options: str) -> tuple[str, str]:
    """(digest, what was told) of one unit's release to a place that has nothing of it yet."""
    environment = {"REGISTRY": place, **({"DOCKER_HOST": engine.host} if engine else {})}
    ran = small.run("release", ONE_OF_BOTH, *options, environment=environment)
    assert ran.code == 0, ran.err
    record = ReleaseRecord.loads((small.directory / "dist" / "release.json").read_bytes())
    return record.images[0].digest, ran.err


def log(small: SmallProject) -> list[str]:
    return (small.directory / "dist" / "logs" / f"{ONE_OF_BOTH}.log").read_text().splitlines()


def programs(small: SmallProject) -> dict[str, bool]:
    """The RUN steps of the newest build, and whether each was taken from a cache.

    Each says something when it runs. Buildx does not always say CACHED of one whose layers it had to fetch.
    """
    numbers = {line.split()[0]: line for line in log(small) if "] RUN " in line}
    said = {line.split()[0] for line in log(small) if re.match(r"#\d+ \d+\.\d+ /", line)}
    return {line: number not in said for number, line in numbers.items()}


def tags(registry: str, repository: str) -> list[str]:
    answer = httpx.get(f"http://{registry}/v2/{repository}/tags/list").json()
    return sorted(answer.get("tags") or [])


def test_an_engine_without_any_cache_takes_the_steps_from_the_registry_and_makes_the_same_digest(
    small: SmallProject, registry: str, elsewhere: TestEngine, tmp_path: Path
) -> None:
    small.template(STEPS % tmp_path)
    first, told = release(small, f"{registry}/a", None, *CACHE)
    assert "build cache" not in told
    assert tags(registry, "team/steps") == [ONE_OF_BOTH]
    again, told = release(small, f"{registry}/b", elsewhere, *CACHE)
    assert "build cache" not in told
    # The stage that is copied from need not even be looked at.
    assert programs(small) and all(programs(small).values())
    alone, _ = release(small, f"{registry}/c", elsewhere, "--no-registry-cache", "--no-cache")
    assert not any(programs(small).values())
    assert not any("importing cache" in line or "exporting cache" in line for line in log(small))
    assert first == again == alone


def test_a_cache_that_lost_its_layers_changes_nothing_but_a_warning(
    small: SmallProject, registry: str, elsewhere: TestEngine, tmp_path: Path
) -> None:
    small.template(STEPS % tmp_path)
    first, _ = release(small, f"{registry}/a", None, *CACHE)
    manifest = httpx.get(f"http://{registry}/v2/team/steps/manifests/{ONE_OF_BOTH}", headers=OCI).json()
    assert len(manifest["layers"]) > 3
    for layer in manifest["layers"]:
        hexadecimal = layer["digest"].partition(":")[2]
        (tmp_path / "registry" / "data" / BLOBS / hexadecimal[:2] / hexadecimal / "data").unlink()
    again, told = release(small, f"{registry}/b", elsewhere, *CACHE)
    assert again == first
    assert told.count(f"warning: the build cache {registry}/team/steps is left alone") == 1
    assert "not found" in told


def test_a_cache_that_can_be_neither_read_nor_written_changes_nothing_but_a_warning(
    small: SmallProject, registry: str, tmp_path: Path
) -> None:
    """The registry answers 500 to all that is asked of this repository."""
    small.template(STEPS % tmp_path)
    repositories = tmp_path / "registry" / "data" / "docker" / "registry" / "v2" / "repositories"
    repositories.mkdir(parents=True)
    (repositories / "team").write_text("not a directory")
    broken, told = release(small, f"{registry}/a", None, *CACHE)
    assert told.count(f"warning: the build cache {registry}/team/steps is left alone") == 1
    whole, told = release(small, f"{registry}/b", None)
    assert "build cache" not in told
    assert broken == whole


class Silent:
    """Reads the cache of a registry that never answers; it is a real program, named as Buildx is."""

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        on_stage("building")
        if not request.step_cache:
            request.log.write_text("#1 DONE\n")
            return
        request.log.write_text(f"#4 importing cache manifest from {request.step_cache}\n")
        program = [sys.executable, "-c", "import time; time.sleep(300)", request.step_cache]
        done = subprocess.run(program, check=False, timeout=60)
        raise BuildFailed(f"the client ended with {done.returncode}")


def test_a_registry_that_says_nothing_holds_up_no_release(tmp_path: Path) -> None:
    warnings: list[str] = []
    cache = StepCache(repository="registry.example/steps", warn=warnings.append)
    builder = CachingBuilder(inner=Silent(), cache=cache, patience=1)
    request = BuildRequest(
        rendered=rendered(unit()),
        base_layout=None,
        layout=tmp_path / "layout",
        log=tmp_path / "log",
        revision="",
        source="",
    )
    builder.build(request, on_stage=lambda _: None)
    (warning,) = warnings
    assert "its registry said nothing for 1 s" in warning
    assert request.log.read_text() == "#1 DONE\n"
