"""Release records as JSON, and what carries over from one to the next."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.records import image, record
from toolkit.errors import ExitCode, UsageError
from toolkit.oci import Reference
from toolkit.record import (
    Package,
    PublishedImage,
    ReleaseRecord,
    account_and_region,
    carried_over,
    release_id,
    start_of,
)

RECORD = record(image("a-arm64"), image("b-amd64", remark="größer | as arm64's"))


def test_a_record_is_read_back_as_it_was() -> None:
    assert ReleaseRecord.loads(RECORD.dumps()) == RECORD
    assert ReleaseRecord.loads(RECORD.dumps().encode()) == RECORD


def test_the_same_record_gives_the_same_bytes() -> None:
    assert ReleaseRecord.loads(RECORD.dumps()).dumps() == RECORD.dumps()


def test_the_json_says_its_schema_first_and_keeps_letters_legible() -> None:
    text = RECORD.dumps()
    assert text.startswith('{\n  "schema_version": 1,\n')
    assert "größer" in text
    assert text.endswith("}\n")


def test_the_json_has_the_fields_that_the_interface_promises() -> None:
    (entry, _) = json.loads(RECORD.dumps())["images"]
    assert {
        "identifier", "image_id", "framework", "version", "python", "os", "accelerator", "architecture",
        "variant", "consumer", "registry", "account", "region", "repository", "tag", "digest", "media_type",
        "size", "unpacked_size",
        "build_id", "base", "packages", "entrypoint", "ports", "support", "verification",
        "emulated", "durations", "created", "uri", "index_uri", "index_digest",
    } <= entry.keys()  # fmt: skip
    assert entry["packages"] == [{"name": "torch", "version": "1.12.1", "kind": "python"}]


def edited(edit: Callable[[dict[str, Any]], object]) -> str:
    data = json.loads(RECORD.dumps())
    edit(data)
    return json.dumps(data)


def test_fields_of_a_later_toolkit_are_passed_over() -> None:
    def add(data: dict[str, Any]) -> None:
        data["signed_by"] = "someone"
        data["images"][0]["scan"] = {"critical": 0}
        data["images"][0]["packages"][0]["license"] = "BSD"

    assert ReleaseRecord.loads(edited(add)) == RECORD


def test_a_record_of_another_schema_names_both_and_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        ReleaseRecord.loads(edited(lambda data: data.update(schema_version=2)), name="dist/release.json")
    assert caught.value.message == "dist/release.json has schema_version 2; this toolkit reads 1"
    assert "remove it and release again" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", ""),
        ("null", ""),
        ("3", ""),
        ("{}", "'schema_version' is missing"),
        (edited(lambda data: data.pop("images")), "'images' is missing"),
        (edited(lambda data: data.update(images=3)), ""),
        (edited(lambda data: data.update(images=["x"])), ""),
        (edited(lambda data: data["images"][0].pop("uri")), "'uri' is missing"),
        (edited(lambda data: data["images"][0].update(size="big")), "size is 'big'"),
        (edited(lambda data: data["images"][0].update(identifier=3)), "identifier is 3"),
        (edited(lambda data: data["images"][0].update(ports="8080")), "ports is '8080'"),
        (edited(lambda data: data["images"][0].update(verification=["elf"])), "verification is ['elf']"),
        (edited(lambda data: data["images"][0].update(emulated=0)), "emulated is 0"),
        (edited(lambda data: data["images"][0]["packages"][0].pop("kind")), "'kind' is missing"),
        (edited(lambda data: data.update(release="../../x")), "'../../x' is not a release id"),
    ],
)
def test_what_is_no_record_says_why_and_how_to_get_one(text: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        ReleaseRecord.loads(text, name="dist/release.json")
    assert caught.value.message.startswith("dist/release.json cannot be read: ")
    assert what in caught.value.message
    assert caught.value.remedy == "Remove it and release again: make release"
    assert caught.value.exit_code is ExitCode.USAGE


def test_bytes_that_are_no_text_are_no_record() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        ReleaseRecord.loads(b"\xff\xfe\x00")


MOMENT = datetime(2026, 11, 21, 8, 15, tzinfo=UTC)


def test_a_release_id_is_utc_time_and_a_short_hash() -> None:
    assert re.fullmatch("20261121T081500Z-[0-9a-f]{8}", release_id(MOMENT, "", {}))


def test_two_who_release_the_same_in_one_second_are_two_releases() -> None:
    later = MOMENT + timedelta(microseconds=1)
    assert release_id(MOMENT, "", {"a-amd64": "1"}) != release_id(later, "", {"a-amd64": "1"})


def test_a_release_id_follows_from_what_is_released_and_where_to() -> None:
    one = release_id(MOMENT, "registry.example", {"a-amd64": "1", "a-arm64": "2"})
    assert one == release_id(MOMENT, "registry.example", {"a-arm64": "2", "a-amd64": "1"})
    assert one != release_id(MOMENT, "registry.example", {"a-amd64": "1", "a-arm64": "3"})
    assert one != release_id(MOMENT, "registry.example/ml", {"a-amd64": "1", "a-arm64": "2"})


def test_a_release_begins_after_the_one_before_it_whatever_the_clock_says() -> None:
    before = ReleaseRecord(
        release="20261121T081500Z-e3b0c442", created="2026-11-21T08:15:00Z", registry="", images=()
    )
    assert start_of(MOMENT, None) == MOMENT
    assert start_of(MOMENT + timedelta(hours=1), before) == MOMENT + timedelta(hours=1)
    assert start_of(MOMENT - timedelta(hours=1), before) == MOMENT + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("123456789012.dkr.ecr.us-west-2.amazonaws.com", ("123456789012", "us-west-2")),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", ("123456789012", "us-gov-west-1")),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", ("123456789012", "cn-north-1")),
        ("public.ecr.aws", ("", "")),
        ("localhost:5000", ("", "")),
        ("12345.dkr.ecr.us-west-2.amazonaws.com", ("", "")),
        ("evil.example/123456789012.dkr.ecr.us-west-2.amazonaws.com", ("", "")),
    ],
)
def test_account_and_region_are_read_from_an_ecr_host(registry: str, expected: tuple[str, str]) -> None:
    assert account_and_region(registry) == expected


def test_an_image_is_pinned_by_its_own_digest_whatever_its_consumer_deploys() -> None:
    one = image("a-arm64", uri="registry.example/other@sha256:" + "0" * 64)
    assert one.pinned == Reference.parse(f"{one.registry}/{one.repository}@{one.digest}")


def carried(
    before: ReleaseRecord | None, *published: PublishedImage, known: str = "abc"
) -> list[PublishedImage]:
    identifiers = [f"{name}-arm64" for name in known]
    return list(carried_over(before, registry="registry.example", published=published, known=identifiers))


def test_a_partial_release_keeps_the_other_images_of_the_record_before() -> None:
    before = record(image("b-arm64"), image("a-arm64"))
    assert carried(before, image("c-arm64")) == [image("a-arm64"), image("b-arm64"), image("c-arm64")]


def test_what_is_released_again_replaces_its_row() -> None:
    new = image("a-arm64", digest="sha256:" + "9" * 64)
    assert carried(record(image("a-arm64")), new) == [new]


def test_what_the_catalog_no_longer_has_is_not_carried_over() -> None:
    before = record(image("a-arm64"), image("b-arm64"))
    assert carried(before, image("c-arm64"), known="ac") == [image("a-arm64"), image("c-arm64")]


def test_nothing_is_carried_over_from_another_registry() -> None:
    elsewhere = replace(record(image("a-arm64")), registry="other.example")
    assert carried(elsewhere, image("b-arm64")) == [image("b-arm64")]
    assert carried(None, image("b-arm64")) == [image("b-arm64")]


def test_a_package_says_who_installed_it() -> None:
    assert RECORD.images[0].packages == (Package(name="torch", version="1.12.1", kind="python"),)
