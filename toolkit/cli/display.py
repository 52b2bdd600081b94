"""Events for people on a terminal, for a CI log, or for a program."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from toolkit.progress import Event, Kind, Reporter


@contextmanager
def reporter(*, as_json: bool) -> Iterator[Reporter]:
    """JSON lines on stdout; on a terminal a live table; else one plain line per event, on stderr."""
    if as_json:
        yield _serialized(_json)
    elif sys.stderr.isatty():
        with _live() as live:
            yield _serialized(live)
    else:
        yield _serialized(_plain)


def _serialized(report: Reporter) -> Reporter:
    """Units run in threads; their events come out one at a time."""
    lock = threading.Lock()

    def one_at_a_time(event: Event) -> None:
        with lock:
            report(event)

    return one_at_a_time


def _json(event: Event) -> None:
    click.echo(json.dumps(event.to_json()))


def _plain(event: Event) -> None:
    click.echo(line(event), err=True)


def line(event: Event) -> str:
    """`[2/4] pytorch-…-arm64: verifying …  (12 s)`"""
    place = f"[{event.number}/{event.total}] " if event.total else ""
    subject = f"{event.subject}: " if event.subject else ""
    word = {Kind.FAILED: "FAILED ", Kind.WARNING: "warning: ", Kind.FINISHED: "done "}.get(event.kind, "")
    elapsed = f"  ({event.elapsed:.0f} s)" if event.elapsed >= 1 else ""
    return f"{place}{subject}{word}{event.text}{elapsed}"


@contextmanager
def _live() -> Iterator[Reporter]:
    """Finished lines scroll by; below them one line for each unit that is being worked on."""
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=True)
    working: dict[str, tuple[Event, float]] = {}

    class Working:
        """Rendered anew at every refresh, so that the clocks go on between events."""

        def __rich__(self) -> Table:
            table = Table.grid(padding=(0, 1))
            now = time.monotonic()
            for event, started in list(working.values()):
                number = f"[{event.number}/{event.total}]"
                # As Text: brackets in a RUN are no markup.
                words = (number, event.subject, f"{now - started:4.0f} s", event.text[:70])
                table.add_row(*map(Text, words))
            return table

    with Live(Working(), console=console, refresh_per_second=4, transient=True):

        def report(event: Event) -> None:
            if event.kind in (Kind.STARTED, Kind.STAGE):
                working[event.subject] = (event, time.monotonic() - event.elapsed)
            else:
                working.pop(event.subject, None)
                console.print(line(event), markup=False, highlight=False, soft_wrap=True)

        yield report
