"""The programs this process has started, python-on-whales' docker clients among them."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def interrupt_children() -> None:
    """Send SIGINT to every child: a docker client that is left behind would go on with its build.

    Where the kernel does not list them (not Linux) a terminal's Ctrl-C has reached them already.
    """
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGINT)
