"""Images to measure with, as OCI layouts: `python -m scripts.bench.images DIR MIB` writes one.

Its layers are random, so that nobody gains by compressing them: gzip members of stored blocks.
"""

import hashlib
import json
import os
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from toolkit.adapters.layout import LayoutWriter
from toolkit.oci import Digest, Manifest, MediaType, Platform, make_manifest

HERE = (sys.executable, "-m", "scripts.bench.images")
LAYERS = 4
_PIECE = 1 << 20
_GZIP = 31  # what zlib calls a gzip header


def write_image(directory: Path, mib: int, platform: Platform) -> Manifest:
    """A layout with an image of `LAYERS` layers of `mib` MiB together."""
    writer = LayoutWriter(directory)
    contents: list[Digest] = []
    layers = [
        writer.add_stream(_compressed(_archive((mib << 20) // LAYERS), contents), MediaType.DOCKER_LAYER_GZIP)
        for _ in range(LAYERS)
    ]
    config = {
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {"Cmd": ["/data"]},
        "rootfs": {"type": "layers", "diff_ids": contents},
    }
    described = writer.add_blob(json.dumps(config).encode(), MediaType.DOCKER_CONFIG)
    manifest = make_manifest(described, layers, MediaType.DOCKER_MANIFEST)
    writer.finish([writer.add_manifest(manifest, platform=platform)])
    return manifest


def _archive(size: int) -> Iterator[bytes]:
    member = tarfile.TarInfo("data")
    member.size = size
    yield member.tobuf()
    for start in range(0, size, _PIECE):
        yield os.urandom(min(_PIECE, size - start))
    yield bytes(-size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


def _compressed(content: Iterator[bytes], digests: list[Digest]) -> Iterator[bytes]:
    """gzip of `content`, whose digest is added to `digests` at the end."""
    hasher, packer = hashlib.sha256(), zlib.compressobj(0, zlib.DEFLATED, _GZIP)
    for piece in content:
        hasher.update(piece)
        yield packer.compress(piece)
    yield packer.flush()
    digests.append(Digest(f"sha256:{hasher.hexdigest()}"))


if __name__ == "__main__":
    where, size = sys.argv[1:]
    write_image(Path(where), int(size), Platform("linux", "amd64"))
