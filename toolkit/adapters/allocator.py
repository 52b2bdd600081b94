"""What threads free goes back to one heap, from which the next thread takes it.

glibc gives threads heaps of their own and keeps what each has freed: pieces of layers, megabytes each, which
another thread then takes anew. tests/contract/test_memory.py holds four units side by side to it.
https://www.gnu.org/software/libc/manual/html_node/Malloc-Tunable-Parameters.html
"""

import ctypes
from contextlib import suppress

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def share_heap() -> None:
    """To be called before threads begin. Other C libraries have one heap anyway, or no such call."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
