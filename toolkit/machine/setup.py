"""Set-up: decide, say, record, act."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import assert_never

from toolkit.errors import NeedNotMet
from toolkit.machine import places
from toolkit.machine.daemon import start
from toolkit.machine.facts import Facts
from toolkit.machine.needs import unmet_by
from toolkit.machine.packages import install
from toolkit.machine.plan import can_install, has_known_packages, plan_setup
from toolkit.machine.record import (
    DirectoryMade,
    EmulatorRegistered,
    FileWritten,
    Mounted,
    NetworkTouched,
    ServiceStarted,
)
from toolkit.machine.recorder import note
from toolkit.machine.steps import (
    Effect,
    InstallPackages,
    Mount,
    RegisterEmulator,
    RememberNetwork,
    ServiceCommand,
    StartProcess,
    Step,
    WriteFile,
)
from toolkit.machine.system import System
from toolkit.machine.text import announcement, by_hand

Say = Callable[[str], None]


def require(facts: Facts) -> None:
    """Nothing, if all is there; else raises NeedNotMet with the lines to run. Changes nothing.

    What `SETUP=no` asks for, and what happens where set-up may not install.
    """
    steps = plan_setup(facts) if has_known_packages(facts) else ()
    open_needs = unmet_by(facts, ())
    if open_needs or steps:
        raise NeedNotMet(by_hand(facts, open_needs, steps))


def set_up(observe: Callable[[], Facts], system: System, say: Say) -> None:
    """Bring what is missing; `observe` looks at the machine, `say` gets lines for people.

    Returns at once, without a word or a lock, when nothing is missing. Raises NeedNotMet where it may
    not install, when a need is none that set-up can mend, and when a step fails.
    """
    facts = observe()
    if not can_install(facts):
        require(facts)
        return
    steps = plan_setup(facts)
    if not steps:
        _refuse_if_open(facts, ())
        return
    with system.lock():
        # Another set-up may have done it all while this one waited.
        facts = observe()
        steps = plan_setup(facts)
        _refuse_if_open(facts, steps)
        if steps:
            say(announcement(steps, facts.disks))
        for step in steps:
            say(f"{step.name}: {step.changes}")
            for effect in step.effects:
                perform(effect, system, say)
    _refuse_if_open(observe(), ())


def _refuse_if_open(facts: Facts, steps: Sequence[Step]) -> None:
    """Raises NeedNotMet for what `steps` will not mend."""
    if open_needs := unmet_by(facts, steps):
        rows = "\n".join(f"  {need.name}: {need.detail}\n    {need.remedy}" for need in open_needs)
        raise NeedNotMet(f"set-up cannot go on:\n{rows}")


def perform(effect: Effect, system: System, say: Say) -> None:
    """Make one change, recorded first. Idempotent. Raises NeedNotMet when it cannot be made."""
    match effect:
        case WriteFile(path=path, text=text):
            _make_directory(system, path.parent)
            note(system, FileWritten(path=str(path), before=system.read(path), after=text))
            system.write(path, text)
        case InstallPackages(packages=packages):
            install(system, packages, say)
        case Mount(kind=kind, target=target):
            note(system, Mounted(target=str(target)))
            _demand(system, ("mount", "-t", kind, kind, str(target)))
        case RegisterEmulator():
            _register(effect, system)
        case RememberNetwork():
            forwarding = (system.read(places.FORWARDING) or "").strip()
            note(system, NetworkTouched(forwarding=forwarding, bridge=system.exists(places.BRIDGE)))
        case StartProcess():
            start(effect, system)
        case ServiceCommand(verb=verb, service=service):
            if verb == "start":
                note(system, ServiceStarted(service=service))
            _demand(system, ("systemctl", verb, service))
        case _:
            assert_never(effect)


def _make_directory(system: System, path: PurePosixPath) -> None:
    for directory in reversed((path, *path.parents)):
        if not system.exists(directory):
            note(system, DirectoryMade(path=str(directory), whole=False))
            system.make_directory(directory)


def _register(effect: RegisterEmulator, system: System) -> None:
    if system.exists(places.BINFMT / effect.name):
        return
    line = system.read(effect.settings)
    if line is None:
        raise NeedNotMet(
            f"{effect.settings} is not there: the emulator's package is not the one that was expected",
            remedy="apt-get install --reinstall qemu-user-static, then run the same command again.",
        )
    note(system, EmulatorRegistered(name=effect.name))
    try:
        system.put(places.BINFMT / "register", line)
    except OSError as error:
        raise NeedNotMet(
            f"the kernel refuses the emulator {effect.name}: {error}",
            remedy="Run set-up where binfmt_misc may be written: not in an unprivileged container.",
        ) from error


def _demand(system: System, command: Sequence[str]) -> None:
    outcome = system.run(command)
    if outcome.code:
        raise NeedNotMet(
            f"`{' '.join(command)}` failed: {outcome.errors.strip() or outcome.output.strip()}",
            remedy="Mend what it names, then run the same command again.",
        )
