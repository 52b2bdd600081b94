"""The toolkit's command line with prepared images in the place of what Buildx would build: a program.

All else is real: processes, catalog, journal, layouts on disk, verification, HTTP. PREPARED names the
directory where the images are kept between runs. A release so takes a second, and can be killed often.
"""

import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tests.clock_off  # noqa: F401  before what asks for the time
from tests.images import DOCKER, OCI, FakeImage, Item, layer, program, single
from toolkit.build import Builder, BuildRequest, OnStage
from toolkit.catalog.model import Base, Consumer
from toolkit.cli import main, world
from toolkit.cli.settings import Settings
from toolkit.oci import Architecture
from toolkit.progress import Reporter
from toolkit.render import RenderedUnit, emulates
from toolkit.workshop import Tools

# More than one piece of an upload, for one of the images.
LARGE = 9 << 20
_BUILD_SECONDS = 0.05


class Prepared:
    """Copies an image that follows from the unit's build id."""

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        kept = Path(os.environ["PREPARED"]) / request.rendered.build_id
        on_stage("COPY")
        if not kept.exists():
            fresh = kept.with_name(f"{kept.name}.{os.getpid()}")
            single(fresh, _image(request.rendered))
            fresh.rename(kept)
        time.sleep(_BUILD_SECONDS)
        shutil.copytree(kept, request.layout)


def _conforms(builder: Prepared) -> Builder:
    return builder


def _image(rendered: RenderedUnit) -> FakeImage:
    sagemaker = rendered.unit.consumer is Consumer.SAGEMAKER
    types = DOCKER if sagemaker else OCI
    is_large = sagemaker and rendered.unit.architecture is Architecture.ARM64
    size = LARGE if is_large else 1 << 16
    noise = random.Random(rendered.build_id).randbytes(size)
    items = (
        program("usr/bin/python3", rendered.unit.architecture.value),
        Item("usr/local/bin/serve", b"#!/usr/bin/python3\n", 0o755),
    )
    return FakeImage(
        layers=[layer(*items, media_type=types[2]), layer(Item("noise", noise), media_type=types[2])],
        platform=rendered.unit.platform,
        command=["serve"],
        types=types,
        settings={"Labels": dict(rendered.labels)},
    )


def _tools(settings: Settings, docker_config: Callable[[], Path] | None, nodes: world.Nodes | None) -> Tools:
    return Tools(builder=Prepared(), emulates=lambda rendered: emulates(rendered, {Architecture.AMD64}))


def _no_base(bases: world.Bases, base: Base, report: Reporter) -> None:
    """Prepared images have no base that has to be there."""


if __name__ == "__main__":
    setattr(world, "building_tools", _tools)  # noqa: B010
    setattr(world.Bases, "ensure", _no_base)  # noqa: B010
    sys.argv[0] = "toolkit"
    main()
