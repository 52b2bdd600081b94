"""Units staged by one job and published by another: a registry in memory, a builder without an engine."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.images import single
from tests.projects import AMD64, ARM64, CATALOG, unit, units
from tests.releases import BOTH, EVERY, LIST, PYTORCH, House, honest
from toolkit.artifacts import push_artifact
from toolkit.errors import BuildFailed, ExitCode, RegistryUnavailable, worst
from toolkit.handover import (
    STAGED_TYPE,
    NotStaged,
    StagedInvalid,
    StagedUnit,
    ensure_fits,
    lookup_staged,
    push_staged,
    staged_of,
)
from toolkit.oci import Manifest, MediaType
from toolkit.progress import Kind
from toolkit.publish import publish_image
from toolkit.record import ReleaseRecord
from toolkit.recording import Circumstances, record_of
from toolkit.release import Outcome
from toolkit.support import known_ends, supports_of
from toolkit.tags import build_tag, staged_tag


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def recorded(house: House, outcome: Outcome) -> ReleaseRecord:
    circumstances = Circumstances(
        to=house.to,
        release="20261121T120000Z-00000000",
        began=datetime(2026, 11, 21, 12, tzinfo=UTC),
        before=None,
        known=supports_of(units(CATALOG), known_ends(), on=datetime(2026, 11, 21, tzinfo=UTC).date()),
        toolkit="1.0",
    )
    return record_of(outcome, circumstances)


# --- staging


def test_staging_moves_no_tag_that_people_pull(house: House) -> None:
    staged, failures = house.stage()
    assert not failures
    assert set(staged) == set(EVERY)
    for repository in ("pytorch-inference", "tensorflow-inference"):
        assert house.public_tags(repository) == set()


def test_each_staged_unit_is_told_beside_its_image_and_by_no_public_tag(house: House) -> None:
    staged, _ = house.stage(ARM64)
    rendered = house.rendered(unit(ARM64))
    told = lookup_staged(rendered, staged[ARM64].image.digest, house.to)
    assert told == staged[ARM64]
    tags = set(house.registry.tags[PYTORCH])
    assert tags == {
        build_tag(rendered.build_id),
        staged_tag(rendered.build_id, staged[ARM64].image.digest),
    }


def test_a_unit_that_fails_is_not_staged_and_stops_no_other(house: House) -> None:
    house.builder.trouble[ARM64] = BuildFailed("no")
    staged, failures = house.stage(*BOTH)
    assert set(staged) == {AMD64}
    assert set(failures) == {ARM64}


def test_a_unit_that_lies_is_not_staged(house: House) -> None:
    house.builder.images[ARM64] = honest(house.rendered(unit(ARM64)), elf="amd64")
    staged, failures = house.stage(ARM64)
    assert staged == {}
    assert failures[ARM64].exit_code is ExitCode.VERIFICATION_FAILED
    assert house.registry.tags[PYTORCH] == {}


def test_a_unit_that_is_there_is_not_built_again_and_told_as_by_who_built_it(house: House) -> None:
    first, _ = house.stage(ARM64)
    house.builder.built.clear()
    second, _ = house.stage(ARM64)
    assert house.builder.built == []
    assert second == first
    assert second[ARM64].built


def test_a_unit_whose_document_cannot_be_pushed_has_failed(house: House) -> None:
    def refuse(request: tuple[str, str, str]) -> None:
        if request[0] == "put_manifest" and request[2].count("-") > 1:
            raise RegistryUnavailable("registry.example does not answer")

    house.registry.before = refuse
    staged, failures = house.stage(ARM64)
    assert staged == {}
    assert failures[ARM64].exit_code is ExitCode.REGISTRY_TROUBLE


def test_what_is_handed_over_of_a_unit_that_is_there_is_of_now(house: House) -> None:
    house.stage(ARM64)
    rendered = house.rendered(unit(ARM64))
    finished = house.publish(ARM64).finished[0]
    later = staged_of(finished, to=house.to, locked="sha256:" + "1" * 64, toolkit="2.0")
    handed = push_staged(replace(later, built=False, durations={}), rendered, house.to)
    assert (handed.base.locked, handed.toolkit) == ("sha256:" + "1" * 64, "2.0")
    assert handed.built
    assert "build" in handed.durations


# --- publishing what was staged


def test_lists_are_those_of_a_release_to_the_last_byte(house: House, tmp_path: Path) -> None:
    staged, _ = house.stage()
    outcome = house.publish(given=staged)
    assert not outcome.failures
    other = House(tmp_path / "other")
    released = other.release()
    assert {key: index.raw for key, index in outcome.lists.items()} == {
        key: index.raw for key, index in released.lists.items()
    }
    for repository in ("pytorch-inference", "tensorflow-inference"):
        assert {tag: house.registry.tags[repository][tag] for tag in house.public_tags(repository)} == {
            tag: other.registry.tags[repository][tag] for tag in other.public_tags(repository)
        }


@pytest.mark.parametrize("with_files", [True, False])
def test_the_record_is_that_of_a_release_but_for_how_long_it_took(
    house: House, tmp_path: Path, with_files: bool
) -> None:
    staged, _ = house.stage()
    published = recorded(house, house.publish(given=staged if with_files else {}))
    other = House(tmp_path / "other")
    released = recorded(other, other.release())

    def timeless(record: ReleaseRecord) -> ReleaseRecord:
        return replace(record, images=tuple(replace(each, durations={}) for each in record.images))

    assert timeless(published) == timeless(released)
    for row, other_row in zip(published.images, released.images, strict=True):
        assert set(row.durations) == set(other_row.durations)


def test_publishing_asks_for_no_engine_and_reads_no_layer(house: House) -> None:
    house.stage(*BOTH)
    house.registry.requests.clear()
    assert not house.publish(*BOTH).failures
    layers = {
        blob.digest
        for manifest in house.registry.manifests[PYTORCH].values()
        if isinstance(manifest, Manifest) and manifest.config.media_type != MediaType.OCI_EMPTY
        for blob in manifest.layers
    }
    read = {subject for _, _, subject in house.registry.made("open_rest")}
    assert layers and not layers & read


def test_a_list_without_one_of_its_units_stays_and_the_others_are_published(house: House) -> None:
    house.builder.trouble[ARM64] = BuildFailed("no")
    house.stage()
    outcome = house.publish()
    assert set(outcome.failures) == {ARM64}
    error = outcome.failures[ARM64]
    assert isinstance(error, NotStaged)
    assert f"make stage IMAGES={ARM64}" in error.remedy
    assert worst(each.exit_code for each in outcome.failures.values()) is ExitCode.BUILD_FAILED
    assert house.public_tags() == set()
    assert outcome.withheld == {AMD64}
    assert len(outcome.lists) == 2


def test_staging_the_missing_unit_is_enough_to_publish_the_list(house: House) -> None:
    house.builder.trouble[ARM64] = BuildFailed("no")
    house.stage(*BOTH)
    house.publish(*BOTH)
    house.builder.trouble.clear()
    house.builder.built.clear()
    house.stage(*BOTH)
    assert house.builder.built == [ARM64]
    assert not house.publish(*BOTH).failures
    assert house.public_tags() == {LIST, f"{LIST}-amd64", f"{LIST}-arm64"}


def test_a_file_of_another_image_than_the_one_that_is_there_is_a_conflict(house: House) -> None:
    staged, _ = house.stage(*BOTH)
    house.rebuild(ARM64)
    house.stage(ARM64)
    outcome = house.publish(*BOTH, given=staged)
    assert set(outcome.failures) == {ARM64}
    assert outcome.failures[ARM64].exit_code is ExitCode.CONFLICT
    assert staged[ARM64].digest in outcome.failures[ARM64].message
    assert house.public_tags() == set()


def test_a_unit_that_the_record_knows_is_not_asked_for_again(house: House) -> None:
    house.stage(*BOTH)
    record = recorded(house, house.publish(*BOTH))
    house.registry.requests.clear()
    outcome = house.publish(*BOTH, known=record.images)
    assert house.registry.made("open_rest") == []
    assert recorded(house, outcome) == record


def test_an_image_without_a_document_is_verified_by_reading_it(house: House) -> None:
    staged, _ = house.stage(*BOTH)
    rendered = house.rendered(unit(ARM64))
    del house.registry.tags[PYTORCH][staged_tag(rendered.build_id, staged[ARM64].image.digest)]
    outcome = house.publish(*BOTH)
    assert not outcome.failures
    (arm,) = (each for each in outcome.finished if each.rendered.unit.identifier == ARM64)
    assert arm.verification.elf_files == staged[ARM64].elf_files > 0
    assert arm.verification.ok


def test_a_lie_under_a_build_tag_is_not_published_when_nobody_vouches_for_it(house: House) -> None:
    rendered = house.rendered(unit(ARM64))
    lie = single(house.directory / "lie", honest(rendered, elf="amd64"))
    manifest = lie.get_manifest("")
    assert isinstance(manifest, Manifest)
    publish_image(
        manifest, lie, registry=house.registry, repository=PYTORCH, tags=[build_tag(rendered.build_id)]
    )
    outcome = house.publish(ARM64)
    assert outcome.failures[ARM64].exit_code is ExitCode.VERIFICATION_FAILED
    assert house.public_tags() == set()


def test_a_document_in_the_registry_that_cannot_be_read_is_told_and_the_image_read(house: House) -> None:
    staged, _ = house.stage(ARM64)
    push_artifact(
        b"{}",
        artifact_type=STAGED_TYPE,
        registry=house.registry,
        repository=PYTORCH,
        tag=staged_tag(staged[ARM64].build_id, staged[ARM64].image.digest),
    )
    outcome = house.publish(ARM64)
    assert not outcome.failures
    notes = [event.text for event in house.events if event.kind is Kind.NOTE]
    assert len(notes) == 1
    assert "'schema_version' is missing; the image is verified anew" in notes[0]


# --- documents that do not fit


def test_a_document_comes_back_as_it_was(house: House) -> None:
    staged, _ = house.stage()
    for each in staged.values():
        assert StagedUnit.loads(each.dumps(), name="x") == each


def _without(key: str) -> Callable[[dict[str, object]], None]:
    def change(document: dict[str, object]) -> None:
        del document[key]

    return change


def _with(key: str, value: object) -> Callable[[dict[str, object]], None]:
    def change(document: dict[str, object]) -> None:
        document[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without("digest"), "'digest' is missing"),
        (_without("schema_version"), "'schema_version' is missing"),
        (_with("schema_version", 2), "it has schema_version 2, not 1"),
        (_with("digest", "sha256:12"), "sha256:12"),
        (_with("size", "large"), "'large' stands where int must"),
        (_with("built", 1), "1 stands where bool must"),
        (_with("platform", "arm"), "'arm' is not a platform"),
        (_with("base", {"name": "debian11"}), "missing"),
        (_with("packages", [{"name": "six", "version": "1", "kind": "rpm"}]), "rpm"),
        (_with("verification", {"elf": "failed"}), "its image did not pass elf"),
    ],
)
def test_a_document_that_cannot_be_read_says_why_and_what_mends_it(
    house: House, change: Callable[[dict[str, object]], None], words: str
) -> None:
    staged, _ = house.stage(ARM64)
    document = json.loads(staged[ARM64].dumps())
    change(document)
    with pytest.raises(StagedInvalid) as caught:
        StagedUnit.loads(json.dumps(document), name="dist/staged/x.json")
    assert "dist/staged/x.json cannot be read as a staged unit" in caught.value.message
    assert words in caught.value.message
    assert "make stage" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '{"schema_version": 1}'])
def test_a_text_that_is_no_document_is_an_error_too(text: str) -> None:
    with pytest.raises(StagedInvalid, match=r"x\.json cannot be read"):
        StagedUnit.loads(text, name="x.json")


def test_a_document_of_other_sources_names_what_changed(house: House) -> None:
    staged, _ = house.stage(ARM64)
    house.change_sources()
    with pytest.raises(StagedInvalid, match=r"x\.json: .* was staged from other sources.*: file serve"):
        ensure_fits(staged[ARM64], house.rendered(unit(ARM64)), house.to, name="x.json")


def test_a_document_of_another_registry_names_both(house: House) -> None:
    staged, _ = house.stage(ARM64)
    house.prefix = "team"
    with pytest.raises(StagedInvalid, match=r"to registry\.example, not to registry\.example/team"):
        ensure_fits(staged[ARM64], house.rendered(unit(ARM64)), house.to, name="x.json")
