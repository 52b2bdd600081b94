"""Which packages bring what is needed, by distribution. Data: a new system is a row here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from toolkit.machine.facts import Host
from toolkit.machine.record import DirectoryMade, GroupMade, UserMade

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Program:
    """Something set-up can bring: found at `path`, brought by `packages`, sizes in bytes with dependencies.

    `answers` are the needs that are met once it is there, without being started. mount and iproute2, which
    most machines have, are what set-up and uninstall call. Sizes are those of Debian 12 with the borrowed
    suites below, read from `apt-cache show`; apt's own figures are printed before anything is fetched.
    """

    name: str
    path: str
    packages: tuple[str, ...]
    answers: tuple[str, ...] = ()
    download: int
    disk: int


PROGRAMS = (
    Program(
        name="engine",
        path="/usr/sbin/dockerd",
        packages=("containerd", "docker.io", "iproute2"),
        download=60 * MIB,
        disk=220 * MIB,
    ),
    Program(
        name="buildx",
        path="/usr/libexec/docker/cli-plugins/docker-buildx",
        packages=("docker-buildx", "docker-cli"),
        answers=("buildx", "client"),
        download=20 * MIB,
        disk=93 * MIB,
    ),
    Program(
        name="registry",
        path="/usr/bin/docker-registry",
        packages=("docker-registry",),
        download=6 * MIB,
        disk=22 * MIB,
    ),
    Program(
        name="emulator",
        path="/usr/lib/binfmt.d/qemu-{foreign}.conf",
        packages=("mount", "qemu-user-static"),
        download=60 * MIB,
        disk=364 * MIB,
    ),
)


# What these packages make and their purge leaves: read in their maintainer scripts.
LEFTOVERS: Mapping[str, tuple[UserMade | GroupMade | DirectoryMade, ...]] = {
    "containerd": (DirectoryMade(path="/opt/containerd", whole=True),),
    "docker-registry": (
        UserMade(name="docker-registry"),
        DirectoryMade(path="/var/lib/docker-registry", whole=True),
    ),
    "docker.io": (GroupMade(name="docker"),),
}


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A system whose packages are known to do. `borrowed`: suite → the only packages taken from it."""

    id: str
    release: str
    borrowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


DISTRIBUTIONS = (
    # Debian 12's own docker.io (20.10) has neither Buildx nor the containerd image store, and its
    # QEMU 7.2 crashes some arm64 wheels.
    Distribution(
        id="debian",
        release="12",
        borrowed={
            "trixie": ("containerd", "docker-buildx", "docker-cli", "docker-registry", "docker.io"),
            "bookworm-backports": ("qemu-user", "qemu-user-binfmt", "qemu-user-static"),
        },
    ),
    Distribution(id="debian", release="13"),
    Distribution(id="ubuntu", release="24.04"),
)


def lookup_distribution(host: Host) -> Distribution | None:
    """The row for this host, None when its packages are not known to do."""
    return next(
        (row for row in DISTRIBUTIONS if (row.id, row.release) == (host.distribution, host.release)), None
    )


def programs_named(names: Iterable[str]) -> tuple[Program, ...]:
    wanted = frozenset(names)
    return tuple(program for program in PROGRAMS if program.name in wanted)
