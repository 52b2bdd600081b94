"""Two builds without cache give one digest: the release's own images, built again from the first step."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.conftest import ONE, TWO, SmallProject
from toolkit.adapters.layout import OciLayout
from toolkit.cli.connections import images_of, registry_at
from toolkit.cli.settings import Settings
from toolkit.oci import Manifest
from toolkit.record import PublishedImage, ReleaseRecord
from toolkit.verify import ImageSource

PROJECT = Path(__file__).parents[2]
# Where the sources came from: another clone of them makes the same image with another label.
PROVENANCE = ("org.opencontainers.image.revision", "org.opencontainers.image.source")


def toolkit(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def released() -> list[PublishedImage]:
    """Everything in the default group, released first where it is not."""
    toolkit("release")
    record = ReleaseRecord.loads((PROJECT / "dist" / "release.json").read_bytes())
    wanted = {unit["identifier"] for unit in json.loads(toolkit("plan", "--json"))["units"]}
    return [image for image in record.images if image.identifier in wanted]


def content(source: ImageSource, selector: str) -> tuple[list[str], dict[str, Any]]:
    """Layer digests and configuration, apart from the labels that say where the sources came from."""
    manifest = source.get_manifest(selector)
    assert isinstance(manifest, Manifest)
    with source.open_blob(manifest.config) as blob:
        config = json.loads(blob.read())
    for label in PROVENANCE:
        config["config"]["Labels"].pop(label, None)
    return [layer.digest for layer in manifest.layers], config


def test_the_released_images_are_built_again_without_cache_byte_for_byte() -> None:
    """The real frameworks on both platforms; what was released may be from an earlier commit."""
    images = released()
    assert len(images) == 4
    toolkit("build", "--no-cache")
    settings = Settings(catalog=PROJECT / "images.toml", environment={})
    for image in images:
        layout = OciLayout.open(PROJECT / ".cache" / "layouts" / image.identifier)
        registry = images_of(registry_at(settings, image.registry), image.repository)
        assert content(layout, "") == content(registry, image.digest), image.identifier


def test_two_builds_without_cache_give_the_same_digest(small: SmallProject) -> None:
    def digests() -> dict[str, str]:
        built = small.run("build", "--no-cache")
        assert built.code == 0, built.err
        layouts = small.directory / ".cache" / "layouts"
        return {name: OciLayout.open(layouts / name).get_manifest("").digest for name in (*ONE, *TWO)}

    first = digests()
    assert digests() == first
    assert len(set(first.values())) == 4
