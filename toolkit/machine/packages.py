"""Installing and removing packages with apt, and reading what it says."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from toolkit.errors import NeedNotMet
from toolkit.machine import places
from toolkit.machine.distributions import LEFTOVERS
from toolkit.machine.record import DirectoryMade, FileWritten, GroupMade, PackagesInstalled, UserMade
from toolkit.machine.recorder import load_record, note
from toolkit.machine.system import Outcome, System

_OWN = {"APT_CONFIG": str(places.APT_CONFIG), "DEBIAN_FRONTEND": "noninteractive"}
# Another apt may be at work (unattended-upgrades at boot): wait for it. apt.conf(5), Error-Mode: a list
# that could not be fetched is an error, not a warning.
_WAIT = ("-o", "DPkg::Lock::Timeout=300")
_UPDATE = ("apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any", *_WAIT)
_INSTALL = ("apt-get", "install", "-q", "-y", "--no-install-recommends", "--no-remove", *_WAIT)
_NO_SERVICES = "#!/bin/sh\nexit 101\n"

# What apt or dpkg says → what it means and what mends it.
_CAUSES = (
    (
        r"Could not (resolve|connect)|Temporary failure|Failed to fetch|Unable to connect|Connection refused",
        "the mirror is not reachable: network, proxy or mirror of this machine",
        "Check that `apt-get update` works on this machine",
    ),
    (
        r"NO_PUBKEY|not signed|EXPKEYSIG",
        "apt lacks the key of a suite",
        "apt-get install debian-archive-keyring",
    ),
    (r"Could not get lock|Unable to acquire", "another apt is at work", "Wait until it ends"),
    (r"No space left|enough free space", "the disk is full", "Free some space (apt-get clean)"),
    (
        r"Unable to locate package|no installation candidate|Unmet dependencies|unmet dependencies",
        "the mirror does not have the packages, or packages of another origin are in their way",
        "Look at `apt-cache policy docker.io containerd`",
    ),
    (r"dpkg was interrupted|dpkg --configure", "an earlier installation was cut off", "dpkg --configure -a"),
)


def install(system: System, packages: Sequence[str], say: Callable[[str], None]) -> None:
    """Install from set-up's own apt configuration; recorded are the packages that were not there.

    Raises NeedNotMet with apt's own words, the likely cause and what mends it.
    """
    for directory in ("lists/partial", "cache/archives/partial"):
        system.make_directory(places.APT / directory)
    _apt(system, _UPDATE, "the package lists could not be fetched")
    simulated = _apt(system, (*_INSTALL, "--simulate", *packages), "the packages cannot be installed")
    added = newly_installed(simulated.output)
    figures = _apt(system, (*_INSTALL, "--print-uris", *packages), "the packages cannot be installed")
    say("  " + " ".join(re.findall(r"^(?:Need to get|After this).*$", figures.output, re.MULTILINE)))
    for leftover in (leftover for package in added for leftover in LEFTOVERS.get(package, ())):
        if not _is_there(leftover, system):
            note(system, leftover)
    note(system, PackagesInstalled(packages=added))
    policy = FileWritten(path=str(places.SERVICE_POLICY), before=None, after=_NO_SERVICES)
    is_ours = policy in load_record(system).changes
    if is_ours or not system.exists(places.SERVICE_POLICY):
        is_ours = True
        note(system, policy)
        system.write(places.SERVICE_POLICY, _NO_SERVICES, mode=0o755)
    try:
        _apt(system, (*_INSTALL, *packages), "the packages could not be installed")
    finally:
        if is_ours:
            system.remove(places.SERVICE_POLICY)
    _apt(system, ("apt-get", "clean"), "fetched packages could not be cleaned up")


def _is_there(leftover: UserMade | GroupMade | DirectoryMade, system: System) -> bool:
    match leftover:
        case UserMade(name=name):
            return has_account(system, places.USERS, name)
        case GroupMade(name=name):
            return has_account(system, places.GROUPS, name)
        case DirectoryMade(path=path):
            return system.exists(PurePosixPath(path))


def has_account(system: System, accounts: PurePosixPath, name: str) -> bool:
    """Whether /etc/passwd or /etc/group has a line for `name`."""
    lines = (system.read(accounts) or "").splitlines()
    return any(line.partition(":")[0] == name for line in lines)


def newly_installed(simulation: str) -> tuple[str, ...]:
    """The packages `apt-get --simulate` would add: `Inst NAME (…)`; an upgrade has its old version first."""
    return tuple(sorted(re.findall(r"^Inst (\S+) \(", simulation, re.MULTILINE)))


def removed(simulation: str) -> frozenset[str]:
    """The packages that `apt-get --simulate` would take away: `Remv NAME …` or `Purg NAME …`."""
    return frozenset(re.findall(r"^(?:Remv|Purg) (\S+)", simulation, re.MULTILINE))


def purge(system: System, packages: Iterable[str], say: Callable[[str], None]) -> None:
    """Purge those of `packages` that are there and that no other package has come to need."""
    ours = _known(system, packages)
    if not ours:
        return
    removable = ours if _purged(system, ours) <= ours else _independent(system, ours)
    if removable:
        say(f"purges {' '.join(sorted(removable))}")
    for package in sorted(ours - removable):
        say(f"keeps {package}: a package that set-up did not install needs it")
    if removable:
        _remove(system, "remove", removable)
        system.remove(places.ENGINE_NUKE)
        # What left no configuration behind is no longer known to apt, and would be an error.
        if remaining := _known(system, removable):
            _remove(system, "purge", remaining)


def _remove(system: System, verb: str, packages: Iterable[str]) -> None:
    command = ("apt-get", verb, "-q", "-y", *_WAIT, *sorted(packages))
    outcome = system.run(command, {"DEBIAN_FRONTEND": "noninteractive"})
    _fail_unless(outcome, "packages could not be removed")


def _independent(system: System, ours: frozenset[str]) -> frozenset[str]:
    """Those whose removal takes only other ones of ours along."""
    return frozenset(package for package in ours if _purged(system, {package}) <= ours)


def _purged(system: System, packages: Iterable[str]) -> frozenset[str]:
    outcome = system.run(("apt-get", "purge", "--simulate", "-q", *sorted(packages)))
    return removed(_fail_unless(outcome, "packages cannot be removed").output)


def _known(system: System, packages: Iterable[str]) -> frozenset[str]:
    """Those of which dpkg has anything, configuration files included: never one that was not asked about."""
    asked = frozenset(packages)
    if not asked:  # without a name dpkg-query lists the whole system
        return frozenset()
    form = "--showformat=${binary:Package} ${db:Status-Status}\\n"
    # Its exit code is 1 when it does not know one of them.
    lines = system.run(("dpkg-query", "--show", form, *sorted(asked))).output.splitlines()
    states = (line.rpartition(" ") for line in lines)
    found = frozenset(name.partition(":")[0] for name, _, state in states if state != "not-installed")
    return asked & found


def _apt(system: System, command: Sequence[str], what: str) -> Outcome:
    return _fail_unless(system.run(command, _OWN), what)


def _fail_unless(outcome: Outcome, what: str) -> Outcome:
    """`outcome` if the command did it. Raises NeedNotMet with its own words and the likely cause."""
    if outcome.code == 0:
        return outcome
    words = [line for line in outcome.errors.splitlines() if line.startswith(("E:", "dpkg:", "Err:"))]
    said = "\n".join(f"    {line}" for line in words[-4:] or outcome.errors.splitlines()[-4:])
    cause, remedy = next(
        ((cause, remedy) for pattern, cause, remedy in _CAUSES if re.search(pattern, outcome.errors)),
        ("apt's words are all there is", "Mend what they name"),
    )
    raise NeedNotMet(f"{what}: {cause}\n{said}", remedy=f"{remedy}, then run the same command again.")
