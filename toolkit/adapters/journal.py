"""Journals on disk: dist/journal/RELEASE.jsonl, appended to and synced event by event."""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import NeedNotMet
from toolkit.journal import Began, Event, Journal, State, dump, fold, parse, whole_length

# How many journals of releases that are over are kept: they tell what moved when.
_KEPT = 50


class DiskJournal:
    """Appends to `path`; conforms to journal.Journal. A line that was torn is taken off first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with _disk_trouble(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Addresses of uploads may let others write to them.
            self._handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._length = whole_length(path.read_bytes())
            os.ftruncate(self._handle, self._length)
            _sync_directory(path.parent)

    def append(self, event: Event) -> None:
        line = dump(event)
        with self._lock, _disk_trouble(self._path):
            try:
                written = os.write(self._handle, line)
                if written != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(self._handle)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._handle, self._length)
                raise
            self._length += len(line)

    def close(self) -> None:
        os.close(self._handle)


def _conforms(journal: DiskJournal) -> Journal:
    return journal


@contextmanager
def _disk_trouble(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NeedNotMet(
            f"{path} cannot be written: {error.strerror}; nothing is done that it does not say",
            remedy=f"See: df -h {path.parent}. Then go on with: toolkit release --resume",
        ) from error


def _sync_directory(directory: Path) -> None:
    """A new file is there after a power cut only when its directory was synced too."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Journals:
    """The journals of one project."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def lookup_newest(self, destination: str) -> State | None:
        """The newest release to `destination`, ended or not. Raises JournalCorrupt."""
        for path in sorted(self._directory.glob("*.jsonl"), reverse=True):
            state = fold(parse(path.read_bytes(), name=str(path)))
            if state and state.began.destination == destination:
                return state
        return None

    def begin(self, began: Began) -> DiskJournal:
        """The journal of a new release, with its plan in it."""
        self._prune()
        journal = DiskJournal(self._path(began.release))
        journal.append(began)
        return journal

    def reopen(self, state: State) -> DiskJournal:
        return DiskJournal(self._path(state.release))

    def _path(self, release: str) -> Path:
        return self._directory / f"{release}.jsonl"

    def _prune(self) -> None:
        for path in sorted(self._directory.glob("*.jsonl"), reverse=True)[_KEPT:]:
            path.unlink(missing_ok=True)
