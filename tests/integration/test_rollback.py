"""`toolkit rollback` and `toolkit history` on a real registry."""

import json
from typing import Any

import httpx
import pytest

from tests.integration.conftest import SmallProject
from toolkit.record import ReleaseRecord

LIST_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"


def served(small: SmallProject, selector: str) -> bytes:
    """What the registry hands out, byte for byte."""
    answer = httpx.get(
        f"http://{small.registry}/v2/one/manifests/{selector}", headers={"Accept": LIST_TYPE}, timeout=10
    )
    answer.raise_for_status()
    return answer.content


def history(small: SmallProject) -> list[dict[str, Any]]:
    ran = small.run("history", "--json")
    assert ran.code == 0, ran.err
    rows = json.loads(ran.out)
    assert isinstance(rows, list)
    return rows


@pytest.fixture
def two(small: SmallProject) -> tuple[ReleaseRecord, bytes]:
    """The record and the list of a first release, after which a second one moved the list."""
    assert small.run("release", "one-*").code == 0
    first = ReleaseRecord.loads((small.directory / "dist" / "release.json").read_bytes())
    tag = first.images[0].index_tag
    listed = served(small, tag)
    small.template("ENV CHANGED=yes")
    assert small.run("release", "one-*").code == 0
    assert served(small, tag) != listed
    return first, listed


def test_a_release_is_put_back_and_another_machine_follows(
    small: SmallProject, two: tuple[ReleaseRecord, bytes]
) -> None:
    first, listed = two
    tag = first.images[0].index_tag
    looked = small.run("rollback", first.release, "--dry-run")
    assert looked.out.startswith(f"move   {small.registry}/one:{tag}  sha256:")
    assert looked.out.endswith("1 of 1 lists to move; nothing was moved\n")
    assert served(small, tag) != listed

    done = small.run("rollback", first.release)
    assert done.code == 0, done.err
    assert served(small, tag) == listed
    record = ReleaseRecord.loads((small.directory / "dist" / "release.json").read_bytes())
    assert record.images == first.images
    rows = history(small)
    assert [row["stands"] for row in rows] == [True, False, False]
    assert rows[0]["remark"] == f"rolled back to release {first.release}"
    assert [row["changed"] for row in rows] == [2, 2, 0]
    assert first.images[0].digest in (small.directory / "dist" / "uris.md").read_text()

    (small.directory / "dist" / "release.json").unlink()
    for kept in (small.directory / "dist" / "releases").iterdir():
        kept.unlink()
    assert history(small) == rows
    again = small.run("rollback", record.release)
    assert "stands already: nothing was moved" in again.err


def test_what_the_registry_lost_is_told_before_anything_is_moved(
    small: SmallProject, two: tuple[ReleaseRecord, bytes]
) -> None:
    first, _ = two
    tag, lost = first.images[0].index_tag, first.images[1]
    standing = served(small, tag)
    httpx.delete(f"http://{small.registry}/v2/one/manifests/{lost.digest}", timeout=10).raise_for_status()
    words = small.run("rollback", first.release).failed_with(6)
    assert f"release {first.release} cannot be put back" in words
    assert lost.digest in words
    assert "No tag was moved" in words
    assert served(small, tag) == standing


def test_a_release_that_is_none_is_told_with_those_that_are(
    small: SmallProject, two: tuple[ReleaseRecord, bytes]
) -> None:
    first, _ = two
    for wrong in ("20200101T000000Z-00000000", "newest", "../../etc/passwd"):
        words = small.run("rollback", wrong).failed_with(2)
        assert f"has no release {wrong!r}" in words
        assert first.release in words


def test_a_registry_without_releases_has_no_history(small: SmallProject) -> None:
    assert "has no release yet" in small.run("history").failed_with(3)
