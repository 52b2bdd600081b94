"""The whole release on the real engine and a real registry, with images that build in seconds."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import ONE, TWO, SmallProject, requests

LISTS = {"one": "1.0-cpu-py39-debian11-sagemaker", "two": "2.0-cpu-py39-debian11-eks"}


def tags(registry: str, repository: str) -> list[str]:
    answer = httpx.get(f"http://{registry}/v2/{repository}/tags/list").json()
    return sorted(answer.get("tags") or [])


def public_tags(registry: str, repository: str) -> list[str]:
    return [tag for tag in tags(registry, repository) if not tag.startswith("b-")]


def head(registry: str, repository: str, tag: str) -> httpx.Headers:
    answer = httpx.head(
        f"http://{registry}/v2/{repository}/manifests/{tag}",
        headers={
            "Accept": ", ".join(
                (
                    "application/vnd.docker.distribution.manifest.v2+json",
                    "application/vnd.docker.distribution.manifest.list.v2+json",
                    "application/vnd.oci.image.manifest.v1+json",
                    "application/vnd.oci.image.index.v1+json",
                )
            )
        },
    )
    assert answer.status_code == 200, f"{repository}:{tag} is not there"
    return answer.headers


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_release_publishes_everything_and_the_next_one_finds_nothing_to_do(
    small: SmallProject, registry: str, tmp_path: Path
) -> None:
    first = small.run("release")
    assert first.code == 0, first.err
    assert public_tags(registry, "one") == [LISTS["one"], f"{LISTS['one']}-amd64", f"{LISTS['one']}-arm64"]
    assert "list.v2" in head(registry, "one", LISTS["one"])["content-type"]
    assert "oci.image.index" in head(registry, "two", LISTS["two"])["content-type"]
    assert "docker.distribution.manifest.v2" in head(registry, "one", f"{LISTS['one']}-arm64")["content-type"]

    seen = len(requests(tmp_path))
    # Neither a docker program nor an engine can be reached.
    nowhere = {"PATH": "/nonexistent", "DOCKER_HOST": "unix:///nonexistent"}
    second = small.run("release", environment=nowhere)
    assert second.code == 0, second.err
    assert "nothing changed: 4 units and 2 lists" in second.err
    made = requests(tmp_path)[seen:]
    assert len(made) == 6
    assert {line.split()[0] for line in made} == {"HEAD"}


def test_a_base_of_a_registry_that_nobody_reaches_does_not_keep_set_up_from_making_the_others(
    small: SmallProject,
) -> None:
    far = '[bases.far]\npython = "3.9"\nglibc = "2.31"\nreference = "registry.invalid/debian:11"\n\n'
    small.catalog("[bases.debian11]", f"{far}[bases.debian11]")
    done = small.run("bases")
    assert (done.code, done.err) == (0, "")


def test_docker_pulls_the_list_on_each_platform_and_sees_what_the_record_says(
    small: SmallProject, registry: str
) -> None:
    assert small.run("release").code == 0
    record = json.loads((small.directory / "dist" / "release.json").read_text())
    rows = {row["identifier"]: row for row in record["images"]}
    assert sorted(rows) == sorted((*ONE, *TWO))
    for row in rows.values():
        platform = f"linux/{row['architecture']}"
        docker("pull", "--quiet", "--platform", platform, row["index_uri"])
        docker("pull", "--quiet", "--platform", platform, f"{registry}/{row['repository']}@{row['digest']}")
        said = json.loads(docker("image", "inspect", f"{registry}/{row['repository']}@{row['digest']}"))[0]
        assert said["Architecture"] == row["architecture"]
        assert said["Os"] == "linux"
        labels = said["Config"]["Labels"]
        assert labels["io.multiarch-images.build-id"] == row["build_id"]
        assert labels["org.opencontainers.image.base.digest"] == row["base"]["digest"]
        listed = json.loads(docker("manifest", "inspect", "--insecure", row["index_uri"]))
        assert row["digest"] in [child["digest"] for child in listed["manifests"]]
    assert rows[ONE[1]]["uri"] == f"{registry}/one@{rows[ONE[1]]['digest']}"
    assert rows[TWO[1]]["uri"] == rows[TWO[0]]["uri"] == f"{registry}/two@{rows[TWO[1]]['index_digest']}"
    assert {(row["name"], row["kind"]) for row in rows[ONE[0]]["packages"]} >= {("libc6", "deb")}


def test_the_image_runs_on_both_platforms(small: SmallProject, registry: str) -> None:
    assert small.run("release", "one-*").code == 0
    for platform, machine in (("linux/amd64", "x86_64"), ("linux/arm64", "aarch64")):
        reference = f"{registry}/one:{LISTS['one']}"
        program = ["python3", "-c", "import platform; print(platform.machine())"]
        assert docker(
            "run", "--rm", "--pull=always", "--quiet", "--platform", platform, reference, *program
        ) == (f"{machine}\n")


def test_a_failing_run_stops_no_other_image_and_publishes_nothing_of_its_own_list(
    small: SmallProject, registry: str
) -> None:
    small.template(
        '{% if framework == "one" and "arm64" in identifier %}RUN echo broken here >&2; false{% endif %}'
    )
    words = small.run("release").failed_with(5)
    assert "1 of 4 units failed" in words
    assert ONE[1] in words and "broken here" in words
    assert public_tags(registry, "one") == []
    assert public_tags(registry, "two") == [LISTS["two"], f"{LISTS['two']}-amd64", f"{LISTS['two']}-arm64"]
    record = json.loads((small.directory / "dist" / "release.json").read_text())
    assert [row["identifier"] for row in record["images"]] == list(TWO)

    small.template("")
    again = small.run("release", "--json")
    assert again.code == 0, again.err
    events = [json.loads(line) for line in again.out.splitlines()]
    started = {event["subject"]: event["text"] for event in events if event["event"] == "started"}
    assert "changed: dockerfile" in started[ONE[0]] or "published" in started[ONE[0]]
    assert public_tags(registry, "one") == [LISTS["one"], f"{LISTS['one']}-amd64", f"{LISTS['one']}-arm64"]


def test_an_image_that_lies_is_not_published(small: SmallProject, registry: str) -> None:
    """The right label, and one foreign program deep in the tree: built by a real Dockerfile."""
    true = Path("/bin/true").read_bytes()
    serving = small.directory / "dockerfiles" / "serving"
    (serving / "serving").mkdir()
    (serving / "serving" / "data.py").write_bytes(true)
    small.template("COPY serving /opt/deep/down")
    words = small.run("release", "one-*").failed_with(4)
    assert ONE[1] in words and "/opt/deep/down/data.py" in words and "amd64" in words
    assert ONE[0] not in words.split("failed:")[1]
    assert public_tags(registry, "one") == []


def test_an_old_list_stays_byte_for_byte_when_its_successor_fails(small: SmallProject, registry: str) -> None:
    assert small.run("release").code == 0
    before = {
        tag: head(registry, "one", tag)["docker-content-digest"] for tag in public_tags(registry, "one")
    }
    small.template('{% if identifier.endswith("amd64") %}RUN false{% endif %}\nENV CHANGED=1')
    small.run("release").failed_with(5)
    after = {tag: head(registry, "one", tag)["docker-content-digest"] for tag in public_tags(registry, "one")}
    assert after == before


def test_plan_says_what_changed_and_does_nothing(small: SmallProject, registry: str, tmp_path: Path) -> None:
    assert small.run("release").code == 0
    small.template("ENV CHANGED=1")
    small.catalog('title = "Two"', 'title = "Two, renamed"')
    seen = len(requests(tmp_path))
    planned = small.run("plan")
    assert planned.code == 0, planned.err
    assert "changed: dockerfile\n" in planned.out
    assert "changed: dockerfile, labels\n" in planned.out
    assert "4 to build; 2 of 2 lists to publish; " in planned.out
    assert planned.out.endswith(", by their last builds\n")
    explained = small.run("plan", "--explain", ONE[1])
    assert re.search(r"^\* dockerfile +\w+ \(was \w+\) +dockerfiles/", explained.out, re.MULTILINE)
    assert f"differ (*) from what is published as {registry}/one:{LISTS['one']}-arm64" in explained.out
    assert {line.split()[0] for line in requests(tmp_path)[seen:]} <= {"HEAD", "GET"}


def test_a_deleted_list_is_put_back_without_a_build(small: SmallProject, registry: str) -> None:
    assert small.run("release", "two-*").code == 0
    digest = head(registry, "two", LISTS["two"])["docker-content-digest"]
    httpx.delete(f"http://{registry}/v2/two/manifests/{digest}").raise_for_status()
    assert "retag" in small.run("plan", "two-*").out
    again = small.run("release", "two-*", environment={"DOCKER_HOST": "unix:///nonexistent"})
    assert again.code == 0, again.err
    assert head(registry, "two", LISTS["two"])["docker-content-digest"] == digest


def test_another_machine_without_dist_finds_the_record_in_the_registry(
    small: SmallProject, tmp_path: Path
) -> None:
    assert small.run("release").code == 0
    mine = (small.directory / "dist" / "uris.csv").read_text()
    assert "one-1.0-cpu" in (small.directory / "dist" / "uris.html").read_text()
    (small.directory / "dist").rename(tmp_path / "gone")
    again = small.run("release", environment={"DOCKER_HOST": "unix:///nonexistent"})
    assert again.code == 0, again.err
    assert (small.directory / "dist" / "uris.csv").read_text() == mine


def test_one_platform_alone_is_tagged_and_the_list_waits_for_the_other(
    small: SmallProject, registry: str
) -> None:
    one = small.run("release", ONE[1])
    assert one.code == 0, one.err
    assert f"not published: {ONE[0]} is not in the registry" in one.err
    assert public_tags(registry, "one") == [f"{LISTS['one']}-arm64"]
    other = small.run("release", ONE[0])
    assert other.code == 0, other.err
    assert LISTS["one"] in public_tags(registry, "one")


def assert_no_client_is_left(layouts: str) -> None:
    """A docker client that was told to end takes a moment; one that was not would build on."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if subprocess.run(["pgrep", "-f", layouts], check=False, capture_output=True).returncode == 1:
            return
        time.sleep(0.2)
    raise AssertionError("a docker client was left behind")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_release_leaves_no_public_tag(
    small: SmallProject, registry: str, number: signal.Signals
) -> None:
    small.template("RUN sleep 60")
    process = subprocess.Popen(
        small.command("release", "one-*"),
        cwd=small.directory,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "REGISTRY": registry},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr
    for line in process.stderr:
        if "RUN sleep" in line:
            break
    started = time.monotonic()
    process.send_signal(number)
    rest = process.stderr.read()
    assert process.wait(30) == 130
    assert time.monotonic() - started < 20
    assert "interrupted" in rest and "Traceback" not in rest
    assert_no_client_is_left(f"{small.directory}/.cache/layouts")
    assert public_tags(registry, "one") == []


def test_two_releases_of_one_project_at_once_both_end_well(small: SmallProject, registry: str) -> None:
    first, second = (
        subprocess.Popen(
            small.command("release", "one-*"),
            cwd=small.directory,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "REGISTRY": registry},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    )
    words = [process.communicate(timeout=240)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), "\n".join(words)
    assert any("another build of this project is running" in each for each in words)
    assert public_tags(registry, "one") == [LISTS["one"], f"{LISTS['one']}-amd64", f"{LISTS['one']}-arm64"]


def test_an_engine_that_is_down_is_told_before_anything_is_done(small: SmallProject) -> None:
    words = small.run("release", environment={"DOCKER_HOST": "unix:///nonexistent"}).failed_with(1)
    assert "engine" in words and "unix:///nonexistent" in words


def test_a_registry_that_does_not_answer_is_told_with_its_name(small: SmallProject) -> None:
    words = small.run("release", "--registry", "localhost:1").failed_with(6)
    assert "localhost:1" in words


def test_a_full_disk_is_told_as_that(small: SmallProject, registry: str) -> None:
    """A file system of four megabytes where the layouts go."""
    layouts = small.directory / ".cache" / "layouts"
    layouts.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(layouts)], check=True)
    try:
        words = small.run("release", "one-*").failed_with(5)
    finally:
        subprocess.run(["umount", str(layouts)], check=True)
    assert "disk is full" in words and "make clean" in words
    assert public_tags(registry, "one") == []


def test_a_base_whose_architecture_lies_stops_the_build(
    small: SmallProject, registry: str, tmp_path: Path
) -> None:
    """A registry's base whose arm64 entry has the amd64 file system behind an arm64 label."""
    (tmp_path / "lie").mkdir()
    (tmp_path / "lie" / "Dockerfile").write_text("FROM scratch\nCOPY true /bin/true\n")
    (tmp_path / "lie" / "true").write_bytes(Path("/bin/true").read_bytes())
    output = f"type=image,name={registry}/debian:lying,push=true,registry.insecure=true"
    both = ("--platform", "linux/amd64,linux/arm64", "--provenance=false")
    docker("buildx", "build", "--quiet", *both, "--output", output, str(tmp_path / "lie"))
    small.catalog(base_origin(small), f'reference = "{registry}/debian:lying"\n')
    locked = small.run("lock", "one-*")
    words = (locked if locked.code else small.run("release", "one-*")).failed_with(4)
    assert "arm64" in words and "/bin/true" in words and "debian" in words


def base_origin(small: SmallProject) -> str:
    text = (small.directory / "images.toml").read_text()
    return text[text.index('suite = "bullseye"') : text.index("[images.one]")]
