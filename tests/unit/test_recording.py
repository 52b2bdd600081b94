"""Outcome of a release → release record."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes import MemoryRegistry
from tests.projects import AMD64, ARM64, digest, unit, units
from tests.releases import BOTH, LIST, PYTORCH, House
from toolkit.errors import BuildFailed
from toolkit.record import PublishedImage, ReleaseRecord
from toolkit.recording import Circumstances, record_of, supports_are_recorded
from toolkit.release import Outcome
from toolkit.support import known_ends, supports_of

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
EKS = "tensorflow-2.9.1-cpu-py39-debian11-eks"
EKS_TAG = "2.9.1-cpu-py39-debian11-eks"
ECR = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def recorded(
    house: House, outcome: Outcome, before: ReleaseRecord | None = None, now: datetime = NOON
) -> ReleaseRecord:
    return record_of(
        outcome,
        Circumstances(
            to=house.to,
            before=before,
            known=supports_of(units(house.catalog), known_ends(), on=now.date()),
            release=f"{now:%Y%m%dT%H%M%SZ}-12345678",
            began=now,
            toolkit="0.1.0",
            warnings=("drift",),
        ),
    )


def row(record: ReleaseRecord, identifier: str) -> PublishedImage:
    return next(each for each in record.images if each.identifier == identifier)


def test_a_record_says_what_the_registry_holds(house: House) -> None:
    record = recorded(house, house.release())
    assert [each.identifier for each in record.images] == [each.identifier for each in units()]
    assert record.release.startswith("20261121T120000Z-")
    assert (record.created, record.registry) == ("2026-11-21T12:00:00Z", "registry.example")
    assert (record.toolkit, record.warnings) == ("0.1.0", ("drift",))
    assert ReleaseRecord.loads(record.dumps()) == record


def test_a_row_has_the_units_names_and_what_verification_found(house: House) -> None:
    outcome = house.release(*BOTH)
    arm = row(recorded(house, outcome), ARM64)
    made = next(each for each in outcome.finished if each.rendered.unit.identifier == ARM64)
    assert (arm.framework, arm.version, arm.python, arm.os) == ("pytorch", "1.12.1", "3.9", "debian11")
    assert (arm.architecture, arm.accelerator, arm.consumer) == ("arm64", "cpu", "sagemaker")
    assert (arm.registry, arm.repository, arm.tag) == ("registry.example", PYTORCH, f"{LIST}-arm64")
    assert (arm.digest, arm.media_type) == (made.image.digest, made.image.media_type)
    assert (arm.size, arm.unpacked_size) == (made.verification.size, made.verification.unpacked_size)
    assert arm.build_id == made.rendered.build_id
    assert arm.base == {"reference": "debian:bullseye", "digest": made.rendered.base.digest}
    assert set(arm.verification.values()) == {"passed"}
    assert {"label", "elf", "layers", "media-types"} <= arm.verification.keys()
    assert arm.durations.keys() == {"build", "verify", "publish", "read back"}
    assert arm.created == "2026-11-21T12:00:00Z"
    assert not arm.emulated


def test_sagemaker_deploys_the_image_of_the_platform_by_digest(house: House) -> None:
    record = recorded(house, house.release(*BOTH))
    index = house.index()
    for identifier in BOTH:
        one = row(record, identifier)
        assert one.uri == f"registry.example/{PYTORCH}@{one.digest}"
        assert one.index_uri == f"registry.example/{PYTORCH}@{index.digest}"
        assert (one.index_digest, one.index_tag) == (index.digest, LIST)
    assert row(record, AMD64).uri != row(record, ARM64).uri


def test_others_deploy_the_list_by_digest(house: House) -> None:
    record = recorded(house, house.release())
    index = house.index(EKS_TAG, "tensorflow-inference")
    uris = {row(record, f"{EKS}-{architecture}").uri for architecture in ("amd64", "arm64")}
    assert uris == {f"registry.example/tensorflow-inference@{index.digest}"}


def test_a_remark_reaches_the_record(house: House) -> None:
    record = recorded(house, house.release(*BOTH))
    assert row(record, AMD64).remark == "carries CUDA libraries"
    assert row(record, ARM64).remark == ""


def test_account_region_and_path_are_told_for_ecr(tmp_path: Path) -> None:
    house = House(tmp_path, registry=MemoryRegistry(ECR), prefix="team/ml")
    record = recorded(house, house.release(*BOTH))
    arm = row(record, ARM64)
    assert (arm.account, arm.region) == ("123456789012", "us-west-2")
    assert (arm.registry, arm.repository) == (ECR, f"team/ml/{PYTORCH}")
    assert arm.uri == f"{ECR}/team/ml/{PYTORCH}@{arm.digest}"
    assert record.registry == f"{ECR}/team/ml"


def test_a_unit_whose_sibling_failed_is_not_deployable_yet(house: House) -> None:
    house.builder.trouble[ARM64] = BuildFailed("no")
    assert recorded(house, house.release(*BOTH)).images == ()


def test_a_sagemaker_unit_without_its_list_is_deployable_an_eks_unit_is_not(house: House) -> None:
    record = recorded(house, house.release(ARM64, f"{EKS}-arm64"))
    assert [each.identifier for each in record.images] == [ARM64]
    arm = row(record, ARM64)
    assert arm.uri.endswith(arm.digest)
    assert (arm.index_tag, arm.index_uri, arm.index_digest) == ("", "", "")


def test_the_sibling_that_completes_a_list_tells_it_of_both(house: House) -> None:
    first = recorded(house, house.release(ARM64))
    second = recorded(house, house.release(AMD64), before=first)
    index = house.index()
    assert [each.index_digest for each in second.images] == [index.digest] * 2
    assert [each.index_tag for each in second.images] == [LIST] * 2
    assert row(second, ARM64).uri == row(first, ARM64).uri


def test_a_list_moved_by_one_unit_is_the_new_uri_of_its_siblings_too(house: House) -> None:
    first = recorded(house, house.release(f"{EKS}-amd64", f"{EKS}-arm64"))
    old = house.index(EKS_TAG, "tensorflow-inference")
    arm = unit(f"{EKS}-arm64")
    house.rebuild(arm.identifier)
    second = recorded(house, house.release(arm.identifier), before=first)
    new = house.index(EKS_TAG, "tensorflow-inference")
    assert new.digest != old.digest
    assert {each.uri for each in second.images} == {f"registry.example/tensorflow-inference@{new.digest}"}


def test_a_partial_release_keeps_the_rest_of_the_record(house: House) -> None:
    first = recorded(house, house.release())
    house.change_sources()
    second = recorded(house, house.release(*BOTH), before=first)
    assert len(second.images) == len(first.images)
    assert row(second, ARM64).digest != row(first, ARM64).digest
    assert row(second, f"{EKS}-arm64") == row(first, f"{EKS}-arm64")


def test_what_is_only_put_behind_a_list_again_keeps_its_times(house: House) -> None:
    first = recorded(house, house.release(*BOTH))
    del house.registry.tags[PYTORCH][LIST]
    later = NOON + timedelta(days=1)
    second = recorded(house, house.release(*BOTH), before=first, now=later)
    assert row(second, ARM64).created == "2026-11-21T12:00:00Z"
    assert row(second, ARM64).durations == row(first, ARM64).durations
    assert second.created == "2026-11-22T12:00:00Z"
    assert second.release != first.release


def test_what_was_built_elsewhere_is_recorded_as_found_today(house: House) -> None:
    house.release(*BOTH)
    record = recorded(house, house.release(*BOTH))
    assert row(record, ARM64).created == "2026-11-21T12:00:00Z"
    assert row(record, ARM64).durations.keys() == {"read back"}


def test_a_row_whose_image_is_not_the_lists_child_is_left_as_it_was(house: House) -> None:
    first = recorded(house, house.release(*BOTH))
    stale = row(first, AMD64)
    other = ReleaseRecord.loads(first.dumps().replace(stale.digest, digest(77)))
    second = recorded(house, house.release(ARM64), before=other)
    assert row(second, AMD64) == row(other, AMD64)


def test_support_is_that_of_the_records_day_also_of_images_of_the_record_before(house: House) -> None:
    outcome = house.release(*BOTH)
    long_ago = recorded(house, outcome, now=NOON.replace(year=2024))
    assert {each.support["state"] for each in long_ago.images} == {"current"}
    amd64_only = replace(
        outcome,
        finished=tuple(each for each in outcome.finished if each.rendered.unit.identifier == AMD64),
    )
    later = recorded(house, amd64_only, before=long_ago)
    assert {each.identifier: each.support["state"] for each in later.images} == {
        AMD64: "legacy",
        ARM64: "legacy",
    }
    assert row(later, ARM64).support["date"] == "2025-10-31"


def test_a_record_is_out_of_date_when_an_end_of_life_has_passed_since(house: House) -> None:
    record = recorded(house, house.release(*BOTH))
    known = supports_of(units(house.catalog), known_ends(), on=NOON.date())
    assert supports_are_recorded(record, known)
    assert supports_are_recorded(None, known)
    assert not supports_are_recorded(
        recorded(house, house.release(*BOTH), now=NOON.replace(year=2024)), known
    )
    assert supports_are_recorded(record, {}), "images that left the catalog are nobody's concern"
