"""`toolkit diff` and `toolkit parity`: records by id and path, what people and programs read."""

import json
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.records import RELEASE, image, record
from toolkit.cli.diff import diff, parity
from toolkit.errors import NothingSelected, UsageError
from toolkit.record import Package

OTHER = "sha256:" + "9" * 64
LATER = "20261122T081500Z-9a8b7c6d"
NUMPY = (Package(name="numpy", version="1.26.4", kind="python"),)


@pytest.fixture(autouse=True)
def _releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two releases in dist/: the older by its id, the newer as the newest."""
    monkeypatch.chdir(tmp_path)
    old = record(image("torch-amd64"), image("torch-arm64"), image("old-amd64"))
    changed = image("torch-arm64", digest=OTHER, size=300_000_000, packages=NUMPY)
    new = replace(record(image("torch-amd64"), changed, image("new-amd64")), release=LATER)
    Path("dist/releases").mkdir(parents=True)
    Path(f"dist/releases/{RELEASE}.json").write_text(old.dumps())
    Path("dist/release.json").write_text(new.dumps())


def run(command: click.Command, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)


def test_what_a_release_changed_is_told_in_columns() -> None:
    assert run(diff, RELEASE).stdout.splitlines() == [
        f"{RELEASE} → {LATER}",
        "added    new-amd64  250 MB",
        "gone     old-amd64  250 MB",
        "changed  torch-arm64",
        "  size             250 MB               →  300 MB",
        "  unpacked         900 MB               =  900 MB",
        "  digest           sha256:111111111111  →  sha256:999999999999",
        "  python    numpy  -                    →  1.26.4",
        "  python    torch  1.12.1               →  -",
        "1 added, 1 changed, 1 gone, 1 as before",
    ]


def test_markdown_has_whole_digests() -> None:
    shown = run(diff, RELEASE, "dist/release.json", "--format", "md").stdout
    assert f"| digest |  | {image().digest} | {OTHER} |" in shown
    assert "| python | torch | 1.12.1 | - |" in shown
    assert "1 added, 1 changed, 1 gone, 1 as before." in shown


def test_json_is_for_programs() -> None:
    shown = json.loads(run(diff, RELEASE, "--format", "json").stdout)
    assert (shown["before"], shown["after"], shown["same"]) == (RELEASE, LATER, 1)
    assert shown["changed"][0]["size"] == [250_000_000, 300_000_000]


def test_parity_tells_what_differs_between_the_architectures() -> None:
    assert run(parity, "torch").stdout.splitlines() == [
        "torch",
        "                   amd64      arm64",
        "  size             250 MB  →  300 MB",
        "  unpacked         900 MB  =  900 MB",
        "  python    numpy  -       →  1.26.4",
        "  python    torch  1.12.1  →  -",
    ]
    assert run(parity).stdout == run(parity, "torch-arm64").stdout == run(parity, "t*").stdout
    assert "| python | numpy | - | 1.26.4 |" in run(parity, "--format", "md").stdout
    assert json.loads(run(parity, "--format", "json").stdout)[0]["after"] == "torch-arm64"


def test_an_image_without_sibling_selects_nothing_and_says_what_there_is() -> None:
    with pytest.raises(NothingSelected, match="new, torch"):
        run(parity, "new")


def test_an_id_that_is_not_here_is_told_with_where_to_look() -> None:
    with pytest.raises(UsageError, match=f"HOST/releases:{LATER}"):
        run(diff, LATER)
