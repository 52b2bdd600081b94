"""Steps of a release on an image of gigabytes, each in a process of its own that prints its peak memory.

`python -m tests.large_image STEP DIRECTORY HOST`: MiB of the process alone, whoever started it.
"""

import json
import os
import re
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import zstandard

from toolkit.adapters.allocator import share_heap
from toolkit.adapters.layout import LayoutWriter, OciLayout
from toolkit.adapters.packed import PackedLayers
from toolkit.adapters.packing import FAMILIES, pack
from toolkit.adapters.registry import HttpRegistry, RegistryImages
from toolkit.adapters.retry import RetryingRegistry
from toolkit.contracts import GENERIC
from toolkit.oci import Manifest, MediaType, Platform, make_manifest
from toolkit.publish import publish_image
from toolkit.verify import ImageSource, ensure_verified, verify_reference

LAYERS = 4
_RANDOM = 32  # MiB of each layer: what is left of it goes up in several pieces
_ZEROS = 480
_PIECE = 1 << 20
_AMD64 = Platform("linux", "amd64")


def export(directory: Path) -> None:
    """What Buildx would have exported: layers of 2 GiB together, compressed by zstd."""
    writer = LayoutWriter(directory)
    layers = [
        writer.add_stream(_compressed(_archive(number)), MediaType.OCI_LAYER_ZSTD) for number in range(LAYERS)
    ]
    config = {
        "architecture": _AMD64.architecture,
        "os": _AMD64.os,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    described = writer.add_blob(json.dumps(config).encode(), MediaType.OCI_CONFIG)
    manifest = make_manifest(described, layers, MediaType.OCI_MANIFEST)
    writer.finish([writer.add_manifest(manifest, platform=_AMD64)])


def _archive(number: int) -> Iterator[bytes]:
    member = tarfile.TarInfo(f"data-{number}")
    member.size = (_RANDOM + _ZEROS) * _PIECE
    yield member.tobuf()
    yield from (os.urandom(_PIECE) for _ in range(_RANDOM))
    yield from repeat(bytes(_PIECE), _ZEROS)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _compressed(content: Iterable[bytes]) -> Iterator[bytes]:
    packer = zstandard.ZstdCompressor(1).compressobj()
    yield from map(packer.compress, content)
    yield packer.flush()


def _registry(host: str) -> RetryingRegistry:
    return RetryingRegistry(HttpRegistry(host, docker_config=Path("/nonexistent")))


def _pack(directory: Path, host: str) -> None:
    known = PackedLayers(None)
    pack(
        directory / "exported",
        directory / "layout",
        epoch=1_700_000_000,
        family=FAMILIES["docker"],
        known=known,
    )


def _side_by_side(directory: Path, host: str) -> None:
    """Packed and proved as often as a release does it at once on a small machine."""
    share_heap()

    def make(name: str) -> None:
        known = PackedLayers(None)
        layout = directory / name
        pack(directory / "exported", layout, epoch=1_700_000_000, family=FAMILIES["docker"], known=known)
        _verify(OciLayout.open(layout), "")
        shutil.rmtree(layout)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, ("a", "b", "c", "d")))


def _verify(source: ImageSource, selector: str) -> None:
    ensure_verified(source.name, verify_reference(source, selector, platform=_AMD64, contract=GENERIC))


def _verify_layout(directory: Path, host: str) -> None:
    _verify(OciLayout.open(directory / "layout"), "")


def _push(directory: Path, host: str) -> None:
    layout = OciLayout.open(directory / "layout")
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    publish_image(manifest, layout, registry=_registry(host), repository="large", tags=("latest",))


def _read_back(directory: Path, host: str) -> None:
    _verify(RegistryImages(_registry(host), "large"), "latest")


STEPS: dict[str, Callable[[Path, str], None]] = {
    "pack": _pack,
    "side-by-side": _side_by_side,
    "verify": _verify_layout,
    "push": _push,
    "read-back": _read_back,
}


def _peak() -> int:
    """Unlike what getrusage says it has nothing of the process that started this one."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) // 1024


if __name__ == "__main__":
    step, where, address = sys.argv[1:]
    STEPS[step](Path(where), address)
    sys.stdout.write(f"{_peak()}\n")
