"""The programs this process has started, python-on-whales' docker clients among them, and theirs."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_stopping = threading.Event()
_interrupted: set[int] = set()


def ensure_not_stopping() -> None:
    """Called right before a program is started: after an interrupt nobody would be there to end it.

    Raises KeyboardInterrupt.
    """
    if _stopping.is_set():
        raise KeyboardInterrupt


def _interrupt_children() -> None:
    """Send SIGINT to every child, once: a docker client that is left behind would go on with its build.

    To what these have started too: docker tells its plugin, buildx, of a signal over a socket, and one that
    comes before buildx listens there is lost. Where the kernel does not list them (not Linux) a terminal's
    Ctrl-C has reached them already.
    """
    _stopping.set()
    for pid in _children():
        if pid not in _interrupted:
            _interrupted.add(pid)
            with suppress(OSError):
                os.kill(pid, signal.SIGINT)


def interrupt_naming(word: str) -> None:
    """Send SIGINT to the programs that were started with an argument that holds `word`."""
    for pid in _children():
        with suppress(OSError):
            if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGINT)


def await_children(seconds: float) -> None:
    """Interrupt every child, those too that a thread starts meanwhile, and wait so long for them at most."""
    deadline = time.monotonic() + seconds
    _interrupt_children()
    while any(_is_running(pid) for pid in _children()) and time.monotonic() < deadline:
        time.sleep(0.05)
        _interrupt_children()


def _children(process: str = "self") -> Iterator[int]:
    """All that descends from a process, children before theirs."""
    for children in Path("/proc", process, "task").glob("*/children"):
        with suppress(OSError):
            for pid in children.read_text().split():
                yield int(pid)
                yield from _children(pid)


def _is_running(pid: int) -> bool:
    """A child that has ended is listed until a thread has asked how: its state is Z.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except OSError:
        return False
