"""The archive by which an engine takes a base that it has a part of."""

from pathlib import Path

import pytest

from tests.images import AMD64, ARM64, OCI, FakeImage, Item, layer, listed
from toolkit.adapters.healing import write_archive
from toolkit.adapters.layout import OciLayout
from toolkit.blobs import BlobCorrupt
from toolkit.oci import Index, Manifest, MediaType, Platform

NAME = "docker.io/library/toolkit-base:1"


def image(platform: Platform) -> FakeImage:
    shared = layer(Item("opt/shared", b"of both"), media_type=MediaType.OCI_LAYER)
    own = layer(Item("opt/own", str(platform).encode()), media_type=MediaType.OCI_LAYER)
    return FakeImage(layers=[shared, own, shared], platform=platform, types=OCI)


def base(root: Path) -> tuple[str, Index]:
    layout = listed(root, {each: image(each) for each in (AMD64, ARM64)}, media_type=MediaType.OCI_INDEX)
    index = layout.get_manifest("")
    assert isinstance(index, Index)
    return index.digest, index


@pytest.mark.parametrize("platform", [AMD64, ARM64])
def test_it_has_the_asked_platform_under_its_name_and_every_byte_of_it(
    platform: Platform, tmp_path: Path
) -> None:
    digest, index = base(tmp_path / "base")
    write_archive(tmp_path / "base", digest, platform, NAME, tmp_path / "base.tar")
    taken = OciLayout.open(tmp_path / "base.tar")
    manifest = taken.get_manifest(NAME)
    assert isinstance(manifest, Manifest)
    wanted = next(entry for entry in index.manifests if entry.platform == platform)
    assert (manifest.digest, len(taken.index.manifests)) == (wanted.digest, 1)
    for descriptor in (manifest.config, *manifest.layers):
        with taken.open_blob(descriptor) as blob:
            assert len(blob.read()) == descriptor.size


def test_a_layer_that_lost_a_bit_is_told_and_not_handed_over(tmp_path: Path) -> None:
    digest, index = base(tmp_path / "base")
    manifest = OciLayout.open(tmp_path / "base").get_manifest(index.manifests[0].digest)
    assert isinstance(manifest, Manifest)
    path = tmp_path / "base" / "blobs" / "sha256" / manifest.layers[0].digest.hex
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BlobCorrupt, match=manifest.layers[0].digest):
        write_archive(tmp_path / "base", digest, AMD64, NAME, tmp_path / "base.tar")
