"""The times that an uncompressed layer's members carry, brought to one that is always the same.

A file that a build step wrote carries the time of that step: the next build would give another digest.
Every field keeps its length, so nothing in the archive moves.
https://reproducible-builds.org/docs/source-date-epoch/
"""

import re
from collections.abc import Sequence

from toolkit.layers.bytestream import ByteStream
from toolkit.layers.compression import Content
from toolkit.layers.tarstream import TarStream, header_number

_MTIME = slice(136, 148)
_CHECKSUM = slice(148, 156)
# LENGTH KEY=SECONDS[.FRACTION]; the length counts itself.
# https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03
_PAX_TIME = re.compile(rb"(?<= )([amc]time=)(\d+)(\.\d+)?(?=\n)")

Change = tuple[int, bytes]
"""Where in the layer other bytes stand, and which."""


def late_times(layer: Content, latest: int) -> list[Change]:
    """What sets every time after `latest` (seconds since 1970) to it, in the order of the layer.

    Raises TarInvalid or EOFError for what is no tar archive.
    """
    changes: list[Change] = []

    def look(at: int, header: bytes, extended: bytes) -> None:
        clamped = _clamped_header(header, latest)
        if clamped != header:
            changes.append((at, clamped))
        if header[156:157] == b"x":
            records = _PAX_TIME.sub(lambda found: _clamped_record(found, latest), extended)
            if records != extended:
                changes.append((at + len(header), records))

    for _ in TarStream(ByteStream(layer.read, lambda _: None), on_header=look):
        pass
    return changes


class Changed:
    """A layer read from its start, with `changes` made; they do not overlap and are in its order."""

    def __init__(self, layer: Content, changes: Sequence[Change]) -> None:
        self._layer = layer
        self._changes = changes
        self._next = 0
        self._at = 0

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes, fewer at the end alone."""
        piece = bytearray()
        while len(piece) < size and (more := self._layer.read(size - len(piece))):
            piece += more
        begin, end = self._at, self._at + len(piece)
        while self._next < len(self._changes):
            at, content = self._changes[self._next]
            if at >= end:
                break
            part = content[max(0, begin - at) : end - at]
            start = max(0, at - begin)
            piece[start : start + len(part)] = part
            if at + len(content) > end:  # the rest is in the next piece
                break
            self._next += 1
        self._at = end
        return bytes(piece)


def _clamped_header(header: bytes, latest: int) -> bytes:
    if header[_MTIME][0] & 0xC0 == 0xC0 or header_number(header[_MTIME]) <= latest:
        return header  # the first bits are those of a negative number: before 1970
    timed = bytearray(header)
    timed[_MTIME] = b"%011o\0" % latest
    timed[_CHECKSUM] = b" " * 8
    timed[_CHECKSUM] = b"%06o\0 " % sum(timed)
    return bytes(timed)


def _clamped_record(found: re.Match[bytes], latest: int) -> bytes:
    key, seconds, fraction = found.groups(b"")
    if int(seconds) < latest or (int(seconds) == latest and not fraction.strip(b".0")):
        return found[0]
    zeros = b"." + b"0" * (len(fraction) - 1) if fraction else b""
    return bytes(key + b"%0*d" % (len(seconds), latest) + zeros)
