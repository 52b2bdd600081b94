"""What of an environment stays out of an image: the program that a build runs, on files and on real ELF."""

import base64
import csv
import ctypes
import hashlib
import os
from pathlib import Path

import pytest

from dockerfiles.environment import drop
from dockerfiles.environment.drop import DropError, hollow
from tests.libraries import ALIGN, BIG, SYMBOLS, shared_object


def values(path: Path) -> dict[str, int]:
    """What a program finds that loads the library."""
    library = ctypes.CDLL(str(path))
    return {name: ctypes.c_uint64.in_dll(library, name).value for name in ("before", "payload", "after")}


def test_a_library_without_a_sections_content_is_loaded_at_the_same_addresses(tmp_path: Path) -> None:
    whole = {"before": 0x1111111111111111, "payload": 0x2222222222222222, "after": 0x3333333333333333}
    assert values(shared_object(tmp_path / "whole.so")) == whole
    library = shared_object(tmp_path / "hollow.so")
    before = library.stat().st_size
    freed = hollow(library, frozenset({".payload"}))
    assert before - freed == library.stat().st_size
    assert freed >= BIG - 2 * ALIGN
    assert b"\x22\x22" not in library.read_bytes()
    assert values(library) == {**whole, "payload": 0}


def test_symbols_that_nothing_loads_go_and_what_is_loaded_stays(tmp_path: Path) -> None:
    library = shared_object(tmp_path / "stripped.so")
    assert hollow(library, frozenset({".symtab", ".payload"})) >= BIG + SYMBOLS - 4 * ALIGN
    assert not {b"\x22\x22", b"\x44\x44"} & {library.read_bytes()[at : at + 2] for at in range(1 << 16)}
    assert values(library)["after"] == 0x3333333333333333


def test_a_second_time_there_is_nothing_to_take(tmp_path: Path) -> None:
    library = shared_object(tmp_path / "twice.so")
    hollow(library, frozenset({".payload"}))
    with pytest.raises(DropError, match=r"^twice\.so has no section \.payload$"):
        hollow(library, frozenset({".payload"}))


def test_a_library_without_room_for_a_program_header_is_left_alone(tmp_path: Path) -> None:
    library = shared_object(tmp_path / "full.so", room=False)
    before = library.read_bytes()
    with pytest.raises(DropError, match="no room for one more program header"):
        hollow(library, frozenset({".payload"}))
    assert library.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n" * 20])
def test_what_is_no_elf_file_has_no_sections_to_drop(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(DropError, match="f is no 64-bit ELF file"):
        hollow(tmp_path / "f", frozenset({".text"}))


def environment(directory: Path) -> Path:
    """An installed package with headers, a library and the record of both."""
    library = shared_object(_parent(directory / "pkg/lib/big.so"))
    for name, content in (
        ("pkg/__init__.py", b""),
        ("pkg/include/a/b.h", b"int b;"),
        ("pkg/include/c.h", b""),
    ):
        _parent(directory / name).write_bytes(content)
    names = ("pkg/__init__.py", "pkg/include/a/b.h", "pkg/include/c.h", "pkg/lib/big.so")
    rows = [*((name, *_recorded(directory / name)) for name in names), ("pkg-1.dist-info/RECORD", "", "")]
    with _parent(directory / "pkg-1.dist-info/RECORD").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    assert library.exists()
    return directory


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _recorded(path: Path) -> tuple[str, str]:
    encoded = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
    return f"sha256={encoded}", str(path.stat().st_size)


def left(tmp_path: Path, *lines: str) -> tuple[Path, list[str]]:
    """The copy without what the lines name, and what was told."""
    told = list(drop.leave_out(environment(tmp_path / "from"), tmp_path / "to" / "packages", list(lines)))
    return tmp_path / "to" / "packages", told


def files_of(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mode)
        for path in root.rglob("*")
        if path.is_file()
    }


def test_what_is_dropped_is_not_copied_and_the_packages_record_says_what_is_there(tmp_path: Path) -> None:
    root, told = left(tmp_path, "pkg/include", "pkg/lib/*.so .payload .symtab")
    assert told[0] == "dropped pkg/include: 0.0 MB"
    assert told[1].startswith("dropped .payload .symtab of pkg/lib/*.so: 0.")
    there = sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))
    assert there == [
        "pkg", "pkg-1.dist-info", "pkg-1.dist-info/RECORD", "pkg/__init__.py", "pkg/lib", "pkg/lib/big.so",
    ]  # fmt: skip
    with (root / "pkg-1.dist-info/RECORD").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["pkg/__init__.py", *_recorded(root / "pkg/__init__.py")],
        ["pkg/lib/big.so", *_recorded(root / "pkg/lib/big.so")],
        ["pkg-1.dist-info/RECORD", "", ""],
    ]


def test_a_copied_library_is_the_one_that_was_hollowed_in_its_place(tmp_path: Path) -> None:
    root, _ = left(tmp_path, "pkg/lib/*.so .symtab", "pkg/lib/*.so .payload")
    here = shared_object(tmp_path / "here.so")
    for name in (".symtab", ".payload"):
        hollow(here, frozenset({name}))
    assert (root / "pkg/lib/big.so").read_bytes() == here.read_bytes()


def test_what_was_installed_is_left_as_it_is(tmp_path: Path) -> None:
    """Its files are links to those that uv keeps."""
    before = files_of(environment(tmp_path / "before"))
    left(tmp_path, "pkg/include", "pkg/lib/*.so .payload")
    assert files_of(tmp_path / "from") == before


def test_modes_and_links_are_copied_and_times_are_not(tmp_path: Path) -> None:
    source = environment(tmp_path / "from")
    (source / "pkg/tool").write_bytes(b"#!/bin/sh\n")
    (source / "pkg/tool").chmod(0o755)
    (source / "pkg/link").symlink_to("tool")
    os.utime(source / "pkg/tool", (1, 1))
    assert list(drop.leave_out(source, tmp_path / "to", [])) == []
    assert files_of(tmp_path / "to") == files_of(source)
    assert os.readlink(tmp_path / "to/pkg/link") == "tool"
    assert (tmp_path / "to/pkg/tool").stat().st_mtime > 1


def test_a_glob_over_a_tree_and_what_is_in_it_drops_each_once(tmp_path: Path) -> None:
    root, told = left(tmp_path, "pkg/include/**")
    assert told == ["dropped pkg/include/**: 0.0 MB"]
    assert not list(root.rglob("*.h"))


def test_what_two_rows_name_goes_once(tmp_path: Path) -> None:
    root, told = left(tmp_path, "pkg/lib", "pkg/**/*.so .payload")
    assert told[0].startswith("dropped pkg/lib: 1.") or told[0].startswith("dropped pkg/lib: 0.")
    assert told[1] == "dropped .payload of pkg/**/*.so: 0.0 MB"
    assert not (root / "pkg/lib").exists()


def test_a_link_goes_and_what_it_points_to_stays(tmp_path: Path) -> None:
    source = environment(tmp_path / "from")
    (source / "pkg/headers").symlink_to("include", target_is_directory=True)
    list(drop.leave_out(source, tmp_path / "to", ["pkg/headers"]))
    assert not (tmp_path / "to/pkg/headers").is_symlink()
    assert (tmp_path / "to/pkg/include/c.h").exists()


def test_a_row_that_fits_nothing_fails_the_build_and_names_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = environment(tmp_path / "packages")
    (tmp_path / "drop.txt").write_text("pkg/include\npkg/test/**\n")
    monkeypatch.setattr("sys.argv", ["drop.py", str(root), str(tmp_path / "to"), str(tmp_path / "drop.txt")])
    assert drop.main() == 1
    assert capsys.readouterr().out == "drop: pkg/test/** matches nothing that was installed\n"
    assert not (tmp_path / "to").exists()


def test_a_row_for_sections_of_what_is_no_library_fails_the_build(tmp_path: Path) -> None:
    with pytest.raises(DropError, match=r"^__init__\.py is no 64-bit ELF file$"):
        left(tmp_path, "pkg/__init__.py .symtab")
