"""The machine itself: the only place that changes it. A Debian-like Linux with /proc."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from toolkit.adapters.engine import engine_answers, registry_answers
from toolkit.machine import places
from toolkit.machine.system import Outcome, Process, System

_PROC = Path("/proc")
_STOP_PATIENCE = 30.0
_STEP = 0.1
_EXEC_STEP = 0.001


class LocalSystem:
    """Files, processes and programs of this machine."""

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Outcome:
        try:
            ended = subprocess.run(
                command,
                env={**os.environ, "LC_ALL": "C", **(environment or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            return Outcome(code=127, errors=f"{command[0]}: {error.strerror}")
        return Outcome(code=ended.returncode, output=ended.stdout, errors=ended.stderr)

    def read(self, path: PurePosixPath) -> str | None:
        try:
            return Path(path).read_text(errors="replace")
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            return None

    def write(self, path: PurePosixPath, text: str, mode: int = 0o644) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "w") as file:
                os.fchmod(descriptor, mode)
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            draft.rename(target)
        finally:
            draft.unlink(missing_ok=True)

    def put(self, path: PurePosixPath, text: str) -> None:
        # Unbuffered: binfmt_misc takes one entry per write(2) and answers it with its error.
        with open(path, "wb", buffering=0) as file:
            file.write(text.encode())

    def make_directory(self, path: PurePosixPath) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)

    def exists(self, path: PurePosixPath) -> bool:
        return os.path.lexists(path)

    def names(self, path: PurePosixPath) -> frozenset[str]:
        try:
            return frozenset(os.listdir(path))
        except FileNotFoundError:
            return frozenset()

    def remove(self, path: PurePosixPath) -> None:
        target = Path(path)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def mounts(self, path: PurePosixPath) -> tuple[PurePosixPath, ...]:
        # The fifth field is the mount point, spaces in it as \040: proc_pid_mountinfo(5).
        lines = (_PROC / "self/mountinfo").read_text().splitlines()
        points = (PurePosixPath(line.split()[4].replace("\\040", " ")) for line in lines)
        return tuple(reversed([point for point in points if point == path or path in point.parents]))

    def start(self, command: Sequence[str], log: PurePosixPath) -> Process:
        self.make_directory(log.parent)
        with open(log, "ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
            )
        process = _lookup(child.pid)
        # Popen comes back while the kernel still sets the program up: until it is done there is no command
        # line to know it by. https://github.com/torvalds/linux/blob/master/fs/proc/base.c (get_mm_cmdline)
        while process and not self.read(PurePosixPath(_PROC, str(child.pid), "cmdline")):
            time.sleep(_EXEC_STEP)
            process = _lookup(child.pid)
        if process is None:
            raise ChildProcessError(f"{command[0]} ended at once")
        return process

    def lookup_process(self, command: Sequence[str]) -> Process | None:
        wanted = "".join(f"{word}\0" for word in command)
        for entry in _PROC.iterdir():
            if entry.name.isdigit() and self.read(PurePosixPath(entry, "cmdline")) == wanted:
                return _lookup(int(entry.name))
        return None

    def is_running(self, process: Process) -> bool:
        return _lookup(process.pid) == process

    def stop(self, process: Process) -> None:
        deadline = time.monotonic() + _STOP_PATIENCE
        if self.is_running(process):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        while self.is_running(process):
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            time.sleep(_STEP)

    def answers(self, address: str) -> bool:
        if address.startswith("unix://"):
            return engine_answers(address)
        return registry_answers(address)

    @contextmanager
    def lock(self) -> Iterator[None]:
        while True:
            with open(places.LOCK, "a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                # An uninstall that ended while this one waited took the file away: lock the new one.
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(file.fileno()), os.stat(places.LOCK)):
                        yield
                        return

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


def _lookup(pid: int) -> Process | None:
    """The process of that number, None when there is none or only its corpse.

    Fields of /proc/PID/stat after the program's name in brackets: state, …, start time (the 22nd of all).
    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else Process(pid=pid, started=int(fields[19]), boot=boot)


if TYPE_CHECKING:
    _conforms: System = LocalSystem()
