import gzip
import json
import tarfile
from pathlib import Path

import pytest

from tests.images import AMD64, ARM64, FakeImage, image_of, layer, listed, program, scan, single
from toolkit.adapters.layout import LayoutWriter, OciLayout
from toolkit.adapters.scan_cache import DiskScans
from toolkit.blobs import BlobCorrupt
from toolkit.errors import NeedNotMet, UsageError, VerificationFailed
from toolkit.oci import Descriptor, Digest, Index, Manifest, MediaType
from toolkit.verify import verify_reference

IMAGE = image_of(program("bin/a"))


def read(layout: OciLayout, descriptor: Descriptor) -> bytes:
    with layout.open_blob(descriptor) as blob:
        return blob.read()


def archived(layout: Path, *, prefix: str = "", mode: str = "w") -> Path:
    path = layout.with_suffix(".tar")
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.add(layout, arcname=prefix or ".")
    return path


def test_the_one_entry_is_the_image_that_an_empty_selector_means(tmp_path: Path) -> None:
    manifest = single(tmp_path, IMAGE).get_manifest("")
    assert isinstance(manifest, Manifest)
    assert manifest.layers == (IMAGE.layers[0].descriptor,)


def test_the_one_entry_may_be_an_index(tmp_path: Path) -> None:
    top = listed(tmp_path, {ARM64: IMAGE, AMD64: IMAGE}).get_manifest("")
    assert isinstance(top, Index)
    assert top.platforms == (AMD64, ARM64)


def test_several_entries_are_one_index(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path)
    amd64 = image_of(program("bin/a", "amd64"), platform=AMD64)
    writer.finish([IMAGE.add_to(writer).descriptor(ARM64), amd64.add_to(writer).descriptor(AMD64)])
    layout = OciLayout.open(tmp_path)
    assert layout.get_manifest("") == layout.index
    assert [each.platform for each in verify_reference(layout, "")] == [ARM64, AMD64]


def test_a_manifest_is_found_by_its_digest_listed_or_not(tmp_path: Path) -> None:
    layout = listed(tmp_path, {ARM64: IMAGE})
    top = layout.get_manifest("")
    assert isinstance(top, Index)
    assert layout.get_manifest(top.digest) == top
    assert layout.get_manifest(top.manifests[0].digest).digest == top.manifests[0].digest


def test_an_image_is_found_by_its_name(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path)
    entry = IMAGE.add_to(writer).descriptor()
    name = {"io.containerd.image.name": "mirror.example/a:1", "org.opencontainers.image.ref.name": "1"}
    named = Descriptor.from_json({**entry.to_json(), "annotations": name})
    writer.finish([named])
    layout = OciLayout.open(tmp_path)
    assert layout.get_manifest("1").digest == layout.get_manifest("mirror.example/a:1").digest == entry.digest
    with pytest.raises(UsageError, match=r"holds no image '2'\n  It has: 1, mirror.example/a:1\."):
        layout.get_manifest("2")


@pytest.mark.parametrize("prefix", ["", "/"], ids=["with ./", "without"])
def test_an_uncompressed_tar_of_a_layout_is_read_in_place(tmp_path: Path, prefix: str) -> None:
    directory = single(tmp_path / "layout", IMAGE)
    archive = OciLayout.open(archived(tmp_path / "layout", prefix=prefix))
    assert archive.get_manifest("") == directory.get_manifest("")
    layer = IMAGE.layers[0]
    assert read(archive, layer.descriptor) == layer.blob
    (verification,) = verify_reference(archive, "")
    assert verification.ok
    with pytest.raises(BlobCorrupt, match="is missing"):
        read(archive, Descriptor.of(b"absent", MediaType.OCI_LAYER))


def test_a_compressed_tar_is_refused_with_what_to_do(tmp_path: Path) -> None:
    single(tmp_path / "layout", IMAGE)
    with pytest.raises(UsageError, match="uncompressed tar"):
        OciLayout.open(archived(tmp_path / "layout", mode="w:gz"))


@pytest.mark.parametrize("content", [None, b"", b"text", gzip.compress(b"text")])
def test_what_is_no_layout_is_a_usage_error_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "thing"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="thing is no OCI image layout"):
        OciLayout.open(path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("index.json", "{}"),
        ("index.json", "[]"),
        ("index.json", "?"),
        ("index.json", '{"schemaVersion":2,"manifests":[{"digest":"sha256:short"}]}'),
        ("oci-layout", "{}"),
        ("oci-layout", "[]"),
        ("oci-layout", '{"imageLayoutVersion":"2.0.0"}'),
    ],
)
def test_a_damaged_layout_is_a_usage_error(tmp_path: Path, file: str, content: str) -> None:
    single(tmp_path, IMAGE)
    (tmp_path / file).write_text(content)
    with pytest.raises(UsageError, match="is no OCI image layout"):
        OciLayout.open(tmp_path)


def test_an_empty_layout_has_no_image(tmp_path: Path) -> None:
    LayoutWriter(tmp_path).finish([])
    with pytest.raises(UsageError, match="is an empty layout"):
        OciLayout.open(tmp_path).get_manifest("")


def test_a_manifest_that_is_missing_or_named_by_half_a_digest_is_a_usage_error(tmp_path: Path) -> None:
    layout = single(tmp_path, IMAGE)
    with pytest.raises(UsageError, match="holds no manifest"):
        layout.get_manifest(Digest.of(b"absent"))
    with pytest.raises(UsageError, match="'sha256:12' is not a digest"):
        layout.get_manifest("sha256:12")


def test_an_altered_manifest_is_named(tmp_path: Path) -> None:
    layout = single(tmp_path, IMAGE)
    digest = layout.get_manifest("").digest
    path = tmp_path / "blobs" / "sha256" / digest.hex
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BlobCorrupt, match=f"blob {digest} is corrupt"):
        layout.get_manifest("")


def test_a_blob_that_is_no_manifest_is_said_to_be_none(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path)
    writer.finish([writer.add_blob(b"{}", MediaType.OCI_MANIFEST)])
    with pytest.raises(VerificationFailed, match="is no image"):
        OciLayout.open(tmp_path).get_manifest("")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"shor", "ends after 4 of 5 bytes"),
        (b"longer", "more than the 5"),
        (b"other", "have the digest sha256:"),
    ],
)
def test_a_blob_is_held_against_size_and_digest(tmp_path: Path, content: bytes, reason: str) -> None:
    layout = single(tmp_path, IMAGE)
    descriptor = Descriptor.of(b"right", MediaType.OCI_LAYER)
    (tmp_path / "blobs" / "sha256" / descriptor.digest.hex).write_bytes(content)
    with pytest.raises(BlobCorrupt, match=f"blob {descriptor.digest} is corrupt: .*{reason}"):
        read(layout, descriptor)


def test_a_sha512_digest_is_held_against_too(tmp_path: Path) -> None:
    layout = single(tmp_path, IMAGE)
    digest = Digest("sha512:" + "0" * 128)
    blobs = tmp_path / "blobs" / "sha512"
    blobs.mkdir()
    (blobs / digest.hex).write_bytes(b"right")
    with pytest.raises(BlobCorrupt, match="have the digest sha512:"):
        read(layout, Descriptor(media_type=MediaType.OCI_LAYER, digest=digest, size=5))


def test_a_missing_blob_is_corruption_and_names_the_layout(tmp_path: Path) -> None:
    layout = single(tmp_path, IMAGE)
    with pytest.raises(BlobCorrupt, match=f"{tmp_path}: blob sha256:.* is missing"):
        read(layout, Descriptor.of(b"absent", MediaType.OCI_LAYER))


def test_a_disk_that_takes_no_more_is_named(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where a directory must be")
    with pytest.raises(NeedNotMet, match=f"{tmp_path}/blobs/sha256/.* cannot be written"):
        LayoutWriter(tmp_path).add_blob(b"x", MediaType.OCI_LAYER)


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    single(tmp_path, IMAGE)
    assert not list(tmp_path.rglob("*.partial"))
    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


def test_scans_on_disk_are_found_by_the_next_process(tmp_path: Path) -> None:
    found = scan(IMAGE.layers[0])
    DiskScans(tmp_path).store_scan(found)
    assert DiskScans(tmp_path).lookup_scan(found.digest) == found
    assert DiskScans(tmp_path).lookup_scan(Digest.of(b"never seen")) is None


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 0}', b"\xff"])
def test_a_damaged_scan_on_disk_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    scans, found = DiskScans(tmp_path), scan(IMAGE.layers[0])
    scans.store_scan(found)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    path.write_bytes(content)
    assert scans.lookup_scan(found.digest) is None


def test_a_scan_under_another_layers_name_is_not_taken_for_it(tmp_path: Path) -> None:
    scans, found, other = DiskScans(tmp_path), scan(IMAGE.layers[0]), scan(layer(program("other")))
    scans.store_scan(found)
    scans.store_scan(other)
    first, second = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    first.write_bytes(second.read_bytes())
    assert [scans.lookup_scan(each.digest) for each in (found, other)].count(None) == 1


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    scans = DiskScans(tmp_path / "file")
    scans.store_scan(scan(IMAGE.layers[0]))
    (verification,) = verify_reference(single(tmp_path / "layout", IMAGE), "", scans=scans)
    assert verification.ok


def test_verifying_with_scans_on_disk_gives_the_same_result(tmp_path: Path) -> None:
    layout = single(
        tmp_path / "layout", FakeImage(layers=[layer(program("a", "amd64")), layer(program("b"))])
    )
    scans = DiskScans(tmp_path / "scans")
    assert verify_reference(layout, "", scans=scans) == verify_reference(layout, "", scans=scans)
