"""Facts → one row per need: the doctor's table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from toolkit.machine.facts import Disk, Emulator, Facts, RegistryAnswer
from toolkit.machine.steps import Step
from toolkit.oci import Architecture

SETUP = "make setup"
# The `oci` exporter with `tar=false`, which builds end in: https://github.com/docker/buildx/releases/tag/v0.13.0
BUILDX_MINIMUM = (0, 13)
GIB = 1024**3
# Free bytes a default release wants: layers and build cache with the engine, layouts with the project.
DISK_NEEDS: Mapping[str, int] = {"engine": 15 * GIB, "project": 5 * GIB}


class State(StrEnum):
    """How a need stands."""

    OK = "ok"
    NATIVE = "native"
    EMULATED = "emulated"
    NOT_NEEDED = "not needed"
    MISSING = "missing"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Need:
    """One row. `remedy` is the line that mends it, never empty when the need is not met."""

    name: str
    state: State
    detail: str
    remedy: str = ""

    @property
    def is_met(self) -> bool:
        return self.state not in (State.MISSING, State.FAILED)

    def to_json(self) -> dict[str, str | bool]:
        return {**asdict(self), "met": self.is_met}


def needs(facts: Facts) -> tuple[Need, ...]:
    """The rows, in the order in which they build on each other."""
    return (
        _engine(facts),
        _client(facts),
        _buildx(facts),
        _image_store(facts),
        *(_platform(facts, architecture) for architecture in Architecture),
        _bases(facts),
        _registry(facts),
        _credentials(facts),
        *_disks(facts.disks),
    )


def _engine(facts: Facts) -> Need:
    if facts.engine:
        detail = f"{facts.engine.version} on {facts.engine.name}, {facts.endpoint}"
        return Need(name="engine", state=State.OK, detail=detail)
    detail = f"nothing answers at {facts.endpoint}: {facts.engine_trouble}"
    return Need(name="engine", state=State.FAILED, detail=detail, remedy=_engine_remedy(facts))


def _engine_remedy(facts: Facts) -> str:
    if facts.is_engine_forbidden:
        return "sudo usermod -aG docker $USER  # then log in again"
    return SETUP if facts.is_default_endpoint else "Start that engine, or unset DOCKER_HOST."


def _client(facts: Facts) -> Need:
    if facts.client:
        return Need(name="client", state=State.OK, detail=facts.client)
    remedy = "Install the docker client: https://docs.docker.com/engine/install/" if facts.engine else SETUP
    return Need(name="client", state=State.MISSING, detail="no docker program on PATH", remedy=remedy)


def _buildx(facts: Facts) -> Need:
    minimum = _dotted(BUILDX_MINIMUM)
    if facts.buildx is None:
        remedy = (
            f"Install Buildx {minimum} or newer: https://github.com/docker/buildx#installing"
            if facts.engine
            else SETUP
        )
        return Need(name="buildx", state=State.MISSING, detail="no Buildx plugin found", remedy=remedy)
    if facts.buildx.version is None:
        return Need(name="buildx", state=State.OK, detail=facts.buildx.path)
    detail = f"{_dotted(facts.buildx.version)} at {facts.buildx.path}"
    if facts.buildx.version >= BUILDX_MINIMUM:
        return Need(name="buildx", state=State.OK, detail=detail)
    return Need(
        name="buildx",
        state=State.FAILED,
        detail=f"{detail}, older than {minimum}",
        remedy=f"Install Buildx {minimum} or newer: https://github.com/docker/buildx#installing",
    )


def _dotted(version: Iterable[int]) -> str:
    return ".".join(str(part) for part in version)


def _image_store(facts: Facts) -> Need:
    name = "image store"
    if facts.engine and facts.engine.has_image_store:
        return Need(name=name, state=State.OK, detail="containerd")
    if facts.builder and facts.builder.driver != "docker":
        return Need(
            name=name, state=State.OK, detail=f"builder {facts.builder.name} ({facts.builder.driver})"
        )
    if facts.engine is None:
        if facts.engine_settings and "containerd-snapshotter" not in facts.engine_settings:
            return Need(
                name=name,
                state=State.FAILED,
                detail="/etc/docker/daemon.json is there and does not ask for the containerd image store",
                remedy='Add {"features": {"containerd-snapshotter": true}} to /etc/docker/daemon.json.',
            )
        return Need(name=name, state=State.MISSING, detail="no engine answers", remedy=_engine_remedy(facts))
    return Need(
        name=name,
        state=State.FAILED,
        detail="the engine has no containerd image store: docker-container builder needed",
        remedy="docker buildx create --name multiarch --driver docker-container --use",
    )


def _platform(facts: Facts, architecture: Architecture) -> Need:
    name = f"platform {architecture.platform}"
    native = facts.engine.architecture if facts.engine else facts.host.architecture
    if native == architecture:
        return Need(name=name, state=State.NATIVE, detail="built and run by this machine")
    nodes = facts.builder.nodes if facts.builder else ()
    if any(node.architectures[:1] == (architecture,) for node in nodes):
        return Need(name=name, state=State.NATIVE, detail="a node of the selected builder")
    emulator = facts.lookup_emulator(architecture)
    if emulator and emulator.is_fixed:
        return Need(name=name, state=State.EMULATED, detail=_emulated_by(emulator))
    if any(architecture in node.architectures for node in nodes):
        detail = "by the selected builder; only running needs it, building does not"
        return Need(name=name, state=State.EMULATED, detail=detail)
    if emulator:
        return Need(
            name=name,
            state=State.FAILED,
            detail=f"{emulator.interpreter} is registered without flag F, so containers do not see it",
            remedy=f"echo -1 > /proc/sys/fs/binfmt_misc/qemu-{architecture.uname} && {SETUP}",
        )
    return Need(
        name=name,
        state=State.MISSING,
        detail="no emulator is registered: images can be built, not run or smoke-tested",
        remedy=SETUP,
    )


def _emulated_by(emulator: Emulator) -> str:
    return f"by {emulator.interpreter}; only running needs it, building does not"


def _bases(facts: Facts) -> Need:
    if facts.host.has_apt:
        return Need(name="base images", state=State.OK, detail="unpacked from the packages of apt's mirror")
    return Need(
        name="base images",
        state=State.MISSING,
        detail="no apt to fetch a Debian suite's packages with",
        remedy='In images.toml let the base be an image: reference = "HOST/debian:bullseye"',
    )


def _registry(facts: Facts) -> Need:
    registry = facts.registry
    match registry.answer:
        case RegistryAnswer.ANONYMOUS | RegistryAnswer.CREDENTIALS:
            detail = f"{registry.address}: {registry.answer.value}"
            return Need(name="registry", state=State.OK, detail=detail)
        case RegistryAnswer.STRANGER:
            return Need(
                name="registry",
                state=State.FAILED,
                detail=f"{registry.address}: {registry.answer.value} ({registry.trouble})",
                remedy=f"Stop it (ss -ltnp 'sport = :{registry.port or 443}') or take another --registry.",
            )
        case RegistryAnswer.NOTHING:
            remedy = SETUP if registry.is_local else "Check its name and this machine's network and proxy."
            return Need(
                name="registry",
                state=State.FAILED,
                detail=f"{registry.address}: {registry.answer.value} ({registry.trouble})",
                remedy=remedy,
            )


def _credentials(facts: Facts) -> Need:
    registry = facts.registry
    if registry.is_local and registry.answer is not RegistryAnswer.CREDENTIALS:
        return Need(
            name="credentials", state=State.NOT_NEEDED, detail=f"{registry.address} is on this machine"
        )
    if facts.credential:
        return Need(name="credentials", state=State.OK, detail=facts.credential)
    return Need(
        name="credentials",
        state=State.FAILED,
        detail=f"the docker configuration has none for {registry.address}",
        remedy=_login(registry.address),
    )


def _login(address: str) -> str:
    """ECR's user is always AWS and its password a token of 12 hours.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
    """
    labels = address.split(".")
    if labels[1:3] == ["dkr", "ecr"] and len(labels) > 4:
        token = f"aws ecr get-login-password --region {labels[3]}"
        return f"{token} | docker login --username AWS --password-stdin {address}"
    return f"docker login {address}"


def _disks(disks: Iterable[Disk]) -> Iterable[Need]:
    """One row per file system: purposes that share one need the sum."""
    by_device: dict[int, list[Disk]] = {}
    for disk in disks:
        by_device.setdefault(disk.device, []).append(disk)
    for group in by_device.values():
        needed = sum(DISK_NEEDS[disk.purpose] for disk in group)
        free = min(disk.free for disk in group)
        places = ", ".join(f"{disk.path} ({disk.purpose})" for disk in group)
        enough = free >= needed
        yield Need(
            name="free disk",
            state=State.OK if enough else State.FAILED,
            detail=f"{free / GIB:.1f} GiB of the {needed / GIB:.0f} GiB a release may take: {places}",
            remedy="" if enough else "docker builder prune --all; make clean",
        )


def unmet_by(facts: Facts, steps: Sequence[Step]) -> tuple[Need, ...]:
    """The needs that set-up answers for and that stay open after `steps`.

    Credentials and far registries are other people's; disk only matters when there is something to do.
    """
    answered = frozenset(name for step in steps for name in step.answers) | {"credentials"}
    spared = frozenset() if steps else frozenset({"free disk"})
    far = frozenset() if facts.registry.is_local else frozenset({"registry"})
    return tuple(
        need for need in needs(facts) if not need.is_met and need.name not in answered | spared | far
    )
