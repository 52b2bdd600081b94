"""Whole releases on a registry in memory and a builder that writes prepared images."""

import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import Request
from tests.images import OCI, single
from tests.projects import AMD64, ARM64, CATALOG, unit
from tests.releases import BOTH, EVERY, LIST, PYTORCH, House, honest
from toolkit import tags
from toolkit.errors import BuildFailed, ExitCode, RegistryUnavailable, ToolkitError, worst
from toolkit.oci import Manifest, Platform
from toolkit.plan import Action
from toolkit.progress import Kind
from toolkit.publish import publish_image
from toolkit.release import Outcome


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def codes(outcome: Outcome) -> ExitCode:
    return worst(error.exit_code for error in outcome.failures.values())


def warnings(house: House) -> list[str]:
    return [f"{event.subject}: {event.text}" for event in house.events if event.kind is Kind.WARNING]


# --- everything is well


def test_a_release_leaves_arch_tags_build_tags_and_lists(house: House) -> None:
    outcome = house.release()
    assert not outcome.failures
    assert house.public_tags() == {LIST, f"{LIST}-amd64", f"{LIST}-arm64"}
    assert [str(platform) for platform in house.index().platforms] == ["linux/amd64", "linux/arm64"]
    assert house.public_tags("tensorflow-inference") >= {
        "2.9.1-cpu-py39-debian11-eks",
        "2.9.1-cpu-py39-debian11-sagemaker-arm64",
    }
    assert {each.rendered.unit.identifier for each in outcome.finished} == set(EVERY)
    assert all(each.built and each.verification.ok for each in outcome.finished)
    assert outcome.lists[PYTORCH, LIST] == house.index()


def test_each_list_is_put_after_its_arch_tags_and_those_after_all_build_tags_of_the_list(
    house: House,
) -> None:
    house.release(*BOTH)
    puts = house.puts()
    assert [put.startswith("b-") for put in puts] == [True, True, False, False, False]
    assert puts[2:] == [f"{LIST}-amd64", f"{LIST}-arm64", LIST]


def test_what_people_pull_is_what_was_verified(house: House) -> None:
    outcome = house.release(*BOTH)
    assert {each.image.digest for each in outcome.finished} == {
        child.digest for child in house.index().manifests
    }
    assert all(each.verification.digest == each.image.digest for each in outcome.finished)


def test_the_consumer_of_sagemaker_gets_docker_types_and_the_others_oci(house: House) -> None:
    house.release()
    assert house.index().media_type.endswith("manifest.list.v2+json")
    eks = house.index("2.9.1-cpu-py39-debian11-eks", "tensorflow-inference")
    assert eks.media_type.endswith("image.index.v1+json")


def test_a_path_before_the_repositories_is_kept(house: House) -> None:
    house.prefix = "team/ml"
    house.release(*BOTH)
    assert set(house.registry.tags) == {f"team/ml/{PYTORCH}"}
    assert house.to.reference(PYTORCH, LIST) == f"registry.example/team/ml/{PYTORCH}:{LIST}"


def test_layouts_are_gone_once_they_are_published(house: House) -> None:
    house.release(*BOTH)
    assert list((house.directory / "layouts").iterdir()) == []


def test_units_are_numbered_and_their_stages_told(house: House) -> None:
    house.release(*BOTH)
    started = [event for event in house.events if event.kind is Kind.STARTED]
    assert {(event.subject, event.number, event.total) for event in started} == {(AMD64, 1, 2), (ARM64, 2, 2)}
    texts = [event.text for event in house.events if event.subject == ARM64]
    assert "packages 2/2 RUN uv" in texts
    assert any(text.startswith("verifying ") for text in texts)
    assert {event.subject for event in house.events if event.kind is Kind.FINISHED} >= {*BOTH}


# --- the second run


def test_a_second_run_asks_once_per_unit_and_list_and_does_nothing(house: House) -> None:
    house.release()
    house.registry.requests.clear()
    plan = house.plan()
    assert plan.is_done
    assert {request[0] for request in house.registry.requests} == {"lookup_descriptor"}
    assert len(house.registry.requests) == len(set(house.registry.requests)) == 6 + 3


def test_carrying_out_a_plan_that_is_done_builds_and_puts_nothing(house: House) -> None:
    house.release(*BOTH)
    house.builder.built.clear()
    house.registry.requests.clear()
    outcome = house.release(*BOTH)
    assert house.builder.built == []
    assert house.puts() == []
    assert not any(each.built for each in outcome.finished)
    assert outcome.lists[PYTORCH, LIST] == house.index()


def test_a_deleted_list_is_put_again_without_a_build(house: House) -> None:
    house.release(*BOTH)
    before = house.index()
    del house.registry.tags[PYTORCH][LIST]
    house.builder.built.clear()
    assert [each.action for each in house.plan(*BOTH).units] == [Action.RETAG] * 2
    house.release(*BOTH)
    assert house.builder.built == []
    assert house.index().raw == before.raw


def test_a_changed_file_is_the_reason_for_building_again(house: House) -> None:
    house.release(*BOTH)
    house.change_sources()
    plan = house.plan(*BOTH)
    assert [(each.action, each.why) for each in plan.units] == [(Action.BUILD, "changed: file serve")] * 2
    before = house.index().digest
    assert not house.release(*BOTH).failures
    assert house.index().digest != before


@pytest.mark.parametrize("inputs", ["", "{", "[1]", "null", '"text"'])
def test_an_image_without_a_legible_inputs_label_is_no_obstacle(house: House, inputs: str) -> None:
    odd = honest(house.rendered(unit(ARM64)), **{"io.multiarch-images.inputs": inputs})
    house.builder.images[ARM64] = odd
    house.release(ARM64)
    house.change_sources()
    (planned,) = house.plan(ARM64).units
    assert (planned.action, planned.why) == (Action.BUILD, "not published yet")


# --- units that fail


def test_a_unit_that_lies_is_not_published(house: House) -> None:
    house.builder.images[ARM64] = honest(house.rendered(unit(ARM64)), elf="amd64")
    outcome = house.release(*BOTH)
    assert codes(outcome) is ExitCode.VERIFICATION_FAILED
    message = outcome.failures[ARM64].message
    assert ARM64 in message
    assert "1 of 2 ELF files is amd64" in message
    assert "/usr/lib/libtorch.so" in message
    assert house.public_tags() == set()
    assert list(house.registry.tags[PYTORCH]) == [tags.build_tag(house.rendered(unit(AMD64)).build_id)]


def test_a_unit_with_a_wrong_label_is_not_published(house: House) -> None:
    arm = house.rendered(unit(ARM64))
    house.builder.images[ARM64] = replace(honest(arm), platform=unit(AMD64).platform)
    outcome = house.release(ARM64)
    assert codes(outcome) is ExitCode.VERIFICATION_FAILED
    assert house.registry.tags[PYTORCH] == {}
    assert house.registry.blobs[PYTORCH] == {}


def test_a_unit_that_breaks_its_consumers_contract_is_not_published(house: House) -> None:
    house.builder.images[ARM64] = replace(honest(house.rendered(unit(ARM64))), types=OCI)
    outcome = house.release(ARM64)
    assert codes(outcome) is ExitCode.VERIFICATION_FAILED
    assert "which sagemaker does not take" in outcome.failures[ARM64].message
    assert house.registry.tags[PYTORCH] == {}


def test_one_failing_unit_stops_no_other_list(house: House) -> None:
    house.builder.trouble[ARM64] = BuildFailed(f"{ARM64} failed to build")
    outcome = house.release(jobs=1)
    assert list(outcome.failures) == [ARM64]
    assert codes(outcome) is ExitCode.BUILD_FAILED
    assert sorted(house.builder.built) == sorted(EVERY)
    assert outcome.withheld == {AMD64}
    assert house.public_tags() == set()
    assert {tag for _, tag in outcome.lists} == {
        "2.9.1-cpu-py39-debian11-eks",
        "2.9.1-cpu-py39-debian11-sagemaker",
    }
    assert warnings(house) == [f"registry.example/{PYTORCH}:{LIST}: not published: {ARM64} failed"]


def test_when_a_unit_fails_its_old_list_and_tags_stay_byte_for_byte(house: House) -> None:
    house.release(*BOTH)
    old_tags = {tag: house.registry.tags[PYTORCH][tag] for tag in house.public_tags()}
    old_list = house.index().raw
    house.change_sources()
    house.builder.trouble[ARM64] = BuildFailed("no")
    outcome = house.release(*BOTH)
    assert list(outcome.failures) == [ARM64]
    assert {tag: house.registry.tags[PYTORCH][tag] for tag in house.public_tags()} == old_tags
    assert house.index().raw == old_list


def test_after_a_failure_only_the_failed_unit_is_built_again(house: House) -> None:
    house.builder.trouble[ARM64] = BuildFailed("no")
    house.release(*BOTH)
    house.builder.trouble.clear()
    house.builder.built.clear()
    assert not house.release(*BOTH).failures
    assert house.builder.built == [ARM64]
    assert house.public_tags() == {LIST, f"{LIST}-amd64", f"{LIST}-arm64"}


def test_a_full_disk_fails_the_unit_and_no_other(house: House) -> None:
    house.builder.trouble[ARM64] = OSError(28, "No space left on device", "/x/layouts")
    outcome = house.release(jobs=1)
    assert list(outcome.failures) == [ARM64]
    error = outcome.failures[ARM64]
    assert error.message == f"{ARM64}: No space left on device: /x/layouts"
    assert "make clean" in error.remedy
    assert len(outcome.lists) == 2


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (BuildFailed("no"), RegistryUnavailable("gone"), ExitCode.BUILD_FAILED),
        (RegistryUnavailable("gone"), BuildFailed("no"), ExitCode.BUILD_FAILED),
    ],
)
def test_of_several_failures_the_worst_decides_the_exit_code(
    house: House, first: ToolkitError, second: ToolkitError, expected: ExitCode
) -> None:
    house.builder.trouble = {AMD64: first, ARM64: second}
    assert codes(house.release(*BOTH)) is expected


def test_trouble_with_the_registry_while_tagging_is_told_of_the_list(house: House) -> None:
    def refuse(request: Request) -> None:
        if request == ("put_manifest", PYTORCH, LIST):
            raise RegistryUnavailable("registry.example does not answer")

    house.registry.before = refuse
    outcome = house.release(*BOTH)
    assert list(outcome.failures) == [f"registry.example/{PYTORCH}:{LIST}"]
    assert codes(outcome) is ExitCode.REGISTRY_TROUBLE
    assert outcome.withheld == {*BOTH}
    assert LIST not in house.registry.tags[PYTORCH]


def test_a_registry_that_hands_out_other_bytes_fails_the_unit(house: House) -> None:
    def corrupt(request: Request) -> None:
        if request[0] == "open_rest":
            blobs = house.registry.blobs[PYTORCH]
            blobs.update({digest: b"\0" * len(content) for digest, content in blobs.items()})

    house.registry.before = corrupt
    outcome = house.release(ARM64)
    assert codes(outcome) is ExitCode.VERIFICATION_FAILED
    assert house.public_tags() == set()


# --- part of a list


def test_a_unit_without_its_sibling_gets_its_tag_but_no_list(house: House) -> None:
    outcome = house.release(ARM64)
    assert not outcome.failures
    assert house.public_tags() == {f"{LIST}-arm64"}
    assert outcome.lists == {}
    assert warnings(house) == [
        f"registry.example/{PYTORCH}:{LIST}: not published: {AMD64} is not in the registry"
    ]


def test_the_sibling_completes_the_list_later(house: House) -> None:
    house.release(ARM64)
    house.builder.built.clear()
    outcome = house.release(AMD64)
    assert house.builder.built == [AMD64]
    assert outcome.lists[PYTORCH, LIST] == house.index()
    assert [str(platform) for platform in house.index().platforms] == ["linux/amd64", "linux/arm64"]


def test_part_of_a_list_does_not_take_the_old_list_away(house: House) -> None:
    house.release(*BOTH)
    old = house.index().raw
    house.change_sources()
    house.release(ARM64)
    assert house.index().raw == old


def test_a_list_never_loses_a_platform_silently(house: House) -> None:
    house.release(*BOTH)
    old = house.index().raw
    house.catalog = CATALOG.replace('["amd64", "arm64"]', '["arm64"]').replace(
        'remarks.amd64 = "carries CUDA libraries"\n', ""
    )
    outcome = house.release(ARM64)
    assert codes(outcome) is ExitCode.CONFLICT
    assert "linux/amd64" in str(outcome.failures[f"registry.example/{PYTORCH}:{LIST}"])
    assert house.index().raw == old


def test_a_list_loses_a_platform_that_may_be_dropped(house: House) -> None:
    house.release(*BOTH)
    house.catalog = CATALOG.replace('["amd64", "arm64"]', '["arm64"]').replace(
        'remarks.amd64 = "carries CUDA libraries"\n', ""
    )
    outcome = house.release(ARM64, may_drop=frozenset({Platform("linux", "amd64")}))
    assert not outcome.failures
    assert [str(platform) for platform in house.index().platforms] == ["linux/arm64"]


# --- two releases at once, and one that is interrupted


def test_the_first_image_under_a_build_tag_stays(house: House) -> None:
    arm = house.rendered(unit(ARM64))
    elsewhere = House(house.directory / "elsewhere", registry=house.registry)
    elsewhere.builder.images[ARM64] = honest(arm, **{"org.opencontainers.image.revision": "another"})

    def someone_else_is_faster(identifier: str) -> None:
        elsewhere.release(ARM64)

    house.builder.during = someone_else_is_faster
    outcome = house.release(ARM64)
    (finished,) = outcome.finished
    assert house.registry.tags[PYTORCH][tags.build_tag(arm.build_id)] == finished.image.digest
    assert not finished.built
    assert any("another release put" in event.text for event in house.events if event.kind is Kind.NOTE)
    assert len({digest for tag, digest in house.registry.tags[PYTORCH].items() if "arm64" in tag}) == 1


def test_the_first_image_under_a_build_tag_is_verified_like_ones_own(house: House) -> None:
    arm = house.rendered(unit(ARM64))

    def put_a_lie(identifier: str) -> None:
        lie = single(house.directory / "lie", honest(arm, elf="amd64"))
        manifest = lie.get_manifest("")
        assert isinstance(manifest, Manifest)
        publish_image(
            manifest, lie, registry=house.registry, repository=PYTORCH, tags=[tags.build_tag(arm.build_id)]
        )

    house.builder.during = put_a_lie
    outcome = house.release(ARM64)
    assert codes(outcome) is ExitCode.VERIFICATION_FAILED
    assert house.public_tags() == set()


def test_an_interrupt_in_the_middle_leaves_no_public_tag(house: House) -> None:
    went_on = threading.Event()

    def interrupt_the_main_thread(identifier: str) -> None:
        if identifier == ARM64:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            went_on.wait(10)

    house.builder.during = interrupt_the_main_thread
    with pytest.raises(KeyboardInterrupt):
        house.release(*BOTH)
    assert house.public_tags() == set()
    went_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("unit"):
            thread.join(10)
    assert house.public_tags() == set()


def test_units_that_wait_are_not_begun_after_an_interrupt(house: House) -> None:
    told = threading.Event()

    def hold(identifier: str) -> None:
        if identifier != EVERY[0]:
            told.wait(10)

    house.builder.during = hold
    house.builder.trouble[EVERY[0]] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        house.release(jobs=1)
    assert len(house.builder.built) <= 2
    told.set()


def test_units_are_built_side_by_side(house: House) -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(identifier: str) -> None:
        both.wait()

    house.builder.during = meet
    assert not house.release(*BOTH, jobs=2).failures
