"""What Buildx exported → the layout that is published: times clamped, layers compressed.

Buildx hands its layers over in zstd's fastest form, as each byte costs its way out of the engine more than
that. It could clamp the times and compress by itself, but compresses each layer twice then, once to export
it and once more after its time stamps were rewritten, on one core: for a framework's layer that is most of
a build.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.adapters.layout import LayoutWriter, OciLayout
from toolkit.layers.compression import decompressed
from toolkit.layers.members import gzip_members
from toolkit.layers.times import Changed, late_times
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


def pack(exported: Path, layout: Path, *, epoch: int, family: Family) -> None:
    """Make `layout` of the one image in `exported`, whose layers may be compressed in any way.

    No time of a file is after `epoch`, seconds since 1970. Raises NeedNotMet when the disk takes no more.
    """
    source = OciLayout.open(exported)
    manifest = source.get_manifest("")
    assert isinstance(manifest, Manifest)
    writer = LayoutWriter(layout)
    packed = [_pack_layer(source, layer, epoch, writer, family.layer) for layer in manifest.layers]
    with source.open_blob(manifest.config) as blob:
        config = json.loads(blob.read())
    config["rootfs"]["diff_ids"] = [diff_id for diff_id, _ in packed]
    described = writer.add_blob(
        json.dumps(config, separators=(",", ":"), ensure_ascii=False).encode(), family.config
    )
    result = make_manifest(described, [layer for _, layer in packed], family.manifest)
    writer.finish([writer.add_manifest(result)])


def _pack_layer(
    source: OciLayout, layer: Descriptor, epoch: int, writer: LayoutWriter, kind: MediaType
) -> tuple[Digest, Descriptor]:
    """The layer's diff id and its compressed blob. It is read twice, as times stand all over it."""
    content = hashlib.sha256()
    with source.open_blob(layer) as blob:
        changes = late_times(decompressed(blob)[1], epoch)
    with source.open_blob(layer) as blob:
        changed = Changed(decompressed(blob)[1], changes)
        described = writer.add_stream(gzip_members(changed, content.update), kind)
    return Digest(f"sha256:{content.hexdigest()}"), described
