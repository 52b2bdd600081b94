"""Rendered Dockerfiles, kept to be read in a review: the default group, and an image of every other kind.

`.venv/bin/python -m tests.golden.dockerfiles` writes them anew.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.projects import ROOT, TEMPLATES, catalog
from toolkit.render import base_name, render_dockerfile
from toolkit.selection import Selection, select
from toolkit.templates import Templates
from toolkit.units import expand

DIRECTORY = Path(__file__).parent / "dockerfiles"
KEPT = (
    "default",
    "mxnet-1.8.0-neuron-*",
    "pytorch-1.12.1-cpu-py38-ubuntu20.04-*-arm64",
    "pytorch-2.9.0-neuronx-*-eks",
    "tensorflow-2.3.0-eia-*",
    "tensorflow-2.10.1-neuron-*",
)
WRITE = ".venv/bin/python -m tests.golden.dockerfiles"


def rendered() -> Mapping[str, str]:
    """The text by unit identifier, from images.toml and dockerfiles/ as they are now."""
    real = catalog((ROOT / "images.toml").read_text())
    templates = Templates(TEMPLATES)
    chosen = select(expand(real), Selection(patterns=KEPT), real)
    return {unit.identifier: render_dockerfile(unit, templates, base_name(unit.base)) for unit in chosen}


def kept() -> Mapping[str, str]:
    return {path.stem: path.read_text() for path in sorted(DIRECTORY.glob("*.Dockerfile"))}


def write() -> None:
    for path in DIRECTORY.glob("*.Dockerfile"):
        path.unlink()
    for identifier, text in rendered().items():
        (DIRECTORY / f"{identifier}.Dockerfile").write_text(text)


if __name__ == "__main__":
    write()
