"""The machine as `setup` and `undo` see it: the few verbs they need.

`toolkit.adapters.debian.LocalSystem` is the real one; tests hand in one that keeps it all in a dict.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended: exit code, stdout, stderr."""

    code: int
    output: str = ""
    errors: str = ""


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process beyond doubt: its number is reused, number + start (clock ticks) + boot id are not."""

    pid: int
    started: int
    boot: str


class System(Protocol):
    """The only hands on the machine."""

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Outcome:
        """Run to its end, stdin empty, messages in English; a program that is not there is exit code 127."""

    def read(self, path: PurePosixPath) -> str | None:
        """The text of a file, None where there is none."""

    def write(self, path: PurePosixPath, text: str, mode: int = 0o644) -> None:
        """Replace or make a file at once, with the directories above it."""

    def put(self, path: PurePosixPath, text: str) -> None:
        """Hand `text` to a file of the kernel's. Raises OSError when the kernel refuses."""

    def make_directory(self, path: PurePosixPath) -> None:
        """Idempotent, with the directories above it."""

    def exists(self, path: PurePosixPath) -> bool: ...

    def names(self, path: PurePosixPath) -> frozenset[str]:
        """What is in a directory, nothing when there is none."""

    def mounts(self, path: PurePosixPath) -> tuple[PurePosixPath, ...]:
        """What is mounted at `path` and below it, in the order in which it can be unmounted."""

    def remove(self, path: PurePosixPath) -> None:
        """Remove a file or a whole tree; absent is fine. Raises OSError when something is mounted in it."""

    def start(self, command: Sequence[str], log: PurePosixPath) -> Process:
        """Start a daemon in its own session, output appended to `log`; it can be looked up from then on.

        Raises OSError when it cannot.
        """

    def lookup_process(self, command: Sequence[str]) -> Process | None:
        """A running process with exactly this command line."""

    def is_running(self, process: Process) -> bool: ...

    def stop(self, process: Process) -> None:
        """Ask it to end, insist after a while; a process that is not running is fine."""

    def answers(self, address: str) -> bool:
        """Whether an engine (unix://SOCKET) or a registry (http://HOST:PORT) answers there."""

    def lock(self) -> AbstractContextManager[None]:
        """Held by one set-up or uninstall at a time; others wait."""

    def wait(self, seconds: float) -> None: ...
