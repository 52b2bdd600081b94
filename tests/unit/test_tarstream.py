import contextlib
import io
import random
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images import Item, directory, elf, hard_link, symlink, tar
from toolkit.layers.bytestream import ByteStream
from toolkit.layers.tarstream import BLOCK, Kind, Member, TarInvalid, TarStream


def members(archive: bytes, *, chunk: int = 1 << 20) -> list[tuple[Member, bytes]]:
    """Every member with its whole content; the source gives at most `chunk` bytes at a time."""
    source = io.BytesIO(archive)
    stream = TarStream(ByteStream(lambda size: source.read(min(size, chunk)), lambda _: None))
    return [(member, stream.read_head(1 << 30)) for member in stream]


def names(archive: bytes) -> list[str]:
    return [member.name for member, _ in members(archive)]


def header(name: bytes, *, flag: bytes = b"0", size: int = 0, magic: bytes = b"ustar\x0000") -> bytearray:
    """A bare header block without its checksum."""
    block = bytearray(BLOCK)
    block[0 : len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = b"%011o\0" % size
    block[156:157] = flag
    block[257 : 257 + len(magic)] = magic
    return block


def signed_off(block: bytearray, checksum: Callable[[bytes], int] = sum) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % checksum(bytes(block))
    return bytes(block)


def pax(*records: tuple[str, str]) -> bytes:
    text = b""
    for key, value in records:
        rest = f" {key}={value}\n".encode("utf-8", "surrogateescape")
        length = len(rest)
        while len(str(length)) + len(rest) != length:
            length = len(str(length)) + len(rest)
        text += str(length).encode() + rest
    return signed_off(header(b"pax", flag=b"x", size=len(text))) + padded(text)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


END = bytes(2 * BLOCK)


def test_members_come_in_order_with_kind_mode_size_and_link() -> None:
    archive = tar(directory("a"), Item("a/b", b"text", 0o4755), symlink("a/c", "b"), hard_link("d", "a/b"))
    assert [member for member, _ in members(archive)] == [
        Member(name="a/", kind=Kind.DIRECTORY, mode=0o755, size=0, link=""),
        Member(name="a/b", kind=Kind.FILE, mode=0o4755, size=4, link=""),
        Member(name="a/c", kind=Kind.SYMLINK, mode=0o777, size=0, link="b"),
        Member(name="d", kind=Kind.HARD_LINK, mode=0o644, size=0, link="a/b"),
    ]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_long_names_and_links_are_whole_in_both_spellings(format: int) -> None:
    long = "/".join(["directory"] * 40)
    (_, (link, _)) = members(tar(Item(long, b"x"), symlink(long + "l", long), format=format))
    assert (link.name, link.link) == (long + "l", long)


def test_a_ustar_prefix_belongs_to_the_name() -> None:
    long = "p" * 90 + "/" + "n" * 90
    assert names(tar(Item(long), format=tarfile.USTAR_FORMAT)) == [long]


def test_what_gnu_keeps_in_place_of_the_prefix_is_no_prefix() -> None:
    block = header(b"file", magic=b"ustar  \0")
    block[345:357] = b"00000000001\0"
    assert names(signed_off(block) + END) == ["file"]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_a_name_that_is_not_utf8_is_kept_byte_for_byte(format: int) -> None:
    name = b"caf\xe9/\xff".decode("utf-8", "surrogateescape")
    assert names(tar(Item(name), format=format)) == [name]


def test_an_old_directory_is_a_file_whose_name_ends_with_a_slash() -> None:
    ((member, _),) = members(signed_off(header(b"old/", flag=b"\0", magic=b"")) + END)
    assert member.kind is Kind.DIRECTORY


def test_a_size_in_base_256_is_understood() -> None:
    block = header(b"file")
    block[124:136] = b"\x80" + (5).to_bytes(11, "big")
    ((member, content),) = members(signed_off(block) + padded(b"bytes") + END)
    assert (member.size, content) == (5, b"bytes")


def test_a_pax_size_and_name_stand_in_for_the_header() -> None:
    archive = pax(("path", "real"), ("size", "5")) + signed_off(header(b"short")) + padded(b"bytes") + END
    ((member, content),) = members(archive)
    assert (member.name, member.size, content) == ("real", 5, b"bytes")


def test_a_global_header_changes_nothing() -> None:
    archive = bytearray(pax(("path", "everything")))
    archive[156:157] = b"g"
    archive[:BLOCK] = signed_off(archive[:BLOCK])
    assert names(bytes(archive) + signed_off(header(b"file")) + END) == ["file"]


def test_devices_and_links_have_no_content_whatever_their_size_says() -> None:
    blocks = [
        signed_off(header(name, flag=flag, size=700))
        for name, flag in [(b"l", b"1"), (b"c", b"3"), (b"d", b"5")]
    ]
    assert [member.size for member, _ in members(b"".join(blocks) + END)] == [0, 0, 0]


def test_a_signed_checksum_of_old_writers_is_accepted() -> None:
    block = header(b"caf\xe9")
    archive = signed_off(block, lambda content: sum(byte - 256 if byte > 127 else byte for byte in content))
    assert names(archive + END) == ["caf\udce9"]


def test_an_archive_may_end_without_zero_blocks_and_what_follows_them_is_not_read() -> None:
    assert names(tar(Item("a"))[:BLOCK]) == ["a"]
    assert names(tar(Item("a"))[:BLOCK] + END + tar(Item("hidden"))) == ["a"]
    assert names(b"") == []


SPARSE_CONTENT = elf("arm64") + bytes(9000) + b"tail"


def old_gnu_sparse(*segments: tuple[int, bytes], size: int) -> bytes:
    """As GNU tar writes it: four segments in the header, the others in blocks behind it."""
    stored = b"".join(data for _, data in segments)
    block = header(b"sparse", flag=b"S", size=len(stored), magic=b"ustar  \0")
    fields = [b"%011o\0%011o\0" % (offset, len(data)) for offset, data in segments]
    block[386:482] = b"".join(fields[:4]).ljust(96, b"\0")
    block[482] = len(fields) > 4
    block[483:495] = b"%011o\0" % size
    blocks = signed_off(block)
    for at in range(4, len(fields), 21):
        more = b"".join(fields[at : at + 21]).ljust(504, b"\0")
        blocks += more + bytes([at + 21 < len(fields)]) + bytes(7)
    return blocks + padded(stored)


def test_an_old_gnu_sparse_file_has_its_holes_filled() -> None:
    archive = old_gnu_sparse((0, elf("arm64")), (9064, b"tail"), size=9068) + tar(Item("next"))
    ((sparse, content), (following, _)) = members(archive)
    assert (sparse.size, content, following.name) == (9068, SPARSE_CONTENT, "next")


def test_a_header_scattered_over_many_segments_is_put_together() -> None:
    scattered = [(at, elf("arm64")[at : at + 1]) for at in range(64)]
    ((_, content), (following, _)) = members(old_gnu_sparse(*scattered, size=64) + tar(Item("next")))
    assert (content, following.name) == (elf("arm64"), "next")


@pytest.mark.parametrize(
    "records",
    [
        [
            ("GNU.sparse.size", "9068"),
            ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.offset", "0"),
            ("GNU.sparse.numbytes", "64"),
            ("GNU.sparse.offset", "9064"),
            ("GNU.sparse.numbytes", "4"),
        ],
        [("GNU.sparse.size", "9068"), ("GNU.sparse.name", "real"), ("GNU.sparse.map", "0,64,9064,4")],
    ],
    ids=["0.0", "0.1"],
)
def test_a_pax_sparse_map_in_the_header_is_applied(records: list[tuple[str, str]]) -> None:
    stored = elf("arm64") + b"tail"
    archive = (
        pax(*records) + signed_off(header(b"sparse", size=len(stored))) + padded(stored) + tar(Item("next"))
    )
    ((sparse, content), (following, _)) = members(archive)
    assert (sparse.size, content, following.name) == (9068, SPARSE_CONTENT, "next")


def test_a_pax_sparse_map_in_front_of_the_data_is_applied() -> None:
    stored = padded(b"2\n0\n64\n9064\n4\n") + elf("arm64") + b"tail"
    records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "real"),
        ("GNU.sparse.realsize", "9068"),
    ]
    archive = (
        pax(*records) + signed_off(header(b"sparse", size=len(stored))) + padded(stored) + tar(Item("next"))
    )
    ((sparse, content), (following, _)) = members(archive)
    assert (sparse.name, sparse.size, content, following.name) == ("real", 9068, SPARSE_CONTENT, "next")


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"not a tar archive".ljust(BLOCK, b"\0"), "checksum"),
        (bytes(BLOCK) + tar(Item("a")), "single zero block"),
        (signed_off(header(b"odd", flag=b"Z")) + END, "unknown type"),
        (pax(("path", "a")), "after an extended header"),
        (pax(("size", "-5")) + signed_off(header(b"a")) + END, "for a number"),
        (signed_off(header(b"p", flag=b"x", size=4)) + padded(b"junk") + END, "extended header is malformed"),
        (signed_off(header(b"p", flag=b"L", size=1 << 30)), "extended header has 1073741824 bytes"),
        (old_gnu_sparse((100, b"abc"), (0, b"x"), size=200), "overlaps"),
        (old_gnu_sparse((0, b"abcdef"), size=3), "longer than its file"),
        (tar(Item("a"))[:300], "inside a header"),
    ],
)
def test_what_no_engine_unpacks_is_refused_with_the_reason(archive: bytes, reason: str) -> None:
    with pytest.raises(TarInvalid, match=reason):
        members(archive)


def test_an_archive_that_ends_inside_a_member_is_cut_off() -> None:
    with pytest.raises((TarInvalid, EOFError), match="inside a member"):
        members(tar(Item("a", bytes(5000)))[:2000])


def test_the_size_of_chunks_makes_no_difference() -> None:
    archive = tar(*(Item(f"{n}" * 120, bytes([n]) * n * 300) for n in range(1, 9)))
    assert all(members(archive, chunk=chunk) == members(archive) for chunk in (1, 7, 511, 512, 513, 4096))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_damage_is_reported_and_nothing_else_happens(data: st.DataObject) -> None:
    archive = bytearray(tar(Item("n" * 150, b"content"), symlink("l", "n"), format=tarfile.PAX_FORMAT))
    seed = random.Random(data.draw(st.integers(0, 1 << 30)))
    for _ in range(data.draw(st.integers(1, 8))):
        archive[seed.randrange(len(archive))] = seed.randrange(256)
    with contextlib.suppress(TarInvalid, EOFError):
        assert all(isinstance(member.name, str) for member, _ in members(bytes(archive)))


path = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=120).filter(
    lambda text: text not in (".", "..")
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    items=st.lists(st.builds(Item, path=path, content=st.binary(max_size=1500)), max_size=6),
    format=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_whatever_tarfile_writes_is_read_back(items: list[Item], format: int) -> None:
    read = [(member.name, content) for member, content in members(tar(*items, format=format))]
    assert read == [(item.path, item.content) for item in items]
