"""Files that only this user may read, for as long as a program needs them."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_open: set[Path] = set()


@contextmanager
def private_files(texts: Mapping[str, str]) -> Iterator[Mapping[str, Path]]:
    """A file for each text that is not empty, by the same name; removed when the block ends."""
    directory = Path(tempfile.mkdtemp(prefix="toolkit-secrets-"))
    _open.add(directory)
    try:
        files = {name: directory / name for name, text in texts.items() if text}
        for name, path in files.items():
            path.touch(mode=0o600)
            path.write_text(texts[name])
        yield files
    finally:
        _remove(directory)


def remove_private_files() -> None:
    """What an interrupted run had open: its threads are not waited for."""
    for directory in tuple(_open):
        _remove(directory)


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    _open.discard(directory)
