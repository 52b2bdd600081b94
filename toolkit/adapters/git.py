"""What git says of the project: labels of the images, nothing else."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkout:
    """A directory that may be a git checkout; outside of one everything is ""."""

    directory: Path

    @property
    def revision(self) -> str:
        """The commit, with `-dirty` when tracked files differ from it."""
        return self._git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")

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
