"""What is read ahead is what would have been read, errors included."""

import io
import threading
import zlib

import pytest

from toolkit.layers.readahead import ReadAhead


class Failing:
    """Two pieces, and then an error."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, size: int, /) -> bytes:
        self.reads += 1
        if self.reads > 2:
            raise zlib.error("damaged")
        return bytes([self.reads]) * size


def test_everything_comes_in_order_and_then_nothing_however_often_one_asks() -> None:
    content = bytes(range(256)) * 40
    with ReadAhead(io.BytesIO(content)) as ahead:
        pieces = list(iter(lambda: ahead.read(1000), b""))
        assert [ahead.read(1000) for _ in range(9)] == [b""] * 9
    assert b"".join(pieces) == content
    assert [len(piece) for piece in pieces] == [1000] * 10 + [240]


def test_an_error_comes_where_reading_would_have_met_it() -> None:
    with ReadAhead(Failing()) as ahead:
        assert [ahead.read(3), ahead.read(3)] == [b"\1\1\1", b"\2\2\2"]
        with pytest.raises(zlib.error, match="damaged"):
            ahead.read(3)


def test_nothing_is_read_once_it_has_ended_and_no_thread_stays() -> None:
    content = io.BytesIO(bytes(100_000))
    before = threading.active_count()
    with ReadAhead(content) as ahead:
        ahead.read(10)
    position = content.tell()
    assert position < 1000
    assert threading.active_count() == before
    assert content.tell() == position
