"""What Buildx exported → the layout that is published: times clamped, layers compressed.

Buildx hands its layers over in zstd's fastest form, as each byte costs its way out of the engine more than
that. It could clamp the times and compress by itself, but compresses each layer twice then, once to export
it and once more after its time stamps were rewritten, on one core: for a framework's layer that is most of
a build.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.adapters.layout import LayoutWriter, OciLayout
from toolkit.adapters.packed import PackedLayer, PackedLayers
from toolkit.layers.compression import decompressed
from toolkit.layers.members import GzipMembers
from toolkit.layers.times import TimeClamp
from toolkit.oci import Descriptor, Digest, Manifest, MediaType, make_manifest


@dataclass(frozen=True)
class Family:
    """The media types of an image that its consumer takes."""

    manifest: MediaType
    config: MediaType
    layer: MediaType


FAMILIES: Mapping[str, Family] = {
    "docker": Family(MediaType.DOCKER_MANIFEST, MediaType.DOCKER_CONFIG, MediaType.DOCKER_LAYER_GZIP),
    "oci": Family(MediaType.OCI_MANIFEST, MediaType.OCI_CONFIG, MediaType.OCI_LAYER_GZIP),
}
"""By the names of render.media_family."""

# Pieces of a layer are in memory while they are compressed, on as many cores as that is worth: with one layer
# at a time the process stays below 150 MB, however many units are built side by side.
_ONE_AT_A_TIME = threading.Lock()


def pack(exported: Path, layout: Path, *, epoch: int, family: Family, known: PackedLayers) -> None:
    """Make `layout` of the one image in `exported`, whose layers may be compressed in any way.

    No time of a file is after `epoch`, seconds since 1970. The image's first layer, its base, is taken from
    `known` and kept there. Raises NeedNotMet when the disk takes no more.
    """
    source = OciLayout.open(exported)
    manifest = source.get_manifest("")
    assert isinstance(manifest, Manifest)
    writer = LayoutWriter(layout)
    base, *_ = manifest.layers
    layers = []
    for layer in manifest.layers:
        packed = known.lookup(layer.digest, epoch)
        if packed:
            writer.add_file(known.path(packed), packed.digest)
        else:
            packed = _packed(source, layer, epoch, writer)
            if layer == base:
                known.keep(layer.digest, packed, writer.blob_path(packed.digest))
        layers.append(packed)
    with source.open_blob(manifest.config) as blob:
        config = json.loads(blob.read())
    config["rootfs"]["diff_ids"] = [layer.diff_id for layer in layers]
    described = writer.add_blob(
        json.dumps(config, separators=(",", ":"), ensure_ascii=False).encode(), family.config
    )
    result = make_manifest(described, [layer.descriptor(family.layer) for layer in layers], family.manifest)
    writer.finish([writer.add_manifest(result)])


def _packed(source: OciLayout, layer: Descriptor, epoch: int, writer: LayoutWriter) -> PackedLayer:
    """In one pass: the layer is decompressed once, however large it is."""
    content = hashlib.sha256()
    with (
        _ONE_AT_A_TIME,
        source.open_blob(layer) as blob,
        writer.new_blob() as packed,
        GzipMembers(packed.write, content.update) as members,
    ):
        clamp = TimeClamp(epoch, members.feed)
        clamp.run(decompressed(blob)[1])
    return PackedLayer(
        digest=packed.digest,
        size=packed.size,
        diff_id=Digest(f"sha256:{content.hexdigest()}"),
        last_time=clamp.last,
    )
