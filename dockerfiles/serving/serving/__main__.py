"""`serve`: the container's process 1."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Serve, and leave with the status of `server.run`."""
    # Before the imports that take a second: process 1 ignores a signal it has no handler for. uvicorn has its
    # own handler while it serves and raises the signal again afterwards, which this one turns into status 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        from serving.server import run

        status = run(os.environ)
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    sys.stderr.flush()
    # Not sys.exit: that waits for the threads, and a model that never returns would outlast the drain.
    os._exit(status)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
