"""What Buildx hands over → the layout that is published: times clamped, layers compressed.

Buildx writes a tar of a layout into a pipe, its layers in zstd's fastest form, as each byte costs its way out
of the engine more than that; they are packed as they come, and nothing of it lies on a disk in between.
Buildx could clamp the times and compress by itself, but compresses each layer twice then, once to export
it and once more after its time stamps were rewritten, on one core: for a framework's layer that is most of
a build.
"""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from toolkit.adapters.layout import LayoutWriter
from toolkit.adapters.packed import PackedLayer, PackedLayers
from toolkit.blobs import CHUNK, CheckedBlob
from toolkit.errors import BuildFailed
from toolkit.layers.compression import DECODING_ERRORS, decompressed
from toolkit.layers.members import GzipMembers
from toolkit.layers.tarstream import TarInvalid
from toolkit.layers.times import TimeClamp
from toolkit.oci import Descriptor, Digest, Manifest, MediaType, make_manifest, parse_manifest


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

_BLOBS = "blobs/sha256/"
# As registries have it for manifests and, most of them, for configs.
_DOCUMENT_LIMIT = 4 << 20
_BUFFER = 1 << 20

# Pieces of a layer are in memory while they are compressed: with two at a time the process stays below
# 150 MB, however many units are built side by side. A third one waits in its pipe, and so does its Buildx.
_PACKED_AT_ONCE = threading.BoundedSemaphore(2)


def pack(export: IO[bytes], layout: Path, *, epoch: int, family: Family, known: PackedLayers) -> None:
    """Make `layout` of the one image in `export`, a tar of a layout whose layers are compressed by zstd.

    No time of a file is after `epoch`, seconds since 1970. The image's first layer, its base, is taken from
    `known` and kept there. Raises NeedNotMet when the disk takes no more, BlobCorrupt for bytes that are not
    what their digest says, BuildFailed for what is no such tar or ends early.
    """
    packer = _Packer(LayoutWriter(layout), epoch=epoch, known=known)
    try:
        with tarfile.open(fileobj=export, mode="r|", bufsize=_BUFFER) as archive:
            for member in archive:
                if content := archive.extractfile(member) if member.isreg() else None:
                    packer.add(member.name.removeprefix("./"), member.size, cast(BinaryIO, content))
        packer.finish(family)
    except (tarfile.TarError, TarInvalid, LookupError, ValueError, *DECODING_ERRORS) as error:
        raise BuildFailed(
            f"what Buildx handed over is no whole image: {error}",
            remedy="Run it again; if it happens again, report it with Buildx's version.",
        ) from error


class _Packer:
    """Files come in any order; only with the last of them it is known which layers are whose."""

    def __init__(self, writer: LayoutWriter, *, epoch: int, known: PackedLayers) -> None:
        self._writer = writer
        self._epoch = epoch
        self._known = known
        self._documents: dict[str, bytes] = {}
        self._layers: dict[str, PackedLayer] = {}

    def add(self, name: str, size: int, content: BinaryIO) -> None:
        if not name.startswith(_BLOBS):
            self._documents[name] = content.read(_DOCUMENT_LIMIT)
            return
        digest = Digest(f"sha256:{name.removeprefix(_BLOBS)}")
        checked = CheckedBlob(content, Descriptor(media_type="", digest=digest, size=size), where="Buildx")
        blob = io.BufferedReader(checked, CHUNK)
        if blob.peek(1).startswith(b"{"):
            self._documents[digest] = blob.read()
        else:
            self._layers[digest] = self._reused(digest, blob) or self._packed(blob)

    def _reused(self, digest: Digest, blob: BinaryIO) -> PackedLayer | None:
        found = self._known.lookup(digest, self._epoch)
        if found is None:
            return None
        while blob.read(_BUFFER):
            pass
        self._writer.add_file(self._known.path(found), found.descriptor(""))
        return found

    def _packed(self, blob: BinaryIO) -> PackedLayer:
        content = hashlib.sha256()
        with (
            _PACKED_AT_ONCE,
            self._writer.new_blob() as packed,
            GzipMembers(packed.write, content.update) as members,
        ):
            clamp = TimeClamp(self._epoch, members.feed)
            clamp.run(decompressed(blob)[1])
        return PackedLayer(
            digest=packed.digest,
            size=packed.size,
            diff_id=Digest(f"sha256:{content.hexdigest()}"),
            last_time=clamp.last,
        )

    def finish(self, family: Family) -> None:
        """Config, manifest and index, made anew of those that came."""
        (entry,) = json.loads(self._documents["index.json"])["manifests"]
        manifest = parse_manifest(self._documents[entry["digest"]], entry["mediaType"])
        if not isinstance(manifest, Manifest):
            raise ValueError(f"{entry['digest']} is no single image")
        layers = [self._layers[layer.digest] for layer in manifest.layers]
        config = json.loads(self._documents[manifest.config.digest])
        config["rootfs"]["diff_ids"] = [layer.diff_id for layer in layers]
        described = self._writer.add_blob(
            json.dumps(config, separators=(",", ":"), ensure_ascii=False).encode(), family.config
        )
        result = make_manifest(
            described, [layer.descriptor(family.layer) for layer in layers], family.manifest
        )
        self._writer.finish([self._writer.add_manifest(result)])
        base = manifest.layers[0].digest
        self._known.keep(base, self._layers[base], self._writer.blob_path(self._layers[base].digest))
