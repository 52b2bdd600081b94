"""Releases to immutable tags of Amazon ECR that race, are killed and are put back, against its stand-in."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.integration.conftest import EcrProject
from toolkit.errors import ExitCode

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TAG = "1.0-cpu-py39-debian11-sagemaker"


def tags(project: EcrProject) -> Mapping[str, str]:
    """What each tag that people pull names."""
    found = project.api.describe_images(repositoryName=f"{project.prefix}/one")["imageDetails"]
    named = {tag: each["imageDigest"] for each in found for tag in each.get("imageTags", ())}
    return {tag: digest for tag, digest in named.items() if not tag.startswith("b-")}


def record(project: EcrProject) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((project.small.directory / "dist" / "release.json").read_text())
    return read


def revise(project: EcrProject, number: int) -> None:
    """`one` gets this revision: its lists are new ones, and never move."""
    path = project.small.directory / "images.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("revision")]
    at = lines.index('repository = "one"')
    path.write_text("\n".join([*lines[: at + 1], f"revision = {number}", *lines[at + 1 :]]) + "\n")
    project.small.lock()


def rival(project: EcrProject, directory: Path) -> EcrProject:
    """Another checkout of the same project, on a machine that has built nothing yet."""
    shutil.copytree(project.small.directory, directory, symlinks=True)
    prepared = directory.with_name(f"{directory.name}-prepared")
    prepared.mkdir()
    environment = {"PREPARED": str(prepared)}
    return replace(project, small=replace(project.small, directory=directory, environment=environment))


def test_of_two_releases_to_one_immutable_list_one_stands_whole(
    prepared_project: EcrProject, tmp_path: Path
) -> None:
    ours = prepared_project
    revise(ours, 2)
    assert ours.run("ecr", "ensure").code == 0
    theirs = rival(ours, tmp_path / "rival")
    theirs.small.template("ENV RIVAL=yes")
    theirs.small.lock()
    running = [each.start("release", "one-*") for each in (ours, theirs)]
    ends = [(each.communicate(timeout=120)[1], each.returncode) for each in running]
    words = "\n".join(each for each, _ in ends)
    assert "Traceback" not in words
    codes = [code for _, code in ends]
    assert sorted(codes) == [0, ExitCode.CONFLICT], words

    winner = record((ours, theirs)[codes.index(0)])["images"]
    named = tags(ours)
    assert named == {
        f"{TAG}-r2": winner[0]["index_digest"],
        f"{TAG}-r2-amd64": winner[0]["digest"],
        f"{TAG}-r2-arm64": winner[1]["digest"],
    }
    kept = ours.ecr.directory.rglob(f"{winner[0]['index_digest'].removeprefix('sha256:')}/data")
    children = json.loads(next(kept).read_bytes())["manifests"]
    assert [child["digest"] for child in children] == [row["digest"] for row in winner]
    lost = ends[1 - codes.index(0)][0]
    assert any(digest in lost for digest in named.values()), lost
    # Whoever came so late that preflight saw the other's tags has built nothing.
    assert set(_DIGEST.findall(lost)) - set(named.values()) or "a build with other inputs" in lost, lost
    assert "revision" in lost


def test_a_release_to_ecr_that_is_killed_is_resumed_to_the_same_digests(
    prepared_project: EcrProject, tmp_path: Path
) -> None:
    project = prepared_project
    revise(project, 2)
    assert project.run("ecr", "ensure").code == 0
    project.ecr.state.requests.clear()
    run = project.start("release", "--registry", "prod", "one-*")
    _wait_for(project, run, f"PUT us-west-2 /v2/{project.prefix}/one/manifests/b-")
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert f"{TAG}-r2" not in tags(project)
    resumed = project.run("release", "--resume", "--registry", "prod")
    assert resumed.code == 0, resumed.err
    assert tags(project)[f"{TAG}-r2"] == record(project)["images"][0]["index_digest"]

    # What a release that nobody killed gives the same sources.
    whole = rival(project, tmp_path / "whole")
    shutil.rmtree(whole.small.directory / "dist")
    again = replace(whole, prefix=f"{project.prefix}w")
    again.table()
    assert again.run("ecr", "ensure").code == 0
    assert again.run("release", "--registry", "prod", "one-*").code == 0
    assert tags(again) == tags(project)


def _wait_for(project: EcrProject, run: "subprocess.Popen[str]", request: str) -> None:
    deadline = time.monotonic() + 60
    while not any(each.startswith(request) for each in project.ecr.state.requests):
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()
        time.sleep(0.005)


def release_twice(project: EcrProject) -> list[tuple[str, Mapping[str, str]]]:
    """Id and tags of two releases to the same tags, from when the repository did not yet hold on to any."""
    assert project.run("ecr", "ensure").code == 0
    project.api.put_image_tag_mutability(repositoryName=f"{project.prefix}/one", imageTagMutability="MUTABLE")
    releases = []
    for number in (1, 2):
        project.small.template(f"ENV NUMBER={number}")
        project.small.lock()
        ran = project.run("release", "--registry", "prod", "one-*")
        assert ran.code == 0, ran.err
        releases.append((record(project)["release"], tags(project)))
    assert project.run("ecr", "ensure").code == 0
    return releases


def test_lists_that_move_go_back_and_history_tells(prepared_project: EcrProject) -> None:
    project = prepared_project
    (first, before), (second, after) = release_twice(project)
    assert before[TAG] != after[TAG]
    done = project.run("rollback", first, "--registry", "prod")
    assert done.code == 0, done.err
    assert tags(project) == {**after, TAG: before[TAG]}
    assert f"{TAG}-amd64 is an immutable tag of" in done.err
    told = project.run("history", "--registry", "prod", "--json")
    assert told.code == 0, told.err
    rows = json.loads(told.out)
    assert [row["stands"] for row in rows] == [True, False, False]
    assert [row["release"] for row in rows[1:]] == [second, first]
    assert rows[0]["remark"] == f"rolled back to release {first}"


def test_an_immutable_list_is_not_put_back_and_the_way_forward_is_told(prepared_project: EcrProject) -> None:
    project = prepared_project
    revise(project, 2)
    (first, before), (_, after) = release_twice(project)
    words = project.run("rollback", first, "--registry", "prod").failed_with(ExitCode.CONFLICT)
    assert before[f"{TAG}-r2"] in words and after[f"{TAG}-r2"] in words
    assert "revision" in words
    assert tags(project) == after
