"""Copy an environment without what the rows of `drop` in images.toml name: python3 drop.py FROM TO LIST.

A build runs it on the build platform, in the step that installs, so that what goes is never in a layer.
Each line of LIST is a path below FROM, or a glob with ** for any depth, and perhaps names of ELF
sections behind it. With none, the file or tree goes. With some, the files stay and the content of these
sections goes: where a program is loaded, zeros are in its place, which take no memory until they are read.
A line that fits nothing is an error: the table says something that is not so. FROM is left as it is: its
files may be links to what installers keep for the next time.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import struct
import sys
from pathlib import Path
from typing import AbstractSet, BinaryIO, Iterator

PAGE = 4096
_MOVED_AT_ONCE = 1 << 22


class DropError(Exception):
    """What a row asks for cannot be done."""


# --- ELF, 64 bits, little-endian: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_LOAD, _PHDR = 1, 6
_NOBITS = 8
_PLAIN = b"\x7fELF\x02\x01"


class _Segment:
    """One program header."""

    def __init__(self, raw: bytes) -> None:
        (self.type, self.flags, self.offset, self.address, self.physical,
         self.in_file, self.in_memory, self.align) = _SEGMENT.unpack(raw)  # fmt: skip

    def packed(self) -> bytes:
        return _SEGMENT.pack(
            self.type, self.flags, self.offset, self.address, self.physical,
            self.in_file, self.in_memory, self.align,
        )  # fmt: skip


class _Section:
    """One section header."""

    def __init__(self, raw: bytes) -> None:
        (self.name_at, self.type, self.flags, self.address, self.offset, self.size,
         self.link, self.info, self.align, self.entry_size) = _SECTION.unpack(raw)  # fmt: skip
        self.name = ""

    def packed(self) -> bytes:
        return _SECTION.pack(
            self.name_at, self.type, self.flags, self.address, self.offset, self.size,
            self.link, self.info, self.align, self.entry_size,
        )  # fmt: skip


def hollow(path: Path, names: frozenset[str]) -> int:
    """Take the content of these sections out of an ELF file; returns how many bytes it is shorter by.

    No address changes: where loaded sections go, their segment is cut in two, and what was between is memory
    that no byte of the file stands behind. Raises DropError when the file has none of the sections.
    """
    size = path.stat().st_size
    with path.open("r+b") as file:
        known = _Elf(file, path.name)
        chosen = known.held(names)
        if not chosen:
            raise DropError(f"{path.name} has no section {' or '.join(sorted(names))}")
        while chosen:
            known.cut(known.first_run(chosen))
            known = _Elf(file, path.name)
            chosen = known.held(names)
    return size - path.stat().st_size


class _Elf:
    """The headers of an ELF file that is open for reading and writing."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        file.seek(0)
        start = file.read(_HEADER.size)
        if len(start) < _HEADER.size or not start.startswith(_PLAIN):
            raise DropError(f"{name} is no 64-bit ELF file")
        self._header = list(_HEADER.unpack(start))
        self._segments_at, self._sections_at = self._header[5], self._header[6]
        file.seek(self._segments_at)
        self._segments = [_Segment(file.read(_SEGMENT.size)) for _ in range(self._header[10])]
        file.seek(self._sections_at)
        self._sections = [_Section(file.read(_SECTION.size)) for _ in range(self._header[12])]
        strings = self._sections[self._header[13]]
        file.seek(strings.offset)
        text = file.read(strings.size)
        for each in self._sections:
            each.name = text[each.name_at : text.index(b"\0", each.name_at)].decode("ascii", "replace")

    def held(self, names: frozenset[str]) -> list[_Section]:
        """The sections of these names that have content in the file, in its order."""
        found = [each for each in self._sections if each.name in names and each.type != _NOBITS]
        return sorted(found, key=lambda each: each.offset)

    def first_run(self, chosen: list[_Section]) -> list[_Section]:
        """The first of the sections and those that follow with nothing else between them."""
        others = [
            each for each in self._sections if each.type != _NOBITS and each.size and each not in chosen
        ]
        run = chosen[:1]
        for each in chosen[1:]:
            if any(run[0].offset <= other.offset < each.offset for other in others):
                break
            run.append(each)
        return run

    def cut(self, run: list[_Section]) -> None:
        """Take whole pages of the run out of the file; what shares its page with something else is zeroed."""
        start, end = run[0].offset, max(each.offset + each.size for each in run)
        # Every segment behind keeps its offset modulo its alignment, as loaders want it.
        align = max(each.align for each in self._segments if each.type == _LOAD)
        first = -(-start // PAGE) * PAGE
        gone = max(0, (end - first) // align * align)
        behind = first + gone
        if gone:
            self._cut_segments(first, behind)
        for at, until in ((start, min(first, end)), (behind, end)):
            self._file.seek(at)
            self._file.write(bytes(max(0, until - at)))
        if gone:
            self._move_up(behind, gone)
        for section in run:
            section.type = _NOBITS
        for section in self._sections:
            if section.offset >= behind:
                section.offset -= gone
        if self._sections_at >= behind:
            self._sections_at -= gone
        self._write_headers()

    def _cut_segments(self, first: int, behind: int) -> None:
        touched = [
            each for each in self._segments
            if each.type == _LOAD and each.offset < behind and first < each.offset + each.in_file
        ]  # fmt: skip
        if touched:
            (whole,) = touched  # a section is of one segment
            free = self._segments_at + _SEGMENT.size * (len(self._segments) + 1)
            starts = [each.offset for each in self._segments] + [each.offset for each in self._sections]
            if min(at for at in starts if at > self._segments_at) < free:
                raise DropError(f"{self._name} has no room for one more program header")
            rest = _Segment(whole.packed())
            until = behind - whole.offset
            rest.offset, rest.address, rest.physical = behind, rest.address + until, rest.physical + until
            rest.in_file, rest.in_memory = rest.in_file - until, rest.in_memory - until
            whole.in_file, whole.in_memory = first - whole.offset, until
            self._segments.insert(self._segments.index(whole) + 1, rest)
        for segment in self._segments:
            if segment.offset >= behind:
                segment.offset -= behind - first
            if segment.type == _PHDR:
                segment.in_file = segment.in_memory = _SEGMENT.size * len(self._segments)

    def _move_up(self, behind: int, gone: int) -> None:
        size = self._file.seek(0, os.SEEK_END)
        for at in range(behind, size, _MOVED_AT_ONCE):
            self._file.seek(at)
            piece = self._file.read(_MOVED_AT_ONCE)
            self._file.seek(at - gone)
            self._file.write(piece)
        self._file.truncate(size - gone)

    def _write_headers(self) -> None:
        self._header[6], self._header[10] = self._sections_at, len(self._segments)
        for at, rows in ((self._segments_at, self._segments), (self._sections_at, self._sections)):
            self._file.seek(at)
            self._file.write(b"".join(each.packed() for each in rows))
        self._file.seek(0)
        self._file.write(_HEADER.pack(*self._header))
        self._file.flush()


# --- the environment


class _Row:
    """A line: what it names below `source`, and how many bytes go."""

    def __init__(self, line: str, source: Path) -> None:
        pattern, *sections = line.split()
        self.sections = frozenset(sections)
        self.what = f"{' '.join(sections)} of {pattern}" if sections else pattern
        self.found = [path.relative_to(source).as_posix() for path in sorted(source.glob(pattern))]
        self.freed = 0
        if not self.found:
            raise DropError(f"{pattern} matches nothing that was installed")


def leave_out(source: Path, target: Path, lines: list[str]) -> Iterator[str]:
    """Copy what the lines leave; tells of each what went. Raises DropError."""
    gone: set[str] = set()
    hollowed: dict[str, set[str]] = {}
    rows = [_Row(line, source) for line in lines]
    for row in rows:
        for name in row.found:
            if row.sections:
                hollowed.setdefault(name, set()).update(row.sections)
            else:
                row.freed += _note(source / name, source, gone)
    _copy_tree(source, target, gone, hollowed)
    for row in rows:
        if row.sections:
            row.freed = sum(hollow(target / name, row.sections) for name in row.found if name not in gone)
        yield f"dropped {row.what}: {row.freed / 1e6:.1f} MB"
    for record in sorted(target.glob("*.dist-info/RECORD")):
        _correct(record, target, gone, hollowed.keys() - gone)


def _note(path: Path, source: Path, gone: set[str]) -> int:
    """Every file that goes with `path`, by its name; returns the size of those that nobody named before."""
    files = [path]
    if path.is_dir() and not path.is_symlink():
        files = [Path(above) / name for above, names, others in os.walk(path) for name in (*names, *others)]
        files.append(path)
    fresh = {each.relative_to(source).as_posix(): each for each in files}
    freed = sum(each.lstat().st_size for name, each in fresh.items() if name not in gone and each.is_file())
    gone.update(fresh)
    return freed


def _copy_tree(source: Path, target: Path, gone: set[str], hollowed: dict[str, set[str]]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for above, directories, files in os.walk(source):
        here = Path(above).relative_to(source)
        directories[:] = [name for name in directories if (here / name).as_posix() not in gone]
        for name in (*directories, *files):
            path = (here / name).as_posix()
            if path in gone:
                continue
            if (source / path).is_symlink():
                (target / path).symlink_to(os.readlink(source / path))
            elif name in directories:
                (target / path).mkdir()
            else:
                _copy_file(source / path, target / path, frozenset(hollowed.get(path, ())))


def _copy_file(source: Path, target: Path, names: frozenset[str]) -> None:
    """With holes where the content of these sections was: `hollow` takes it out, so it is not written."""
    with source.open("rb") as old, target.open("wb") as new:
        status = os.fstat(old.fileno())
        dropped = _Elf(old, source.name).held(names) if names else []
        at = 0
        for begin, end in [
            *((each.offset, each.offset + each.size) for each in dropped),
            (status.st_size, 0),
        ]:
            new.seek(at)
            while at < begin:
                at += os.sendfile(new.fileno(), old.fileno(), at, begin - at)
            at = max(at, end)
        new.truncate(status.st_size)
        os.fchmod(new.fileno(), status.st_mode)


def _correct(record: Path, directory: Path, gone: set[str], changed: AbstractSet[str]) -> None:
    """What a package says that it installed stays true.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file
    """
    with record.open(newline="") as file:
        before = list(csv.reader(file))
    rows = []
    for row in before:
        if row[0] in changed:
            path = directory / row[0]
            digest = hashlib.sha256()
            with path.open("rb") as content:
                for piece in iter(lambda: content.read(_MOVED_AT_ONCE), b""):
                    digest.update(piece)
            encoded = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
            rows.append([row[0], f"sha256={encoded}", str(path.stat().st_size)])
        elif row[0] not in gone:
            rows.append(row)
    if rows != before:
        with record.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def main() -> int:
    source, target, listed = map(Path, sys.argv[1:])
    try:
        for told in leave_out(source, target, listed.read_text().splitlines()):
            print(told, flush=True)
    except DropError as error:
        print(f"drop: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
