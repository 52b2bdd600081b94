"""One process at a time in a directory; the kernel lets go of it when a process dies."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_process(directory: Path, *, on_wait: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Wait until no other process works in `directory`, which is made; `on_wait` is called before a wait.

    Yields whether another one was waited for.
    """
    waited = False
    directory.mkdir(parents=True, exist_ok=True)
    handle = os.open(directory / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            on_wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield waited
    finally:
        os.close(handle)
