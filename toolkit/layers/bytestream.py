"""A stream of bytes that is read in large chunks and consumed in exact small pieces."""

from collections.abc import Callable

_CHUNK = 1 << 20


class ByteStream:
    """Exact reads and skips over `read`, each chunk shown once, in order, to `observe`."""

    def __init__(self, read: Callable[[int], bytes], observe: Callable[[bytes], object]) -> None:
        self._read = read
        self._observe = observe
        self._chunk = b""
        self._at = 0
        self.length = 0

    @property
    def position(self) -> int:
        """How many bytes were taken or skipped."""
        return self.length - len(self._chunk) + self._at

    def _refill(self) -> bool:
        self._chunk, self._at = self._read(_CHUNK), 0
        self._observe(self._chunk)
        self.length += len(self._chunk)
        return bool(self._chunk)

    def take(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end of the stream."""
        end = self._at + count
        if end <= len(self._chunk):
            piece = self._chunk[self._at : end]
            self._at = end
            return piece
        parts = [self._chunk[self._at :]]
        missing = count - len(parts[0])
        while missing and self._refill():
            parts.append(self._chunk[:missing])
            self._at = len(parts[-1])
            missing -= self._at
        if missing:
            self._at = len(self._chunk)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Raises EOFError when the stream ends before `count` bytes."""
        while count > len(self._chunk) - self._at:
            count -= len(self._chunk) - self._at
            if not self._refill():
                raise EOFError("the archive ends inside a member")
        self._at += count

    def drain(self) -> None:
        while self._refill():
            pass
