"""Layer scans on disk, one file per digest, shared by runs and processes."""

import json
import os
import tempfile
from pathlib import Path

from toolkit.layers.scan import SCAN_FORMAT, LayerScan
from toolkit.oci import Digest
from toolkit.verify import ScanCache


class DiskScans:
    """Keeps scans under `root`. Losing it costs time only: what cannot be read or written is left out."""

    def __init__(self, root: Path) -> None:
        self._root = root / f"v{SCAN_FORMAT}"

    def lookup_scan(self, digest: Digest) -> LayerScan | None:
        try:
            scan = LayerScan.from_json(json.loads(self._path(digest).read_bytes()))
        except (OSError, ValueError):
            return None
        return scan if scan.digest == digest else None

    def store_scan(self, scan: LayerScan) -> None:
        path = self._path(scan.digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump(scan.to_json(), file, separators=(",", ":"))
            # Renamed whole, so that another process never reads half a scan.
            Path(temporary).replace(path)
        except OSError:
            return

    def _path(self, digest: Digest) -> Path:
        return self._root / f"{digest.algorithm}-{digest.hex}.json"


def _conforms(scans: DiskScans) -> ScanCache:
    return scans
