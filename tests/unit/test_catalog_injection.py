"""No text of the catalog becomes an instruction, an option or another URL: each keeps to its place.

The catalogs are the project's own, with every template that it names, and one with every key there is.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import tomli
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.dockerfile import instructions, shape
from tests.projects import SOURCES
from tests.unit.test_catalog_vendors import NEURON
from toolkit.catalog import Catalog, grammar, parse_catalog, places
from toolkit.catalog.grammar import Grammar
from toolkit.errors import CatalogInvalid, UsageError
from toolkit.render import base_name, render_dockerfile
from toolkit.templates import is_word
from toolkit.units import BuildUnit, expand

REAL = (Path(__file__).parents[2] / "images.toml").read_text()
Place = tuple[str | int, ...]


def places_of_texts(value: object, place: Place = ()) -> Iterator[Place]:
    """Where a text stands in the catalog's data."""
    if isinstance(value, str):
        yield place
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from places_of_texts(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places_of_texts(inner, (*place, index))


def at(data: Any, place: Place) -> Any:
    for part in place:
        data = data[part]
    return data


def as_toml(value: object) -> str:
    match value:
        case dict():
            return (
                "{" + ", ".join(f"{json.dumps(key)} = {as_toml(each)}" for key, each in value.items()) + "}"
            )
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case str():
            return json.dumps(value).replace("\x7f", "\\u007f")
        case _:
            return json.dumps(value)


def with_text(text: str, place: Place, new: str) -> str:
    """The catalog `text` with `new` at `place`, as TOML."""
    data = tomli.loads(text)
    at(data, place[:-1])[place[-1]] = new
    return "".join(f"{key} = {as_toml(value)}\n" for key, value in data.items())


def dockerfile(unit: BuildUnit) -> str:
    return render_dockerfile(unit, SOURCES.compiled, base_name(unit.base))


def shapes(catalog: Catalog) -> dict[str, set[tuple[tuple[str, int, int], ...]]]:
    """By image the shapes of its Dockerfiles; units whose render is refused have none."""
    found: dict[str, set[tuple[tuple[str, int, int], ...]]] = {}
    for unit in expand(catalog):
        try:
            found.setdefault(unit.image.name, set()).add(shape(dockerfile(unit)))
        except UsageError:
            continue
    return found


@dataclass(frozen=True)
class Honest:
    """A catalog as it is meant, and where its texts stand."""

    text: str
    places: tuple[Place, ...]
    shapes: Mapping[str, set[tuple[tuple[str, int, int], ...]]]

    @classmethod
    def of(cls, text: str) -> "Honest":
        return cls(text, tuple(places_of_texts(tomli.loads(text))), shapes(parse_catalog(text)))


CATALOGS = {"images.toml": Honest.of(REAL), "every key": Honest.of(NEURON)}

NASTY = st.sampled_from(
    ["\n", "\r", "\\", "\\\n", "\nRUN id", "\nUSER root", " ", "\t", ";", "&", "|", "&&", "`id`", "$(id)",
     "$X", "${X}", "<<EOF", "'", '"', "#", "# syntax=evil/frontend", "--platform=x", "--from=x", "{{ 1 }}",
     "--mount=type=secret,id=x", "{% raw %}", "{version}", "..", "/", "/../", "@", ":", "%", "%2e%2e", "?",
     "*", "[", "=", "\x00", "\x85", "\u2028", "\u202e", "é"]
)  # fmt: skip
PLAIN = st.sampled_from(
    ["a", "1.2", "pytorch", "1.12.1", "2026-01-01", "debian11", "x.whl", "x.deb", "x.tar"]
)
HOSTILE = st.lists(NASTY | PLAIN | st.text(max_size=3), min_size=1, max_size=4).map("".join)


@pytest.mark.parametrize("honest", CATALOGS.values(), ids=CATALOGS)
@settings(max_examples=120)
@given(data=st.data())
def test_no_text_changes_an_instruction_beyond_its_own_place(honest: Honest, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(honest.places), label="place")
    old = at(tomli.loads(honest.text), place)
    around = data.draw(st.sampled_from(["{0}", "{1}{0}", "{0}{1}"]), label="around")
    hostile = around.format(data.draw(HOSTILE, label="hostile"), old)
    # Templates may ask for the framework; an ordinary name of another one is no attack.
    assume(place[-1] != "framework" or not grammar.NAME.accepts(hostile))
    with suppress(CatalogInvalid):
        catalog = parse_catalog(with_text(honest.text, place, hostile))
        assert all(found <= honest.shapes[image] for image, found in shapes(catalog).items())


@pytest.mark.parametrize("name", CATALOGS)
def test_every_template_is_tried_with_every_instruction_it_has(name: str) -> None:
    """What the property above compares is there: else it would hold of nothing."""
    honest = CATALOGS[name]
    catalog = parse_catalog(honest.text)
    assert honest.shapes.keys() == {image.name for image in catalog.images}
    for unit in expand(catalog):
        names = [each.name for each in instructions(dockerfile(unit))]
        assert {"FROM", "RUN", "COPY", "ENV", "CMD"} <= set(names)
        assert not any(each.startswith("#") for each in names)


def test_every_template_of_the_project_is_tried() -> None:
    tried = {image.template for image in parse_catalog(REAL).images}
    assert tried == {name for name in SOURCES.templates if name.endswith(".Dockerfile.j2")}


# --- what the grammars of places let through

URLISH = st.text("ab1./:@?#%-_~+= \\\n\"'[]{};&$`|<>", max_size=30)
URLS = st.builds(
    "{}{}{}".format, st.sampled_from(["https://", "http://", "https://h.example", ""]), URLISH, URLISH
)


@given(URLS | HOSTILE)
@example("https://h.example/a/%2e%2e/b")
@example("https://h.example:99999")
@example("https://h.example:65535")
@example("https://h..example")
@example("https://-h.example")
@example("https://me:secret@h.example")
def test_a_url_that_passes_has_a_host_and_a_path_and_nothing_else(text: str) -> None:
    if not places.SOURCE_URL.accepts(text):
        return
    parts = urlsplit(text)
    assert parts.scheme in ("http", "https")
    assert parts.hostname
    assert ".." not in parts.hostname
    assert parts.port is None or 1 <= parts.port <= 65535
    assert (parts.username, parts.password, parts.query, parts.fragment) == (None, None, "", "")
    assert parts.geturl() == text
    assert not set(text) & set(" \t\n\"'\\`$;&|<>{}[]#?")
    assert not {".", ".."} & set(parts.path.split("/"))


@given(st.text("ab1./:@?#%-_~+= \\\n\"'", min_size=1, max_size=20) | HOSTILE)
@example("a/../../b")
@example("../a")
@example("a%2f..%2fb")
@example("/etc/passwd")
@example("-o")
def test_an_object_that_passes_stays_below_its_source(path: str) -> None:
    if not places.OBJECT.accepts(path):
        return
    text = NEURON.replace("a+b/tool_1.0.tar.gz", path).replace('install = "archive"', 'install = "file"')
    catalog = parse_catalog(text.replace("strip = 1\n", ""))
    download = catalog.images[0].downloads[0]
    parts, source = urlsplit(download.url), urlsplit(download.source.url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == (source.scheme, source.netloc, "", "")
    assert unquote(parts.path) == f"{source.path}{path}"
    assert not {"", ".", ".."} & set(path.split("/"))
    assert is_word(download.filename)


WORDS_IN_COMMANDS = {
    "apt package": places.APT_PACKAGE,
    "component": places.COMPONENT,
    "file": places.OBJECT,
    "Python package": places.PYTHON_PACKAGE,
    "SDK": places.SDK_VERSION,
    "source": places.SOURCE_NAME,
    "URL": places.SOURCE_URL,
    "URL of a key": places.KEY_URL,
    "wheel": places.WHEEL,
}


@pytest.mark.parametrize("rule", WORDS_IN_COMMANDS.values(), ids=WORDS_IN_COMMANDS)
@given(text=HOSTILE | st.text("-=a1.+*:~/@ '\"$\\", max_size=12))
def test_what_goes_into_a_command_or_a_file_of_settings_is_one_word_and_no_option(
    rule: Grammar, text: str
) -> None:
    if rule.accepts(text):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+=:~*/%@,-]*", text)


@given(HOSTILE | st.text("/.ab-_ ~$\n", max_size=12))
@example("/opt/../etc")
@example("/")
def test_a_place_in_an_image_is_absolute_and_goes_down_only(text: str) -> None:
    if places.PLACE.accepts(text):
        assert text.startswith("/")
        assert is_word(text.removeprefix("/"))
        assert not {"", ".", ".."} & set(text.removeprefix("/").split("/"))
