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
    def commit(self) -> str:
        """What is checked out."""
        return self._git("rev-parse", "--verify", "HEAD")

    @property
    def source(self) -> str:
        """The origin as a web address, however it was cloned; "" for one that is a path of this machine."""
        return web_address(self._git("config", "--get", "remote.origin.url"))

    def _git(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(self.directory), *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""


_REMOTE = re.compile(
    r"(?:(?:https?|ssh|git)://)?(?:[^/@]+@)?(?P<host>[A-Za-z0-9.-]+\.[A-Za-z]+)(?::\d+/|[:/])(?P<path>.+?)(?:\.git)?/?"
)


def web_address(remote: str) -> str:
    """`https://HOST/PATH` of a git remote: one spelling, without credentials; "" for anything else.

    https://git-scm.com/docs/git-clone#_git_urls
    """
    found = None if remote.startswith(("/", ".", "file:")) else _REMOTE.fullmatch(remote)
    return f"https://{found['host']}/{found['path']}" if found else ""
