"""Commands that are run, timed and weighed, each in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

PROJECT = Path(__file__).parents[2]
TOOLKIT = (sys.executable, "-m", "toolkit")
_LAST_LINES = 12
_AS_IT_IS: Mapping[str, str] = MappingProxyType({})


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


def run(*command: str, cwd: Path = PROJECT, environment: Mapping[str, str] = _AS_IT_IS) -> str:
    """What it printed. Raises BenchFailed with its words. `environment` is added to that of this process."""
    return _ended(command, cwd, environment).stdout


def said(*command: str, cwd: Path = PROJECT, environment: Mapping[str, str] = _AS_IT_IS) -> str:
    """As `run`, but what it said on stderr."""
    return _ended(command, cwd, environment).stderr


def _ended(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**_environment(), **environment},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-_LAST_LINES:])
        raise BenchFailed(f"{' '.join(command)} ended with {done.returncode}:\n{last}")
    return done


# The memory of a process counts from before its program is loaded, when it is a copy of its parent: so the
# parent is a small one, and not the bench.
_WEIGH = """
import os, sys, time
nowhere = [(os.POSIX_SPAWN_OPEN, each, os.devnull, os.O_WRONLY, 0) for each in (1, 2)]
started = time.monotonic()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=nowhere)
_, status, usage = os.wait4(child, 0)
took = time.monotonic() - started
print(os.waitstatus_to_exitcode(status), took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


def measured(*command: str, cwd: Path = PROJECT) -> Usage:
    """Of a process and nothing else. Raises BenchFailed."""
    told = run(sys.executable, "-I", "-S", "-c", _WEIGH, *command, cwd=cwd).split()
    code, wall, cpu, memory = int(told[0]), *map(float, told[1:])
    if code:
        raise BenchFailed(f"{' '.join(command)} ended with {code}")
    return Usage(wall=wall, cpu=cpu, memory=memory)


def _environment() -> dict[str, str]:
    """As Python and make have it: what is compiled is kept."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
