"""Identifiers and tags have one spelling."""

from collections.abc import Mapping
from typing import Any

import pytest

from toolkit import tags
from toolkit.oci import Architecture, Digest

TENSORFLOW: Mapping[str, Any] = {
    "framework": "tensorflow",
    "version": "2.9.1",
    "accelerator": "cpu",
    "python": "3.9",
    "os": "debian11",
    "consumer": "sagemaker",
}


def test_an_image_id_names_everything_but_the_architecture() -> None:
    assert tags.image_id(**TENSORFLOW) == "tensorflow-2.9.1-cpu-py39-debian11-sagemaker"


def test_a_unit_identifier_ends_in_the_architecture() -> None:
    image_id = tags.image_id(**TENSORFLOW)
    identifier = tags.unit_identifier(image_id, Architecture.ARM64)
    assert identifier == "tensorflow-2.9.1-cpu-py39-debian11-sagemaker-arm64"


def test_a_list_tag_keeps_the_consumer_last() -> None:
    assert tags.list_tag(**TENSORFLOW) == "2.9.1-cpu-py39-debian11-sagemaker"


def test_a_revision_is_told_from_the_second_on() -> None:
    named = tags.list_tag(tags.DEFAULT_PATTERN, **TENSORFLOW, revision=1)
    assert named == "2.9.1-cpu-py39-debian11-sagemaker"
    again = tags.list_tag(tags.DEFAULT_PATTERN, **TENSORFLOW, revision=2)
    assert again == "2.9.1-cpu-py39-debian11-sagemaker-r2"
    assert tags.arch_tag(again, Architecture.AMD64) == "2.9.1-cpu-py39-debian11-sagemaker-r2-amd64"


def test_every_placeholder_is_filled_in() -> None:
    pattern = "_".join(f"{{{name}}}" for name in tags.PATTERN_PLACEHOLDERS)
    assert tags.list_tag(pattern, **TENSORFLOW, sdk="2.20.2") == (
        "2.9.1_cpu_39_2.20.2_debian11_sagemaker_tensorflow"
    )


def test_an_sdk_stands_between_python_and_os() -> None:
    assert tags.image_id(**TENSORFLOW, sdk="2.20.2") == (
        "tensorflow-2.9.1-cpu-py39-sdk2.20.2-debian11-sagemaker"
    )
    assert tags.list_tag(tags.SDK_PATTERN, **TENSORFLOW, sdk="2.20.2") == (
        "2.9.1-cpu-py39-sdk2.20.2-debian11-sagemaker"
    )


def test_python_of_two_digits_has_no_point_in_names() -> None:
    assert "-py311-" in tags.image_id(**{**TENSORFLOW, "python": "3.11"})


def test_an_unknown_placeholder_is_no_tag() -> None:
    with pytest.raises(KeyError):
        tags.list_tag("{architecture}", **TENSORFLOW)


def test_a_value_with_braces_is_not_filled_in_again() -> None:
    assert tags.list_tag("{framework}", **{**TENSORFLOW, "framework": "{version}"}) == "{version}"


def test_a_build_tag_has_the_first_sixteen_digits() -> None:
    assert tags.build_tag("0123456789abcdef" * 4) == "b-0123456789abcdef"


def test_a_staged_tag_begins_like_its_builds_and_names_one_image() -> None:
    staged = tags.staged_tag("0123456789abcdef" * 4, Digest("sha256:" + "f" * 64))
    assert staged == "b-0123456789abcdef-ffffffffffff"


@pytest.mark.parametrize("text", ["", "0123", "sha256:" + "0" * 64, "G" * 64, "0123456789abcdef\n"])
def test_a_build_tag_is_made_of_a_build_id_only(text: str) -> None:
    with pytest.raises(ValueError, match="not a build id"):
        tags.build_tag(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.12.1-cpu", True),
        ("_x", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("-x", False),
        (".x", False),
        ("a+b", False),
        ("a/b", False),
        ("a\n", False),
    ],
)
def test_tags_keep_the_grammar_of_registries(text: str, expected: bool) -> None:
    assert tags.is_tag(text) is expected
