"""Buildx's export → what is published: times, compression, and nothing else."""

import errno
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.images import Item, directory, hard_link, symlink, tar
from tests.unit.test_tarstream import END, header, padded, pax, signed_off
from toolkit.adapters.layout import LayoutWriter, OciLayout
from toolkit.adapters.packed import PackedLayers
from toolkit.adapters.packing import FAMILIES, pack
from toolkit.blobs import BlobCorrupt
from toolkit.errors import NeedNotMet
from toolkit.layers import members
from toolkit.layers.compression import Content
from toolkit.layers.members import GzipMembers
from toolkit.layers.tarstream import TarInvalid
from toolkit.layers.times import TimeClamp
from toolkit.oci import Digest, ImageConfig, Manifest, MediaType, make_manifest

EPOCH = 1_700_000_000


def clamped(archive: bytes) -> bytes:
    return clamp(io.BytesIO(archive))[0]


def clamp(layer: Content) -> tuple[bytes, int]:
    """The layer with its times clamped, and the last that it had."""
    written = io.BytesIO()
    times = TimeClamp(EPOCH, written.write)
    times.run(layer)
    return written.getvalue(), times.last


def times(archive: bytes) -> dict[str, float]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as read:
        return {member.name: member.mtime for member in read}


def timed(name: str, mtime: int) -> bytes:
    block = header(name.encode())
    block[136:148] = b"%011o\0" % mtime
    return signed_off(block)


def test_a_time_after_the_epoch_becomes_the_epoch_and_an_earlier_one_stays() -> None:
    archive = timed("old", EPOCH - 1) + timed("now", EPOCH) + timed("new", EPOCH + 1) + END
    assert times(clamped(archive)) == {"old": EPOCH - 1, "now": EPOCH, "new": EPOCH}


def test_two_archives_that_differ_in_late_times_become_the_same_bytes() -> None:
    one, other = (b"".join(timed(name, EPOCH + late) for name in "abc") + END for late in (5, 99))
    assert one != other
    assert clamped(one) == clamped(other)


def test_what_is_not_a_time_stays_as_it_is() -> None:
    content = padded(b"%011o\0 mtime=9999999999\n" % (EPOCH + 5))
    block = header(b"f", size=len(content))
    archive = signed_off(block) + content + END
    assert clamped(archive) == archive
    whole = tar(directory("a"), Item("a/b", b"text", 0o4755), symlink("a/c", "b"), hard_link("d", "a/b"))
    assert clamped(whole) == whole


def test_times_in_extended_headers_are_clamped_without_moving_anything() -> None:
    records = (("mtime", f"{EPOCH + 7}.123456789"), ("atime", str(EPOCH + 9)), ("ctime", f"{EPOCH - 9}.5"))
    archive = pax(*records, ("path", "long mtime=9999999999 name")) + timed("f", EPOCH + 7) + END
    after = clamped(archive)
    assert len(after) == len(archive)
    with tarfile.open(fileobj=io.BytesIO(after)) as read:
        (member,) = read
    assert member.name == "long mtime=9999999999 name"
    assert member.mtime == EPOCH
    assert member.pax_headers["mtime"] == f"{EPOCH}.000000000"
    assert member.pax_headers["atime"] == str(EPOCH)
    assert member.pax_headers["ctime"] == f"{EPOCH - 9}.5"


def test_a_fraction_of_a_second_after_the_epoch_is_after_the_epoch() -> None:
    archive = pax(("mtime", f"{EPOCH}.25")) + timed("f", EPOCH) + END
    assert b"mtime=%d.00\n" % EPOCH in clamped(archive)


def test_a_time_before_1970_stays() -> None:
    block = header(b"f")
    block[136:148] = (-5).to_bytes(12, "big", signed=True)
    archive = signed_off(block) + END
    assert clamped(archive) == archive


class Dribble(io.BytesIO):
    """Gives no more than `most` bytes at a time, as a decompressor may."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(self._most, size or 0))


@given(most=st.integers(1, 1500))
def test_times_are_clamped_however_the_layer_comes(most: int) -> None:
    late = pax(("mtime", f"{EPOCH}.25")) + timed("f", EPOCH + 5)
    archive = late + timed("early", 5) + timed("g", EPOCH + 6) + END + b"behind the end"
    assert clamp(Dribble(archive, most)) == (clamped(archive), EPOCH + 6)
    assert len(clamped(archive)) == len(archive)


def test_a_long_extended_header_is_clamped_though_much_was_read_since_it_began() -> None:
    """As long as one may be; a part of it is read with each of many small reads."""
    comment = "x" * 1_000_000
    archive = signed_off(header(b"big", size=3000)) + padded(b"f" * 3000)
    archive += pax(("comment", comment), ("mtime", str(EPOCH + 9))) + timed("f", EPOCH + 7) + END
    after = clamp(Dribble(archive, 4096))[0]
    assert b"mtime=%d\n" % EPOCH in after
    assert b"mtime=%d\n" % (EPOCH + 9) not in after
    assert times(after)["f"] == EPOCH


@pytest.mark.parametrize(
    ("archive", "last"),
    [
        (timed("a", 7) + timed("b", 5) + END, 7),
        (timed("a", EPOCH + 9) + END, EPOCH + 9),
        (pax(("mtime", f"{EPOCH}.25")) + timed("a", EPOCH) + END, EPOCH + 1),
        (END, 0),
    ],
)
def test_the_last_time_of_a_layer_is_known(archive: bytes, last: int) -> None:
    assert clamp(io.BytesIO(archive))[1] == last


def test_of_a_large_layer_little_is_held() -> None:
    content = padded(bytes(64 << 20))
    archive = io.BytesIO(signed_off(header(b"f", size=len(content))) + content + END)
    behind: list[int] = []
    written = 0

    def write(piece: bytes) -> None:
        nonlocal written
        written += len(piece)
        behind.append(archive.tell() - written)

    TimeClamp(EPOCH, write).run(archive)
    assert written == len(archive.getvalue())
    assert max(behind) <= 5 << 20


@given(cut=st.integers(1, 3 * 512 - 1))
def test_what_is_no_archive_is_told(cut: int) -> None:
    content = padded(b"content of two blocks" * 40)
    archive = (timed("late", EPOCH + 5) + signed_off(header(b"f", size=len(content))) + content)[:-cut]
    with pytest.raises((TarInvalid, EOFError)):
        clamp(io.BytesIO(archive))


def compressed(content: Iterable[bytes], observe: Callable[[bytes], object] = lambda _: None) -> bytes:
    written = io.BytesIO()
    with GzipMembers(written.write, observe) as pieces:
        for part in content:
            pieces.feed(part)
    return written.getvalue()


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 3000, 12_345])
@pytest.mark.parametrize("part", [1, 999, 1000, 5000, 20_000])
def test_members_are_one_gzip_file_of_the_content(
    monkeypatch: pytest.MonkeyPatch, size: int, part: int
) -> None:
    monkeypatch.setattr(members, "_PIECE", 1000)
    content = (bytes(range(256)) * 50)[:size]
    seen: list[bytes] = []
    blob = compressed((content[at : at + part] for at in range(0, size, part)), seen.append)
    assert gzip.decompress(blob) == content == b"".join(seen)
    assert blob == compressed([content])


def test_members_are_the_bytes_that_their_format_names() -> None:
    """Other bytes need another FORMAT: it is what build ids are taken of."""
    content = b"".join(b"%d squared is %d\n" % (n, n * n) for n in range(300_000))
    blob = compressed([content])
    assert len(content) > 2 * (4 << 20)
    assert members.FORMAT == "gzip:libdeflate-5,4MiB"
    assert hashlib.sha256(blob).hexdigest() == (
        "571c44470daa66c08cfa3f387afae108887c27be1064d3d120e162c9b98f20a9"
    )


def test_of_a_content_that_breaks_off_the_rest_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "_PIECE", 1000)
    written: list[bytearray] = []
    pieces = GzipMembers(written.append, lambda _: None)
    with suppress(EOFError), pieces:
        pieces.feed(bytes(500))
        raise EOFError
    assert written == []


def exported(directory: Path, *layers: bytes) -> Path:
    """What Buildx leaves."""
    writer = LayoutWriter(directory)
    blobs = [writer.add_blob(zstandard.compress(layer), MediaType.OCI_LAYER_ZSTD) for layer in layers]
    config = {
        "architecture": "arm64", "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": ["serve"], "Labels": {"a": "é"}},
        "rootfs": {"type": "layers", "diff_ids": [Digest.of(layer) for layer in layers]},
        "history": [{"created": "2026-01-01T00:00:00Z", "comment": "buildkit"}],
    }  # fmt: skip
    described = writer.add_blob(json.dumps(config).encode(), MediaType.OCI_CONFIG)
    writer.finish([writer.add_manifest(make_manifest(described, blobs, MediaType.OCI_MANIFEST))])
    return directory


def packed(
    directory: Path, *layers: bytes, family: str = "docker", epoch: int = EPOCH, known: Path | None = None
) -> tuple[OciLayout, Manifest]:
    export = exported(directory / "exported", *layers)
    pack(export, directory / "layout", epoch=epoch, family=FAMILIES[family], known=PackedLayers(known))
    layout = OciLayout.open(directory / "layout")
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    return layout, manifest


@pytest.mark.parametrize(
    ("family", "kinds"),
    [
        ("docker", (MediaType.DOCKER_MANIFEST, MediaType.DOCKER_CONFIG, MediaType.DOCKER_LAYER_GZIP)),
        ("oci", (MediaType.OCI_MANIFEST, MediaType.OCI_CONFIG, MediaType.OCI_LAYER_GZIP)),
    ],
)
def test_a_packed_image_is_of_its_consumers_kind_with_its_layers_compressed_and_their_diff_ids(
    tmp_path: Path, family: str, kinds: tuple[str, str, str]
) -> None:
    layers = (timed("a", EPOCH - 5) + END, timed("b", EPOCH + 5) + END)
    layout, manifest = packed(tmp_path, *layers, family=family)
    assert (manifest.media_type, manifest.config.media_type) == kinds[:2]
    assert [layer.media_type for layer in manifest.layers] == [kinds[2]] * 2
    contents = []
    for layer in manifest.layers:
        with layout.open_blob(layer) as blob:
            contents.append(gzip.decompress(blob.read()))
    assert contents == [layers[0], clamped(layers[1])]
    with layout.open_blob(manifest.config) as blob:
        config = ImageConfig.parse(blob.read())
    assert config.diff_ids == tuple(Digest.of(content) for content in contents)
    assert (config.command, config.labels) == (("serve",), {"a": "é"})
    assert config.created == "2026-01-01T00:00:00Z"


def test_an_exported_layer_that_is_cut_makes_no_layout(tmp_path: Path) -> None:
    """Also behind its last member, where no header is missed."""
    layer = timed("f", 1) + END
    source = exported(tmp_path / "exported", layer)
    blob = source / "blobs/sha256" / Digest.of(zstandard.compress(layer)).hex
    blob.write_bytes(blob.read_bytes()[:-3])
    with pytest.raises((BlobCorrupt, EOFError)):
        pack_oci(source, tmp_path / "layout")
    assert not (tmp_path / "layout" / "index.json").exists()


def pack_oci(exported: Path, layout: Path) -> None:
    pack(exported, layout, epoch=EPOCH, family=FAMILIES["oci"], known=PackedLayers(None))


def test_exports_that_differ_in_late_times_only_become_one_digest(tmp_path: Path) -> None:
    digests = {packed(tmp_path / str(late), timed("f", EPOCH + late) + END)[1].digest for late in (1, 60)}
    assert len(digests) == 1


def test_an_image_whose_layers_are_the_same_keeps_both(tmp_path: Path) -> None:
    layer = timed("f", EPOCH + 1) + END
    _, manifest = packed(tmp_path / "a", layer, layer, family="oci")
    assert len(manifest.layers) == 2
    assert len(set(manifest.layers)) == 1


def test_a_kept_layer_may_be_in_an_image_twice(tmp_path: Path) -> None:
    _, once = packed(tmp_path / "a", BASE, known=tmp_path / "packed")
    _, twice = packed(tmp_path / "b", BASE, BASE, known=tmp_path / "packed")
    assert twice.layers == once.layers * 2


def test_a_full_disk_is_told_with_what_frees_some(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"as much as there was room for"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(NeedNotMet, match="cannot be written: the disk is full\n") as told:
        LayoutWriter(tmp_path).add_stream(pieces(), MediaType.OCI_LAYER_GZIP)
    assert "make clean" in told.value.remedy
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_disk_that_takes_no_more_leaves_no_layout(tmp_path: Path) -> None:
    export = exported(tmp_path / "exported", timed("f", 1) + END)
    (tmp_path / "layout").mkdir()
    (tmp_path / "layout" / "blobs").write_text("a file where a directory must be")
    with pytest.raises(NeedNotMet, match="cannot be written"):
        pack_oci(export, tmp_path / "layout")
    assert not (tmp_path / "layout" / "index.json").exists()


BASE = timed("base", EPOCH - 5) + END


def test_the_layer_of_a_base_is_packed_once_for_all_images_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "packed"
    _, first = packed(tmp_path / "a", BASE, timed("a", 1) + END, known=kept)
    seen: list[Content] = []
    run = TimeClamp.run

    def counted(self: TimeClamp, layer: Content) -> None:
        seen.append(layer)
        run(self, layer)

    monkeypatch.setattr(TimeClamp, "run", counted)
    layout, second = packed(tmp_path / "b", BASE, timed("b", 1) + END, known=kept)
    assert len(seen) == 1
    assert second.layers[0] == first.layers[0]
    with layout.open_blob(second.layers[0]) as blob:
        assert gzip.decompress(blob.read()) == BASE
    with layout.open_blob(second.config) as blob:
        assert ImageConfig.parse(blob.read()).diff_ids[0] == Digest.of(BASE)


def test_a_kept_layer_with_a_time_that_the_image_may_not_have_is_packed_anew(tmp_path: Path) -> None:
    kept = tmp_path / "packed"
    packed(tmp_path / "a", BASE, known=kept)
    layout, manifest = packed(tmp_path / "b", BASE, known=kept, epoch=EPOCH - 9)
    with layout.open_blob(manifest.layers[0]) as blob:
        assert times(gzip.decompress(blob.read())) == {"base": EPOCH - 9}


@pytest.mark.parametrize("damage", ["blob", "row", "gone", "format"])
def test_a_kept_layer_that_is_damaged_is_packed_anew_and_kept_whole(tmp_path: Path, damage: str) -> None:
    kept = tmp_path / "packed"
    _, right = packed(tmp_path / "a", BASE, known=kept)
    (row,) = kept.glob("*.json")
    blob = kept / right.layers[0].digest.hex
    if damage == "blob":
        content = blob.read_bytes()
        blob.unlink()  # the layout has the same file
        blob.write_bytes(content[:-1] + b"?")
    elif damage == "row":
        row.write_text(row.read_text()[:-9])
    elif damage == "gone":
        blob.unlink()
    else:
        row.write_text(row.read_text().replace(members.FORMAT, "gzip:other"))
    assert packed(tmp_path / "b", BASE, known=kept)[1].layers == right.layers
    assert Digest.of(blob.read_bytes()) == right.layers[0].digest
    assert json.loads(row.read_text())["format"] == members.FORMAT


def test_a_base_that_cannot_be_kept_does_not_stop_a_build(tmp_path: Path) -> None:
    (tmp_path / "packed").write_text("a file where a directory must be")
    assert packed(tmp_path / "a", BASE, known=tmp_path / "packed")[1].layers
