"""A stream that is read in a thread of its own, a little before what comes of it is wanted."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from toolkit.layers.compression import Content

_DEPTH = 4


class ReadAhead:
    """The bytes of `content`; `_DEPTH` reads are done beforehand, so all are to be of one size.

    Decompression and hashing both leave Python's lock alone, so they go on side by side. Whatever reading
    raises, the read that would have met it raises. `content` is left alone once the block has ended.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._coming: deque[Future[bytes]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def read(self, size: int) -> bytes:
        while len(self._coming) <= _DEPTH:
            self._coming.append(self._pool.submit(self._content.read, size))
        return self._coming.popleft().result()
