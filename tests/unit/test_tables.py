"""Release record → JSON, CSV and Markdown."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records import HOST, RELEASE, image, record
from toolkit.quantities import human_size
from toolkit.tables import FORMATS, RELEASED
from toolkit.tables.rows import COLUMNS, row
from toolkit.tables.text import to_csv, to_json, to_md

RECORD = record(image("a-amd64", remark='larger, and "heavier" | than arm64\'s'), image("a-arm64"))


def test_every_format_is_named_as_its_file_ends() -> None:
    assert RELEASED == ("md", "csv", "json", "html")
    assert set(RELEASED) <= FORMATS.keys()


def test_a_row_has_every_column_and_a_value_for_what_a_deployer_asks_next() -> None:
    flat = row(image("a-arm64"))
    assert tuple(flat) == COLUMNS
    assert {"identifier", "framework", "version", "python", "architecture", "accelerator", "consumer",
            "registry", "repository", "tag", "digest", "uri", "index_uri"} <= flat.keys()  # fmt: skip
    assert flat["entrypoint"] == "/usr/local/bin/serve"
    assert flat["ports"] == "8080/tcp"
    assert flat["verified"] == "elf, label"
    assert all(flat[name] != "" for name in set(COLUMNS) - {"account", "region", "remark"})


def test_json_has_one_object_per_unit() -> None:
    document = json.loads(to_json(RECORD))
    assert document["schema_version"] == 1
    assert (document["release"], document["registry"]) == (RELEASE, HOST)
    assert [each["identifier"] for each in document["uris"]] == ["a-amd64", "a-arm64"]
    assert document["uris"][1] == row(image("a-arm64"))


def test_csv_is_read_back_by_a_csv_reader() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(RECORD))))
    assert [each["identifier"] for each in rows] == ["a-amd64", "a-arm64"]
    assert rows[0] == {name: str(value) for name, value in row(RECORD.images[0]).items()}
    assert "\r" not in to_csv(RECORD)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")))
def test_csv_keeps_any_remark(remark: str) -> None:
    (found,) = csv.DictReader(io.StringIO(to_csv(record(image(remark=remark)))))
    assert found["remark"] == remark


def test_markdown_is_a_table_with_one_line_per_unit() -> None:
    lines = to_md(RECORD).splitlines()
    assert lines[0] == f"# Release {RELEASE}"
    assert lines[2] == f"Images in {HOST} on 2026-11-21T08:15:00Z: 2."
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 2
    assert {line.count("|") for line in table} == {7}
    assert table[2].startswith(
        "| a-amd64 | amd64 | sagemaker | 250 MB | `registry.example/pytorch-inference@sha256:"
    )


def test_markdown_tells_remarks_below_the_table() -> None:
    text = to_md(RECORD)
    assert '\n* `a-amd64`: larger, and "heavier" | than arm64\'s\n' in text
    assert "* `" not in to_md(record(image(support={})))


def test_a_bar_in_a_value_does_not_break_the_markdown_table() -> None:
    (line,) = [each for each in to_md(record(image(index_tag="a|b"))).splitlines() if each.startswith("| py")]
    assert line.endswith("| a\\|b |")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 kB"),
        (1_499, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (1_000_000, "1 MB"),
        (250_000_000, "250 MB"),
        (999_500_000, "1.0 GB"),
        (1_550_000_000, "1.6 GB"),
    ],
)
def test_sizes_are_told_in_decimal_units(size: int, text: str) -> None:
    assert human_size(size) == text


def test_a_row_says_whether_somebody_still_looks_after_the_image() -> None:
    flat = row(image("a-arm64"))
    assert (flat["support"], flat["support_date"]) == ("legacy", "2025-10-31")
    assert flat["support_source"] == "https://devguide.python.org/versions/"
    assert row(image("a-arm64", support={}))["support"] == ""


def test_markdown_warns_once_per_reason_of_what_nobody_looks_after() -> None:
    ended = {"state": "ended", "reasons": "Amazon Elastic Inference: ended 2024-04"}
    other = (image("b-amd64", support=ended), image("c-amd64", support={}))
    text = to_md(record(image("a-amd64"), image("a-arm64"), *other))
    assert text.partition("## Warning: not looked after any more\n\n")[2].splitlines() == [
        "* ended (Amazon Elastic Inference: ended 2024-04): `b-amd64`",
        "* legacy (Python 3.9: end of life 2025-10-31): `a-amd64`, `a-arm64`",
    ]
    assert "Warning" not in to_md(record(image("a-amd64", support={"state": "current"})))
