"""Releases to Amazon ECR, as far as its stand-in is one: tokens, immutable tags, missing repositories."""

import base64
import json
import signal
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.integration.conftest import ONE, EcrProject
from toolkit.errors import ExitCode


def _running() -> Iterator[bytes]:
    """The command line of every process."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield (process / "cmdline").read_bytes()


def _command_lines(stop: threading.Event, seen: set[bytes]) -> None:
    while not stop.wait(0.01):
        seen.update(_running())


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


def test_nothing_is_asked_of_ecr_that_its_policy_does_not_allow(prepared_project: EcrProject) -> None:
    words = prepared_project.run("codebuild", "batch").failed_with(ExitCode.NEED_NOT_MET)
    assert "toolkit ecr ensure --registry prod" in words  # before a machine is started for it
    assert prepared_project.run("ecr", "ensure").code == 0
    for purpose, command in {"plan": ("codebuild", "batch"), "release": ("release",)}.items():
        prepared_project.ecr.state.calls.clear()
        done = prepared_project.run(*command)
        assert done.code == 0, done.err
        asked = {f"ecr:{name}" for name, _, _ in prepared_project.ecr.state.calls}
        policy = json.loads(prepared_project.run("ecr", "policy", "--for", purpose).out)
        allowed = {action for each in policy["Statement"] for action in each["Action"]}
        assert "ecr:DescribeRepositories" in asked
        assert asked - {"ecr:GetCallerIdentity"} <= allowed


def test_the_token_of_a_release_is_asked_for_once_and_stands_nowhere(ecr_project: EcrProject) -> None:
    ecr_project.make_repositories("one", "two", "releases", "steps")
    ecr_project.table(cache=f'"{ecr_project.prefix}/steps"')
    seen: set[bytes] = set()
    stop = threading.Event()
    watcher = threading.Thread(target=_command_lines, args=(stop, seen))
    watcher.start()
    ran = ecr_project.run("release", "one-*")
    stop.set()
    watcher.join()
    assert ran.code == 0, ran.err
    assert "build cache" not in ran.err  # Buildx has written it with the same token
    assert len(ecr_project.ecr.called("GetAuthorizationToken")) == 1
    (token,) = ecr_project.ecr.state.tokens
    needles = [token.encode(), base64.b64encode(f"AWS:{token}".encode())[:-4]]

    assert any(b"buildx" in line and b"--config" in line for line in seen)
    places = {"stdout": ran.out.encode(), "stderr": ran.err.encode(), "command lines": b"\n".join(seen)}
    places |= dict(_files(ecr_project.small.directory, ecr_project.ecr.directory))
    assert any(name.endswith("release.json") for name in places)
    assert any("/blobs/" in name and _unpacked(content) for name, content in places.items())
    for name, content in places.items():
        for needle in needles:
            assert needle not in content, name
            assert needle not in _unpacked(content), name
    assert not list((ecr_project.small.directory / ".cache" / "docker-config").glob("run-*"))

    record = json.loads((ecr_project.small.directory / "dist" / "release.json").read_text())
    assert {(row["account"], row["region"]) for row in record["images"]} == {
        (ecr_project.ecr.account, "us-west-2")
    }
    again = ecr_project.run("release", "one-*")
    assert again.code == 0
    assert "nothing changed: 2 units and 1 lists" in again.err


def test_a_token_is_renewed_before_it_ends(ecr_project: EcrProject) -> None:
    ecr_project.make_repositories()
    ecr_project.ecr.behaviour.token_seconds = 2.0
    ran = ecr_project.run("release", "--no-cache", ONE[0])
    assert ran.code == 0, ran.err
    assert len(ecr_project.ecr.called("GetAuthorizationToken")) > 1


def test_a_token_that_says_it_ended_in_2015_is_used_all_the_same(ecr_project: EcrProject) -> None:
    ecr_project.make_repositories()
    ecr_project.ecr.behaviour.tokens_say_2015 = True
    assert ecr_project.run("release", ONE[0]).code == 0
    assert len(ecr_project.ecr.called("GetAuthorizationToken")) == 1


def test_a_repository_that_is_not_there_is_told_at_once_with_what_makes_it(ecr_project: EcrProject) -> None:
    ecr_project.make_repositories("two", "releases")
    words = ecr_project.run("release", ONE[0]).failed_with(ExitCode.NEED_NOT_MET)
    assert f"repositories: not there: {ecr_project.prefix}/one" in words
    assert "toolkit ecr ensure --registry prod" in words
    assert "building" not in words


def test_the_private_docker_config_is_gone_after_sigterm(ecr_project: EcrProject) -> None:
    ecr_project.make_repositories()
    ecr_project.small.template("RUN sleep 600")
    ecr_project.small.lock()
    run = ecr_project.start("release", ONE[0])
    home = ecr_project.small.directory / ".cache" / "docker-config"
    deadline = time.monotonic() + 60
    while not list(home.glob("run-*/config.json")) and time.monotonic() < deadline:
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    (directory,) = home.glob("run-*")
    assert directory.stat().st_mode & 0o777 == 0o700
    config = directory / "config.json"
    assert config.stat().st_mode & 0o777 == 0o600
    assert list(json.loads(config.read_text())["auths"]) == [ecr_project.ecr.host]
    run.send_signal(signal.SIGTERM)
    _, words = run.communicate(timeout=60)
    assert run.returncode == ExitCode.INTERRUPTED, words
    assert not list(home.iterdir())
    assert not [each for each in _running() if str(directory).encode() in each], "a docker client goes on"


def test_what_is_staged_is_published_where_tags_cannot_move(prepared_project: EcrProject) -> None:
    assert prepared_project.run("ecr", "ensure").code == 0
    for _ in range(2):  # the second time everything is there, under tags that cannot move
        staged = prepared_project.run("stage", "one-*", "--locked")
        assert staged.code == 0, staged.err
    published = prepared_project.run("publish", "one-*")
    assert published.code == 0, published.err
    assert "units built: 2, reused: 0; lists: 1" in published.err
    details = prepared_project.api.describe_images(repositoryName=f"{prepared_project.prefix}/one")
    tags = {tag for each in details["imageDetails"] for tag in each.get("imageTags", ())}
    assert len([tag for tag in tags if tag.startswith("b-")]) == 2 * len(ONE)
    assert "nothing changed" in prepared_project.run("publish", "one-*").err
