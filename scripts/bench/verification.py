"""Proof of what an image is."""

import functools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.measuring import PROJECT, TOOLKIT, BenchFailed, run, timed
from scripts.bench.rows import Contest, Row, Side, at_most, command
from toolkit.adapters.layout import LayoutWriter, OciLayout
from toolkit.adapters.scan_cache import DiskScans
from toolkit.cli.connections import images_of, registry_at
from toolkit.cli.settings import Settings
from toolkit.oci import Manifest
from toolkit.record import ReleaseRecord
from toolkit.verify import verify_reference


@contextmanager
def _largest(*, is_known: bool) -> Iterator[Contest]:
    """The layers of the largest released image: proof of every ELF file against listing the tar.

    With `is_known` every layer was read before, as its `b-` tag's are when a release reads them back.
    """
    released = PROJECT / "dist" / "release.json"
    if not released.exists():
        run(*TOOLKIT, "release")
    settings = Settings(catalog=PROJECT / "images.toml", environment=dict(os.environ))
    image = max(ReleaseRecord.loads(released.read_bytes()).images, key=lambda each: each.size)
    source = images_of(registry_at(settings, image.registry), image.repository)
    manifest = source.get_manifest(image.digest)
    if not isinstance(manifest, Manifest):
        raise BenchFailed(f"{image.pinned} is no single image")
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        layout = Path(name)
        writer = LayoutWriter(layout)
        for descriptor in (manifest.config, *manifest.layers):
            with source.open_blob(descriptor) as blob:
                writer.add_stream(iter(functools.partial(blob.read, 1 << 20), b""), descriptor.media_type)
        writer.finish([writer.add_manifest(manifest)])
        files = " ".join(str(layout / "blobs" / "sha256" / layer.digest.hex) for layer in manifest.layers)
        scans = DiskScans(layout / "scans")

        def prove() -> None:
            verify_reference(OciLayout.open(layout), "", scans=scans)

        if is_known:
            prove()
        each_layer = f"for layer in {files}; do gzip -dc $layer | tar -t >/dev/null; done"
        yield Contest(
            ours=Side(command="verify_reference, as within a release", measure=lambda: timed(prove))
            if is_known
            else command(*TOOLKIT, "verify", str(layout), shown="toolkit verify LAYOUT"),
            theirs=(command("sh", "-c", each_layer, shown="gzip -dc LAYER | tar -t, each layer"),),
            notes=lambda: (f"{image.identifier}, {image.size / 1e6:.0f} MB compressed",),
        )


_GIVEN = "the layers of the largest image of dist/release.json, in an OCI layout"

ROWS = (
    Row(
        name="verify",
        title="verification of the largest released image",
        reach=at_most(1.0),
        ready=functools.partial(_largest, is_known=False),
        given=_GIVEN,
    ),
    Row(
        name="verify-again",
        title="the same when its layers were read before, within a release",
        reach=at_most(0.05),
        ready=functools.partial(_largest, is_known=True),
        given=f"{_GIVEN}; what was read of a layer is in .cache/scans",
    ),
)
