"""The doctor's rows: each failing one has the line that mends it."""

from dataclasses import replace

import pytest

from tests.machine_fakes import ENGINE, bare_facts, complete
from toolkit.machine.facts import (
    Builder,
    BuilderNode,
    Buildx,
    Disk,
    Emulator,
    Facts,
    Registry,
    RegistryAnswer,
)
from toolkit.machine.needs import GIB, Need, State, needs
from toolkit.machine.text import table
from toolkit.oci import Architecture


def row(facts: Facts, name: str) -> Need:
    (found,) = (need for need in needs(facts) if need.name == name)
    return found


FAR = Registry(address="1234.dkr.ecr.us-west-2.amazonaws.com", answer=RegistryAnswer.CREDENTIALS)
UNFIXED = Emulator(architecture=Architecture.ARM64, interpreter="/usr/bin/qemu", is_fixed=False)
FULL = Disk(purpose="engine", path="/var/lib/docker", device=1, free=GIB)


@pytest.mark.parametrize(
    "facts",
    [
        bare_facts(),
        replace(bare_facts(), endpoint="tcp://far.example:2376"),
        replace(bare_facts(), engine_settings="{}"),
        replace(complete(bare_facts()), engine=replace(ENGINE, has_image_store=False)),
        replace(complete(bare_facts()), buildx=Buildx(path="/p", version=(0, 12, 1))),
        replace(complete(bare_facts()), buildx=None, client=None),
        replace(complete(bare_facts()), emulators=(UNFIXED,)),
        replace(complete(bare_facts()), registry=FAR),
        replace(complete(bare_facts()), registry=replace(FAR, answer=RegistryAnswer.STRANGER)),
        replace(complete(bare_facts()), disks=(FULL,)),
    ],
)
def test_every_row_that_fails_says_what_mends_it(facts: Facts) -> None:
    failing = [need for need in needs(facts) if not need.is_met]
    assert failing
    assert all(need.remedy and need.detail for need in failing)


def test_a_complete_machine_has_no_failing_row() -> None:
    assert [need for need in needs(complete(bare_facts())) if not need.is_met] == []


def test_the_other_architecture_is_emulated_and_the_row_says_by_what() -> None:
    assert row(complete(bare_facts()), "platform linux/amd64").state is State.NATIVE
    emulated = row(complete(bare_facts()), "platform linux/arm64")
    assert emulated.state is State.EMULATED
    assert "/usr/bin/qemu" in emulated.detail
    assert "building does not" in emulated.detail


def test_a_builder_node_of_the_architecture_makes_it_native() -> None:
    nodes = (BuilderNode(architectures=("amd64",)), BuilderNode(architectures=("arm64", "amd64")))
    builder = Builder(name="two", driver="remote", nodes=nodes)
    facts = replace(complete(bare_facts()), emulators=(), builder=builder)
    assert row(facts, "platform linux/arm64").state is State.NATIVE


def test_a_builder_of_its_own_stands_in_for_the_image_store() -> None:
    without = replace(complete(bare_facts()), engine=replace(ENGINE, has_image_store=False))
    assert "docker-container" in row(without, "image store").remedy
    builder = Builder(name="multiarch", driver="docker-container", nodes=())
    assert row(replace(without, builder=builder), "image store").is_met


def test_buildx_before_the_needed_version_fails() -> None:
    assert row(replace(complete(bare_facts()), buildx=Buildx(path="/p", version=(0, 13, 1))), "buildx").is_met
    assert not row(
        replace(complete(bare_facts()), buildx=Buildx(path="/p", version=(0, 9, 9))), "buildx"
    ).is_met


def test_a_user_without_the_group_is_told_to_join_it() -> None:
    forbidden = replace(complete(bare_facts()), engine=None, is_engine_forbidden=True)
    assert row(forbidden, "engine").remedy.startswith("sudo usermod -aG docker")


def test_ecr_is_told_its_own_way_to_log_in() -> None:
    remedy = row(replace(complete(bare_facts()), registry=FAR), "credentials").remedy
    assert remedy.startswith("aws ecr get-login-password --region us-west-2 | docker login --username AWS")


def test_one_file_system_must_have_room_for_all_that_is_kept_on_it() -> None:
    disks = (
        Disk(purpose="engine", path="/var/lib/docker", device=1, free=16 * GIB),
        Disk(purpose="project", path="/project", device=1, free=16 * GIB),
    )
    shared = row(replace(complete(bare_facts()), disks=disks), "free disk")
    assert not shared.is_met
    apart = replace(complete(bare_facts()), disks=(disks[0], replace(disks[1], device=2)))
    assert [need.is_met for need in needs(apart) if need.name == "free disk"] == [True, True]


def test_the_table_puts_the_remedy_below_its_row() -> None:
    lines = table(needs(bare_facts())).splitlines()
    engine = next(index for index, line in enumerate(lines) if line.startswith("engine"))
    assert lines[engine + 1].strip() == "-> make setup"


def test_rows_as_json_say_whether_they_are_met() -> None:
    row_json = row(bare_facts(), "buildx").to_json()
    assert row_json == {
        "name": "buildx",
        "state": "missing",
        "detail": "no Buildx plugin found",
        "remedy": "make setup",
        "met": False,
    }
