"""Starting a daemon and waiting for it, or saying why it does not come."""

import re
from pathlib import PurePosixPath

from toolkit.errors import NeedNotMet
from toolkit.machine import places
from toolkit.machine.record import DirectoryMade, ProcessStarted
from toolkit.machine.recorder import note
from toolkit.machine.steps import PidFile, StartProcess
from toolkit.machine.system import Process, System

PATIENCE = 90.0
_STEP = 0.2
_TAIL = 12

# A line of the daemon's log → what it means and what mends it.
_CAUSES = (
    (r"no space left on device", "the disk is full", "Free some space"),
    (r"iptables|nat table", "the kernel or container lacks iptables' nat table", "Run on a host of its own"),
    (r"cgroup", "control groups are not mounted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup"),
    (r"operation not permitted|permission denied", "it may not do its work here", "Run as root, privileged"),
    (r"address already in use", "another program has its address", "Stop that program (ss -lntxp)"),
    (
        r"unable to configure the Docker daemon|configuration file",
        f"{places.ENGINE_SETTINGS} has a fault",
        "Mend that file",
    ),
    (
        r"error (initializing|creating|opening).*(graphdriver|metadata|database|content)",
        "the engine's data is damaged, by a machine that was killed for example",
        "Move /var/lib/docker and /var/lib/containerd away",
    ),
)


def start(effect: StartProcess, system: System) -> None:
    """Start the daemon and wait until it answers. Idempotent.

    Raises NeedNotMet with the last lines of its log and the likely cause when it ends or stays silent.
    """
    if system.answers(effect.address):
        return
    for directory in effect.makes:
        if not system.exists(directory):
            note(system, DirectoryMade(path=str(directory), whole=True))
    for pid_file in effect.pid_files:
        _remove_if_stale(pid_file, system)
    earlier = len(system.read(effect.log) or "")
    process = system.lookup_process(effect.command)
    if process is None:
        note(system, ProcessStarted(name=effect.name, command=effect.command))
        try:
            process = system.start(effect.command, effect.log)
        except OSError as error:
            raise NeedNotMet(
                f"{effect.command[0]} cannot be started: {error}",
                remedy="Run set-up again; if it stays, reinstall the package of that program.",
            ) from error
        note(system, _identified(effect, process))
    _wait(effect, process, system, earlier)


def _identified(effect: StartProcess, process: Process) -> ProcessStarted:
    return ProcessStarted(
        name=effect.name,
        command=effect.command,
        pid=process.pid,
        started=process.started,
        boot=process.boot,
    )


def _remove_if_stale(pid_file: PidFile, system: System) -> None:
    """dockerd refuses to start when the number in its file belongs to any process that runs now."""
    pid = (system.read(pid_file.path) or "").strip()
    if pid.isdigit():
        program = system.read(PurePosixPath("/proc") / pid / "comm")
        if program is None or program.strip() != pid_file.program:
            system.remove(pid_file.path)


def _wait(effect: StartProcess, process: Process, system: System, earlier: int) -> None:
    """`earlier` characters of the log are of former starts."""
    waited = 0.0
    while not system.answers(effect.address):
        if not system.is_running(process):
            raise _silent(effect, system, earlier, "ended while starting")
        if waited >= PATIENCE:
            raise _silent(
                effect, system, earlier, f"does not answer at {effect.address} after {PATIENCE:.0f} s"
            )
        system.wait(_STEP)
        waited += _STEP


def _silent(effect: StartProcess, system: System, earlier: int, what: str) -> NeedNotMet:
    lines = (system.read(effect.log) or "")[earlier:].splitlines()[-_TAIL:]
    tail = "\n".join(f"    {line}" for line in lines)
    cause, remedy = next(
        (
            (cause, remedy)
            for line in reversed(lines)
            for pattern, cause, remedy in _CAUSES
            if re.search(pattern, line, re.IGNORECASE)
        ),
        ("its log has the reason", f"Read {effect.log}, mend what it names"),
    )
    return NeedNotMet(
        f"{effect.name} {what}: {cause}\n{tail}", remedy=f"{remedy}, then run the same command again."
    )
