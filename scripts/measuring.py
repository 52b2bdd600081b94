"""What benches share: commands run and timed in turn, rows that compare them."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
TOOLKIT = (sys.executable, "-m", "toolkit")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What each pair took, in `unit`; `ratio` is the peer's over ours, so more is better."""

    name: str
    ours: tuple[float, ...]
    peer: tuple[float, ...]
    our_command: str
    peer_command: str
    unit: str = "s"

    @property
    def ratios(self) -> list[float]:
        return [peer / ours for ours, peer in zip(self.ours, self.peer, strict=True)]

    def line(self) -> str:
        low, high = min(self.ratios), max(self.ratios)
        ours, peer = statistics.median(self.ours), statistics.median(self.peer)
        ratio = statistics.median(self.ratios)
        values = f"{ours:8.2f} {self.unit:<2} {peer:8.2f} {self.unit:<2}"
        return f"{self.name:<44} {values} {ratio:7.1f} × ({low:.1f} to {high:.1f})"


def timed(act: Callable[[], object]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started


def run(*command: str, cwd: Path = PROJECT) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process took: seconds on the clock and on processors, the most resident memory in MB."""

    wall: float
    cpu: float
    memory: float


def measured(*command: str) -> Usage:
    """Of a process and nothing else; the memory is never less than that of this one, which forks it."""
    started = time.monotonic()
    child = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    took = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}")
    return Usage(wall=took, cpu=usage.ru_utime + usage.ru_stime, memory=usage.ru_maxrss / 1024)


def output(*command: str) -> str:
    done = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def row(name: str, timings: Sequence[tuple[float, float]], ours: str, peer: str) -> Row:
    return Row(
        name=name,
        ours=tuple(pair[0] for pair in timings),
        peer=tuple(pair[1] for pair in timings),
        our_command=ours,
        peer_command=peer,
    )
