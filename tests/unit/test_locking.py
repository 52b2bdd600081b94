"""`toolkit lock` without a world: what is asked, what stays, what waits, what is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests.projects import AMD64, ARM64, CATALOG, base_digest, catalog, digest, lock_of, locked_unit, units
from toolkit.catalog.model import Base
from toolkit.errors import NeedNotMet, SourceUnreachable, ToolkitError, UsageError
from toolkit.lock import (
    Folder,
    Lock,
    LockedBase,
    LockedBases,
    LockedDownload,
    LockedUnit,
    UnlockedBase,
    base_inputs_digest,
    format_lock,
    parse_lock,
)
from toolkit.lock.changes import changes
from toolkit.lock.check import Checked, check_lock
from toolkit.locking import Finder, Locking, Result
from toolkit.oci import Architecture
from toolkit.units import BuildUnit

SERVING = ("starlette>=0.49",)
NOW = "2026-12-24T00:00:00Z"
UNITS = units()
LOCKED = lock_of(UNITS)
DEAD = SourceUnreachable(
    "mirror.corp (in place of vendor.test) refuses", remedy="Wait.", reason="vendor.test refuses"
)
EKS = "tensorflow-2.9.1-cpu-py39-debian11-eks-arm64"
SAGEMAKER = "tensorflow-2.9.1-cpu-py39-debian11-sagemaker-arm64"


@dataclass
class World:
    """Answers from tables; `trouble` is raised for a framework or for "base"."""

    versions: dict[str, str] = field(default_factory=lambda: {"pytorch": "1.12.1", "tensorflow": "2.9.1"})
    trouble: dict[str, ToolkitError] = field(default_factory=dict)
    files: tuple[LockedDownload, ...] = ()
    signing: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def requirements(self, unit: BuildUnit) -> tuple[str, ...]:
        self.asked.append(unit.identifier)
        framework = unit.image.framework
        if framework in self.trouble:
            raise self.trouble[framework]
        return (f"{framework}=={self.versions[framework]} --hash=sha256:{unit.architecture}",)

    def downloads(self, unit: BuildUnit) -> tuple[LockedDownload, ...]:
        return self.files

    def base(self, base: Base, architectures: Sequence[Architecture]) -> LockedBases:
        self.asked.append(f"base {base.name}")
        if "base" in self.trouble:
            raise self.trouble["base"]
        row = LockedBase(inputs=base_inputs_digest(base), digest=digest(9))
        return dict.fromkeys(architectures, row)

    def keys(self) -> Mapping[str, str]:
        return self.signing


def _conforms(world: World) -> Finder:
    return world


def locked(
    world: World, lock: Lock, *, upgrade: bool = False, some: Sequence[BuildUnit] = UNITS, text: str = CATALOG
) -> Result:
    found = catalog(text)
    run = Locking(
        lock=lock,
        units=units(text),
        bases=found.bases,
        serving=SERVING,
        finder=world,
        upgrade=upgrade,
        now=NOW,
    )
    return run.run(some)


def told(before: Lock, result: Result) -> list[str]:
    return list(changes(before, result.lock))


def test_from_nothing_everything_is_asked_for_and_the_same_question_once() -> None:
    world = World()
    result = locked(world, Lock())
    assert result.lock.units.keys() == {unit.identifier for unit in UNITS}
    assert result.lock.units[EKS] == result.lock.units[SAGEMAKER]
    assert sorted(world.asked) == sorted({*world.asked})
    assert len(world.asked) == 5  # a base, and two frameworks on two architectures
    assert not checked(result.lock).faults


def test_what_is_locked_and_fits_is_not_asked_for_and_stays_byte_for_byte() -> None:
    world = World()
    assert locked(world, LOCKED).lock == LOCKED
    assert world.asked == []


def test_a_new_unit_that_asks_for_what_another_has_gets_the_same_answer_and_time() -> None:
    world = World()
    without = replace(LOCKED, units={name: row for name, row in LOCKED.units.items() if name != EKS})
    assert locked(world, without).lock == LOCKED
    assert world.asked == []


def test_a_source_out_of_reach_leaves_its_rows_unlocked_without_naming_the_mirror() -> None:
    result = locked(World(trouble={"pytorch": DEAD}), Lock())
    assert result.lock.units[ARM64].unlocked == "vendor.test refuses"
    assert result.lock.units[SAGEMAKER].requirements
    assert "mirror.corp" not in format_lock(result.lock)
    assert f"{AMD64}, {ARM64}: unlocked: vendor.test refuses" in told(Lock(), result)


def test_a_row_that_is_unlocked_is_asked_for_again_and_keeps_its_time_while_nothing_changes() -> None:
    first = locked(World(trouble={"pytorch": DEAD}), Lock())
    world = World(trouble={"pytorch": DEAD})
    second = locked(world, replace(first.lock))
    assert second.lock == first.lock
    assert len(world.asked) == 2
    assert locked(World(), first.lock).lock.units[ARM64].requirements


def test_an_upgrade_that_cannot_be_made_leaves_what_was_locked_and_says_why() -> None:
    result = locked(World(trouble={"pytorch": DEAD, "base": DEAD}), LOCKED, upgrade=True)
    assert result.lock.units[ARM64] == LOCKED.units[ARM64]
    assert result.lock.bases == LOCKED.bases
    assert f"{ARM64} stays as it is: {DEAD.message}" in result.kept
    assert f"base debian11 stays as it is: {DEAD.message}" in result.kept


def test_a_base_out_of_reach_is_an_unlocked_row_and_stops_no_unit() -> None:
    result = locked(World(trouble={"base": DEAD}), Lock())
    row = result.lock.bases["debian11"][Architecture.ARM64]
    assert isinstance(row, UnlockedBase)
    assert row.reason == "vendor.test refuses"
    assert result.lock.units[ARM64].requirements
    assert "base debian11 (amd64, arm64): unlocked: vendor.test refuses" in told(Lock(), result)


def test_what_nobody_can_satisfy_is_a_failure_with_its_line_and_stops_no_other() -> None:
    result = locked(World(trouble={"pytorch": UsageError("no solution", remedy="Mend it.")}), Lock())
    line = next(unit for unit in UNITS if unit.identifier == ARM64).image.line
    assert f"images.toml:{line}: {ARM64}: no solution\n  Mend it." in result.failures
    assert ARM64 not in result.lock.units
    assert result.lock.units[EKS].requirements


def test_an_upgrade_shows_what_moved_once_for_all_images_that_it_moves() -> None:
    first = locked(World(), Lock()).lock
    world = World(versions={"pytorch": "1.12.1", "tensorflow": "2.9.3"})
    result = locked(world, first, upgrade=True)
    assert told(first, result) == [
        "tensorflow-2.9.1-cpu-py39-debian11-eks-amd64, tensorflow-2.9.1-cpu-py39-debian11-eks-arm64, "
        "tensorflow-2.9.1-cpu-py39-debian11-sagemaker-amd64, "
        "tensorflow-2.9.1-cpu-py39-debian11-sagemaker-arm64: "
        "tensorflow 2.9.1 -> 2.9.3"
    ]
    assert result.lock.units[ARM64] == first.units[ARM64]
    assert result.lock.units[EKS].created == NOW


def test_an_upgrade_of_one_image_leaves_the_others() -> None:
    first = locked(World(), Lock()).lock
    world = World(versions={"pytorch": "1.12.2", "tensorflow": "2.9.3"})
    some = [unit for unit in UNITS if unit.identifier == ARM64]
    result = locked(world, first, upgrade=True, some=some)
    assert told(first, result) == [f"{ARM64}: pytorch 1.12.1 -> 1.12.2"]
    assert world.asked == ["base debian11", ARM64]


def test_downloads_that_moved_are_told_by_package_or_by_what_they_are() -> None:
    def deb(version: str) -> LockedDownload:
        name = f"tools_{version}_amd64.deb"
        return LockedDownload(folder=Folder.DEBS, name=name, sha256="a" * 64, url=f"https://v.test/{name}")

    wheel = LockedDownload(folder=Folder.WHEELS, name="a.whl", sha256="b" * 64, url="https://v.test/a.whl")
    first = locked(World(files=(deb("1.0"), wheel)), Lock()).lock
    again = locked(World(files=(deb("1.1"), replace(wheel, sha256="c" * 64))), first, upgrade=True)
    (line,) = told(first, again)
    assert line.endswith("tools 1.0_amd64 -> 1.1_amd64, wheels/a.whl bbbbbbbbbbbb -> cccccccccccc")
    assert again.lock.units[ARM64].created == NOW


def test_rows_that_the_catalog_no_longer_has_go_and_are_told() -> None:
    old = LOCKED.with_unit("gone-1.0", locked_unit(UNITS[0])).with_base("debian9", {})
    result = locked(World(), old)
    assert result.lock == LOCKED
    assert told(old, result) == ["gone-1.0: removed", "base debian9: removed"]


@pytest.mark.parametrize("upgrade", [False, True])
def test_a_base_whose_digest_moved_is_told_with_both(upgrade: bool) -> None:
    result = locked(World(), LOCKED, upgrade=upgrade)
    moved = [
        f"base debian11 ({each}): {base_digest(each)} -> {digest(9)}"
        for each in (Architecture.AMD64, Architecture.ARM64)
    ]
    assert [line for line in told(LOCKED, result) if "base" in line] == (moved if upgrade else [])


# --- the check


def checked(lock: Lock, text: str | None = None, *, of: str = CATALOG) -> Checked:
    file = format_lock(lock) if text is None else text
    return check_lock(lock, file, units=units(of), bases=catalog(of).bases, serving=SERVING)


def test_a_lock_that_fits_has_no_faults() -> None:
    assert checked(LOCKED) == Checked(faults=(), unlocked=())


def test_a_missing_a_stale_and_a_surplus_row_are_each_named_with_their_line() -> None:
    changed = CATALOG.replace("numpy==1.23.5", "numpy==1.23.4")
    less = {name: row for name, row in LOCKED.units.items() if name != EKS}
    lock = replace(LOCKED, units={**less, "gone-1.0": LockedUnit(inputs="1", created=NOW)})
    pytorch, tensorflow = (image.line for image in catalog().images)
    assert set(checked(lock, of=changed).faults) == {
        f"images.toml:{pytorch}: {AMD64} is stale: its packages, sources, Python or glibc changed since it "
        "was locked",
        f"images.toml:{pytorch}: {ARM64} is stale: its packages, sources, Python or glibc changed since it "
        "was locked",
        f"images.toml:{tensorflow}: {EKS} is missing: it is not in images.lock",
        "images.lock: gone-1.0 is surplus: the catalog has no such unit",
    }


def test_a_base_that_is_missing_stale_or_surplus_is_named() -> None:
    line = catalog().bases["debian11"].line
    lock = replace(LOCKED, bases={"debian9": {}})
    assert checked(lock).faults == (
        f"images.toml:{line}: base debian11 for amd64 is missing: it is not in images.lock",
        f"images.toml:{line}: base debian11 for arm64 is missing: it is not in images.lock",
        "images.lock: base debian9 is surplus: the catalog has no such base",
    )
    stale = checked(LOCKED, of=CATALOG.replace("bullseye", "bookworm")).faults
    assert stale[0] == (
        f"images.toml:{line}: base debian11 for amd64 is stale: its origin or packages changed since it was "
        "locked"
    )


def test_rows_that_wait_for_their_source_are_told_and_are_no_fault() -> None:
    lock = locked(World(trouble={"pytorch": DEAD, "base": DEAD}), Lock()).lock
    found = checked(lock)
    assert found.faults == ()
    line = catalog().images[0].line
    assert f"images.toml:{line}: {ARM64} is unlocked: vendor.test refuses" in found.unlocked
    assert any("base debian11 is unlocked for arm64: vendor.test refuses" in each for each in found.unlocked)


def test_a_file_that_no_lock_command_wrote_is_told() -> None:
    text = format_lock(LOCKED).replace("\nversion", "\n\nversion")
    assert parse_lock(text) == LOCKED
    (fault,) = checked(LOCKED, text).faults
    assert "changed by hand or merged" in fault


def test_signing_keys_are_kept_while_something_is_signed_with_them() -> None:
    url = "https://apt.vendor.test/key"
    vendor = CATALOG + (
        f'[sources.v]\nkind = "apt"\nurl = "https://apt.vendor.test"\nsuite = "s"\n'
        f'components = ["main"]\nkey = "{url}"\n'
    )
    asks = vendor.replace("remarks.amd64", 'apt = { source = "v", packages = ["tools"] }\nremarks.amd64')
    result = locked(World(signing={url: "a" * 64}), Lock(), some=units(asks), text=asks)
    assert result.lock.keys == {url: "a" * 64}
    assert parse_lock(format_lock(result.lock)) == result.lock
    moved = locked(World(signing={url: "b" * 64}), result.lock, upgrade=True, some=units(asks), text=asks)
    assert f"signing key {url}: sha256 {'a' * 64} -> {'b' * 64}" in told(result.lock, moved)
    assert locked(World(), result.lock, some=units(vendor), text=vendor).lock.keys == {}


def test_a_need_of_this_machine_is_a_reason_too() -> None:
    result = locked(World(trouble={"pytorch": NeedNotMet("there is no gpgv", remedy="Install it.")}), Lock())
    assert result.lock.units[ARM64].unlocked == "there is no gpgv"
