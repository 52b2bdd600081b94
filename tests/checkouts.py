"""Git repositories of tests."""

import subprocess
from pathlib import Path


def commit(directory: Path) -> str:
    """All that is there and not ignored, as one commit; its id."""
    git = ["git", "-C", str(directory), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)
    return subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
