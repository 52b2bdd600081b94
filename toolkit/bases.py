"""Base images made of a Debian suite's packages: what is asked for, locked and made.

Pure. The packages are unpacked, never run: see `toolkit.rootfs`, which makes the file system, and
`toolkit.adapters.bootstrap`, which fetches the packages and writes the OCI layout.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from toolkit.catalog.model import Base, Recipe
from toolkit.errors import LockInvalid
from toolkit.oci import Architecture, Digest

# Names the layouts on disk: count it up when the same packages come to give other bytes.
RECIPE_VERSION = 1

_PACKAGE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)=(?P<version>[A-Za-z0-9.+:~-]+) (?P<architecture>[a-z0-9-]+) "
    r"sha256:(?P<sha256>[0-9a-f]{64})"
)


@dataclass(frozen=True, kw_only=True, order=True)
class LockedPackage:
    """One binary package; `architecture` is Debian's ("amd64", "arm64", "all"), `sha256` the .deb's, in hex.

    Written in images.lock as `libc6=2.31-13+deb11u11 arm64 sha256:…`.
    """

    name: str
    version: str
    architecture: str
    sha256: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError unless `text` is NAME=VERSION ARCHITECTURE sha256:HEX."""
        match = _PACKAGE.fullmatch(text)
        if not match:
            raise ValueError(f"not a locked package: {text!r}; it is written NAME=VERSION ARCH sha256:…")
        return cls(**match.groupdict())

    @property
    def pinned(self) -> str:
        """`NAME=VERSION`, as apt takes it."""
        return f"{self.name}={self.version}"

    def __str__(self) -> str:
        return f"{self.pinned} {self.architecture} sha256:{self.sha256}"


Packages = tuple[LockedPackage, ...]
"""The packages of one architecture's base, sorted by name."""


@dataclass(frozen=True, kw_only=True)
class Mirrors:
    """Where packages come from: `main` has SUITE and SUITE-updates, `security` SUITE-security.

    Both are URIs as apt takes them, without suite; `keyring` is the file that their signatures are
    checked with. All three are what the machine's own apt uses.
    """

    main: str
    security: str
    keyring: Path


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A package that is not the locked one; a version is "" where the package is not there at all."""

    architecture: Architecture
    name: str
    locked: str
    actual: str

    def __str__(self) -> str:
        return f"{self.architecture}: {self.name} {self.locked or '(none)'} -> {self.actual or '(none)'}"


@dataclass(frozen=True, kw_only=True)
class BuiltPlatform:
    """One architecture of a base. `size` is that of the uncompressed layer in bytes, `created` RFC 3339.

    `remarks` are what a person should know: an update that the mirror lists but does not have, a
    package whose maintainer script nobody has looked at.
    """

    manifest: Digest
    packages: Packages
    created: str
    size: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BuiltBase:
    """A base on disk: an OCI layout whose only entry is `index`, an index of the asked platforms."""

    name: str
    layout: Path
    index: Digest
    platforms: Mapping[Architecture, BuiltPlatform]
    drift: tuple[Drift, ...] = ()

    @property
    def build_context(self) -> str:
        """What `--build-context NAME=` takes."""
        return f"oci-layout://{self.layout}@{self.index}"


class BaseMaker(Protocol):
    """Makes bases; `toolkit.adapters.bootstrap.Bootstrapper` is the one that does."""

    def ensure_base(
        self,
        base: Base,
        architectures: tuple[Architecture, ...],
        *,
        locked: Mapping[Architecture, Packages] | None = None,
    ) -> BuiltBase:
        """The base's layout, made unless it is already there; without `locked`, of today's versions.

        When the mirror no longer has what is `locked`, the base is made of today's versions and the
        result's `drift` says so. Raises NeedNotMet when no mirror can give the packages.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class LockedOnly:
    """A maker that refuses whatever the lock does not say: what `--locked` asks for."""

    maker: BaseMaker

    def ensure_base(
        self,
        base: Base,
        architectures: tuple[Architecture, ...],
        *,
        locked: Mapping[Architecture, Packages] | None = None,
    ) -> BuiltBase:
        """Raises LockInvalid, naming the differences, unless the base is made of exactly `locked`."""
        missing = [architecture for architecture in architectures if not (locked or {}).get(architecture)]
        if missing:
            raise LockInvalid(
                f"images.lock has no packages of base {base.name} for {', '.join(missing)}",
                remedy="Lock them: toolkit lock --upgrade",
            )
        built = self.maker.ensure_base(base, architectures, locked=locked)
        if built.drift:
            lines = "".join(f"\n  {line}" for line in built.drift)
            raise LockInvalid(
                f"base {base.name} cannot be made as locked, the mirror has other versions:{lines}",
                remedy="Accept them: toolkit lock --upgrade",
            )
        return built


def check_lock(name: str, recipe: Recipe, locks: Mapping[Architecture, Packages]) -> None:
    """Raise LockInvalid when the recipe of base `name` asks for a package that its lock lacks."""
    for architecture, packages in locks.items():
        missing = sorted(set(recipe.packages) - {package.name for package in packages})
        if packages and missing:
            raise LockInvalid(
                f"images.lock does not fit base {name}: "
                f"{', '.join(missing)} is not locked for {architecture}",
                remedy="Lock it again: toolkit lock --upgrade",
            )


def compare(
    architecture: Architecture, locked: Iterable[LockedPackage], actual: Iterable[LockedPackage]
) -> tuple[Drift, ...]:
    """Where `actual` differs from `locked`, by name. Another .deb of the same version is a difference."""
    old = {package.name: package for package in locked}
    new = {package.name: package for package in actual}
    return tuple(
        _drift(architecture, name, old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _drift(
    architecture: Architecture, name: str, old: LockedPackage | None, new: LockedPackage | None
) -> Drift:
    versions = (old.version if old else "", new.version if new else "")
    if old and new and old.version == new.version:
        versions = (f"{old.version} sha256:{old.sha256}", f"{new.version} sha256:{new.sha256}")
    return Drift(architecture=architecture, name=name, locked=versions[0], actual=versions[1])
