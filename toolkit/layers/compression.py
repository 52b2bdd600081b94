"""Layer blobs, compressed in whatever way, as a stream of their content."""

import gzip
import io
from collections.abc import Callable
from enum import StrEnum
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, cast

import zstandard
from isal import igzip, isal_zlib

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 1 << 20

# What reading damaged content raises; EOFError is for content that is cut.
# The stubs call isal's error a value, it is a class.
DECODING_ERRORS = (
    EOFError,
    gzip.BadGzipFile,
    cast("type[Exception]", isal_zlib.error),
    zstandard.ZstdError,
)


class Compression(StrEnum):
    """What a layer's bytes are, whatever its media type says."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class Content(Protocol):
    """The decompressed bytes; `read` gives up to `size` of them and b"" at the end."""

    def read(self, size: int, /) -> bytes: ...


def decompressed(blob: BinaryIO) -> tuple[Compression, Content]:
    """By the first bytes, as containerd does. Reading raises one of DECODING_ERRORS for damaged content.

    https://github.com/containerd/containerd/blob/main/pkg/archive/compression/compression.go
    """
    buffered = io.BufferedReader(_Chain(blob), _BUFFER)
    magic = buffered.peek(4)[:4]
    if magic.startswith(b"\x1f\x8b\x08"):
        # isal decompresses three times as fast as zlib. Untyped there; the arguments are gzip.open's.
        open_gzip = cast("Callable[[IO[bytes]], Content]", igzip.open)
        return Compression.GZIP, open_gzip(buffered)
    # A zstd frame, or the skippable frame that zstd:chunked may start with.
    if magic == b"\x28\xb5\x2f\xfd" or (magic[1:] == b"\x2a\x4d\x18" and magic[0] & 0xF0 == 0x50):
        return Compression.ZSTD, _ZstdContent(buffered)
    return Compression.NONE, buffered


class _Chain(io.RawIOBase):
    """Several readables one after the other, as the raw half of a BufferedReader."""

    def __init__(self, *sources: BinaryIO) -> None:
        self._sources = list(sources)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        while self._sources:
            if piece := self._sources[0].read(len(view)):
                view[: len(piece)] = piece
                return len(piece)
            del self._sources[0]
        return 0


class _ZstdContent:
    """The content of all frames. Raises EOFError when the last one is cut.

    zstandard's own reader takes a cut frame for the end. So a frame of ours is put behind the blob's: only
    when every frame before it was whole does the content end with what that frame holds.
    """

    _MARK = b"the blob's frames were whole"

    def __init__(self, blob: BinaryIO) -> None:
        own_frame = io.BytesIO(zstandard.compress(self._MARK))
        feed = io.BufferedReader(_Chain(blob, own_frame), _BUFFER)
        self._reader = zstandard.ZstdDecompressor().stream_reader(feed, read_across_frames=True)
        self._held = b""

    def read(self, size: int, /) -> bytes:
        while piece := self._reader.read(size):
            joined = self._held + piece
            self._held = joined[-len(self._MARK) :]
            if content := joined[: -len(self._MARK)]:
                return content
        if self._held != self._MARK:
            raise EOFError("the compressed data ends inside a zstd frame")
        return b""
