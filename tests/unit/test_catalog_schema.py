"""The JSON Schema of images.toml: it takes what the readers take, and refuses what it can know is wrong."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
import tomli
from click.testing import CliRunner

from tests.projects import CATALOG, ROOT
from tests.unit import test_catalog, test_catalog_builders, test_catalog_registries, test_catalog_vendors
from toolkit.catalog import FILENAME, grammar, places
from toolkit.catalog.schema import text_schema
from toolkit.cli.schema import schema

KEPT = ROOT / "docs" / "images.schema.json"
WRITE = "Write it anew: .venv/bin/toolkit schema > docs/images.schema.json"
SCHEMA = json.loads(KEPT.read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

VALID = {
    "the project's own": (ROOT / FILENAME).read_text(),
    "small": CATALOG,
    "good": test_catalog.GOOD,
    "vendors": test_catalog_vendors.NEURON,
    "registries": CATALOG + test_catalog_registries.REGISTRIES,
    "builders": CATALOG + test_catalog_builders.BUILDERS,
}

# Of these a schema knows: the keys of a table, which of them are needed, and the form of their values.
KNOWABLE = ("unknown key", " is missing: add ", " must be ", " is not one of ", " is empty")
# Unless they are about the whole catalog.
UNKNOWABLE = ('group "default" is missing', "is not one of AWS", "must begin with", "is not one of {")


def broken() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, text and case of every broken catalog of the tests."""
    replacing = {
        test_catalog.GOOD: test_catalog.CASES,
        test_catalog_vendors.NEURON: test_catalog_vendors.CASES,
    }
    for good, cases in replacing.items():
        for case in cases:
            yield case["name"], good.replace(case["old"], case["new"], 1), case
    for case in (*test_catalog_registries.CASES, *test_catalog_builders.CASES):
        yield case["name"], f"{CATALOG}{case['table']}", case


def problems(text: str) -> list[str]:
    return [f"{each.json_path}: {each.message}" for each in VALIDATOR.iter_errors(tomli.loads(text))]


def test_the_schema_that_is_kept_is_that_of_the_readers() -> None:
    printed = CliRunner().invoke(schema).stdout
    assert json.loads(printed) == json.loads(KEPT.read_text()), WRITE
    assert printed == KEPT.read_text(), WRITE


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]


def test_the_catalog_names_it_where_editors_look() -> None:
    """https://taplo.tamasfe.dev/configuration/directives.html"""
    first = (ROOT / FILENAME).read_text().splitlines()[0]
    assert first == f"#:schema ./{KEPT.relative_to(ROOT)}"


@pytest.mark.parametrize("name", VALID)
def test_every_valid_catalog_fits(name: str) -> None:
    assert problems(VALID[name]) == []


def test_what_a_schema_can_know_to_be_wrong_does_not_fit() -> None:
    missed, told = [], 0
    for name, text, case in broken():
        try:
            tomli.loads(text)
        except tomli.TOMLDecodeError:
            continue
        knowable = [
            fault
            for fault in case["faults"]
            if any(words in fault for words in KNOWABLE) and not any(words in fault for words in UNKNOWABLE)
        ]
        if knowable and not problems(text):
            missed.append((name, knowable))
        told += bool(knowable)
    assert missed == []
    assert told > 50


GRAMMARS = {
    f"{module.__name__}.{name}": each
    for module in (grammar, places)
    for name, each in vars(module).items()
    if isinstance(each, grammar.Grammar)
}


@pytest.mark.parametrize("name", GRAMMARS)
def test_a_pattern_of_the_schema_takes_what_its_grammar_takes(name: str) -> None:
    found = GRAMMARS[name]
    validator = jsonschema.Draft202012Validator(text_schema(found))
    for text in (found.example, *(mend(found.example) for mend in found.mends)):
        assert validator.is_valid(text) or not found.accepts(text)
    assert not validator.is_valid("")
    assert not validator.is_valid("x" * (found.maximum + 1))


def test_a_word_decides_which_keys_go_with_it() -> None:
    apt = '[sources.a]\nkind = "apt"\nurl = "https://a.example"\n'
    assert problems(CATALOG + apt) == [
        f"$.sources.a: {key!r} is a required property" for key in ("suite", "components", "key")
    ]
    index = '[sources.a]\nkind = "index"\nurl = "https://a.example"\nsuite = "focal"\n'
    assert problems(CATALOG + index) == ["$.sources.a: False schema does not allow 'focal'"]
