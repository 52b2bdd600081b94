"""Rendered unit → the places that its build asks for something. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urlsplit

from toolkit.catalog.model import Recipe
from toolkit.oci import Digest, Reference
from toolkit.render import RenderedUnit


@dataclass(frozen=True, kw_only=True)
class Place:
    """`name` is what people call it; `url` is asked over HTTP, or `image` of its registry."""

    name: str
    url: str = ""
    image: Reference | None = None

    @property
    def host(self) -> str:
        return self.image.registry if self.image else urlsplit(self.url).netloc.rpartition("@")[2]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where this machine gets things from, and what of it is here already.

    `index` is its package index and `mirror` its Debian mirror, "" where it names none; `bases` are the
    names of bases that are made, `files` the sha256 of downloads that are kept.
    """

    index: str
    mirror: str
    bases: Collection[str]
    files: Collection[str]


def places_of(rendered: RenderedUnit, machine: Machine) -> tuple[Place, ...]:
    """Each place once; of several files from one host the first stands for all."""
    by_host: dict[tuple[str, str], Place] = {}
    for place in _places(rendered, machine):
        by_host.setdefault((place.name, place.host), place)
    return tuple(by_host.values())


def _places(rendered: RenderedUnit, machine: Machine) -> Iterator[Place]:
    unit = rendered.unit
    match unit.base.origin:
        case Recipe(suite=suite):
            if machine.mirror and unit.base.name not in machine.bases:
                yield Place(name="Debian mirror", url=f"{_slash(machine.mirror)}dists/{suite}/InRelease")
        case Reference() as reference:
            pin = rendered.base.index or rendered.base.digest
            image = reference.with_digest(Digest(pin)) if pin else reference
            yield Place(name=f"base {unit.base.name}", image=image)
        case _:
            assert_never(unit.base.origin)
    if rendered.context["requirements.txt"]:
        if machine.index.startswith(("http://", "https://")):
            yield Place(name="package index", url=_slash(machine.index))
        for source in unit.indexes:
            yield Place(name=f"source {source.name}", url=_slash(source.url))
    for download in rendered.downloads:
        if download.sha256 not in machine.files:
            yield Place(name="downloads", url=download.url)


def _slash(url: str) -> str:
    return f"{url.rstrip('/')}/"
