"""Events as people on a terminal, a CI log and programs get them."""

import io
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from toolkit.cli.display import line, reporter
from toolkit.progress import Event, Kind

STAGE = Event(
    kind=Kind.STAGE, subject="torch-arm64", text="exporting layers", elapsed=12.4, number=2, total=4
)
EVENTS = (
    Event(kind=Kind.STARTED, subject="torch-arm64", text="changed: base", number=2, total=4),
    STAGE,
    Event(kind=Kind.FINISHED, subject="torch-arm64", text="sha256:1", elapsed=30, number=2, total=4),
    Event(kind=Kind.FAILED, subject="torch-amd64", text="no", elapsed=2.6, number=1, total=4),
    Event(kind=Kind.WARNING, text="the mirror has moved on"),
    Event(kind=Kind.NOTE, text="nothing changed"),
)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (EVENTS[0], "[2/4] torch-arm64: changed: base"),
        (STAGE, "[2/4] torch-arm64: exporting layers  (12 s)"),
        (EVENTS[2], "[2/4] torch-arm64: done sha256:1  (30 s)"),
        (EVENTS[3], "[1/4] torch-amd64: FAILED no  (3 s)"),
        (EVENTS[4], "warning: the mirror has moved on"),
        (EVENTS[5], "nothing changed"),
    ],
)
def test_an_event_is_one_line_that_says_which_of_how_many_what_and_how_long(event: Event, text: str) -> None:
    assert line(event) == text


def report(events: Sequence[Event], *, as_json: bool) -> None:
    with reporter(as_json=as_json) as tell:
        for event in events:
            tell(event)


def test_a_log_gets_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    report(EVENTS, as_json=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [line(event) for event in EVENTS]
    assert "\x1b" not in err


def test_a_program_gets_one_json_object_per_line_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    report(EVENTS, as_json=True)
    out, err = capsys.readouterr()
    assert err == ""
    told = [json.loads(each) for each in out.splitlines()]
    assert told[1] == {
        "event": "stage",
        "subject": "torch-arm64",
        "text": "exporting layers",
        "number": 2,
        "total": 4,
        "elapsed": 12.4,
    }
    assert told[5] == {"event": "note", "subject": "", "text": "nothing changed", "elapsed": 0.0}


def test_data_of_an_event_stands_beside_its_text_in_json() -> None:
    event = Event(kind=Kind.FINISHED, subject="x", text="done", data={"digest": "sha256:1"})
    assert event.to_json()["digest"] == "sha256:1"


def test_events_of_many_threads_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    with reporter(as_json=True) as tell:
        threads = [
            threading.Thread(target=lambda: [tell(STAGE) for _ in range(100)], daemon=True) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 800
    assert {json.dumps(json.loads(each)) for each in told} == {json.dumps(STAGE.to_json())}


class Terminal(io.StringIO):
    """A terminal of 160 columns."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Makes stderr a terminal; called by the test itself, because pytest sets stderr before each phase."""
    for name, value in {"COLUMNS": "160", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)

    def attach() -> Terminal:
        monkeypatch.setattr(sys, "stderr", Terminal())
        assert isinstance(sys.stderr, Terminal)
        return sys.stderr

    return attach


def test_a_terminal_gets_finished_lines_above_what_is_being_worked_on(
    terminal: Callable[[], Terminal], capsys: pytest.CaptureFixture[str]
) -> None:
    screen = terminal()
    report(EVENTS, as_json=False)
    assert capsys.readouterr().out == ""
    for event in EVENTS[2:]:
        assert f"{line(event)}\n" in screen.getvalue()


def test_a_terminal_shows_a_unit_while_it_is_worked_on_and_its_clock(
    terminal: Callable[[], Terminal],
) -> None:
    screen = terminal()
    with reporter(as_json=False) as tell:
        tell(replace(STAGE, elapsed=0))
        deadline = time.monotonic() + 10
        while "   1 s exporting layers" not in screen.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert "[2/4] torch-arm64    0 s exporting layers" in screen.getvalue()
    assert "[2/4] torch-arm64    1 s exporting layers" in screen.getvalue()


def test_a_terminal_shows_brackets_of_a_command_as_they_are(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    text = "RUN [[ -s x ]] [bold]y[/red]"
    report([replace(STAGE, text=text), Event(kind=Kind.WARNING, text=text)], as_json=False)
    assert f"12 s {text}" in screen.getvalue()
    assert f"warning: {text}" in screen.getvalue()
