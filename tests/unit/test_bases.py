"""What is locked of a base, and what identifies it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from toolkit.bases import (
    BuiltBase,
    BuiltPlatform,
    LockedOnly,
    LockedPackage,
    Packages,
    check_lock,
    compare,
)
from toolkit.catalog.model import Base, Recipe
from toolkit.errors import LockInvalid
from toolkit.oci import Architecture, Digest

LIBC = LockedPackage(name="libc6", version="2.31-13+deb11u11", architecture="arm64", sha256="a" * 64)
LOGIN = LockedPackage(name="login", version="1:4.8.1-1", architecture="arm64", sha256="b" * 64)
RECIPE = Recipe(suite="bullseye", packages=("libc6", "login"))
BASE = Base(name="debian11", python="3.9", glibc="2.31", origin=RECIPE, line=1)
ARM64 = Architecture.ARM64


@dataclass
class FixedMaker:
    """A BaseMaker whose mirror has `packages`, whatever is locked."""

    packages: Packages
    asked: list[str] = field(default_factory=list)

    def ensure_base(
        self,
        base: Base,
        architectures: tuple[Architecture, ...],
        *,
        locked: Mapping[Architecture, Packages] | None = None,
    ) -> BuiltBase:
        self.asked.append(base.name)
        platform = BuiltPlatform(
            manifest=Digest.of(b"m"), packages=self.packages, created="2026-01-01T00:00:00Z", size=1
        )
        return BuiltBase(
            name=base.name,
            layout=Path("/bases/layout"),
            index=Digest.of(b"i"),
            platforms=dict.fromkeys(architectures, platform),
            drift=compare(ARM64, (locked or {}).get(ARM64, ()), self.packages) if locked else (),
        )


@pytest.mark.parametrize("package", [LIBC, LOGIN])
def test_locked_package_survives_being_written(package: LockedPackage) -> None:
    assert LockedPackage.parse(str(package)) == package


@pytest.mark.parametrize(
    "text", ["", "libc6", "libc6=1 arm64", "libc6=1 arm64 sha256:abc", f"lib c6=1 arm64 sha256:{'a' * 64}"]
)
def test_anything_else_is_no_locked_package(text: str) -> None:
    with pytest.raises(ValueError, match="not a locked package"):
        LockedPackage.parse(text)


def test_nothing_drifted_when_the_packages_are_the_locked_ones() -> None:
    assert compare(ARM64, (LIBC, LOGIN), (LOGIN, LIBC)) == ()


def test_drift_names_old_and_new_versions_and_packages_that_came_and_went() -> None:
    tar = replace(LIBC, name="tar", version="1.34")
    drift = compare(ARM64, (LIBC, LOGIN), (replace(LIBC, version="2.31-13+deb11u14"), tar))
    assert [str(line) for line in drift] == [
        "arm64: libc6 2.31-13+deb11u11 -> 2.31-13+deb11u14",
        "arm64: login 1:4.8.1-1 -> (none)",
        "arm64: tar (none) -> 1.34",
    ]


def test_another_deb_of_the_same_version_is_drift() -> None:
    (line,) = compare(ARM64, (LIBC,), (replace(LIBC, sha256="c" * 64),))
    assert "sha256:aaa" in line.locked
    assert "sha256:ccc" in line.actual


def test_a_lock_that_lacks_a_package_of_the_recipe_does_not_fit() -> None:
    with pytest.raises(LockInvalid, match="debian11: login is not locked for arm64") as caught:
        check_lock("debian11", RECIPE, {ARM64: (LIBC,)})
    assert "toolkit lock --upgrade" in caught.value.remedy


def test_no_lock_at_all_fits_every_recipe() -> None:
    check_lock("debian11", RECIPE, {ARM64: ()})
    assert FixedMaker((LIBC,)).ensure_base(BASE, (ARM64,)).drift == ()


def test_locked_only_passes_the_base_that_is_as_locked() -> None:
    built = LockedOnly(maker=FixedMaker((LIBC, LOGIN))).ensure_base(
        BASE, (ARM64,), locked={ARM64: (LIBC, LOGIN)}
    )
    assert built.platforms[ARM64].packages == (LIBC, LOGIN)


def test_locked_only_refuses_drift_and_names_it() -> None:
    maker = LockedOnly(maker=FixedMaker((replace(LIBC, version="2.32"), LOGIN)))
    with pytest.raises(LockInvalid, match=r"arm64: libc6 2\.31-13\+deb11u11 -> 2\.32") as caught:
        maker.ensure_base(BASE, (ARM64,), locked={ARM64: (LIBC, LOGIN)})
    assert "toolkit lock --upgrade" in caught.value.remedy


def test_locked_only_makes_nothing_when_there_is_no_lock() -> None:
    maker = FixedMaker((LIBC, LOGIN))
    with pytest.raises(LockInvalid, match="no packages of base debian11 for arm64"):
        LockedOnly(maker=maker).ensure_base(BASE, (ARM64,))
    assert maker.asked == []


def test_build_context_names_the_layout_and_pins_the_index() -> None:
    built = FixedMaker((LIBC,)).ensure_base(BASE, (ARM64,))
    assert built.build_context == f"oci-layout:///bases/layout@{Digest.of(b'i')}"
