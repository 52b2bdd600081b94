"""Publishing alone, as a release does it, for rows that measure it: no command of the toolkit does it alone.

`python -m scripts.bench.publishing push LAYOUT HOST/REPOSITORY:TAG` pushes a layout's one image,
`python -m scripts.bench.publishing list HOST/REPOSITORY:TAG PLATFORM=TAG …` puts a list of images of that
repository. Both print the seconds that this takes in a process that runs already and has looked for the tag
before, as a release has for its plan.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from scripts.bench.measuring import PROJECT
from toolkit.adapters.layout import OciLayout
from toolkit.cli.connections import registry_at
from toolkit.cli.settings import Settings
from toolkit.oci import Descriptor, Manifest, MediaType, Platform, Reference, make_index
from toolkit.publish import Registry, publish_image, publish_index

HERE = (sys.executable, "-m", "scripts.bench.publishing")


def push(registry: Registry, reference: Reference, directory: str) -> None:
    """Every byte is held against its digest while it is sent."""
    layout = OciLayout.open(Path(directory))
    manifest = layout.get_manifest("")
    if not isinstance(manifest, Manifest):
        sys.exit(f"{directory} has more than one image")
    publish_image(manifest, layout, registry=registry, repository=reference.repository, tags=(reference.tag,))


def put_list(registry: Registry, reference: Reference, children: tuple[Descriptor, ...]) -> None:
    """Put when all its images are there, and read back."""
    index = make_index(children, MediaType.DOCKER_LIST)
    publish_index(
        index, required=index.platforms, registry=registry, repository=reference.repository, tag=reference.tag
    )


def _child(registry: Registry, repository: str, image: str) -> Descriptor:
    platform, _, tag = image.partition("=")
    found = registry.lookup_descriptor(repository, tag)
    if found is None:
        sys.exit(f"{repository}:{tag} is not there")
    return replace(found, platform=Platform.parse(platform))


def main() -> None:
    act, *arguments = sys.argv[1:]
    reference = Reference.parse(arguments[1] if act == "push" else arguments[0])
    settings = Settings(catalog=PROJECT / "images.toml", environment=dict(os.environ))
    registry = registry_at(settings, reference.registry)
    registry.lookup_descriptor(reference.repository, reference.tag)
    if act == "push":
        started = time.perf_counter()
        push(registry, reference, arguments[0])
    else:
        children = tuple(_child(registry, reference.repository, image) for image in arguments[1:])
        started = time.perf_counter()
        put_list(registry, reference, children)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
