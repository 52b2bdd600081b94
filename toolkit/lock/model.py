"""What images.lock holds, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from toolkit.bases import Packages
from toolkit.oci import Architecture, Digest


@dataclass(frozen=True, kw_only=True)
class LockedUnit:
    """The full requirement set of a unit: `name==version --hash=sha256:…` lines, sorted.

    `inputs` is `inputs_digest` of what was resolved; `created` (RFC 3339, UTC) is when this set was
    first seen, and is the time that every file of the image carries. `unlocked` is the reason why
    there are no requirements, else "".
    """

    inputs: str
    created: str
    requirements: tuple[str, ...] = ()
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
    """Bases by name, units by identifier."""

    bases: Mapping[str, LockedBases] = field(default_factory=dict)
    units: Mapping[str, LockedUnit] = field(default_factory=dict)

    def with_unit(self, identifier: str, locked: LockedUnit) -> "Lock":
        return replace(self, units={**self.units, identifier: locked})

    def with_base(self, name: str, base: LockedBases) -> "Lock":
        return replace(self, bases={**self.bases, name: base})
