"""Facts → the steps that set-up would take. What answers already is left alone."""

import json
from collections.abc import Iterable
from pathlib import PurePosixPath

from toolkit.machine import places
from toolkit.machine.distributions import Program, lookup_distribution, programs_named
from toolkit.machine.facts import Disk, Facts, RegistryAnswer
from toolkit.machine.needs import GIB
from toolkit.machine.sources import extend, preferences
from toolkit.machine.steps import (
    InstallPackages,
    Mount,
    PidFile,
    RegisterEmulator,
    RememberNetwork,
    ServiceCommand,
    StartProcess,
    Step,
    WriteFile,
)
from toolkit.oci import Architecture

# The cache of builds may grow to a third of what is free when the engine is set up, within these bounds:
# without a limit it keeps every layer that was ever built (55 GB after a day of tests).
_CACHE_GIB = range(5, 21)


def engine_settings(disks: Iterable[Disk]) -> str:
    """The engine's configuration: image store and a cache of limited size.

    The image store gives multi-platform images and the `oci` exporter to the engine's own builder.
    https://docs.docker.com/engine/storage/containerd/
    https://docs.docker.com/build/cache/garbage-collection/#docker-daemon-configuration-file
    """
    settings = {
        "features": {"containerd-snapshotter": True},
        "storage-driver": "overlayfs",
        "builder": {"gc": {"enabled": True, "defaultKeepStorage": f"{_cache_gib(disks)}GB"}},
    }
    return json.dumps(settings, indent=2)


def _cache_gib(disks: Iterable[Disk]) -> int:
    free = min((disk.free for disk in disks if disk.purpose == "engine"), default=0)
    return min(max(free // 3 // GIB, _CACHE_GIB[0]), _CACHE_GIB[-1])


def foreign(facts: Facts) -> tuple[Architecture, ...]:
    """The architectures this machine does not run by itself."""
    return tuple(known for known in Architecture if known is not facts.host.architecture)


def has_known_packages(facts: Facts) -> bool:
    """Whether this is a system whose packages are in the table."""
    return facts.host.has_apt and lookup_distribution(facts.host) is not None


def can_install(facts: Facts) -> bool:
    """Whether set-up may change this machine."""
    return facts.host.is_root and has_known_packages(facts)


def plan_setup(facts: Facts) -> tuple[Step, ...]:
    """The steps for a distribution of the table, in their order; empty when everything is there.

    Raises NeedNotMet when packages are wanted and the machine's apt has no mirror.
    """
    return tuple(
        step
        for steps in (_settings(facts), _packages(facts), _emulators(facts), _engine(facts), _registry(facts))
        for step in steps
    )


def wanted_programs(facts: Facts) -> tuple[Program, ...]:
    """The programs to install: those missing for a need that nothing else meets.

    An engine that answers is somebody's: neither it nor its plugins are touched.
    """
    wanted: set[str] = set()
    if _wants_engine(facts):
        wanted.add("engine")
        if facts.buildx is None or facts.client is None:
            wanted.add("buildx")
    if any(facts.lookup_emulator(architecture) is None for architecture in foreign(facts)):
        wanted.add("emulator")
    if _wants_registry(facts):
        wanted.add("registry")
    return programs_named(wanted - facts.programs)


def _wants_engine(facts: Facts) -> bool:
    return facts.engine is None and facts.is_default_endpoint and not facts.is_engine_forbidden


def _wants_registry(facts: Facts) -> bool:
    return facts.registry.is_local and facts.registry.answer is RegistryAnswer.NOTHING


def _settings(facts: Facts) -> Iterable[Step]:
    if _wants_engine(facts) and facts.engine_settings is None:
        yield Step(
            name="engine settings",
            changes=f"writes {places.ENGINE_SETTINGS}: containerd image store, at most "
            f"{_cache_gib(facts.disks)} GiB of build cache",
            answers=frozenset(),
            effects=(WriteFile(path=places.ENGINE_SETTINGS, text=engine_settings(facts.disks) + "\n"),),
        )


def _packages(facts: Facts) -> Iterable[Step]:
    programs = wanted_programs(facts)
    if not programs:
        return
    distribution = lookup_distribution(facts.host)
    borrowed = distribution.borrowed if distribution else {}
    sources = extend(facts.apt_sources, facts.host.codename, borrowed)
    packages = tuple(sorted(package for program in programs for package in program.packages))
    # The package's own unit would serve every interface, and without deletion.
    disable = ServiceCommand(verb="disable", service="docker-registry")
    keep_off = (disable,) if facts.host.has_systemd and "docker-registry" in packages else ()
    yield Step(
        name="packages",
        changes=f"installs {' '.join(packages)} and what they depend on; /etc/apt stays as it is",
        answers=frozenset(need for program in programs for need in program.answers),
        effects=(
            WriteFile(path=places.APT_CONFIG, text=places.APT_SETTINGS),
            WriteFile(path=places.APT_SOURCES, text="\n".join(str(source) for source in sources)),
            WriteFile(path=places.APT_PREFERENCES, text=preferences(borrowed)),
            InstallPackages(packages=packages),
            *keep_off,
        ),
        download=LISTS_DOWNLOAD + sum(program.download for program in programs),
        disk=LISTS_DISK + sum(program.disk + program.download for program in programs),
    )


# Package lists of Debian 12 with both borrowed suites: measured.
LISTS_DOWNLOAD = 20 * 1024 * 1024
LISTS_DISK = 42 * 1024 * 1024


def _emulators(facts: Facts) -> Iterable[Step]:
    missing = [known for known in foreign(facts) if facts.lookup_emulator(known) is None]
    if not missing:
        return
    mount = () if facts.has_binfmt else (Mount(kind="binfmt_misc", target=places.BINFMT),)
    yield Step(
        name="emulation",
        changes=f"registers QEMU with the kernel for {', '.join(missing)}",
        answers=frozenset(f"platform linux/{architecture}" for architecture in missing),
        effects=(*mount, *(_register(architecture) for architecture in missing)),
    )


def _register(architecture: Architecture) -> RegisterEmulator:
    name = f"qemu-{architecture.uname}"
    return RegisterEmulator(name=name, settings=places.BINFMT_SETTINGS / f"{name}.conf")


def _engine(facts: Facts) -> Iterable[Step]:
    if not _wants_engine(facts):
        return
    start = StartProcess(
        name="dockerd",
        command=("/usr/sbin/dockerd",),
        log=places.LOGS / "dockerd.log",
        address=f"unix://{places.ENGINE_SOCKET}",
        makes=places.ENGINE_DATA + places.ENGINE_RUN,
        pid_files=(
            PidFile(path=places.ENGINE_PID, program="dockerd"),
            PidFile(path=places.CONTAINERD_PID, program="containerd"),
        ),
    )
    service = ServiceCommand(verb="start", service="docker")
    yield Step(
        name="engine",
        changes="starts docker with systemd"
        if facts.host.has_systemd
        else f"starts dockerd, log {start.log}",
        answers=frozenset({"engine", "image store"} if _will_have_image_store(facts) else {"engine"}),
        effects=(RememberNetwork(), service if facts.host.has_systemd else start),
    )


def _will_have_image_store(facts: Facts) -> bool:
    return facts.engine_settings is None or "containerd-snapshotter" in facts.engine_settings


def _registry(facts: Facts) -> Iterable[Step]:
    if not _wants_registry(facts):
        return
    port = facts.registry.port or 80
    data = places.REGISTRIES / f"registry-{port}"
    settings = data.with_suffix(".yml")
    start = StartProcess(
        name="registry",
        command=("/usr/bin/docker-registry", "serve", str(settings)),
        log=places.LOGS / f"registry-{port}.log",
        address=f"http://127.0.0.1:{port}",
        makes=(data,),
    )
    yield Step(
        name="registry",
        changes=f"starts a registry on 127.0.0.1:{port}, data in {data}",
        answers=frozenset({"registry"}),
        effects=(WriteFile(path=settings, text=registry_settings(port, data)), start),
    )


def registry_settings(port: int, data: PurePosixPath) -> str:
    """Local, deletable, quiet. https://distribution.github.io/distribution/about/configuration/"""
    return f"""\
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {data}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
"""
