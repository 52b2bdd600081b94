"""What Buildx exported → the layout that is published: times clamped, layers compressed.

Buildx exports plain tar layers. It could do both by itself, but compresses each layer twice then, once
to export it and once more after its time stamps were rewritten, on one core: for a framework's layer that
is most of a build.
"""

import hashlib
import json
from pathlib import Path

from toolkit.adapters.layout import LayoutWriter, OciLayout
from toolkit.layers.members import gzip_members
from toolkit.layers.times import clamp_times
from toolkit.oci import Descriptor, Digest, Manifest, MediaType, make_manifest


def pack(exported: Path, layout: Path, *, epoch: int) -> None:
    """Make `layout` of the one image in `exported`, whose plain layers are changed in place.

    No time of a file is after `epoch`, seconds since 1970. Media types stay in their family, docker or
    oci. Raises NeedNotMet when the disk takes no more.
    """
    source = OciLayout.open(exported)
    manifest = source.get_manifest("")
    assert isinstance(manifest, Manifest)
    is_docker = manifest.media_type == MediaType.DOCKER_MANIFEST
    kind = MediaType.DOCKER_LAYER_GZIP if is_docker else MediaType.OCI_LAYER_GZIP
    writer = LayoutWriter(layout)
    packed = [_pack_layer(exported, layer, epoch, writer, kind) for layer in manifest.layers]
    with source.open_blob(manifest.config) as blob:
        config = json.loads(blob.read())
    config["rootfs"]["diff_ids"] = [diff_id for diff_id, _ in packed]
    described = writer.add_blob(
        json.dumps(config, separators=(",", ":"), ensure_ascii=False).encode(), manifest.config.media_type
    )
    result = make_manifest(described, [layer for _, layer in packed], MediaType(manifest.media_type))
    writer.finish([writer.add_manifest(result)])


def _pack_layer(
    exported: Path, layer: Descriptor, epoch: int, writer: LayoutWriter, kind: MediaType
) -> tuple[Digest, Descriptor]:
    """The layer's diff id and its compressed blob."""
    content = hashlib.sha256()
    with (exported / "blobs" / layer.digest.algorithm / layer.digest.hex).open("r+b") as file:
        clamp_times(file, epoch)
        file.seek(0)
        blob = writer.add_stream(gzip_members(file, content.update), kind)
    return Digest(f"sha256:{content.hexdigest()}"), blob
