"""A shared library made by hand, which the machine's own loader loads."""

import os
import struct
from pathlib import Path

from dockerfiles.environment.drop import PAGE

MACHINE = {"x86_64": 62, "aarch64": 183}[os.uname().machine]
ALIGN = 1 << 16
BIG = 5 * ALIGN + 123
# Where things lie in the library of `shared_object`.
BEFORE, PAYLOAD, AFTER = 0x800, 0x900, 0x900 + BIG
SYMBOLS = 3 * ALIGN


def elf_header(*, segments: int, sections_at: int, sections: int) -> bytes:
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    return struct.pack(
        "<16sHHIQQQIHHHHHH", identity, 3, MACHINE, 1, 0, 64, sections_at, 0, 64, 56, segments, 64,
        sections, sections - 1,
    )  # fmt: skip


def shared_object(path: Path, *, room: bool = True) -> Path:
    """A library that the machine's own loader loads: three values, `payload` in a section of its own.

    `.symtab`, which no program needs, lies between what is loaded and the section headers.
    """
    names = b"\0before\0payload\0after\0"
    dynsym = bytes(24) + b"".join(
        struct.pack("<IBBHQQ", names.index(name), 0x11, 0, 1, at, 8)
        for name, at in ((b"before", BEFORE), (b"payload", PAYLOAD), (b"after", AFTER))
    )
    chain = struct.pack("<IIIIIII", 1, 4, 1, 0, 2, 3, 0)  # DT_HASH: one bucket, all in it
    dynsym_at, names_at, hash_at = 0x400, 0x500, 0x600
    loaded_end = AFTER + 8
    data_at = -(-loaded_end // PAGE) * PAGE  # the file offset of what is writable
    data_address = data_at + ALIGN * 16
    dynamic = b"".join(
        struct.pack("<qQ", tag, value)
        for tag, value in ((4, hash_at), (5, names_at), (6, dynsym_at), (10, len(names)), (11, 24), (0, 0))
    )
    symtab_at = data_at + PAGE
    labels = b"\0.payload\0.symtab\0.dynamic\0.text\0.shstrtab\0"
    labels_at = symtab_at + SYMBOLS
    sections_at = -(-(labels_at + len(labels)) // 8) * 8

    def segment(kind: int, flags: int, at: int, size: int, align: int) -> bytes:
        address = data_address if at == data_at else at
        return struct.pack("<IIQQQQQQ", kind, flags, at, address, address, size, size, align)

    def section(name: bytes, kind: int, flags: int, at: int, size: int) -> bytes:
        address = {0: 0, 2: at, 3: data_address}[flags]
        return struct.pack("<IIQQQQIIQQ", labels.index(name), kind, flags, address, at, size, 0, 0, 1, 0)

    sections = [
        bytes(64),
        section(b".text", 1, 2, dynsym_at if room else 64 + 3 * 56, 16),
        section(b".payload", 1, 2, PAYLOAD, BIG),
        section(b".dynamic", 6, 3, data_at, len(dynamic)),
        section(b".symtab", 2, 0, symtab_at, SYMBOLS),
        section(b".shstrtab", 3, 0, labels_at, len(labels)),
    ]
    content = bytearray(sections_at + 64 * len(sections))
    for at, piece in (
        (0, elf_header(segments=3, sections_at=sections_at, sections=len(sections))),
        (64, segment(1, 4, 0, loaded_end, ALIGN)),
        (64 + 56, segment(1, 6, data_at, len(dynamic), PAGE)),
        (64 + 112, segment(2, 6, data_at, len(dynamic), 8)),
        (dynsym_at, dynsym),
        (names_at, names),
        (hash_at, chain),
        (BEFORE, b"\x11" * 8),
        (PAYLOAD, b"\x22" * BIG),
        (AFTER, b"\x33" * 8),
        (data_at, dynamic),
        (symtab_at, b"\x44" * SYMBOLS),
        (labels_at, labels),
        (sections_at, b"".join(sections)),
    ):
        content[at : at + len(piece)] = piece
    path.write_bytes(content)
    return path
