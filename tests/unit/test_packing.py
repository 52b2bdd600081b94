"""Buildx's export → what is published: times, compression, and nothing else."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.images import Item, directory, hard_link, symlink, tar
from tests.unit.test_tarstream import END, header, padded, pax, signed_off
from toolkit.adapters.layout import LayoutWriter, OciLayout
from toolkit.adapters.packing import FAMILIES, pack
from toolkit.blobs import BlobCorrupt
from toolkit.errors import NeedNotMet
from toolkit.layers import members
from toolkit.layers.members import gzip_members
from toolkit.layers.tarstream import TarInvalid
from toolkit.layers.times import Changed, late_times
from toolkit.oci import Digest, ImageConfig, Manifest, MediaType, make_manifest

EPOCH = 1_700_000_000


def clamped(archive: bytes) -> bytes:
    changes = late_times(io.BytesIO(archive), EPOCH)
    return Changed(io.BytesIO(archive), changes).read(len(archive) + 1)


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


@given(sizes=st.lists(st.integers(1, 1500), min_size=1))
def test_times_are_clamped_however_the_archive_is_read(sizes: list[int]) -> None:
    late = pax(("mtime", f"{EPOCH}.25")) + timed("f", EPOCH + 5)
    archive = late + timed("early", 5) + timed("g", EPOCH + 6) + END
    changed = Changed(io.BytesIO(archive), late_times(io.BytesIO(archive), EPOCH))
    pieces = [changed.read(size) for size in sizes]
    assert [len(piece) for piece in pieces[:-1]] == [
        min(size, max(0, len(archive) - sum(sizes[:at]))) for at, size in enumerate(sizes[:-1])
    ]
    assert b"".join(pieces) + changed.read(len(archive)) == clamped(archive)


class Dribble(io.BytesIO):
    """Gives one byte at a time, as a decompressor may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(1, size or 0))


def test_a_piece_is_whole_though_the_layer_comes_in_small_ones() -> None:
    archive = timed("late", EPOCH + 5) + END
    changed = Changed(Dribble(archive), late_times(io.BytesIO(archive), EPOCH))
    assert changed.read(512) + changed.read(9999) == clamped(archive)


@given(cut=st.integers(1, 3 * 512 - 1))
def test_what_is_no_archive_is_told(cut: int) -> None:
    content = padded(b"content of two blocks" * 40)
    archive = (timed("late", EPOCH + 5) + signed_off(header(b"f", size=len(content))) + content)[:-cut]
    with pytest.raises((TarInvalid, EOFError)):
        late_times(io.BytesIO(archive), EPOCH)


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 3000, 12_345])
def test_members_are_one_gzip_file_of_the_content(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(members, "_PIECE", 1000)
    content = bytes(range(256)) * 50
    seen: list[bytes] = []
    blob = b"".join(gzip_members(io.BytesIO(content[:size]), seen.append))
    assert gzip.decompress(blob) == content[:size] == b"".join(seen)


def test_members_are_the_bytes_that_their_format_names() -> None:
    """Other bytes need another FORMAT: it is what build ids are taken of."""
    content = b"".join(b"%d squared is %d\n" % (n, n * n) for n in range(300_000))
    blob = b"".join(gzip_members(io.BytesIO(content), lambda _: None))
    assert len(content) > 2 * (4 << 20)
    assert members.FORMAT == "gzip:libdeflate-6,4MiB"
    assert hashlib.sha256(blob).hexdigest() == (
        "26b13425be5ccc15808a683364181bed448ddc62b7072ed9e60637b7228d1119"
    )


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


def packed(directory: Path, *layers: bytes, family: str = "docker") -> tuple[OciLayout, Manifest]:
    source = exported(directory / "exported", *layers)
    pack(source, directory / "layout", epoch=EPOCH, family=FAMILIES[family])
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
        pack(source, tmp_path / "layout", epoch=EPOCH, family=FAMILIES["oci"])
    assert not (tmp_path / "layout" / "index.json").exists()


def test_exports_that_differ_in_late_times_only_become_one_digest(tmp_path: Path) -> None:
    digests = {packed(tmp_path / str(late), timed("f", EPOCH + late) + END)[1].digest for late in (1, 60)}
    assert len(digests) == 1


def test_an_image_whose_layers_are_the_same_keeps_both(tmp_path: Path) -> None:
    layer = timed("f", EPOCH + 1) + END
    _, manifest = packed(tmp_path, layer, layer, family="oci")
    assert len(manifest.layers) == 2
    assert len(set(manifest.layers)) == 1


def test_a_disk_that_takes_no_more_leaves_no_layout(tmp_path: Path) -> None:
    source = exported(tmp_path / "exported", timed("f", 1) + END)
    (tmp_path / "layout").mkdir()
    (tmp_path / "layout" / "blobs").write_text("a file where a directory must be")
    with pytest.raises(NeedNotMet, match="cannot be written"):
        pack(source, tmp_path / "layout", epoch=EPOCH, family=FAMILIES["oci"])
    assert not (tmp_path / "layout" / "index.json").exists()
