"""The layer of a base as it was packed, kept beside the base: each image on it begins with that layer.

It is known by the bytes that Buildx exported, and held against its own digest each time. A layer in which
a time is after what the image may have is packed anew.
"""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from toolkit.adapters.context import link_or_copy
from toolkit.layers.members import FORMAT
from toolkit.oci import Descriptor, Digest


@dataclass(frozen=True, kw_only=True)
class PackedLayer:
    """A compressed layer. `last_time` is the latest time, in seconds since 1970, that stood in it before."""

    digest: Digest
    size: int
    diff_id: Digest
    last_time: int

    def descriptor(self, media_type: str) -> Descriptor:
        return Descriptor(media_type=media_type, digest=self.digest, size=self.size)


@dataclass(frozen=True)
class PackedLayers:
    """Those in `directory`, which need not be there; of a base that has no place, None, nothing is kept."""

    directory: Path | None

    def lookup(self, exported: Digest, epoch: int) -> PackedLayer | None:
        """What the blob `exported` became; None when that is not known, or no time may be after `epoch`."""
        if self.directory is None:
            return None
        try:
            said = json.loads(self._row(self.directory, exported).read_text())
            found = PackedLayer(
                digest=Digest(said["digest"]),
                size=int(said["size"]),
                diff_id=Digest(said["diff_id"]),
                last_time=int(said["last_time"]),
            )
            with self.path(found).open("rb") as blob:
                actual = hashlib.file_digest(blob, "sha256").hexdigest()
            is_it = said["format"] == FORMAT and found.last_time <= epoch and found.digest.hex == actual
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return found if is_it else None

    def path(self, layer: PackedLayer) -> Path:
        assert self.directory is not None
        return self.directory / layer.digest.hex

    def keep(self, exported: Digest, layer: PackedLayer, blob: Path) -> None:
        """Once it lies in `blob`. A disk that does not take it is none of the build's business."""
        if self.directory is None:
            return
        with suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.directory, prefix=".") as name:
                link_or_copy(blob, Path(name) / "blob")
                (Path(name) / "row").write_text(json.dumps({**asdict(layer), "format": FORMAT}))
                os.replace(Path(name) / "blob", self.path(layer))
                os.replace(Path(name) / "row", self._row(self.directory, exported))

    @staticmethod
    def _row(directory: Path, exported: Digest) -> Path:
        return directory / f"{exported.hex}.json"
