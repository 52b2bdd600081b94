"""`python -m scripts.scale_page` writes the tables of docs/scale.md anew: what their commands print."""

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "scale.md"
_BLOCK = re.compile(r"^```console\n\$ toolkit ((?:.*\\\n)*.*)\n(?:.*\n)*?```$", re.MULTILINE)


def written_anew(page: str) -> str:
    """The page with the output of each command; raises CalledProcessError for one that fails."""
    return _BLOCK.sub(lambda block: f"```console\n$ toolkit {block[1]}\n{_output(block[1])}```", page)


def _output(command: str) -> str:
    arguments = command.replace("\\\n", " ").split()
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    PAGE.write_text(written_anew(PAGE.read_text()))
