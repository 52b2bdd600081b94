"""What another process writes into a named pipe, read without a wait that nobody ends."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from toolkit.adapters.named_pipe import received

LONG = bytes(range(256)) * (16 << 10)  # more than a pipe holds


class Taken:
    """All that came, and the end of it."""

    def __init__(self) -> None:
        self.content = b""
        self.ended = False

    def __call__(self, stream: BinaryIO) -> None:
        while piece := stream.read(100_000):
            self.content += piece
        self.ended = True


def opened_as_buildx_does(pipe: Path, content: bytes) -> None:
    """For reading and writing, as Go's os.Create: such a writer never hears that nobody reads."""
    with pipe.open("r+b", buffering=0) as file:
        for at in range(0, len(content), 50_000):
            file.write(content[at : at + 50_000])


def test_all_that_was_written_is_taken(tmp_path: Path) -> None:
    taken = Taken()
    with received(tmp_path / "pipe", taken):
        assert (tmp_path / "pipe").is_fifo()
        opened_as_buildx_does(tmp_path / "pipe", LONG)
    assert (taken.content, taken.ended) == (LONG, True)
    assert not (tmp_path / "pipe").exists()


def test_a_writer_may_be_late(tmp_path: Path) -> None:
    taken = Taken()
    with received(tmp_path / "pipe", taken):
        time.sleep(0.2)
        assert not taken.ended
        opened_as_buildx_does(tmp_path / "pipe", b"late")
    assert taken.content == b"late"


def test_a_writer_that_never_comes_is_not_waited_for(tmp_path: Path) -> None:
    taken = Taken()
    with received(tmp_path / "pipe", taken):
        pass
    assert (taken.content, taken.ended) == (b"", True)


def test_a_writer_that_is_still_there_when_the_block_fails_is_not_waited_for(tmp_path: Path) -> None:
    """A build that was interrupted: its client may write on for a while."""
    taken = Taken()
    over = threading.Event()

    def write_on() -> None:
        with (tmp_path / "pipe").open("r+b", buffering=0) as file:
            file.write(b"some")
            over.wait(20)

    writer = threading.Thread(target=write_on)
    with pytest.raises(KeyboardInterrupt), received(tmp_path / "pipe", taken):
        interrupt(writer, lambda: bool(taken.content))
    assert (taken.content, taken.ended) == (b"some", True)
    assert writer.is_alive()
    over.set()
    writer.join()


def interrupt(writer: threading.Thread, is_time: Callable[[], bool]) -> None:
    writer.start()
    while not is_time():
        time.sleep(0.01)
    raise KeyboardInterrupt


def test_who_does_not_take_all_does_not_stop_the_writer_and_is_heard(tmp_path: Path) -> None:
    def take(stream: BinaryIO) -> None:
        stream.read(10)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"), received(tmp_path / "pipe", take):
        opened_as_buildx_does(tmp_path / "pipe", LONG)  # comes to its end


def test_a_failure_of_the_block_is_told_rather_than_what_came_of_it(tmp_path: Path) -> None:
    def take(stream: BinaryIO) -> None:
        stream.read(1)
        raise EOFError("ends early")

    with pytest.raises(ValueError, match="the build failed"), received(tmp_path / "pipe", take):
        raise ValueError("the build failed")
    assert not (tmp_path / "pipe").exists()
