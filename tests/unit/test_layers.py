import gzip
import hashlib
import io
import tracemalloc
from typing import Any, BinaryIO

import pytest
import zstandard

from tests.images import (
    Item,
    Layer,
    directory,
    elf,
    hard_link,
    layer,
    packed,
    program,
    scan,
    script,
    symlink,
    tar,
)
from toolkit.blobs import BlobCorrupt, CheckedBlob
from toolkit.layers.compression import Compression
from toolkit.layers.elf import MALFORMED
from toolkit.layers.installed import Package, PackageKind
from toolkit.layers.scan import Entry, LayerScan, LayerUnreadable, scan_layer
from toolkit.layers.tarstream import Kind
from toolkit.oci import Digest, MediaType

ITEMS = (
    directory("usr/bin"),
    program("usr/bin/tail", "amd64"),
    script("usr/bin/serve", "/usr/bin/env python3"),
    symlink("bin", "usr/bin"),
    hard_link("usr/bin/head", "./usr/bin/tail"),
    Item("data", b"#!not executable", 0o644),
)


def checked(blob: bytes, made: Layer) -> BinaryIO:
    return io.BufferedReader(CheckedBlob(io.BytesIO(blob), made.descriptor, where="test"))


def entry(*items: Item) -> Entry:
    (only,) = scan(layer(*items)).entries
    return only


@pytest.mark.parametrize(
    ("media_type", "compression"),
    [
        (MediaType.OCI_LAYER, Compression.NONE),
        (MediaType.OCI_LAYER_GZIP, Compression.GZIP),
        (MediaType.OCI_LAYER_ZSTD, Compression.ZSTD),
    ],
)
def test_every_compression_gives_the_same_entries_and_diff_id(
    media_type: str, compression: Compression
) -> None:
    plain = scan(layer(*ITEMS, media_type=MediaType.OCI_LAYER))
    made = layer(*ITEMS, media_type=media_type)
    found = scan(made)
    assert found.compression is compression
    assert (found.diff_id, found.size, found.unpacked_size) == (
        made.diff_id,
        len(made.blob),
        plain.unpacked_size,
    )
    assert found.entries == plain.entries


def test_entries_say_what_verification_asks() -> None:
    assert scan(layer(*ITEMS)).entries == (
        Entry(path="/usr/bin", kind=Kind.DIRECTORY, mode=0o755),
        Entry(path="/usr/bin/tail", kind=Kind.FILE, mode=0o755, size=64, elf="amd64"),
        Entry(path="/usr/bin/serve", kind=Kind.FILE, mode=0o755, size=28, interpreter="/usr/bin/env python3"),
        Entry(path="/bin", kind=Kind.SYMLINK, mode=0o777, link="usr/bin"),
        Entry(path="/usr/bin/head", kind=Kind.HARD_LINK, mode=0o644, link="/usr/bin/tail"),
        Entry(path="/data", kind=Kind.FILE, mode=0o644, size=16),
    )


@pytest.mark.parametrize(
    "name", ["/etc/file", "./etc/file", "etc/file", "../etc/file", "etc//x/../file", "//etc/file"]
)
def test_every_spelling_of_a_path_is_the_path_below_the_root(name: str) -> None:
    assert entry(Item(name)).path == "/etc/file"


def test_a_small_file_with_the_elf_magic_is_malformed() -> None:
    assert entry(Item("tiny", b"\x7fELF")).elf == MALFORMED


def test_packages_are_read_from_the_metadata_in_the_layer() -> None:
    found = entry(Item("usr/lib/python3/dist-packages/a-1.dist-info/METADATA", b"Name: a\nVersion: 1\n"))
    assert found.packages == (Package(kind=PackageKind.PYTHON, name="a", version="1"),)


def test_several_gzip_members_are_one_stream() -> None:
    """As pigz and eStargz write it."""
    archive = tar(*ITEMS)
    blob = b"".join(gzip.compress(archive[at : at + 700]) for at in range(0, len(archive), 700))
    made = Layer(blob=blob, media_type=MediaType.OCI_LAYER_GZIP, diff_id=Digest.of(archive))
    assert scan(made).diff_id == made.diff_id
    assert len(scan(made).entries) == len(ITEMS)


def test_several_zstd_frames_with_skippable_ones_are_one_stream() -> None:
    """As zstd:chunked writes it."""
    archive = tar(*ITEMS)
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip"
    blob = (
        skippable
        + zstandard.compress(archive[:900])
        + skippable
        + zstandard.compress(archive[900:])
        + skippable
    )
    made = Layer(blob=blob, media_type=MediaType.OCI_LAYER_ZSTD, diff_id=Digest.of(archive))
    assert scan(made).diff_id == made.diff_id
    assert len(scan(made).entries) == len(ITEMS)


def test_bytes_behind_the_end_of_the_archive_belong_to_the_diff_id() -> None:
    archive = tar(*ITEMS) + b"trailing"
    assert scan(packed(archive)).diff_id == Digest.of(archive)


def test_an_empty_layer_is_a_layer() -> None:
    assert scan(packed(tar())).entries == ()
    assert scan(packed(b"")).entries == ()


def damaged(blob: bytes, media_type: str) -> Layer:
    """The blob is pushed like this: its digest is right, its content is not."""
    return Layer(blob=blob, media_type=media_type, diff_id=Digest.of(b""))


BIG = tar(Item("big", b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(3000))))


@pytest.mark.parametrize(
    "made",
    [
        damaged(gzip.compress(BIG)[:-2000], MediaType.OCI_LAYER_GZIP),
        damaged(gzip.compress(BIG)[:-8] + bytes(8), MediaType.OCI_LAYER_GZIP),
        damaged(gzip.compress(bytes(9000))[:20] + b"\xff" * 40, MediaType.OCI_LAYER_GZIP),
        damaged(gzip.compress(BIG) + b"garbage", MediaType.OCI_LAYER_GZIP),
        damaged(zstandard.compress(BIG)[:-2000], MediaType.OCI_LAYER_ZSTD),
        damaged(b"\x28\xb5\x2f\xfd" + b"\xff" * 40, MediaType.OCI_LAYER_ZSTD),
        damaged(BIG[:5000], MediaType.OCI_LAYER),
        damaged(b"neither tar nor compressed", MediaType.OCI_LAYER_GZIP),
    ],
    ids=["gzip cut", "gzip crc", "gzip noise", "gzip tail", "zstd cut", "zstd noise", "tar cut", "no tar"],
)
def test_a_layer_that_no_engine_could_unpack_names_its_digest(made: Layer) -> None:
    with pytest.raises(LayerUnreadable, match=made.descriptor.digest):
        scan(made)


@pytest.mark.parametrize("at", [0, 5, 40, -5])
def test_damage_in_transit_is_reported_as_that_and_not_as_a_bad_layer(at: int) -> None:
    made = packed(BIG)
    blob = bytearray(made.blob)
    blob[at] ^= 0xFF
    with pytest.raises(BlobCorrupt, match=made.descriptor.digest):
        scan_layer(made.descriptor, checked(bytes(blob), made))


def test_a_blob_of_another_size_is_corrupt() -> None:
    made = packed(BIG)
    with pytest.raises(BlobCorrupt, match="it ends after"):
        scan_layer(made.descriptor, checked(made.blob[:-100], made))
    with pytest.raises(BlobCorrupt, match="it has more than"):
        scan_layer(made.descriptor, checked(made.blob + b"more", made))


def test_a_large_file_is_read_in_constant_memory() -> None:
    made = packed(tar(Item("zeros", bytes(64 << 20))))
    tracemalloc.start()
    assert scan(made).unpacked_size > 64 << 20
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_scan_survives_json() -> None:
    status = Item("var/lib/dpkg/status", b"Package: a\nVersion: 1\n")
    found = scan(layer(*ITEMS, Item(b"caf\xe9".decode("utf-8", "surrogateescape")), status))
    assert LayerScan.from_json(found.to_json()) == found
    assert found.entries[-1].packages


@pytest.mark.parametrize("change", [{"format": 0}, {"entries": [["/a"]]}, {"digest": "?"}, {"size": None}])
def test_a_scan_of_another_format_or_damaged_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        LayerScan.from_json({**scan(layer(*ITEMS)).to_json(), **change})


def test_an_elf_head_in_a_program_is_enough() -> None:
    assert entry(Item("program", elf("s390x") + bytes(100000), 0o755)).elf == "s390x"
