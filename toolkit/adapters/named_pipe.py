"""A named pipe that another process writes into and this one reads, without a wait that nobody ends."""

import fcntl
import io
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# What others write before they wait; the kernel's usual limit of what one may ask for.
_CAPACITY = 1 << 20


@contextmanager
def received(pipe: Path, take: Callable[[BinaryIO], None]) -> Iterator[None]:
    """Make `pipe`; `take` gets in a thread what is written there, until all who write have ended the block.

    What it leaves is read away, else they would wait for ever. After the block what it raised is raised. When
    the block raises, `take` gets the end of the stream at once and what it raises is of no interest.
    """
    os.mkfifo(pipe, 0o600)
    over, end = os.pipe()
    try:
        # Else to open it would wait for a writer, which may never come.
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        with suppress(OSError):
            fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, _CAPACITY)
        stream = _Reading(reading, over)
        troubles: list[BaseException] = []

        def work() -> None:
            try:
                take(cast(BinaryIO, stream))
            except BaseException as error:
                troubles.append(error)
            while stream.read(_CAPACITY):
                pass

        thread = threading.Thread(target=work, name="pipe", daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            stream.cut()
            raise
        finally:
            os.close(end)
            thread.join()
            os.close(reading)
        for trouble in troubles:
            raise trouble
    finally:
        os.close(over)
        pipe.unlink(missing_ok=True)


class _Reading(io.RawIOBase):
    """Ends when `over` has ended and the pipe is empty, or when it was cut."""

    def __init__(self, pipe: int, over: int) -> None:
        self._pipe = pipe
        self._poll = select.poll()
        self._poll.register(pipe, select.POLLIN)
        self._poll.register(over, select.POLLIN)
        self._is_cut = False

    def readable(self) -> bool:
        return True

    def cut(self) -> None:
        self._is_cut = True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self._is_cut:
            return 0
        # Of a pipe that nobody has opened yet nothing is told; when all who did have closed it, its end.
        ready = dict(self._poll.poll())
        if self._is_cut or not ready.get(self._pipe, 0) & select.POLLIN:
            return 0
        return os.readv(self._pipe, [buffer])
