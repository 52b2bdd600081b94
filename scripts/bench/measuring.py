"""Commands that are run, timed and weighed, each in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
TOOLKIT = (sys.executable, "-m", "toolkit")


class BenchFailed(Exception):
    """A command that a row runs did not end well."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process took: seconds on the clock and on processors, the most resident memory in MB."""

    wall: float
    cpu: float
    memory: float


def timed(act: Callable[[], object]) -> float:
    """Seconds on the clock."""
    started = time.monotonic()
    act()
    return time.monotonic() - started


def run(*command: str, cwd: Path = PROJECT) -> str:
    """What it printed. Raises BenchFailed with its words."""
    done = subprocess.run(
        command, cwd=cwd, env=_environment(), capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise BenchFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.rstrip()}")
    return done.stdout


def measured(*command: str, cwd: Path = PROJECT) -> Usage:
    """Of a process and nothing else; the memory is never less than that of this one, which forks it."""
    started = time.monotonic()
    child = subprocess.Popen(
        command, cwd=cwd, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    took = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise BenchFailed(f"{' '.join(command)} ended with {child.returncode}")
    return Usage(wall=took, cpu=usage.ru_utime + usage.ru_stime, memory=usage.ru_maxrss / 1024)


def _environment() -> dict[str, str]:
    """As Python and make have it: what is compiled is kept."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
