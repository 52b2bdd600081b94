"""The times that an uncompressed layer's members carry, brought to one that is always the same.

A file that a build step wrote carries the time of that step: the next build would give another digest.
Every field keeps its length, so nothing in the archive moves.
https://reproducible-builds.org/docs/source-date-epoch/
"""

import re
from collections import deque
from collections.abc import Callable

from toolkit.layers.bytestream import ByteStream
from toolkit.layers.compression import Content
from toolkit.layers.tarstream import TarStream, header_number

_MTIME = slice(136, 148)
_CHECKSUM = slice(148, 156)
# LENGTH KEY=SECONDS[.FRACTION]; the length counts itself.
# https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03
_PAX_TIME = re.compile(rb"(?<= )([amc]time=)(\d+)(\.\d+)?(?=\n)")

# An extended header is judged when all of it was read: 1 MiB at most, and what was read with its end.
_HELD = 3 << 20


class TimeClamp:
    """A layer on its way to `write`, with every time after `latest` (seconds since 1970) set to it.

    `last` is the latest second that was met, after `latest` too; 0 where there is none.
    """

    def __init__(self, latest: int, write: Callable[[bytes], object]) -> None:
        self.last = 0
        self._latest = latest
        self._write = write
        # What was read and may still be changed: from which byte of the layer on, and how much it is.
        self._held: deque[bytes] = deque()
        self._begin = self._length = 0
        # Where in the layer other bytes stand, and which; in its order.
        self._changes: deque[tuple[int, bytes]] = deque()

    def run(self, layer: Content) -> None:
        """All of it. Raises TarInvalid or EOFError for what is no tar archive, and what `write` raises."""
        stream = ByteStream(layer.read, self._hold)
        for _ in TarStream(stream, on_header=self._look):
            pass
        stream.drain()  # what stands behind the archive's end is the layer's too
        while self._held:
            self._release()

    def _hold(self, chunk: bytes) -> None:
        self._held.append(chunk)
        self._length += len(chunk)
        while self._length - len(self._held[0]) > _HELD:
            self._release()

    def _release(self) -> None:
        chunk = self._held.popleft()
        begin, end = self._begin, self._begin + len(chunk)
        self._begin, self._length = end, self._length - len(chunk)
        if self._changes and self._changes[0][0] < end:
            chunk = self._changed(chunk, begin, end)
        self._write(chunk)

    def _changed(self, chunk: bytes, begin: int, end: int) -> bytes:
        changed = bytearray(chunk)
        while self._changes:
            at, content = self._changes[0]
            if at >= end:
                break
            part = content[max(0, begin - at) : end - at]
            start = max(0, at - begin)
            changed[start : start + len(part)] = part
            if at + len(content) > end:  # the rest is in the next chunk
                break
            self._changes.popleft()
        return bytes(changed)

    def _look(self, at: int, header: bytes, extended: bytes) -> None:
        clamped = self._clamped_header(header)
        if clamped != header:
            self._changes.append((at, clamped))
        if header[156:157] == b"x":
            records = _PAX_TIME.sub(self._clamped_record, extended)
            if records != extended:
                self._changes.append((at + len(header), records))

    def _clamped_header(self, header: bytes) -> bytes:
        if header[_MTIME][0] & 0xC0 == 0xC0:
            return header  # the first bits are those of a negative number: before 1970
        seconds = header_number(header[_MTIME])
        self.last = max(self.last, seconds)
        if seconds <= self._latest:
            return header
        timed = bytearray(header)
        timed[_MTIME] = b"%011o\0" % self._latest
        timed[_CHECKSUM] = b" " * 8
        timed[_CHECKSUM] = b"%06o\0 " % sum(timed)
        return bytes(timed)

    def _clamped_record(self, found: re.Match[bytes]) -> bytes:
        key, digits, fraction = found.groups(b"")
        seconds, is_between = int(digits), bool(fraction.strip(b".0"))
        self.last = max(self.last, seconds + is_between)
        if seconds + is_between <= self._latest:
            return found[0]
        zeros = b"." + b"0" * (len(fraction) - 1) if fraction else b""
        return bytes(key + b"%0*d" % (len(digits), self._latest) + zeros)
