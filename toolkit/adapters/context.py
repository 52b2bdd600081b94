"""A rendered unit on disk: what Buildx gets and `toolkit render` shows."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def write_context(root: Path, dockerfile: str, files: Mapping[str, bytes]) -> None:
    """Write ROOT/Dockerfile and, apart from it, the build context ROOT/files/.

    Modes are set, not left to the umask: they end in the layers.
    """
    (root / "files").mkdir(parents=True, exist_ok=True)
    (root / "Dockerfile").write_text(dockerfile)
    for path, content in files.items():
        target = root / "files" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o644)
    for directory, _, _ in os.walk(root / "files"):
        Path(directory).chmod(0o755)


def link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
