import json
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import publish
from toolkit.adapters.journal import DiskJournal, Journals
from toolkit.errors import NeedNotMet
from toolkit.journal import (
    Began,
    Ended,
    Event,
    JournalCorrupt,
    Moved,
    Moving,
    Recorded,
    Step,
    Uploaded,
    Uploading,
    Verified,
    dump,
    event_of,
    fold,
    parse,
)
from toolkit.oci import Descriptor, Digest, MediaType

BEGAN = Began(
    release="20261121T081500Z-1a2b3c4d",
    at="2026-11-21T08:15:00Z",
    destination="registry.example/ml",
    steps=(
        Step(identifier="one-arm64", build_id="ab" * 32, inputs={"dockerfile": "12", "base": "34"}),
        Step(identifier="one-amd64", build_id="cd" * 32, inputs={}),
    ),
    lists={"registry.example/ml/one:1.0": "sha256:before", "registry.example/ml/two:2.0": ""},
    dropped=("linux/arm64",),
)
EVENTS: tuple[Event, ...] = (
    BEGAN,
    Verified(identifier="one-arm64", digest="sha256:11", durations={"build": 1.5}, emulated=True),
    Uploading(repository="ml/one", digest="sha256:22", address="http://registry.example/up/1", offset=0),
    Uploading(repository="ml/one", digest="sha256:22", address="http://registry.example/up/2", offset=8),
    Uploading(repository="ml/one", digest="sha256:33", address="http://registry.example/up/3", offset=0),
    Uploaded(repository="ml/one", digest="sha256:22", size=12, fate="sent"),
    Moving(reference="registry.example/ml/one:b-1", before="", after="sha256:11"),
    Moved(reference="registry.example/ml/one:b-1", after="sha256:11"),
    Moving(reference="registry.example/ml/one:1.0", before="sha256:before", after="sha256:44"),
    Recorded(digest="sha256:55"),
    Ended(failures={}),
)
TEXT = b"".join(map(dump, EVENTS))


def test_what_is_written_is_read_again() -> None:
    assert parse(TEXT, name="j") == EVENTS


def test_a_journal_comes_to_what_was_verified_half_sent_put_and_recorded() -> None:
    state = fold(EVENTS)
    assert state
    assert state.release == BEGAN.release
    assert state.verified == {"one-arm64": EVENTS[1]}
    assert state.uploads == {("ml/one", "sha256:33"): EVENTS[4]}
    assert state.moved == {"registry.example/ml/one:b-1": "sha256:11"}
    assert state.moving == {"registry.example/ml/one:1.0": EVENTS[8]}
    assert state.recorded == EVENTS[9]
    assert state.is_done


def test_the_last_address_of_an_upload_counts() -> None:
    state = fold(EVENTS[:4])
    assert state and state.uploads["ml/one", "sha256:22"] == EVENTS[3]


def test_a_release_that_ended_with_failures_is_not_done() -> None:
    failures = {"one-amd64": "it could not be built"}
    recorded = fold((BEGAN, Recorded(digest="sha256:55", failures=failures)))
    ended = fold((BEGAN, Recorded(digest="sha256:55", failures=failures), Ended(failures=failures)))
    assert recorded and not recorded.is_done and recorded.failures == failures
    assert ended and not ended.is_done and ended.failures == failures


def test_nothing_comes_to_nothing() -> None:
    assert fold(parse(b"", name="j")) is None
    assert fold(parse(TEXT[:10], name="j")) is None


@given(st.integers(0, len(TEXT)))
def test_wherever_its_writer_was_killed_the_whole_lines_are_read(length: int) -> None:
    events = parse(TEXT[:length], name="j")
    assert events == EVENTS[: len(events)]
    assert len(b"".join(map(dump, events))) == TEXT[:length].rfind(b"\n") + 1


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"event":"began"}',
        b'{"event":"danced"}',
        b'{"event":"recorded","digest":5,"failures":{}}',
        b'{"event":"recorded","digest":"sha256:5","failures":{},"mood":"good"}',
        dump(EVENTS[1])[:20],
    ],
)
def test_a_corrupt_line_in_the_middle_is_told_with_its_number(line: bytes) -> None:
    lines = TEXT.splitlines(keepends=True)
    with pytest.raises(JournalCorrupt, match=r"dist/journal/x\.jsonl:3: the journal is corrupt.*\n.*Remove"):
        parse(b"".join([*lines[:2], line, b"\n", *lines[2:]]), name="dist/journal/x.jsonl")


@pytest.mark.parametrize("events", [EVENTS[1:], (BEGAN, BEGAN)])
def test_a_journal_without_its_plan_or_with_two_is_corrupt(events: tuple[Event, ...]) -> None:
    with pytest.raises(JournalCorrupt, match="must be"):
        fold(events)


def test_steps_of_publishing_become_events_and_mere_progress_does_not() -> None:
    blob = Descriptor.of(b"blob", MediaType.OCI_LAYER)
    sending = publish.BlobProgress(repository="r", blob=blob, fate=publish.Fate.SENDING, sent=2)
    sent = publish.BlobProgress(repository="r", blob=blob, fate=publish.Fate.SENT, sent=4)
    there = publish.BlobProgress(repository="r", blob=blob, fate=publish.Fate.THERE)
    assert event_of(sending) is None and event_of(there) is None
    assert event_of(sent) == Uploaded(repository="r", digest=blob.digest, size=4, fate="sent")
    moving = publish.TagMoving(reference="h/r:t", before=None, after=Digest.of(b"x"))
    assert event_of(moving) == Moving(reference="h/r:t", before="", after=Digest.of(b"x"))


def test_a_journal_on_disk_holds_each_event_when_append_returns(tmp_path: Path) -> None:
    journals = Journals(tmp_path / "journal")
    journal = journals.begin(BEGAN)
    path = tmp_path / "journal" / f"{BEGAN.release}.jsonl"
    for number, event in enumerate(EVENTS[1:], 2):
        journal.append(event)
        assert parse(path.read_bytes(), name="j") == EVENTS[:number]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_torn_line_is_taken_off_before_the_next_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(dump(BEGAN) + dump(EVENTS[1])[:25])
    DiskJournal(path).append(EVENTS[2])
    assert parse(path.read_bytes(), name="j") == (BEGAN, EVENTS[2])


def test_events_of_many_threads_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    journal = DiskJournal(tmp_path / "j.jsonl")

    def write() -> None:
        for event in EVENTS[1:]:
            journal.append(event)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(parse((tmp_path / "j.jsonl").read_bytes(), name="j")) == 8 * (len(EVENTS) - 1)


def test_a_disk_that_takes_no_more_is_told_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j.jsonl"
    journal = DiskJournal(path)
    journal.append(BEGAN)
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, line: real(handle, line[:7]))
    with pytest.raises(NeedNotMet, match=r"No space left.*\n.*--resume"):
        journal.append(EVENTS[1])
    monkeypatch.undo()
    journal.append(EVENTS[2])
    assert parse(path.read_bytes(), name="j") == (BEGAN, EVENTS[2])


def test_the_newest_journal_of_the_destination_is_found(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    assert journals.lookup_newest("registry.example/ml") is None
    for second, destination in enumerate(("registry.example/ml", "registry.example/ml", "elsewhere")):
        release = f"20261121T08150{second}Z-1a2b3c4d"
        data = json.loads(dump(BEGAN)) | {"release": release, "destination": destination}
        (tmp_path / f"{release}.jsonl").write_text(json.dumps(data) + "\n")
    newest = journals.lookup_newest("registry.example/ml")
    assert newest and newest.release == "20261121T081501Z-1a2b3c4d"


def test_of_many_journals_the_newest_are_kept(tmp_path: Path) -> None:
    for second in range(60):
        (tmp_path / f"20251121T0815{second:02}Z-1a2b3c4d.jsonl").write_bytes(b"")
    Journals(tmp_path).begin(BEGAN)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 51
    assert left[0] == "20251121T081510Z-1a2b3c4d.jsonl"
