"""Content → gzip, quickly, and the same bytes on every machine.

The content is cut into pieces of one size, each compressed to a gzip member of its own, on up to four cores.
Members one after the other are a gzip file (https://www.rfc-editor.org/rfc/rfc1952#section-2.2) and every
engine unpacks it: Go's gzip reads on by default, and eStargz layers are written so.
libdeflate is several times faster than the zlib that engines compress with, and, unlike isal and zlib-ng,
takes no decision by what the CPU can do: https://github.com/ebiggers/libdeflate
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import deflate

from toolkit.layers.compression import Content

FORMAT = "gzip:libdeflate-6,4MiB"
"""Names the bytes that come out; part of what a build id is taken of."""

_LEVEL = 6
_PIECE = 4 << 20

# Each has a piece and what becomes of it in memory, for every unit that is packed at the time: with two units
# the process stays below 150 MB on a machine of any size.
_THREADS = 4


def gzip_members(content: Content, observe: Callable[[bytes], object]) -> Iterator[bytearray]:
    """Compressed pieces, in order; `observe` gets each piece of the content before. At least one member.

    `content` gives as much as it is asked for, except at its end: where it is cut decides the bytes.
    """
    threads = min(os.cpu_count() or 1, _THREADS)
    waiting: deque[Future[bytearray]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="gzip") as pool:
        piece = content.read(_PIECE)
        while True:
            observe(piece)
            waiting.append(pool.submit(deflate.gzip_compress, piece, _LEVEL))
            piece = content.read(_PIECE)
            if not piece:
                break
            if len(waiting) > threads:  # so many pieces are in memory, however long the content is
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
