"""The members of a tar stream, read front to back in constant memory.

A layer has tens of thousands of members; the standard library's tarfile spends more time per member than
decompressing it takes, and seeks. What is accepted is what Go's archive/tar accepts, for that is what
engines unpack layers with: https://github.com/golang/go/blob/master/src/archive/tar/reader.go
(ustar, v7, PAX, GNU long names, star, sparse files of all four spellings).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from toolkit.layers.bytestream import ByteStream

BLOCK = 512
# Names and PAX headers longer than this are refused, as Go does: they would be held in memory.
_SPECIAL_LIMIT = 1 << 20

_Segments = tuple[tuple[int, int], ...]


class TarInvalid(ValueError):
    """The stream is no tar archive that an engine would unpack."""


class Kind(StrEnum):
    """What a member makes of its path."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARD_LINK = "hard link"
    OTHER = "other"  # device or fifo


_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.OTHER,
    b"4": Kind.OTHER,
    b"5": Kind.DIRECTORY,
    b"6": Kind.OTHER,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One header. `name` and `link` are as written; bytes that are not UTF-8 are surrogate escapes.

    `size` is what the file has once unpacked, in bytes.
    """

    name: str
    kind: Kind
    mode: int
    size: int
    link: str


OnHeader = Callable[[int, bytes, bytes], object]


class TarStream:
    """Iterate for the members; `read_head` belongs to the member that came last.

    `on_header` gets each header block: where it stands, the block, and what an extended header holds.
    """

    def __init__(self, stream: ByteStream, *, on_header: OnHeader | None = None) -> None:
        self._stream = stream
        self._on_header = on_header
        self._stored = 0  # bytes of the present member that are still in the stream, padding apart
        self._padding = 0
        self._segments: _Segments | None = None

    def __iter__(self) -> Iterator[Member]:
        """Raises TarInvalid where the stream is no tar archive, EOFError where it ends early."""
        while (block := self._next_header()) is not None:
            records: dict[str, str] = {}
            sparse_pairs: list[str] = []
            long_name = long_link = None
            while (flag := block[156:157]) in b"xgLK":
                at = self._stream.position - BLOCK
                content = self._special(block)
                if self._on_header:
                    self._on_header(at, block, content)
                if flag == b"x":
                    records, sparse_pairs = _parse_pax(content)
                elif flag == b"L":
                    long_name = _text(content)
                elif flag == b"K":
                    long_link = _text(content)
                # A global header (g) changes nothing: neither Go nor the engines apply one.
                following = self._next_header()
                if following is None:
                    raise TarInvalid("the archive ends after an extended header")
                block = following
            if self._on_header:
                self._on_header(self._stream.position - BLOCK, block, b"")
            yield self._member(block, records, sparse_pairs, long_name, long_link)

    def read_head(self, limit: int) -> bytes:
        """The first bytes of the present member's content, holes filled in. Call it once per member."""
        if self._segments is None:
            return self._take_stored(min(limit, self._stored))
        head = bytearray()
        for offset, length in self._segments:
            if offset >= limit:
                break
            head.extend(bytes(offset - len(head)))
            head += self._take_stored(min(length, limit - offset))
        return bytes(head)

    def _next_header(self) -> bytes | None:
        self._stream.skip(self._stored + self._padding)
        self._stored = self._padding = 0
        block = self._stream.take(BLOCK)
        if not block:
            return None
        if block.count(0) == len(block):
            # Two zero blocks end the archive; whatever follows, no engine reads.
            second = self._stream.take(BLOCK)
            if second.count(0) != len(second):
                raise TarInvalid("a single zero block stands between two members")
            return None
        if len(block) < BLOCK:
            raise TarInvalid("the archive ends inside a header")
        unsigned = sum(block) - sum(block[148:156]) + 8 * 0x20
        declared = header_number(block[148:156])
        if declared != unsigned:
            # Some old writers summed signed bytes.
            summed = block[:148] + block[156:]
            if declared != unsigned - 256 * sum(byte > 127 for byte in summed):
                raise TarInvalid("a header's checksum is wrong")
        return block

    def _special(self, block: bytes) -> bytes:
        size = header_number(block[124:136])
        if size > _SPECIAL_LIMIT:
            raise TarInvalid(f"an extended header has {size} bytes")
        self._begin_content(size)
        return self._take_stored(size)

    def _begin_content(self, size: int) -> None:
        self._stored, self._padding, self._segments = size, -size % BLOCK, None

    def _take_stored(self, count: int) -> bytes:
        wanted = min(count, self._stored)
        content = self._stream.take(wanted)
        if len(content) < wanted:
            raise TarInvalid("the archive ends inside a member")
        self._stored -= wanted
        return content

    def _member(
        self,
        block: bytes,
        records: Mapping[str, str],
        sparse_pairs: list[str],
        long_name: str | None,
        long_link: str | None,
    ) -> Member:
        flag = block[156:157]
        kind = _KINDS.get(flag)
        if kind is None:
            raise TarInvalid(f"a member has the unknown type {flag!r}")
        name = long_name or records.get("path") or _header_name(block)
        if flag == b"\0" and name.endswith("/"):
            kind = Kind.DIRECTORY
        # Links, directories and devices have no content, whatever their size field says.
        size = _decimal(records["size"]) if records.get("size") else header_number(block[124:136])
        self._begin_content(size if kind is Kind.FILE else 0)
        if flag == b"S":
            size = self._begin_old_sparse(block)
        elif any(key.startswith("GNU.sparse.") for key in records) or sparse_pairs:
            name = records.get("GNU.sparse.name") or name
            size = self._begin_pax_sparse(records, sparse_pairs, size)
        return Member(
            name=name,
            kind=kind,
            mode=header_number(block[100:108]) & 0o7777,
            size=size if kind is Kind.FILE else 0,
            link=long_link or records.get("linkpath") or _text(block[157:257]),
        )

    def _begin_old_sparse(self, block: bytes) -> int:
        """GNU's own sparse member: the map stands in this header and in blocks right behind it."""
        pairs = _sparse_pairs(block[386:482])
        real_size = header_number(block[483:495])
        extended = block[482]
        while extended:
            more = self._stream.take(BLOCK)
            if len(more) < BLOCK:
                raise TarInvalid("the archive ends inside a sparse map")
            pairs += _sparse_pairs(more[:504])
            extended = more[504]
        self._segments = _checked_segments(pairs, real_size)
        return real_size

    def _begin_pax_sparse(self, records: Mapping[str, str], sparse_pairs: list[str], size: int) -> int:
        """The three PAX spellings: https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html"""
        declared = records.get("GNU.sparse.realsize") or records.get("GNU.sparse.size")
        real_size = _decimal(declared) if declared else size
        if records.get("GNU.sparse.major") == "1":
            numbers = self._read_sparse_numbers()
        else:
            listed = records.get("GNU.sparse.map")
            numbers = [_decimal(text) for text in (listed.split(",") if listed else sparse_pairs)]
        pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
        self._segments = _checked_segments(pairs, real_size)
        return real_size

    def _read_sparse_numbers(self) -> list[int]:
        """Version 1.0: the map is decimal lines in front of the data, filled up to whole blocks."""
        text = b""
        needed = 1
        while text.count(b"\n") < needed:
            block = self._take_stored(BLOCK)
            if len(block) < BLOCK or len(text) > _SPECIAL_LIMIT:
                raise TarInvalid("a sparse map does not end")
            text += block
            if b"\n" in text:
                needed = 1 + 2 * _decimal(text.partition(b"\n")[0].decode("latin-1"))
        return [_decimal(line.decode("latin-1")) for line in text.split(b"\n")[1:needed]]


def _checked_segments(pairs: list[tuple[int, int]], real_size: int) -> _Segments:
    """Raises TarInvalid unless the segments ascend and end within the file."""
    end = 0
    for offset, length in pairs:
        if offset < end:
            raise TarInvalid("a sparse map overlaps itself")
        end = offset + length
    if end > real_size:
        raise TarInvalid("a sparse map is longer than its file")
    return tuple(pairs)


def _sparse_pairs(field: bytes) -> list[tuple[int, int]]:
    pairs = []
    for at in range(0, len(field), 24):
        if not field[at]:
            break
        pairs.append((header_number(field[at : at + 12]), header_number(field[at + 12 : at + 24])))
    return pairs


def _header_name(block: bytes) -> str:
    name = _text(block[:100])
    if block[257:263] != b"ustar\0":  # v7 has no prefix, GNU keeps times in its place
        return name
    is_star = block[508:512] == b"tar\0"
    prefix = _text(block[345:476] if is_star else block[345:500])
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def header_number(field: bytes) -> int:
    """Octal text, or base 256 when the first bit is set. Raises TarInvalid."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise TarInvalid("a header holds a negative number")
        return int.from_bytes(bytes([field[0] & 0x3F]) + field[1:], "big")
    digits = field.strip(b" \0").partition(b"\0")[0]
    try:
        value = int(digits, 8) if digits else 0
    except ValueError:
        value = -1
    if value < 0:
        raise TarInvalid(f"a header holds {field!r} for a number")
    return value


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise TarInvalid(f"an extended header holds {text!r} for a number")
    return int(text)


def _parse_pax(content: bytes) -> tuple[dict[str, str], list[str]]:
    """The records, and of the ones that repeat (sparse map 0.0) all values in order."""
    records: dict[str, str] = {}
    sparse_pairs: list[str] = []
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 20)
        length = _decimal(content[at:space].decode("latin-1")) if space > 0 else 0
        record = content[space + 1 : at + length]
        key, separator, value = record.partition(b"=")
        if not (separator and record.endswith(b"\n") and at + length <= len(content)):
            raise TarInvalid("an extended header is malformed")
        text = value[:-1].decode("utf-8", "surrogateescape")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            sparse_pairs.append(text)
        else:
            records[key.decode("utf-8", "surrogateescape")] = text
        at += length
    return records, sparse_pairs
