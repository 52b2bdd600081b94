"""Content → gzip, quickly, and the same bytes on every machine.

The content is cut into pieces of one size, each compressed to a gzip member of its own, on up to four cores.
Members one after the other are a gzip file (https://www.rfc-editor.org/rfc/rfc1952#section-2.2) and every
engine unpacks it: Go's gzip reads on by default, and eStargz layers are written so.
libdeflate is several times faster than the zlib that engines compress with, and, unlike isal and zlib-ng,
takes no decision by what the CPU can do: https://github.com/ebiggers/libdeflate
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import deflate

FORMAT = "gzip:libdeflate-5,4MiB"
"""Names the bytes that come out; part of what a build id is taken of."""

_LEVEL = 5
_PIECE = 4 << 20

# Each has a piece and what becomes of it in memory.
_THREADS = 4


class GzipMembers:
    """Gives `write` what is fed, compressed, in order; all of it when the block has ended well.

    `observe` gets each piece of the content before. There is at least one member.
    """

    def __init__(self, write: Callable[[bytearray], object], observe: Callable[[bytes], object]) -> None:
        self._write = write
        self._observe = observe
        self._parts: list[bytes] = []
        self._length = 0
        self._threads = min(os.cpu_count() or 1, _THREADS)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="gzip")
        self._waiting: deque[Future[bytearray]] = deque()
        self._is_empty = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._pool:
            if kind is not None:
                self._pool.shutdown(cancel_futures=True)
                return
            if self._parts or self._is_empty:
                self._compress(b"".join(self._parts))
            while self._waiting:
                self._write(self._waiting.popleft().result())

    def feed(self, content: bytes) -> None:
        """More of the content, in parts of any length: they do not decide where it is cut."""
        while self._length + len(content) >= _PIECE:
            cut = _PIECE - self._length
            self._parts.append(content[:cut])
            piece = b"".join(self._parts)
            self._parts.clear()
            self._length = 0
            self._compress(piece)
            content = content[cut:]
        if content:
            self._parts.append(content)
            self._length += len(content)

    def _compress(self, piece: bytes) -> None:
        self._is_empty = False
        self._observe(piece)
        self._waiting.append(self._pool.submit(deflate.gzip_compress, piece, _LEVEL))
        if len(self._waiting) > self._threads:  # so many are in memory, however long the content is
            self._write(self._waiting.popleft().result())
