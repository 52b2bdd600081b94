"""The programs this process has started, python-on-whales' docker clients among them."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def interrupt_children() -> None:
    """Send SIGINT to every child: a docker client that is left behind would go on with its build.

    Where the kernel does not list them (not Linux) a terminal's Ctrl-C has reached them already.
    """
    for pid in _children():
        with suppress(OSError):
            os.kill(pid, signal.SIGINT)


def await_children(seconds: float) -> None:
    """Wait until every child has ended, for so long at most."""
    deadline = time.monotonic() + seconds
    while any(_is_running(pid) for pid in _children()) and time.monotonic() < deadline:
        time.sleep(0.05)


def _children() -> Iterator[int]:
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            yield from map(int, children.read_text().split())


def _is_running(pid: int) -> bool:
    """A child that has ended is listed until a thread has asked how: its state is Z.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except OSError:
        return False
