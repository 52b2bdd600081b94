"""The times that an uncompressed layer's members carry, brought to one that is always the same.

A file that a build step wrote carries the time of that step: the next build would give another digest.
Every field keeps its length, so nothing in the archive moves and a layer of any size is changed in place.
https://reproducible-builds.org/docs/source-date-epoch/
"""

import re
from typing import BinaryIO

from toolkit.layers.bytestream import ByteStream
from toolkit.layers.tarstream import TarStream, header_number

_MTIME = slice(136, 148)
_CHECKSUM = slice(148, 156)
# LENGTH KEY=SECONDS[.FRACTION]; the length counts itself.
# https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03
_PAX_TIME = re.compile(rb"(?<= )([amc]time=)(\d+)(\.\d+)?(?=\n)")


def clamp_times(layer: BinaryIO, latest: int) -> None:
    """Set every time after `latest` (seconds since 1970) to it; `layer` is open for reading and writing.

    Raises TarInvalid or EOFError for what is no tar archive; nothing is changed then.
    """
    changes: list[tuple[int, bytes]] = []

    def look(at: int, header: bytes, extended: bytes) -> None:
        clamped = _clamped_header(header, latest)
        if clamped != header:
            changes.append((at, clamped))
        if header[156:157] == b"x":
            records = _PAX_TIME.sub(lambda found: _clamped_record(found, latest), extended)
            if records != extended:
                changes.append((at + len(header), records))

    stream = ByteStream(layer.read, lambda _: None)
    for _ in TarStream(stream, on_header=look):
        pass
    for at, content in changes:
        layer.seek(at)
        layer.write(content)
    layer.flush()


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
