"""What images.lock holds, as frozen values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

from toolkit.bases import Packages
from toolkit.oci import Architecture, Digest


class Folder(StrEnum):
    """Where in the build context `downloads` a file lies, by what templates do with it."""

    WHEELS = "wheels"
    DEBS = "debs"
    FILES = "files"


_DOWNLOAD = re.compile(
    rf"(?P<folder>{'|'.join(Folder)})/(?P<name>[A-Za-z0-9_][A-Za-z0-9._+~%-]*) "
    r"sha256:(?P<sha256>[0-9a-f]{64}) (?P<url>https?://[!-~]+)"
)


@dataclass(frozen=True, kw_only=True, order=True)
class LockedDownload:
    """One file that a build takes besides its packages; `sha256` in hex, `url` the vendor's own.

    Written in images.lock as `debs/aws-neuronx-tools_2.18.3.0_amd64.deb sha256:… https://…`.
    """

    folder: Folder
    name: str
    sha256: str
    url: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError unless `text` is FOLDER/NAME sha256:HEX URL."""
        match = _DOWNLOAD.fullmatch(text)
        if not match:
            raise ValueError(f"not a locked download: {text!r}; it is written FOLDER/NAME sha256:… URL")
        return cls(
            folder=Folder(match["folder"]), name=match["name"], sha256=match["sha256"], url=match["url"]
        )

    @property
    def path(self) -> str:
        """Where it lies in the build context `downloads`."""
        return f"{self.folder}/{self.name}"

    def __str__(self) -> str:
        return f"{self.path} sha256:{self.sha256} {self.url}"


@dataclass(frozen=True, kw_only=True)
class LockedUnit:
    """What a unit is made of: its full requirement set, `name==version --hash=sha256:…` lines, sorted,
    and every other file that its build takes, by path.

    `inputs` is `inputs_digest` of what was resolved; `created` (RFC 3339, UTC) is when this set was
    first seen, and is the time that every file of the image carries. `unlocked` is the reason why
    there is neither, else "".
    """

    inputs: str
    created: str
    requirements: tuple[str, ...] = ()
    downloads: tuple[LockedDownload, ...] = ()
    unlocked: str = ""


@dataclass(frozen=True, kw_only=True)
class LockedBase:
    """A base on one architecture: the image's digest and, when it is bootstrapped, all its packages.

    A bootstrap is deterministic: the same packages give the same digest on every machine.
    `inputs` is `base_inputs_digest` of what was locked; `index` is what FROM is pinned to when the base
    is an image of a registry, as one build takes the same base for two platforms.
    """

    inputs: str
    digest: Digest
    index: Digest | None = None
    packages: Packages = ()


@dataclass(frozen=True, kw_only=True)
class UnlockedBase:
    """A base whose registry or mirror could not be reached, and why: every unit on it is unlocked."""

    inputs: str
    reason: str


BaseRow = LockedBase | UnlockedBase
LockedBases = Mapping[Architecture, BaseRow]


@dataclass(frozen=True, kw_only=True)
class Lock:
    """Bases by name, units by identifier; `keys` has the sha256 (hex) of vendors' signing keys by URL."""

    bases: Mapping[str, LockedBases] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, LockedUnit] = field(default_factory=dict)

    def with_unit(self, identifier: str, locked: LockedUnit) -> "Lock":
        return replace(self, units={**self.units, identifier: locked})

    def with_base(self, name: str, base: LockedBases) -> "Lock":
        return replace(self, bases={**self.bases, name: base})
