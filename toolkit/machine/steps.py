"""What set-up may do to a machine, as data, and the shell lines a person could type instead."""

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import assert_never

from toolkit.machine.places import APT, APT_CONFIG, BINFMT


@dataclass(frozen=True, kw_only=True)
class WriteFile:
    """A text file; a file that is already there is only overwritten below set-up's own directory."""

    path: PurePosixPath
    text: str


@dataclass(frozen=True, kw_only=True)
class InstallPackages:
    """Packages with their dependencies, nothing recommended, nothing removed, no service started."""

    packages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A kernel file system on an existing directory."""

    kind: str
    target: PurePosixPath


@dataclass(frozen=True, kw_only=True)
class RegisterEmulator:
    """The binfmt_misc entry `name`, from the line in `settings` that the emulator's package brings."""

    name: str
    settings: PurePosixPath


@dataclass(frozen=True, kw_only=True)
class RememberNetwork:
    """Put the network on record: an engine turns forwarding on, adds rules and a bridge, and leaves them."""


@dataclass(frozen=True, kw_only=True)
class PidFile:
    """Left behind by a killed machine; only true while its number belongs to `program`."""

    path: PurePosixPath
    program: str


@dataclass(frozen=True, kw_only=True)
class StartProcess:
    """A daemon in a session of its own, until `address` (unix:// or http://) answers.

    `makes` are the directories it makes for its data: taken back if they were not there before.
    """

    name: str
    command: tuple[str, ...]
    log: PurePosixPath
    address: str
    makes: tuple[PurePosixPath, ...]
    pid_files: tuple[PidFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ServiceCommand:
    """`systemctl VERB SERVICE`, where systemd runs."""

    verb: str
    service: str


Effect = (
    WriteFile | InstallPackages | Mount | RegisterEmulator | RememberNetwork | StartProcess | ServiceCommand
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing set-up does: which needs it answers, what changes, what it fetches and keeps (bytes)."""

    name: str
    changes: str
    answers: frozenset[str]
    effects: tuple[Effect, ...]
    download: int = 0
    disk: int = 0

    @property
    def lines(self) -> tuple[str, ...]:
        """The same by hand, for a root shell."""
        return tuple(line for effect in self.effects for line in shell_lines(effect))


def shell_lines(effect: Effect) -> tuple[str, ...]:
    """What to type to have `effect`."""
    match effect:
        case WriteFile(path=path, text=text):
            return (f"mkdir -p {path.parent}", f"cat > {path} <<'EOF'", *text.splitlines(), "EOF")
        case InstallPackages(packages=packages):
            return (
                f"mkdir -p {APT}/lists/partial {APT}/cache/archives/partial",
                f"export APT_CONFIG={APT_CONFIG}",
                "apt-get update",
                f"apt-get install --no-install-recommends {' '.join(packages)}",
                "unset APT_CONFIG",
            )
        case Mount(kind=kind, target=target):
            return (f"mount -t {kind} {kind} {target}",)
        case RegisterEmulator(settings=settings):
            return (f"cat {settings} > {BINFMT}/register",)
        case RememberNetwork():
            return ()
        case StartProcess(command=command, log=log):
            return (
                f"mkdir -p {log.parent}",
                f"setsid {shlex.join(command)} > {log} 2>&1 < /dev/null &",
            )
        case ServiceCommand(verb=verb, service=service):
            return (f"systemctl {verb} {service}",)
        case _:
            assert_never(effect)
