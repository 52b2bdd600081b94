"""/etc/ld.so.cache for any architecture: ldconfig of one machine ignores the libraries of another.

Without it programs still start (the loader knows its own directories), but `ldconfig -p` is empty and
with it Python's ctypes.util.find_library. Format: glibc, sysdeps/generic/dl-cache.h
(https://sourceware.org/git/?p=glibc.git;a=blob;f=sysdeps/generic/dl-cache.h), little-endian here.
"""

import re
import struct
from collections.abc import Iterator

from toolkit.oci import Architecture
from toolkit.rootfs.tree import Tree

_MAGIC = b"glibc-ld.so.cache1.1"
_LITTLE_ENDIAN = 2
_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
# FLAG_ELF_LIBC6 and the machine's own flag.
_FLAGS = {Architecture.AMD64: 0x0303, Architecture.ARM64: 0x0A03}

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_SONAME = 5, 14


def write_loader_cache(tree: Tree, architecture: Architecture) -> None:
    """Write /etc/ld.so.cache: every library of the loader's directories under its own name."""
    libraries: dict[str, str] = {}
    for directory in _directories(tree):
        for name in tree.children(directory):
            path = f"{directory}/{name}"
            content = tree.lookup_content(path) if ".so" in name else None
            if content is not None and read_soname(content) == name:
                libraries.setdefault(name, path)
    tree.file("/etc/ld.so.cache", format_cache(libraries, architecture))


def _directories(tree: Tree) -> Iterator[str]:
    """What ld.so.conf.d names, then the directories the loader knows by itself."""
    for name in tree.children("/etc/ld.so.conf.d"):
        text = tree.lookup_content(f"/etc/ld.so.conf.d/{name}") or b""
        yield from (line.strip() for line in text.decode().splitlines() if line.startswith("/"))
    yield from ("/lib64", "/lib", "/usr/lib64", "/usr/lib")


def format_cache(libraries: dict[str, str], architecture: Architecture) -> bytes:
    """The cache file for `libraries`, name → path. The loader searches it by halves: order counts."""
    names = sorted(libraries, key=_rank, reverse=True)
    strings_at = _HEADER.size + _ENTRY.size * len(names)
    strings = bytearray()
    entries = bytearray()
    for name in names:
        key = strings_at + len(strings)
        value = key + len(name.encode()) + 1
        strings += name.encode() + b"\0" + libraries[name].encode() + b"\0"
        entries += _ENTRY.pack(_FLAGS[architecture], key, value, 0, 0)
    header = _HEADER.pack(_MAGIC, len(names), len(strings), _LITTLE_ENDIAN, 0)
    return header + bytes(entries) + bytes(strings)


def _rank(name: str) -> tuple[tuple[int, int], ...]:
    """glibc's _dl_cache_libcmp as a key: numbers by value and after every other character.

    https://sourceware.org/git/?p=glibc.git;a=blob;f=elf/dl-cache.c
    """
    parts = re.findall(r"\d+|\D", name)
    return tuple((1, int(part)) if part.isdigit() else (0, ord(part)) for part in parts)


def read_soname(content: bytes) -> str | None:
    """DT_SONAME of a 64-bit little-endian shared object, None for anything else."""
    if len(content) < 64 or content[:6] != b"\x7fELF\x02\x01":
        return None
    (headers_at,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    segments = [struct.unpack_from("<IIQQQQ", content, headers_at + size * i) for i in range(count)]
    dynamic = next((segment for segment in segments if segment[0] == _PT_DYNAMIC), None)
    if dynamic is None:
        return None
    _, _, at, _, _, length = dynamic
    tags = dict(struct.iter_unpack("<QQ", content[at : at + length - length % 16]))
    if _DT_SONAME not in tags or _DT_STRTAB not in tags:
        return None
    for kind, _, offset, address, _, extent in segments:
        if kind == _PT_LOAD and address <= tags[_DT_STRTAB] < address + extent:
            start = tags[_DT_STRTAB] - address + offset + tags[_DT_SONAME]
            return content[start : content.index(b"\0", start)].decode()
    return None
