"""What was seen on the machine, as frozen values."""

from dataclasses import dataclass
from enum import Enum

from toolkit.machine.places import ENGINE_SOCKET
from toolkit.machine.sources import Source
from toolkit.oci import Architecture


@dataclass(frozen=True, kw_only=True)
class Host:
    """This system; `distribution`, `release` and `codename` are spelled as in /etc/os-release."""

    kernel: str
    name: str
    distribution: str = ""
    release: str = ""
    codename: str = ""
    architecture: Architecture | None
    is_root: bool
    has_apt: bool
    has_systemd: bool


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A container engine that answered; `root` is its data directory in its own file system."""

    version: str
    architecture: str
    name: str
    root: str
    has_image_store: bool


@dataclass(frozen=True, kw_only=True)
class Buildx:
    """The Buildx plugin; `version` is None until somebody asked the program."""

    path: str
    version: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class BuilderNode:
    """A Buildx machine. BuildKit lists its native architecture first."""

    architectures: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Builder:
    """The selected Buildx builder."""

    name: str
    driver: str
    nodes: tuple[BuilderNode, ...]


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """An enabled binfmt_misc entry. `is_fixed` (flag F): the kernel holds the interpreter open,

    so that it works inside containers. https://docs.kernel.org/admin-guide/binfmt-misc.html
    """

    architecture: Architecture
    interpreter: str
    is_fixed: bool


class RegistryAnswer(Enum):
    """What GET /v2/ got."""

    NOTHING = "nothing answers"
    STRANGER = "something answers, but not as a registry"
    ANONYMOUS = "reachable, anonymous"
    CREDENTIALS = "reachable, asks for credentials"


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry `host[:port]` and what it answered; `trouble` is the reason it did not."""

    address: str
    answer: RegistryAnswer
    trouble: str = ""

    @property
    def host(self) -> str:
        return self.address.rsplit(":", 1)[0] if self.has_port else self.address

    @property
    def port(self) -> int | None:
        return int(self.address.rsplit(":", 1)[1]) if self.has_port else None

    @property
    def has_port(self) -> bool:
        return self.address.rsplit(":", 1)[-1].isdigit() and not self.address.endswith("]")

    @property
    def is_local(self) -> bool:
        """Docker treats these as insecure, so plain HTTP is spoken to them.

        https://docs.docker.com/reference/cli/dockerd/#insecure-registries
        """
        return self.host in ("localhost", "[::1]") or self.host.startswith("127.")


@dataclass(frozen=True, kw_only=True)
class Disk:
    """Free bytes where `purpose` is kept; directories with one `device` share them."""

    purpose: str
    path: str
    device: int
    free: int


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One look at the machine.

    `programs` are the names of `toolkit.machine.distributions.PROGRAMS` that are there,
    `is_engine_forbidden` says that there is an engine, for other users, `engine_settings` is the text of
    /etc/docker/daemon.json, `builder` is only looked up when the engine alone leaves a need open,
    `has_binfmt` says whether binfmt_misc is mounted, `credential` where one for the registry was found,
    `apt_sources` what the machine installs from.
    """

    host: Host
    programs: frozenset[str]
    endpoint: str
    engine: Engine | None
    engine_trouble: str = ""
    is_engine_forbidden: bool = False
    engine_settings: str | None = None
    client: str | None = None
    buildx: Buildx | None = None
    builder: Builder | None = None
    has_binfmt: bool = False
    emulators: tuple[Emulator, ...] = ()
    registry: Registry
    disks: tuple[Disk, ...] = ()
    credential: str | None = None
    apt_sources: tuple[Source, ...] = ()

    @property
    def is_default_endpoint(self) -> bool:
        """Whether the engine looked for is the one that set-up would start."""
        return self.endpoint == f"unix://{ENGINE_SOCKET}"

    def lookup_emulator(self, architecture: Architecture) -> Emulator | None:
        return next((found for found in self.emulators if found.architecture is architecture), None)
