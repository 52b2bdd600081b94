"""Packing files into .tar.gz, the same bytes for the same content."""

import gzip
import hashlib
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

from toolkit.deployers.archives import ARCHIVE_SUFFIX, Archive


def pack(members: Mapping[str, Path], directory: Path) -> Archive:
    """A new file in `directory`, named after its digest, without times, owners and modes of the members."""
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f".packing.{os.getpid()}"
    # Level 1: a model's weights hardly compress, and SageMaker only wants the form.
    with (
        fresh.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, path in sorted(members.items()):
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            member.mode = 0o644
            with path.open("rb") as content:
                archive.addfile(member, content)
    found = read_archive(fresh)
    path = directory / f"{found.digest}{ARCHIVE_SUFFIX}"
    fresh.replace(path)
    return Archive(path=path, digest=found.digest)


def read_archive(path: Path) -> Archive:
    """One that is packed already."""
    with path.open("rb") as content:
        return Archive(path=path, digest=hashlib.file_digest(content, "sha256").hexdigest())
