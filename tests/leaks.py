"""Where a password may have come to: what is looked for, and what is looked through."""

import base64
import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote


def forms(login: tuple[str, str]) -> tuple[bytes, ...]:
    """How a password may stand somewhere."""
    user, password = login
    basic = base64.b64encode(f"{user}:{password}".encode())
    return (password.encode(), quote(password, safe="").encode(), basic)


@contextmanager
def watched_commands() -> Iterator[set[bytes]]:
    """Every command line of this machine that is seen meanwhile."""
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    seen.add(path.read_bytes().replace(b"\0", b" "))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def contents(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below, as it is and, where it is compressed, as what it holds."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            yield str(path), content
            if content.startswith(b"\x1f\x8b"):
                yield f"{path} (unpacked)", gzip.decompress(content)
