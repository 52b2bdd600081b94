"""`toolkit stage` and `toolkit publish` as processes, with prepared images, on a real registry."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import ONE, TWO, SmallProject, requests
from toolkit.lock import LockedBase, format_lock, parse_lock
from toolkit.oci import Digest

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
OTHER = "sha256:" + "7" * 64


@pytest.fixture
def prepared(small: SmallProject, tmp_path: Path) -> SmallProject:
    kept = tmp_path / "prepared"
    kept.mkdir()
    return replace(small, program="tests.without_engine", environment={"PREPARED": str(kept)})


@pytest.fixture
def staged(prepared: SmallProject) -> SmallProject:
    """Both units of `one` are staged, in dist/staged."""
    assert prepared.run("stage", "one-*").code == 0
    return prepared


def change(project: SmallProject, edit: Callable[[dict[str, Any]], None], unit: str = ONE[0]) -> Path:
    path = project.directory / "dist" / "staged" / f"{unit}.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    return path


def test_what_one_machine_staged_another_publishes_without_an_engine(
    staged: SmallProject, tmp_path: Path
) -> None:
    files = staged.directory / "dist" / "staged"
    assert {path.stem for path in files.iterdir()} == set(ONE)
    shutil.move(files, tmp_path / "handed over")
    shutil.rmtree(staged.directory / "dist")

    handed = ("--staged", str(tmp_path / "handed over"))
    ran = staged.run("publish", "one-*", *handed, environment=NO_ENGINE)
    assert ran.code == 0, ran.err
    assert "units built: 2, reused: 0; lists: 1" in ran.err
    record = json.loads((staged.directory / "dist" / "release.json").read_text())
    assert [image["identifier"] for image in record["images"]] == [*ONE]
    assert all(image["durations"]["build"] > 0 for image in record["images"])
    assert "nothing changed: 2 units and 1 lists" in staged.run("release", "one-*").err


def test_without_files_the_registry_tells(staged: SmallProject) -> None:
    shutil.rmtree(staged.directory / "dist")
    shutil.rmtree(staged.directory / ".cache" / "scans")
    ran = staged.run("publish", "one-*", environment=NO_ENGINE)
    assert ran.code == 0, ran.err
    assert "units built: 2, reused: 0; lists: 1" in ran.err
    assert not (staged.directory / ".cache" / "scans").exists()  # no layer was read


def test_lists_whose_units_are_not_staged_are_an_error_and_the_others_published(
    staged: SmallProject,
) -> None:
    words = staged.run("publish", "*").failed_with(5)
    assert "2 of 4 units failed:" in words
    assert f"make stage IMAGES={TWO[0]}" in words
    assert "lists: 1" in words


def test_a_second_stage_builds_nothing_and_writes_the_same_files(staged: SmallProject) -> None:
    files = staged.directory / "dist" / "staged"
    before = {path.name: path.read_text() for path in files.iterdir()}
    ran = staged.run("stage", "one-*")
    assert "staged 2 units" in ran.err
    assert "not published yet" not in ran.err
    assert {path.name: path.read_text() for path in files.iterdir()} == before


def test_a_unit_that_fails_leaves_no_file_of_an_earlier_call(staged: SmallProject) -> None:
    (staged.directory / "dockerfiles" / "serving" / "serve").write_text("#!/bin/sh\n")
    ran = staged.run("stage", ONE[0], environment={"PREPARED": "/dev/null/nowhere"})
    assert ONE[0] in ran.failed_with(1)
    assert {path.stem for path in (staged.directory / "dist" / "staged").iterdir()} == {ONE[1]}


def test_files_that_do_not_fit_are_named_with_what_mends_them(staged: SmallProject, tmp_path: Path) -> None:
    files = staged.directory / "dist" / "staged"
    publish = ("publish", "one-*", "--staged", "dist/staged")
    torn = f"dist/staged/{ONE[0]}.json"

    elsewhere = {"REGISTRY": f"{staged.registry}/team"}
    words = staged.run(*publish, environment=elsewhere).failed_with(2)
    assert f"was staged to {staged.registry}, not to {staged.registry}/team" in words

    shutil.copytree(files, tmp_path / "older")
    change(staged, lambda document: document.update(digest=OTHER))
    words = staged.run(*publish, "--staged", str(tmp_path / "older")).failed_with(2)
    assert f"{torn} and {tmp_path}/older/{ONE[0]}.json say different things" in words

    assert f"{ONE[0]} was staged as {OTHER}, but" in staged.run(*publish).failed_with(7)

    (staged.directory / torn).write_text("{")
    words = staged.run(*publish).failed_with(2)
    assert f"{torn} cannot be read as a staged unit" in words
    assert "make stage" in words

    shutil.copytree(tmp_path / "older", files, dirs_exist_ok=True)
    (staged.directory / "dockerfiles" / "serving" / "serve").write_text("#!/bin/sh\n")
    words = staged.run(*publish).failed_with(2)
    assert f"{torn}: {ONE[0]} was staged from other sources than these: file serve" in words

    assert "there is no directory gone" in staged.run("publish", "--staged", "gone").failed_with(2)
    assert requests_for_tags(tmp_path) == set()


def requests_for_tags(tmp_path: Path) -> set[str]:
    """The tags that people pull which were put."""
    put = {
        line.rpartition("/")[2] for line in requests(tmp_path) if line.startswith("PUT /v2/one/manifests/")
    }
    return {tag for tag in put if not tag.startswith("b-")}


# --- where the mirror has moved on from images.lock


def lock_another_base(project: SmallProject) -> None:
    """As if the jobs' mirror had other packages than this digest has."""
    path = project.directory / "images.lock"
    lock = parse_lock(path.read_text())
    rows = {
        architecture: replace(row, digest=Digest(OTHER))
        for architecture, row in lock.bases["debian11"].items()
        if isinstance(row, LockedBase)
    }
    path.write_text(format_lock(replace(lock, bases={**lock.bases, "debian11": rows})))


def test_the_word_of_the_jobs_is_taken_for_their_bases_if_they_were_of_this_lock(
    staged: SmallProject, tmp_path: Path
) -> None:
    lock_another_base(staged)
    publish = ("publish", "one-*", "--staged", "dist/staged")
    words = staged.run(*publish).failed_with(2)
    assert f"dist/staged/{ONE[0]}.json: {ONE[0]} was staged with another images.lock" in words

    for unit in ONE:
        path = change(staged, lambda document: document["base"].update(locked=OTHER), unit)
    later = json.loads(path.read_text()) | {"identifier": TWO[1]}
    later["base"]["digest"] = OTHER
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "two.json").write_text(json.dumps(later))
    words = staged.run("publish", "--staged", "dist/staged", "--staged", str(tmp_path / "later")).failed_with(
        2
    )
    assert "/two.json were built on different bases debian11: the mirror moved on between the two" in words

    ran = staged.run(*publish)
    assert ran.code == 0, ran.err
    record = json.loads((staged.directory / "dist" / "release.json").read_text())
    assert len(record["warnings"]) == 2
    for text in record["warnings"]:
        assert text.startswith("base debian11 is not as images.lock says: it was staged as sha256:")
        assert text in ran.err
