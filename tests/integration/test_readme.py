"""What the documents claim is so: commands, options, exit codes, the row to copy, links, the floors drawn."""

import configparser
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.projects import ROOT, TEMPLATES, catalog
from toolkit.catalog import parse_catalog
from toolkit.cli import COMMANDS, cli
from toolkit.errors import PRECEDENCE, ExitCode
from toolkit.selection import Selection, select
from toolkit.units import expand

DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/resolver.md",
    "docs/deploying.md",
)


def read(name: str) -> str:
    return (ROOT / name).read_text()


README = read("README.md")


def blocks(text: str, language: str) -> tuple[str, ...]:
    """The fenced blocks of one language."""
    return tuple(re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def section(text: str, title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {title!r}"
    return found[1]


def rows(text: str) -> tuple[tuple[str, ...], ...]:
    """The cells of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return tuple(tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:])


def code(text: str) -> Iterator[str]:
    """What stands as code: spans outside of blocks, and what one would type in consoles and scripts."""
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    for block in blocks(text, "sh"):
        yield from block.splitlines()
    for block in blocks(text, "console"):
        yield from (line.removeprefix("$ ") for line in block.splitlines())


@pytest.fixture(scope="module")
def targets() -> frozenset[str]:
    """What `make help` lists."""
    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return frozenset(re.findall(r"^  make ([a-z]+) ", shown, re.MULTILINE))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_that_is_named_exists(name: str, targets: frozenset[str]) -> None:
    named = {found for text in code(read(name)) for found in re.findall(r"\bmake ([a-z]+)\b", text)}
    assert named <= targets


def test_the_table_of_commands_has_all_targets_and_commands(targets: frozenset[str]) -> None:
    table = rows(section(README, "Commands"))
    assert {found for row in table for found in re.findall(r"`make ([a-z]+)`", row[0])} == targets - {"help"}
    assert {found for row in table for found in re.findall(r"`toolkit ([a-z]+)`", row[1])} == set(COMMANDS)


def options_of(command: str) -> frozenset[str]:
    """With those of its own commands, where it is a group."""
    found = cli.get_command(click.Context(cli), command)
    assert found, f"there is no command {command}"
    context = click.Context(found)
    names = found.list_commands(context) if isinstance(found, click.Group) else []
    own = [found.get_command(context, name) for name in names] if isinstance(found, click.Group) else []
    params = [param for each in (found, *own) if each for param in each.params]
    return frozenset(option for each in params for option in (*each.opts, *each.secondary_opts)) | {"--help"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_toolkit_command_that_is_named_exists_with_its_options(name: str) -> None:
    for text in code(read(name)):
        for command, rest in re.findall(r"(?:^|[/ ])toolkit ([a-z]+)\b([^;|]*)", text):
            assert {word for word in rest.split() if word.startswith("--")} <= options_of(command), text


def test_the_options_in_the_table_are_those_of_its_command() -> None:
    for row in rows(section(README, "Commands")):
        known = {option for each in re.findall(r"`toolkit ([a-z]+)`", row[1]) for option in options_of(each)}
        assert set(re.findall(r"`(--[a-z-]+)", row[2])) <= known, row


def test_the_exit_codes_are_those_of_the_code() -> None:
    table = {int(number): name for number, name, _ in rows(section(README, "Exit codes"))}
    assert table == {each.value: each.name.lower().replace("_", " ") for each in ExitCode}
    order = ", ".join(str(each.value) for each in PRECEDENCE)
    assert f"in the order {order} decides" in README


def test_the_row_to_copy_makes_the_unit_that_is_released_with_it() -> None:
    (row,) = blocks(section(README, "Add an image"), "toml")
    text = f"{read('images.toml')}\n{row}"
    before = {unit.identifier for unit in expand(catalog(read("images.toml")))}
    read_again = parse_catalog(text, templates=TEMPLATES.keys())
    units = expand(read_again)
    added = {unit.identifier for unit in units} - before
    assert added == {"pytorch-2.8.0-cpu-py39-debian11-eks-arm64"}
    said = section(README, "Add an image")
    patterns = {pattern for found in re.findall(r"IMAGES=('\S+')", said) for pattern in shlex.split(found)}
    selected = select(units, Selection(patterns=tuple(patterns)), read_again)
    assert {unit.identifier for unit in selected} == added


def test_the_builder_to_copy_is_one() -> None:
    (table,) = blocks(section(README, "Builder nodes"), "toml")
    (builder,) = parse_catalog(f"{read('images.toml')}\n{table}").builders.values()
    assert [node.kind for node in builder.nodes] == ["local", "ssh", "remote"]


def test_every_key_of_the_row_to_copy_and_of_the_catalog_is_explained() -> None:
    explained = {
        key for row in rows(section(README, "Add an image")) for key in re.findall(r"`([^`]+)`", row[0])
    }
    used = set(
        re.findall(r"^([a-z_]+(?:\.[a-z0-9]+)?) =", read("images.toml").partition("\n[images.")[2], re.M)
    )
    assert used - {"title"} <= explained


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_to_files_and_sections_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(name)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_of_the_repository_that_are_named_exist(name: str) -> None:
    tops = "toolkit|tests|dockerfiles|docs|scripts|locks|[.]ci"
    for text in code(read(name)):
        if re.fullmatch(rf"(?:{tops})/[\w./-]*", text) and "NAME" not in text:
            assert (ROOT / text).exists(), text


def test_the_floors_are_drawn_in_the_order_of_the_import_contract() -> None:
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter")
    layers = contract["importlinter:contract:floors"]["layers"].strip().splitlines()
    (drawing,) = [
        block for block in blocks(read("docs/architecture.md"), "text") if block.startswith("entry ")
    ]
    drawn = [re.split(r"\s{2,}", line)[0] for line in drawing.splitlines() if re.match(r"[a-z]", line)]
    assert drawn == [layer.strip().replace("toolkit.", "") for layer in layers]


def test_every_module_has_its_floor() -> None:
    (drawing,) = [
        block for block in blocks(read("docs/architecture.md"), "text") if block.startswith("entry ")
    ]
    modules = {
        path.stem for path in Path(ROOT / "toolkit").iterdir() if path.suffix == ".py" or path.is_dir()
    }
    left_out = {module for module in modules if not re.search(rf"^[a-z |]*\b{module}\b", drawing, re.M)}
    assert left_out <= {"__init__", "__main__", "__pycache__", "data"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_names_a_path_of_the_machine_it_was_written_on(name: str) -> None:
    assert not re.search(r"(?<!\w)/(?:root|home|work|tmp/[a-z])", read(name))
