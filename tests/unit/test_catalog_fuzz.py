"""Whatever the text: a Catalog, or CatalogInvalid with readable faults. Nothing else, ever."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_catalog_vendors import NEURON
from toolkit.catalog import Catalog, parse_catalog, parse_catalog_bytes
from toolkit.errors import CatalogInvalid

REAL = (Path(__file__).parents[2] / "images.toml").read_text()
TEXTS = (REAL, NEURON)
"""The project's catalog, and one with every key there is."""
TEMPLATES = ("inference.Dockerfile.j2",)
LINES = REAL.splitlines(keepends=True)
KEYS = [
    (lines, number)
    for lines in (text.splitlines(keepends=True) for text in TEXTS)
    for number, line in enumerate(lines)
    if re.match(r"[\w.]+ = .*[^\[]$", line)
]
EXAMPLES = settings(max_examples=150, deadline=None, database=None)

# Words that reach deeper into the parser than random text does.
WORDS = st.sampled_from(
    [
        "amd64",
        "arm64",
        "armv64",
        "cpu",
        "sagemaker",
        "pytorch",
        "1.12.1",
        "3.9",
        "debian11",
        "{version}",
        "{",
        "",
        "all",
        "path",
        "reason",
        "version",
        "architecture",
        "numpy==1",
        "a\nb",
        "\x1b[2J",
        "x" * 300,
        "*",
        "default",
    ]
)
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SCALARS = (
    WORDS | ANY_TEXT | st.booleans() | st.integers() | st.dates().map(lambda day: RawToml(day.isoformat()))
)
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | ANY_TEXT, inner, max_size=4),
    max_leaves=8,
)


class RawToml(str):
    """A text that is TOML already."""


def as_toml(value: object) -> str:
    """An inline TOML value."""
    match value:
        case RawToml():
            return str(value)
        case str():
            return json.dumps(value).replace("\x7f", "\\u007f")
        case dict():
            return "{" + ", ".join(f"{as_toml(key)} = {as_toml(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case _:
            return json.dumps(value)


def check(text: str) -> None:
    check_faults(partial(parse_catalog, text, templates=TEMPLATES), text.count("\n") + 1)


def check_faults(parse: Callable[[], Catalog], last_line: int) -> None:
    faults = faults_of(parse)
    found = [re.fullmatch(r"images\.toml:([0-9]+): (.+)", fault) for fault in faults]
    lines = [int(each[1]) for each in found if each]
    assert len(lines) == len(faults)
    assert lines == sorted(lines)
    assert all(1 <= line <= last_line for line in lines)
    assert all(fault.isprintable() for fault in faults)


def faults_of(parse: Callable[[], Catalog]) -> tuple[str, ...]:
    try:
        parse()
    except CatalogInvalid as error:
        return error.faults or ("invalid without a fault",)
    return ()


@EXAMPLES
@given(st.text(st.characters(), max_size=200))
def test_any_text_gives_a_catalog_or_its_faults(text: str) -> None:
    check(text)


@EXAMPLES
@given(st.binary(max_size=200))
def test_any_bytes_give_a_catalog_or_their_faults(content: bytes) -> None:
    parse = partial(parse_catalog_bytes, content, templates=TEMPLATES)
    check_faults(parse, content.count(b"\n") + 1)


@EXAMPLES
@given(st.text("[]{}=.\"'\\#,\n\r \tab1-_+:\0\ufeff", max_size=60))
def test_any_text_of_tomls_own_signs_gives_a_catalog_or_its_faults(text: str) -> None:
    check(text)
    check(REAL + text)


@EXAMPLES
@given(
    st.lists(
        st.tuples(st.sampled_from(["delete", "double", "swap"]), st.integers(0, len(LINES) - 2)), max_size=6
    )
)
def test_any_shuffle_of_the_real_lines_gives_a_catalog_or_its_faults(edits: list[tuple[str, int]]) -> None:
    lines = list(LINES)
    for edit, where in edits:
        at = where % len(lines)
        match edit:
            case "delete":
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case _:
                lines[at], lines[-1] = lines[-1], lines[at]
    check("".join(lines))


@EXAMPLES
@given(st.sampled_from(TEXTS), st.integers(0, len(REAL)), st.integers(0, 12), ANY_TEXT)
def test_any_edit_of_a_text_gives_a_catalog_or_its_faults(
    whole: str, start: int, length: int, text: str
) -> None:
    check(whole[:start] + text + whole[start + length :])


@EXAMPLES
@given(st.sampled_from(KEYS), VALUES)
def test_any_other_value_of_a_key_gives_a_catalog_or_its_faults(
    where: tuple[list[str], int], value: object
) -> None:
    lines, number = where
    key = lines[number].partition("=")[0]
    check("".join([*lines[:number], f"{key}= {as_toml(value)}\n", *lines[number + 1 :]]))


@EXAMPLES
@given(
    st.dictionaries(
        st.sampled_from(["groups", "sources", "mirrors", "registries", "bases", "images", "other"]),
        st.dictionaries(
            WORDS,
            st.dictionaries(
                st.sampled_from(
                    [
                        "framework",
                        "versions",
                        "packages",
                        "exclude",
                        "foreign_elf",
                        "remarks",
                        "tag",
                        "base",
                        "index",
                        "apt",
                        "downloads",
                        "drop",
                        "sdk",
                        "support",
                        "kind",
                        "url",
                        "end_of_life",
                        "install",
                    ]
                )
                | WORDS,
                VALUES,
                max_size=6,
            )
            | VALUES,
            max_size=3,
        )
        | VALUES,
    )
)
def test_any_values_in_the_catalogs_places_give_a_catalog_or_their_faults(values: dict[str, object]) -> None:
    check("".join(f"{key} = {as_toml(value)}\n" for key, value in values.items()))
