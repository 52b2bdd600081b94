"""What git says of the project: labels of the images, nothing else."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A directory that may be a git checkout; outside of one everything is "".

    `sources` are the paths that images are made from: a commit elsewhere is no new revision of them,
    so that the same images get the same digest at every commit that leaves their sources alone.
    """

    directory: Path
    sources: tuple[Path, ...]

    @property
    def revision(self) -> str:
        """The last commit that changed the sources, with `-dirty` when they differ from it."""
        paths = [str(path) for path in self.sources]
        commit = self._git("log", "-1", "--format=%H", "--", *paths)
        changed = self._git("status", "--porcelain", "--", *paths)
        return f"{commit}-dirty" if commit and changed else commit

    @property
    def source(self) -> str:
        """The origin's URL without any credentials in it."""
        return re.sub(r"//[^/@]+@", "//", self._git("config", "--get", "remote.origin.url"))

    def _git(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(self.directory), *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""
