"""Releases that are killed, disturbed and raced, on disks, clocks and registries that are not well.

`make torture` does the same with many more points. Images are prepared, all else is real: tests/torture.py.
"""

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import Asked, Fault, once, share
from tests.torture import LISTS, Point, Tally, Yard, systematic, tags_of

ONE_ARM64 = "one-1.0-cpu-py39-debian11-sagemaker-arm64"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with Yard.open(tmp_path_factory.mktemp("torture") / "yard") as yard:
        yield yard


@pytest.fixture
def yard(ground: Yard) -> Yard:
    """The old release is there, and nothing of the new one."""
    ground.restore()
    ground.quiet()
    return ground


def assert_old(yard: Yard, *repositories: str) -> None:
    """What people pull is what it was."""
    for name in repositories or LISTS:
        public = {tag: digest for tag, digest in tags_of(yard.registry, name).items() if tag[:2] != "b-"}
        assert public == {tag: digest for tag, digest in yard.old.tags[name].items() if tag[:2] != "b-"}


def release(yard: Yard, code: int, *arguments: str, clock_off: float = 0) -> str:
    ended, words = yard.project.run(yard.faults.host, *arguments, clock_off=clock_off)
    assert ended == code, words
    assert "Traceback" not in words and "internal error" not in words
    return words


def test_killed_at_points_of_the_whole_release_and_resumed_it_ends_as_if_never_killed(yard: Yard) -> None:
    tally = Tally()
    times = [Point("time", random.randrange(int(yard.seconds * 1000))) for _ in range(2)]
    for point in (*systematic(yard)[:10], *times):
        yard.kill(point, tally)
    assert tally.survived == tally.kills >= 9
    assert tally.wrong == []
    assert tally.pulls > 100


def test_with_faults_in_three_of_ten_requests_the_release_ends_with_the_same_digests(yard: Yard) -> None:
    tally = Tally()
    yard.disturb(share(0.3, "a release"), tally, "faults")
    assert tally.undisturbed == 1
    assert tally.faults > 20
    assert tally.wrong == []


def test_of_two_releases_at_once_whole_lists_remain_and_who_lost_is_told(yard: Yard) -> None:
    tally = Tally()
    yard.race(tally, 0)
    assert tally.wrong == []
    for name, tag in LISTS.items():
        tags = tags_of(yard.registry, name)
        assert tags[tag] != yard.old.tags[name][tag]


def kill_at_first_upload(yard: Yard) -> None:
    """The images of `one` are built and verified; nothing of them is sent."""
    first = next(number for number, name in enumerate(yard.first_names, 1) if name.startswith("POST"))
    assert yard.killed(Point("before", first))


def layer_on_disk(yard: Yard) -> Path:
    blobs = yard.project.directory / ".cache" / "layouts" / ONE_ARM64 / "blobs" / "sha256"
    return max(blobs.iterdir(), key=lambda path: path.stat().st_size)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_layout_that_lost_a_bit_between_verification_and_push_is_not_published(yard: Yard) -> None:
    def damage(asked: Asked) -> Fault | None:
        if asked.name.startswith("POST") and "/one/" in asked.path and layer_on_disk(yard).exists():
            yard.faults.decide = lambda asked: None
            flip(layer_on_disk(yard))
        return None

    yard.faults.decide = damage
    words = release(yard, 4)
    assert "is corrupt" in words and ONE_ARM64 in words
    assert_old(yard, "one")
    release(yard, 0)
    yard.compare("a layout that lost a bit")


def test_a_layout_that_lost_a_bit_before_resume_is_built_again(yard: Yard) -> None:
    point = next(n for n, name in enumerate(yard.first_names, 1) if name.startswith("POST /v2/one/blobs"))
    assert yard.killed(Point("after", point))
    yard.faults.after = lambda asked, status: None
    layouts = yard.project.directory / ".cache" / "layouts"
    for layout in layouts.glob("one-*"):
        flip(max((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size))
    words = release(yard, 0, "--resume")
    assert "it is built again" in words
    yard.compare("a layout that lost a bit")


def test_a_registry_that_answers_another_digest_gets_no_list(yard: Yard) -> None:
    yard.faults.decide = once(("PUT /v2/one/manifests/b-", Fault.OTHER_DIGEST))
    words = release(yard, 7)
    assert "the registry answers sha256:" in words
    assert_old(yard, "one")
    yard.faults.decide = lambda asked: None
    release(yard, 0, "--resume")
    assert yard.new.tags == {name: tags_of(yard.registry, name) for name in LISTS}


def test_a_proxy_that_shortens_what_is_read_back_gets_no_list(yard: Yard) -> None:
    yard.faults.decide = once(("GET /v2/one/blobs/sha256", Fault.SHORTENED))
    words = release(yard, 4)
    assert "is corrupt: it ends after" in words
    assert_old(yard, "one")
    yard.faults.decide = lambda asked: None
    release(yard, 0, "--resume")
    assert yard.new.tags == {name: tags_of(yard.registry, name) for name in LISTS}


@contextmanager
def mounted(directory: Path, *options: str) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *options, str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def test_nothing_happens_that_a_full_disk_keeps_out_of_the_journal_and_nothing_is_lost(yard: Yard) -> None:
    journals = yard.project.directory / "dist" / "journal"
    with mounted(journals, "-t", "tmpfs", "-o", "size=4k", "tmpfs"):
        words = release(yard, 1)
        assert "No space left" in words and "--resume" in words
        assert_old(yard, "two")
        assert tags_of(yard.registry, "one")[LISTS["one"]] in yard.allowed["one"]
        subprocess.run(["mount", "-o", "remount,size=1m", str(journals)], check=True)
        release(yard, 0, "--resume")
    yard.compare("a full disk")


def test_a_disk_that_is_read_only_publishes_nothing(yard: Yard) -> None:
    dist = yard.project.directory / "dist"
    with mounted(dist, "--bind", str(dist)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(dist)], check=True)
        words = release(yard, 1)
        assert "Read-only file system" in words
        assert_old(yard)
    release(yard, 0)
    yard.compare("a read-only disk")


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_an_hour_off_changes_nothing_but_the_time_that_is_told(
    yard: Yard, hours: int
) -> None:
    old = yard.project.record()["release"]
    words = release(yard, 0, clock_off=3600 * hours)
    yard.compare("a clock that is off")
    assert ("clock is" in words) == (hours < 0)
    assert yard.project.record()["release"] > old
    assert release(yard, 0).count("nothing changed") == 1


def test_what_changed_since_is_named_when_a_release_cannot_be_resumed(yard: Yard) -> None:
    kill_at_first_upload(yard)
    yard.faults.decide = lambda asked: None
    yard.project.change(2)
    try:
        words = release(yard, 2, "--resume")
        assert f"{ONE_ARM64}: dockerfile" in words and "Release without --resume" in words
        assert_old(yard)
        assert "was cut off" in release(yard, 0)
    finally:
        yard.project.change(1)


def test_resume_takes_no_other_images_and_says_when_there_is_nothing_to_resume(yard: Yard) -> None:
    kill_at_first_upload(yard)
    yard.faults.decide = lambda asked: None
    assert "takes no others" in release(yard, 2, "--resume", "one-*")
    release(yard, 0, "--resume")
    assert "nothing to resume" in release(yard, 0, "--resume")


def test_a_corrupt_journal_is_told_by_resume_and_does_not_stop_a_release(yard: Yard) -> None:
    kill_at_first_upload(yard)
    yard.faults.decide = lambda asked: None
    journal = yard.project.journals[-1]
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"{\n", *lines[1:]]))
    assert f"{journal}:2: the journal is corrupt" in release(yard, 1, "--resume")
    assert "the journal is corrupt" in release(yard, 0)
    yard.compare("a corrupt journal")


def test_what_was_sent_before_the_kill_is_not_sent_again(yard: Yard) -> None:
    """Killed between two pieces of the large layer: the first is kept, as the registry still knows it."""
    first = next(number for number, name in enumerate(yard.first_names, 1) if name.startswith("PATCH"))
    sent = 0

    def after(asked: Asked, status: int) -> None:
        nonlocal sent
        sent += asked.body if asked.method == "PATCH" else 0

    yard.faults.after = after
    assert first and yard.killed(Point("event", yard.piece_event))
    release(yard, 0, "--resume")
    yard.compare("a piece")
    assert yard.faults.twice == 0
    assert sent > 9 << 20
