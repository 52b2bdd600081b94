"""`toolkit verify` on images that Docker itself built and pushed, honest ones and liars."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
# What lies: the Dockerfile, and the path that must be named. `true` is this machine's own program.
LIES = {
    "one-program": ("FROM scratch\nCOPY true /usr/bin/true\n", "/usr/bin/true"),
    "one-shared-object": (
        "FROM scratch\nCOPY library.so /opt/lib/site/_native.so\n",
        "/opt/lib/site/_native.so",
    ),
    "hidden-in-a-lower-layer": (
        "FROM scratch\nCOPY true /a\nCOPY text /b\nCOPY text /c\n",
        "/a",
    ),
}
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
FOREIGN = {"amd64": "arm64", "arm64": "amd64"}[NATIVE]


def push(registry: str, context: Path, dockerfile: str, name: str, platform: str) -> str:
    """Build and push with Docker alone; the platform is what the label will claim."""
    (context / "Dockerfile").write_text(dockerfile)
    shutil.copy("/bin/true", context / "true")
    library = next(Path("/lib").glob("*-linux-gnu/libc.so.6"))
    shutil.copy(library.resolve(), context / "library.so")
    (context / "text").write_text("text\n")
    reference = f"{registry}/{name}:latest"
    output = f"type=image,name={reference},push=true,registry.insecure=true"
    done = subprocess.run(
        ["docker", "buildx", "build", "--platform", platform, "--output", output, str(context)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return reference


def verify(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Without a docker program or an engine in reach."""
    return subprocess.run(
        [sys.executable, "-m", "toolkit", "verify", *arguments],
        cwd=PROJECT,
        env={**os.environ, "DOCKER_HOST": "unix:///nonexistent", "PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_image_is_exit_4_and_the_path_is_named(lie: str, registry: str, tmp_path: Path) -> None:
    dockerfile, path = LIES[lie]
    reference = push(registry, tmp_path, dockerfile, lie, f"linux/{FOREIGN}")
    done = verify(reference)
    assert done.returncode == 4, done.stdout + done.stderr
    assert path in done.stdout
    assert f"label=linux/{FOREIGN}" in done.stdout


def test_a_foreign_program_that_a_later_layer_deletes_is_fine(registry: str, tmp_path: Path) -> None:
    """A real whiteout by a real RUN, on the platform that the label claims."""
    base = next((PROJECT / ".cache" / "bases").glob("debian11-*/layout"))
    digest = json.loads((base / "index.json").read_text())["manifests"][0]["digest"]
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY foreign /opt/foreign\nRUN rm /opt/foreign\n")
    # ELF header of the other machine: e_machine at offset 18.
    header = bytearray(Path("/bin/true").read_bytes())
    header[18:20] = {"arm64": b"\xb7\x00", "amd64": b"\x3e\x00"}[FOREIGN]
    (tmp_path / "foreign").write_bytes(header)
    reference = f"{registry}/deleted:latest"
    done = subprocess.run(
        [
            "docker", "buildx", "build", "--platform", f"linux/{NATIVE}",
            "--build-context", f"base=oci-layout://{base}@{digest}",
            "--output", f"type=image,name={reference},push=true,registry.insecure=true", str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = verify(reference, "--platform", f"linux/{NATIVE}")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_an_honest_two_platform_list_is_verified_without_an_engine(registry: str, tmp_path: Path) -> None:
    reference = push(
        registry, tmp_path, "FROM scratch\nCOPY text /text\n", "honest", "linux/amd64,linux/arm64"
    )
    done = verify(reference, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert sorted(f"{row['platform']}" for row in rows) == ["linux/amd64", "linux/arm64"]


def test_an_image_that_docker_pushed_with_oci_types_breaks_sagemakers_contract(
    registry: str, tmp_path: Path
) -> None:
    reference = push(registry, tmp_path, "FROM scratch\nCOPY true /true\n", "types", f"linux/{NATIVE}")
    done = verify(reference, "--consumer", "sagemaker", "--platform", f"linux/{NATIVE}")
    assert done.returncode == 4
    assert "media-types" in done.stdout and "serve" in done.stdout


def test_a_platform_that_is_not_there_is_said(registry: str, tmp_path: Path) -> None:
    reference = push(registry, tmp_path, "FROM scratch\nCOPY text /text\n", "single", "linux/amd64")
    done = verify(reference, "--platform", "linux/s390x")
    assert done.returncode != 0
    assert "linux/s390x" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
