"""Makes small binary packages for tests."""

import io
import lzma
import tarfile
from collections.abc import Mapping

from toolkit.rootfs.deb import Deb, read_deb

TIME = 1_600_000_000

Entry = bytes | str | None
"""A file's content, a link's target ("=PATH" for a hard link), or None for a directory."""


def make_deb(
    name: str,
    files: Mapping[str, Entry],
    *,
    version: str = "1.0",
    architecture: str = "arm64",
    fields: str = "",
    info: Mapping[str, str] | None = None,
    modes: Mapping[str, int] | None = None,
) -> bytes:
    """The bytes of a .deb whose files, by absolute path, are `files`."""
    stanza = (
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n{fields}Description: for tests\n"
    )
    control = {"control": stanza, **(info or {})}
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": lzma.compress(
            _tar({f"./{key}": text.encode() for key, text in control.items()}, {})
        ),
        "data.tar.xz": lzma.compress(_tar({f".{path}": entry for path, entry in files.items()}, modes or {})),
    }
    archive = b"!<arch>\n"
    for member, content in members.items():
        archive += f"{member:<16}{TIME:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        archive += content + b"\n" * (len(content) % 2)
    return archive


def deb(
    name: str, files: Mapping[str, Entry], *, info: Mapping[str, str] | None = None, fields: str = ""
) -> Deb:
    return read_deb(make_deb(name, files, info=info, fields=fields), name)


def _tar(entries: Mapping[str, Entry], modes: Mapping[str, int]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, entry in entries.items():
            item = tarfile.TarInfo(path)
            item.mtime = TIME
            item.mode = modes.get(path.removeprefix("."), 0o755 if entry is None else 0o644)
            if entry is None:
                item.type = tarfile.DIRTYPE
            elif isinstance(entry, str):
                item.type = tarfile.LNKTYPE if entry.startswith("=") else tarfile.SYMTYPE
                item.linkname = "." + entry[1:] if entry.startswith("=") else entry
            else:
                item.size = len(entry)
            archive.addfile(item, io.BytesIO(entry) if isinstance(entry, bytes) else None)
    return stream.getvalue()
