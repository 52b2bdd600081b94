"""What images.toml says, as frozen values. Everything here has passed validation."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from urllib.parse import quote

from toolkit import tags
from toolkit.catalog.builder import CatalogBuilder
from toolkit.catalog.mirror import CatalogMirrors
from toolkit.catalog.registry import CatalogRegistry
from toolkit.oci import Architecture, Reference


class Accelerator(StrEnum):
    """What the image computes on besides the CPU; an axis of its own, apart from the architecture."""

    CPU = "cpu"
    CUDA = "cuda"
    NEURON = "neuron"
    NEURONX = "neuronx"
    EIA = "eia"


class Consumer(StrEnum):
    """Whose contract an image keeps."""

    SAGEMAKER = "sagemaker"
    EKS = "eks"
    GENERIC = "generic"


class SourceKind(StrEnum):
    """What a vendor's own place speaks."""

    INDEX = "index"  # Python packages by PEP 503
    FIND_LINKS = "find-links"  # a page of links to Python packages
    APT = "apt"
    OBJECTS = "objects"  # plain files over HTTP, as of an S3 bucket


class Install(StrEnum):
    """What becomes of a downloaded file."""

    WHEEL = "wheel"
    DEB = "deb"
    FILE = "file"
    ARCHIVE = "archive"  # unpacked


class State(StrEnum):
    """Whether anybody still looks after what is in an image; from best to worst."""

    CURRENT = "current"
    LEGACY = "legacy"  # base, Python or framework past its end of life: builds, with a warning
    ENDED = "ended"  # the service that the image is for does not exist any more


class Emulation(StrEnum):
    """What becomes of an image whose build would run programs of its own platform under an emulator."""

    ALLOW = "allow"
    WARN = "warn"
    REFUSE = "refuse"


@dataclass(frozen=True, kw_only=True)
class EndOfLife:
    """The last day of support, and the page that says so."""

    date: datetime.date
    source: str


@dataclass(frozen=True, kw_only=True)
class Support:
    """`date` is when `state` began, for `current` when it will end; None when nobody has said.

    `source` is the page that gives the date; `reasons` has a line for each thing past its end.
    """

    state: State
    date: datetime.date | None = None
    source: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """One [sources.NAME] table: a vendor's own place, which a mirror may stand in for.

    `suite`, `components` and `key` (the URL of the signing key) are those of an apt repository.
    `packages` are the only names that may come from an index, normalised; none means any: what an index
    of a vendor has besides its own is mostly old.
    """

    name: str
    kind: SourceKind
    url: str
    line: int
    suite: str = ""
    components: tuple[str, ...] = ()
    key: str = ""
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AptPackages:
    """Packages of a vendor's apt repository: `name`, `name=version` or `name=start-of-version*`."""

    source: Source
    packages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Sdk:
    """The vendor's SDK that all of an image's parts are of.

    `floor` is the oldest SDK whose driver and runtime on the host serve the image; `source` says so.
    """

    version: str
    floor: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A base made of a Debian suite's packages; `packages` are the names asked for, sorted."""

    suite: str
    packages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Base:
    """What an image starts FROM.

    `origin` is a recipe or an image of a registry; `python` is like "3.9", `glibc` like "2.31"
    (it decides which manylinux wheels fit); `name` is the os part of identifiers, "debian11".
    `install` are the packages that an image of a registry lacks; its own apt installs them.
    """

    name: str
    python: str
    glibc: str
    origin: Recipe | Reference
    line: int
    install: tuple[str, ...] = ()
    end_of_life: EndOfLife | None = None


@dataclass(frozen=True, kw_only=True)
class ForeignElf:
    """Files that may hold another machine's ELF because they are data, with the reason."""

    path: str  # glob, matched against the absolute path in the image
    reason: str
    machine: str = "*"  # name as the report prints it: "CUDA", "BPF", "*" for any


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which of an image's units a row is about. No version ("") or no architecture means any."""

    version: str
    architecture: Architecture | None

    def covers(self, version: str, architecture: Architecture) -> bool:
        return self.version in ("", version) and self.architecture in (None, architecture)


@dataclass(frozen=True, kw_only=True)
class Exclusion(Part):
    """Units of an image that are not built, and why."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Drop(Part):
    """What of the installed packages does not come into an image, and why.

    `path` is below the directory of the packages, perhaps a glob. With `sections` the files stay and the
    content of these ELF sections goes.
    """

    path: str
    reason: str
    sections: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Download(Part):
    """A file of a source of kind `objects`, and what becomes of it.

    `path` is the object's own name, not encoded; `to` is where a file or an unpacked archive goes, the
    latter without the first `strip` directories of its names.
    """

    source: Source
    path: str
    install: Install
    to: str = ""
    strip: int = 0

    @property
    def filename(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def url(self) -> str:
        """Encoded as S3 wants it, which reads a plus sign as a space."""
        return f"{self.source.url.rstrip('/')}/{quote(self.path)}"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place of an image's matrix, what a build unit is made from, with the unit's names."""

    version: str
    consumer: Consumer
    architecture: Architecture
    image_id: str
    identifier: str
    list_tag: str

    @property
    def arch_tag(self) -> str:
        return tags.arch_tag(self.list_tag, self.architecture)


@dataclass(frozen=True, kw_only=True)
class Image:
    """One [images.NAME] table. `line` is where it stands in images.toml.

    `packages`, `remarks` and `indexes` (asked besides the machine's own) are per architecture;
    requirement texts may hold `{version}` until the image is expanded to build units. `support` is
    what the row says of itself, None when it leaves that to its base, Python and framework.
    """

    name: str
    title: str
    framework: str
    versions: tuple[str, ...]
    python: str
    base: str
    accelerator: Accelerator
    architectures: tuple[Architecture, ...]
    consumers: tuple[Consumer, ...]
    template: str
    repository: str
    tag: str
    packages: Mapping[Architecture, tuple[str, ...]]
    remarks: Mapping[Architecture, str]
    foreign_elf: tuple[ForeignElf, ...]
    exclusions: tuple[Exclusion, ...] = ()
    drops: tuple[Drop, ...] = ()
    revision: int
    line: int
    indexes: Mapping[Architecture, tuple[Source, ...]] = field(default_factory=dict)
    apt: AptPackages | None = None
    downloads: tuple[Download, ...] = ()
    sdk: Sdk | None = None
    support: Support | None = None
    emulation: Emulation = Emulation.ALLOW

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """What versions, consumers and architectures multiply to, without what is excluded."""
        return tuple(
            self.cell(version, consumer, architecture)
            for version in self.versions
            for consumer in self.consumers
            for architecture in self.architectures
            if not any(each.covers(version, architecture) for each in self.exclusions)
        )

    def cell(self, version: str, consumer: Consumer, architecture: Architecture) -> Cell:
        sdk = self.sdk.version if self.sdk else ""
        image_id = tags.image_id(
            framework=self.framework,
            version=version,
            accelerator=self.accelerator,
            python=self.python,
            sdk=sdk,
            os=self.base,
            consumer=consumer,
        )
        return Cell(
            version=version,
            consumer=consumer,
            architecture=architecture,
            image_id=image_id,
            identifier=tags.unit_identifier(image_id, architecture),
            list_tag=tags.list_tag(
                self.tag,
                framework=self.framework,
                version=version,
                accelerator=self.accelerator,
                python=self.python,
                sdk=sdk,
                os=self.base,
                consumer=consumer,
                revision=self.revision,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """images.toml as a whole; its named tables in the order of the file."""

    images: tuple[Image, ...]
    bases: Mapping[str, Base]
    sources: Mapping[str, Source] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    registries: Mapping[str, CatalogRegistry] = field(default_factory=dict)
    builders: Mapping[str, CatalogBuilder] = field(default_factory=dict)
    mirrors: CatalogMirrors = field(default_factory=CatalogMirrors)
