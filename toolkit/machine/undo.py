"""Uninstall: take back what the record says, the last change first, and nothing else."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import assert_never

from toolkit.errors import NeedNotMet
from toolkit.machine import places
from toolkit.machine.packages import has_account, purge
from toolkit.machine.record import (
    Change,
    DirectoryMade,
    EmulatorRegistered,
    FileWritten,
    GroupMade,
    Mounted,
    NetworkTouched,
    PackagesInstalled,
    ProcessStarted,
    ServiceStarted,
    UserMade,
)
from toolkit.machine.recorder import load_record, save_record
from toolkit.machine.system import System

Say = Callable[[str], None]

# Rules and bridges with Docker's names: its chains, docker0, and br-ID of a network made by a user of it.
_BRIDGE = r"docker0|br-[0-9a-f]{12}"
_RULE = re.compile(rf"\b(DOCKER\b|DOCKER-|{_BRIDGE})|-s 172\.1[7-9]\.0\.0/16")


def take_back(system: System, say: Say) -> None:
    """Take back all that set-up made here. Idempotent; after an interruption the next call goes on.

    Raises NeedNotMet when the record cannot be read or a change cannot be taken back.
    """
    if not system.exists(places.STATE):
        say("set-up made nothing here: nothing to take back")
        return
    with system.lock():
        for change in reversed(load_record(system).changes):
            _undo(change, system, say)
            save_record(system, load_record(system).without(change))
        # Last of the packages: with them goes the Python that runs this, if it came from there.
        purge(system, (system.read(places.PYTHON_PACKAGES) or "").split(), say)
        for directory in (places.LOGS, places.STATE):
            if system.exists(directory):
                say(f"removes {directory}")
                _remove_tree(system, directory)
        system.remove(places.LOCK)


def _undo(change: Change, system: System, say: Say) -> None:
    match change:
        case ProcessStarted():
            _stop(change, system, say)
        case ServiceStarted(service=service):
            say(f"stops {service}")
            system.run(("systemctl", "stop", service))
        case NetworkTouched():
            _restore_network(change, system, say)
        case EmulatorRegistered(name=name):
            if system.exists(places.BINFMT / name):
                say(f"unregisters {name}")
                system.put(places.BINFMT / name, "-1")
        case Mounted(target=target):
            _unmount(PurePosixPath(target), system, say)
        case PackagesInstalled(packages=packages):
            purge(system, packages, say)
        case UserMade(name=name):
            if has_account(system, places.USERS, name):
                say(f"removes the user {name}")
                system.run(("userdel", name))
        case GroupMade(name=name):
            if has_account(system, places.GROUPS, name):
                say(f"removes the group {name}")
                system.run(("groupdel", name))
        case DirectoryMade(path=path, whole=whole):
            _remove_directory(PurePosixPath(path), whole, system, say)
        case FileWritten():
            _restore_file(change, system, say)
        case _:
            assert_never(change)


def _stop(change: ProcessStarted, system: System, say: Say) -> None:
    # Without an identity set-up was cut off between starting it and noting its number.
    process = change.process or system.lookup_process(change.command)
    if process and system.is_running(process):
        say(f"stops {change.name} (pid {process.pid})")
        system.stop(process)


def _restore_network(change: NetworkTouched, system: System, say: Say) -> None:
    """dockerd leaves its rules, bridges and forwarding when it ends.

    It sets the policy of FORWARD to DROP only when it turned forwarding on itself:
    https://docs.docker.com/engine/network/packet-filtering-firewalls/#docker-on-a-router
    """
    if change.bridge:
        return
    say("removes docker's bridges and packet filter rules")
    for name in sorted(system.names(places.INTERFACES)):
        if re.fullmatch(_BRIDGE, name):
            system.run(("ip", "link", "delete", name))
    for family in ("iptables", "ip6tables"):
        rules = system.run((f"{family}-save",)).output
        if _RULE.search(rules):
            kept = "".join(line for line in rules.splitlines(keepends=True) if not _RULE.search(line))
            if change.forwarding == "0":
                kept = kept.replace(":FORWARD DROP", ":FORWARD ACCEPT")
            draft = places.STATE / f"{family}.rules"
            system.write(draft, kept)
            system.run((f"{family}-restore", str(draft)))
    if change.forwarding:
        system.put(places.FORWARDING, change.forwarding)


def _unmount(target: PurePosixPath, system: System, say: Say) -> None:
    if not system.mounts(target):
        return
    if others := system.names(target) - {"register", "status"}:
        say(f"keeps {target} mounted: {', '.join(sorted(others))} is registered there by someone else")
        return
    say(f"unmounts {target}")
    system.run(("umount", str(target)))


def _remove_directory(path: PurePosixPath, whole: bool, system: System, say: Say) -> None:
    if not system.exists(path) or (system.names(path) and not whole):
        return
    say(f"removes {path}")
    if whole:
        _remove_tree(system, path)
    else:
        # Not recursive whatever happened in between.
        system.run(("rmdir", str(path)))


def _remove_tree(system: System, path: PurePosixPath) -> None:
    for point in system.mounts(path):
        system.run(("umount", str(point)))
    try:
        system.remove(path)
    except OSError as error:
        raise NeedNotMet(
            f"{path} cannot be removed: {error}",
            remedy="Stop what still uses it, then run `make uninstall` again.",
        ) from error


def _restore_file(change: FileWritten, system: System, say: Say) -> None:
    path = PurePosixPath(change.path)
    if system.read(path) != change.after:
        if system.exists(path):
            say(f"keeps {path}: it was changed after set-up wrote it")
    elif change.before is None:
        say(f"removes {path}")
        system.remove(path)
    else:
        say(f"puts back {path}")
        system.write(path, change.before)
