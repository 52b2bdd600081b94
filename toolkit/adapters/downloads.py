"""Files that builds take besides packages: fetched once, held against their sha256, kept by it.

BuildKit's own `ADD --checksum` runs in the daemon, which has neither the secrets nor the CA bundle of a
build (https://docs.docker.com/reference/dockerfile/#add); so the files come to a build as a named context.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.adapters.context import link_or_copy
from toolkit.adapters.fetching import Fetcher
from toolkit.adapters.locks import only_process
from toolkit.errors import BuildFailed, SourceUnreachable
from toolkit.lock import LockedDownload

_ROUNDS = 3


class DownloadDiffers(BuildFailed):
    """A file is not the one that was locked."""


@dataclass(frozen=True, kw_only=True)
class Downloads:
    """`directory` holds finished files by sha256, and below `parts` what was cut off, by URL."""

    fetcher: Fetcher
    directory: Path

    def fetch(self, url: str) -> tuple[str, Path]:
        """sha256 (hex) and file of whatever a URL gives now. Raises SourceUnreachable or FileAbsent."""
        part = self.directory / "parts" / hashlib.sha256(url.encode()).hexdigest()[:32]
        with only_process(part):
            content = part / "content"
            content.unlink(missing_ok=True)
            self._receive(url, content)
            return self._keep(content)

    def ensure(self, download: LockedDownload) -> Path:
        """The file as it was locked. Raises DownloadDiffers, SourceUnreachable or FileAbsent."""
        kept = self.directory / download.sha256
        if kept.is_file() and _sha256(kept) == download.sha256:
            return kept
        part = self.directory / "parts" / hashlib.sha256(download.url.encode()).hexdigest()[:32]
        with only_process(part):
            if kept.is_file() and _sha256(kept) == download.sha256:
                return kept
            content = part / "content"
            resumed = content.is_file()
            self._receive(download.url, content)
            if resumed and _sha256(content) != download.sha256:
                # What was there may have been the beginning of another file.
                content.unlink()
                self._receive(download.url, content)
            found, path = self._keep(content)
        if found != download.sha256:
            raise DownloadDiffers(
                f"{download.url} is not the file that was locked: it has sha256 {found}, "
                f"images.lock says {download.sha256}",
                remedy="If its new content is right, lock it again: toolkit lock --upgrade; "
                "else ask who runs the place it came from.",
            )
        return path

    def kept(self) -> frozenset[str]:
        """The sha256 (hex) of the files that are here."""
        names = (path.name for path in self.directory.glob("*") if path.is_file())
        return frozenset(names)

    def gather(self, downloads: Sequence[LockedDownload], directory: Path) -> Path:
        """A directory of just these files, each under its path; what was there before is removed."""
        shutil.rmtree(directory, ignore_errors=True)
        for download in downloads:
            target = directory / download.path
            target.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(self.ensure(download), target)
        return directory

    def _receive(self, url: str, content: Path) -> None:
        """Append what is still missing, as often as the connection breaks and something came."""
        for attempt in range(1, _ROUNDS + 1):
            before = content.stat().st_size if content.is_file() else 0
            try:
                with self.fetcher.open(url, start=before) as response:
                    if response.status_code == 416:
                        return
                    with content.open("ab" if response.status_code == 206 else "wb") as file:
                        for chunk in response.iter_raw():
                            file.write(chunk)
                return
            except SourceUnreachable:
                if attempt == _ROUNDS or not content.is_file() or content.stat().st_size <= before:
                    raise

    def _keep(self, content: Path) -> tuple[str, Path]:
        found = _sha256(content)
        content.chmod(0o644)
        content.replace(self.directory / found)
        return found, self.directory / found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
