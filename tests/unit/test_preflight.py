"""What would stop a release is found before its first build, all at once, with what mends it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.projects import AMD64, ARM64, digest, rendered, template, unit
from tests.records import image, record
from tests.unit.test_builder_placement import node
from tests.unit.test_ecr import settings
from tests.unit.test_plan import BOTH, IMAGES, LIST, REPOSITORY, plan_for, the_list
from toolkit.builders.placement import Fleet
from toolkit.catalog.builder import NodePlatform
from toolkit.ecr.settings import Mutability
from toolkit.errors import ExitCode, RegistryTrouble
from toolkit.machine.facts import Disk
from toolkit.machine.needs import GIB, Need, State
from toolkit.oci import Architecture, Digest
from toolkit.plan import Observed, Plan, decide, wanted_tags
from toolkit.preflight import (
    EcrFacts,
    Finding,
    MachineFacts,
    PreflightFailed,
    ecr_findings,
    ensure_ready,
    fleet_findings,
    machine_findings,
    placement_findings,
    put_tags,
    trouble,
)
from toolkit.record import RELEASES

FULL = f"ml/{REPOSITORY}"
NATIVE = frozenset({Architecture.AMD64})


def facts(**others: Any) -> EcrFacts:
    given: dict[str, Any] = {
        "name": "prod",
        "account": "123456789012",
        "identity": "arn:aws:iam::123456789012:user/ci",
        "repositories": {
            FULL: settings(name=FULL),
            f"ml/{RELEASES}": settings(name=f"ml/{RELEASES}", filters=("newest",)),
        },
        "images": {FULL: 10},
        "standing": {},
    }
    return EcrFacts(**(given | others))


def wrong(plan: Plan, **others: Any) -> list[Finding]:
    return [each for each in ecr_findings(plan, facts(**others), prefix="ml") if not each.ok]


def standing(number: int = 7) -> Mapping[tuple[str, str], Digest]:
    return {(FULL, f"{LIST}-amd64"): digest(number), (FULL, f"{LIST}-arm64"): digest(number)}


def test_nothing_stops_a_first_release() -> None:
    found = ecr_findings(plan_for(), facts(), prefix="ml")
    assert [str(each) for each in found] == [
        "identity        ok      arn:aws:iam::123456789012:user/ci",
        "repositories    ok      2 are there",
    ]
    ensure_ready(found)


def test_another_account_is_told() -> None:
    (identity, *_) = ecr_findings(plan_for(), facts(identity="arn:aws:iam::999:user/ci"), prefix="ml")
    assert identity.ok
    assert identity.detail.endswith("user/ci, not of the registry's account 123456789012")


def test_repositories_that_are_not_there_are_told_with_what_makes_them() -> None:
    (found,) = wrong(plan_for(), repositories={})
    assert found.detail == f"not there: {FULL}, ml/releases"
    assert found.remedy == "toolkit ecr ensure --registry prod"
    assert found.exit_code is ExitCode.NEED_NOT_MET


def test_a_changed_build_cannot_take_an_immutable_tag() -> None:
    before = {**BOTH[0].inputs, "dockerfile": "other"}
    found = wrong(plan_for(inputs={AMD64: before, ARM64: before}), standing=standing())
    assert len(found) == 2
    assert found[0].exit_code is ExitCode.CONFLICT
    assert f"{FULL}:{LIST}-amd64 names {digest(7)} for good" in found[0].detail
    assert "a build with other inputs (" in found[0].detail
    assert found[0].remedy == (
        f"images.toml:{BOTH[0].unit.image.line}: [images.pytorch-inference]: add `revision = 2`, which makes "
        "its tags end in -r2"
    )


def test_the_same_inputs_built_again_are_no_conflict_before_they_are_built() -> None:
    same = {each.unit.identifier: each.inputs for each in BOTH}
    assert not wrong(plan_for(inputs=same), standing=standing())


def test_a_finished_build_takes_its_own_tag_and_no_others() -> None:
    retagged = plan_for(published=[AMD64, ARM64])
    own = {(FULL, each.unit.arch_tag): IMAGES[each.unit.identifier].digest for each in BOTH}
    assert not wrong(retagged, standing=own)
    (found, _) = wrong(retagged, standing=standing())
    assert str(IMAGES[AMD64].digest) in found.detail
    assert str(digest(7)) in found.detail


def test_tags_that_move_are_no_conflict() -> None:
    names = (FULL, "ml/releases")
    mutable = {name: settings(name=name, mutability=Mutability.MUTABLE, filters=()) for name in names}
    assert not wrong(plan_for(published=[AMD64, ARM64]), standing=standing(), repositories=mutable)


def test_what_is_reused_puts_no_tag() -> None:
    done = plan_for(published=[AMD64, ARM64], listed=the_list())
    assert put_tags(done) == ()
    assert not wrong(done, standing=standing())


def test_the_list_of_a_revision_is_put_once() -> None:
    fixed = {
        FULL: settings(name=FULL, mutability=Mutability.IMMUTABLE, filters=()),
        "ml/releases": settings(),
    }
    listed = replace(the_list(), digest=digest(9))
    (found,) = wrong(plan_for(published=[AMD64, ARM64], listed=listed), repositories=fixed)
    assert found.detail.startswith(f"{FULL}:{LIST} is the list {digest(9)} for good")
    assert found.exit_code is ExitCode.CONFLICT


def test_a_quota_that_would_be_exceeded_is_told_with_its_number() -> None:
    assert not wrong(plan_for(), images={FULL: 99_997})
    (found,) = wrong(plan_for(), images={FULL: 99_998})
    assert found.name == "quota"
    assert "keeps 99998 images and would get 3 more" in found.detail
    assert "L-03A36CE1" in found.remedy


def disks(free: float) -> tuple[Disk, ...]:
    return (
        Disk(purpose="engine", path="/var/lib/docker", device=1, free=int(free * GIB)),
        Disk(purpose="project", path="/project", device=1, free=int(free * GIB)),
    )


SMALL = record(image(AMD64, size=1000, unpacked_size=2000), image(ARM64, size=1000, unpacked_size=2000))
LARGE = record(*(image(name, size=GIB, unpacked_size=3 * GIB) for name in (AMD64, ARM64)))


def test_disk_is_counted_from_what_images_took_before() -> None:
    machine = MachineFacts(native=NATIVE, needs=(), disks=disks(0.1))
    (found,) = machine_findings(plan_for(), machine, SMALL)
    assert found.ok
    (found,) = machine_findings(plan_for(), replace(machine, disks=disks(13.9)), LARGE)
    assert not found.ok
    assert found.detail.startswith("13.9 GiB free, about 14.0 GiB needed: /var/lib/docker (engine), /project")
    assert found.remedy == "docker builder prune --all; make clean"
    (found,) = machine_findings(plan_for(), replace(machine, disks=disks(14)), LARGE)
    assert found.ok


def test_a_guess_of_the_size_of_an_image_is_told_and_stops_no_release() -> None:
    machine = MachineFacts(native=NATIVE, needs=(), disks=disks(7.9))
    (found,) = machine_findings(plan_for(), machine, None)
    assert found.ok
    assert found.detail == (
        "7.9 GiB free, at least 0.5 GiB needed, and 8.0 GiB if 2 images of a size that no record tells "
        "should be large: /var/lib/docker (engine), /project (project)"
    )
    (found,) = machine_findings(plan_for(), replace(machine, disks=disks(8.1)), None)
    assert found.detail.startswith("8.1 GiB free, about 8.0 GiB needed: ")
    (found,) = machine_findings(plan_for(), replace(machine, disks=disks(0.4)), None)
    assert not found.ok
    half_known = record(image(AMD64, size=GIB, unpacked_size=3 * GIB))
    (found,) = machine_findings(plan_for(), replace(machine, disks=disks(7.5)), half_known)
    assert found.ok
    assert "at least 7.2 GiB needed, and 11.0 GiB if one image of a size" in found.detail
    apart = (disks(1)[0], replace(disks(1)[1], device=2))
    found_apart = machine_findings(plan_for(), replace(machine, disks=apart), None)
    assert ["3.0" not in each.detail and "6.0" in each.detail for each in found_apart] == [True, False]


def test_a_platform_matters_where_a_build_runs_programs_of_it() -> None:
    missing = Need(
        name="platform linux/arm64", state=State.MISSING, detail="no emulator", remedy="make setup"
    )
    lacking = MachineFacts(native=NATIVE, needs=(missing,))
    assert machine_findings(plan_for(), lacking, None) == ()
    runs = tuple(
        rendered(unit(name), sources=template("FROM {{ base }}\nRUN true\n")) for name in (AMD64, ARM64)
    )
    plan = decide(runs, runs, Observed(descriptors=dict.fromkeys(wanted_tags(runs))))
    (found,) = machine_findings(plan, lacking, None)
    assert (found.ok, found.detail, found.remedy) == (False, "no emulator", "make setup")


def test_a_plan_without_builds_asks_nothing_of_the_machine() -> None:
    full = MachineFacts(native=NATIVE, needs=(), disks=disks(0))
    assert machine_findings(plan_for(published=[AMD64, ARM64]), full, None) == ()


def test_everything_wrong_is_told_at_once_and_a_conflict_decides_the_exit_code() -> None:
    need = Finding(name="disk", ok=False, detail="full", remedy="make clean")
    conflict = Finding(
        name="immutable tag", ok=False, detail="taken", remedy="revise", exit_code=ExitCode.CONFLICT
    )
    with pytest.raises(PreflightFailed) as caught:
        ensure_ready([need, Finding(name="identity", ok=True, detail="me"), conflict])
    assert str(caught.value) == (
        "2 things would stop this release; nothing was built:\n  disk: full\n    make clean\n"
        "  immutable tag: taken\n    revise"
    )
    assert caught.value.exit_code is ExitCode.CONFLICT
    with pytest.raises(PreflightFailed, match="one thing would stop") as caught:
        ensure_ready([need])
    assert caught.value.exit_code is ExitCode.NEED_NOT_MET


def test_a_question_that_could_not_be_asked_is_a_finding() -> None:
    found = trouble(RegistryTrouble("AWS said no", remedy="Log in."), "Amazon ECR")
    assert (found.ok, found.detail, found.remedy) == (False, "AWS said no", "Log in.")
    assert found.exit_code is ExitCode.REGISTRY_TROUBLE


def test_what_no_node_can_build_is_one_finding_for_each_reason_and_a_dead_spare_is_none() -> None:
    here = node("here", NodePlatform.AMD64, is_a=Architecture.AMD64)
    dead = node("spare", NodePlatform.AMD64, trouble="nothing answers")
    fleet = Fleet(name="fleet", nodes=[here, dead])
    wanted = plan_for()
    nodes = fleet_findings(wanted, fleet)
    assert [str(each) for each in nodes] == [
        "node            ok      here, linux/amd64: answers, amd64",
        "node            ok      spare, linux/amd64: not used, nothing answers",
    ]
    units = [each.rendered for each in wanted.to_build]
    (found,) = placement_findings(units, fleet.assign_among(units))
    assert not found.ok
    assert found.detail == f"no node of builder fleet is for linux/arm64: {ARM64}"
