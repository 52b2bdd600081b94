from collections.abc import Sequence

import pytest

from tests.images import Item, directory, hard_link, opaque, packed, program, scan, symlink, tar, whiteout
from toolkit.layers.filesystem import FileSystem, Found
from toolkit.layers.scan import LayerUnreadable


def merged(*layers: Sequence[Item]) -> FileSystem:
    return FileSystem.merge(scan(packed(tar(*items))) for items in layers)


def elf_files(*layers: Sequence[Item]) -> dict[str, str]:
    """Path → machine of every ELF file that a container would see."""
    return {path: entry.elf for path, entry in merged(*layers).files() if entry.elf}


WRONG = program("usr/lib/wrong.so", "amd64")
RIGHT = program("usr/lib/wrong.so", "arm64")


def test_files_of_all_layers_are_seen_sorted() -> None:
    found = elf_files([program("b/x"), program("a")], [program("b/a")])
    assert list(found) == ["/a", "/b/a", "/b/x"]


def test_a_whiteout_deletes_a_file_of_a_lower_layer() -> None:
    assert elf_files([WRONG], [whiteout("usr/lib/wrong.so")]) == {}


def test_a_whiteout_deletes_a_directory_with_all_that_is_in_it() -> None:
    assert elf_files([WRONG], [whiteout("usr")]) == {}


@pytest.mark.parametrize("first", [True, False], ids=["whiteout first", "whiteout last"])
def test_a_whiteout_does_not_touch_its_own_layer(first: bool) -> None:
    items = [whiteout("usr/lib/wrong.so"), RIGHT] if first else [RIGHT, whiteout("usr/lib/wrong.so")]
    assert elf_files([WRONG], items) == {"/usr/lib/wrong.so": "arm64"}


@pytest.mark.parametrize("first", [True, False], ids=["opaque first", "opaque last"])
def test_an_opaque_directory_hides_lower_layers_but_not_its_own(first: bool) -> None:
    items = [opaque("usr/lib"), program("usr/lib/new.so")]
    assert elf_files([WRONG], items if first else items[::-1]) == {"/usr/lib/new.so": "arm64"}


def test_a_whiteout_of_a_directory_leaves_what_its_own_layer_puts_there() -> None:
    assert elf_files([WRONG], [program("usr/lib/new.so"), whiteout("usr/lib")]) == {
        "/usr/lib/new.so": "arm64"
    }


def test_a_file_deleted_and_added_again_later_is_there() -> None:
    assert elf_files([RIGHT], [whiteout("usr/lib/wrong.so")], [WRONG]) == {"/usr/lib/wrong.so": "amd64"}


def test_a_whiteout_of_what_is_not_there_does_nothing() -> None:
    assert elf_files([RIGHT], [whiteout("nowhere/file")]) == {"/usr/lib/wrong.so": "arm64"}


def test_a_later_file_replaces_an_earlier_one() -> None:
    assert elf_files([WRONG], [RIGHT]) == {"/usr/lib/wrong.so": "arm64"}


def test_of_two_members_with_one_path_the_last_stands() -> None:
    assert elf_files([RIGHT, WRONG]) == {"/usr/lib/wrong.so": "amd64"}
    assert elf_files([Item("./a", b"text"), program("/a")]) == {"/a": "arm64"}


@pytest.mark.parametrize(
    "above", [Item("usr", b"text"), symlink("usr", "/opt")], ids=["file", "symbolic link"]
)
def test_a_directory_that_becomes_something_else_loses_what_was_in_it(above: Item) -> None:
    assert elf_files([WRONG], [above]) == {}
    assert elf_files([WRONG, above]) == {}


def test_a_directory_named_again_keeps_what_is_in_it() -> None:
    assert elf_files([WRONG, directory("usr/lib")], [directory("usr/lib")]) == {"/usr/lib/wrong.so": "amd64"}


def test_a_symbolic_link_is_no_file_of_its_own() -> None:
    assert list(elf_files([program("usr/bin/a"), symlink("usr/bin/b", "a"), symlink("bin", "usr/bin")])) == [
        "/usr/bin/a"
    ]


def test_members_behind_a_symbolic_link_of_the_same_layer_land_where_it_leads() -> None:
    assert list(elf_files([directory("usr/lib"), symlink("lib", "usr/lib"), program("lib/a.so")])) == [
        "/usr/lib/a.so"
    ]


def test_a_link_to_above_the_root_stays_below_it() -> None:
    assert list(elf_files([symlink("up", "../../../etc"), program("up/a.so")])) == ["/etc/a.so"]


def test_a_link_of_a_lower_layer_is_hidden_by_a_directory_as_overlayfs_does() -> None:
    assert list(elf_files([symlink("lib", "usr/lib")], [program("lib/a.so")])) == ["/lib/a.so"]


def test_a_hard_link_is_a_file_of_its_own() -> None:
    assert elf_files([program("a", "amd64"), hard_link("b", "a")]) == {"/a": "amd64", "/b": "amd64"}


def test_a_hard_link_keeps_the_file_that_a_whiteout_of_the_same_layer_deletes_below() -> None:
    assert elf_files([program("a", "amd64")], [hard_link("b", "a"), whiteout("a")]) == {"/b": "amd64"}
    assert elf_files([program("a", "amd64")], [whiteout("a"), hard_link("b", "a")]) == {"/b": "amd64"}


def test_a_hard_link_keeps_its_file_when_the_target_is_replaced_afterwards() -> None:
    found = elf_files([program("a", "amd64"), hard_link("b", "a"), program("a", "arm64")])
    assert found == {"/a": "arm64", "/b": "amd64"}


def test_a_hard_link_to_a_hard_link_and_behind_a_symbolic_link_is_that_file() -> None:
    items = [program("usr/a", "amd64"), symlink("u", "usr"), hard_link("b", "u/a"), hard_link("c", "/b")]
    assert elf_files(items) == {"/usr/a": "amd64", "/b": "amd64", "/c": "amd64"}


def test_a_hard_link_to_a_symbolic_link_is_that_link() -> None:
    assert elf_files([program("a"), symlink("s", "a"), hard_link("h", "s")]) == {"/a": "arm64"}


def test_metadata_of_aufs_is_left_out_but_what_links_to_it_is_not() -> None:
    assert elf_files([program(".wh..wh.plnk/1.2"), hard_link("a", ".wh..wh.plnk/1.2")]) == {"/a": "arm64"}


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([hard_link("b", "nowhere")], "/b is a hard link to /nowhere, which is not there"),
        ([Item("file"), Item("file/below")], "/file is not a directory"),
        ([symlink("a", "b"), symlink("b", "a"), Item("a/file")], "/a is not a directory"),
    ],
)
def test_what_an_engine_refuses_to_unpack_names_layer_and_path(items: list[Item], reason: str) -> None:
    with pytest.raises(LayerUnreadable, match=rf"layer sha256:\w+ cannot be unpacked: {reason}"):
        merged(items)


def test_deep_trees_need_no_deep_stack() -> None:
    deep = "/".join(["d"] * 3000)
    assert list(elf_files([program(f"{deep}/a")], [program(f"{deep}/b")])) == [f"/{deep}/a", f"/{deep}/b"]


TREE = merged(
    [
        program("usr/bin/python3.9"),
        symlink("usr/bin/python3", "python3.9"),
        symlink("usr/bin/python", "/usr/bin/python3"),
        symlink("bin", "usr/bin"),
        symlink("up", "../../usr/./bin"),
        symlink("loop", "loop"),
        symlink("dangling", "nowhere"),
        directory("empty"),
    ]
)


@pytest.mark.parametrize(
    "path", ["/usr/bin/python3.9", "/bin/python", "/up/python3", "usr//bin/../bin/python", "/../bin/python"]
)
def test_symbolic_links_are_followed_below_the_root(path: str) -> None:
    found = TREE.lookup(path)
    assert found
    assert found.path == "/usr/bin/python3.9"
    assert found.entry
    assert found.entry.elf == "arm64"


@pytest.mark.parametrize("path", ["/nowhere", "/loop", "/dangling", "/usr/bin/python/below"])
def test_a_path_that_leads_nowhere_is_not_found(path: str) -> None:
    assert TREE.lookup(path) is None


def test_a_directory_is_found_without_an_entry() -> None:
    assert TREE.lookup("/up") == Found(path="/usr/bin", entry=None)
    assert TREE.lookup("/") == Found(path="/", entry=None)
