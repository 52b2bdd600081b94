"""Catalog → build units: one per image × version × consumer × architecture, in one order."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from toolkit.catalog.model import (
    AptPackages,
    Base,
    Catalog,
    Cell,
    Consumer,
    Download,
    Drop,
    Image,
    Sdk,
    Source,
)
from toolkit.oci import Architecture, Platform


@dataclass(frozen=True, kw_only=True)
class BuildUnit:
    """What one Buildx run makes: an image of one version for one consumer on one architecture."""

    image: Image
    base: Base
    cell: Cell

    @property
    def version(self) -> str:
        return self.cell.version

    @property
    def consumer(self) -> Consumer:
        return self.cell.consumer

    @property
    def architecture(self) -> Architecture:
        return self.cell.architecture

    @property
    def image_id(self) -> str:
        return self.cell.image_id

    @property
    def identifier(self) -> str:
        return self.cell.identifier

    @property
    def platform(self) -> Platform:
        return self.architecture.platform

    @property
    def repository(self) -> str:
        return self.image.repository

    @property
    def list_tag(self) -> str:
        return self.cell.list_tag

    @property
    def list_key(self) -> tuple[str, str]:
        """Repository and tag of the list that the unit's image stands behind."""
        return self.image.repository, self.cell.list_tag

    @property
    def arch_tag(self) -> str:
        return self.cell.arch_tag

    @property
    def requirements(self) -> tuple[str, ...]:
        """What the catalog asks for, with the version filled in; the lock holds what it resolves to."""
        asked = self.image.packages.get(self.architecture, ())
        return tuple(text.replace("{version}", self.version) for text in asked)

    @property
    def indexes(self) -> tuple[Source, ...]:
        """Vendors' places with Python packages, asked besides the machine's own index."""
        return self.image.indexes.get(self.architecture, ())

    @property
    def apt(self) -> AptPackages | None:
        return self.image.apt

    @cached_property
    def downloads(self) -> tuple[Download, ...]:
        return tuple(each for each in self.image.downloads if each.covers(self.version, self.architecture))

    @cached_property
    def drops(self) -> tuple[Drop, ...]:
        """What of the installed packages does not come into the image."""
        return tuple(each for each in self.image.drops if each.covers(self.version, self.architecture))

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every vendor's place that something of this unit comes from, each once."""
        apt = (self.apt.source,) if self.apt else ()
        return tuple(dict.fromkeys((*self.indexes, *apt, *(each.source for each in self.downloads))))

    @property
    def sdk(self) -> Sdk | None:
        return self.image.sdk

    @property
    def remark(self) -> str:
        return self.image.remarks.get(self.architecture, "")


def expand(catalog: Catalog) -> tuple[BuildUnit, ...]:
    """Every unit of the catalog, sorted by identifier."""
    units = (
        BuildUnit(image=image, base=catalog.bases[image.base], cell=cell)
        for image in catalog.images
        for cell in image.cells
    )
    return tuple(sorted(units, key=lambda unit: unit.cell.identifier))


def with_siblings(selected: Iterable[BuildUnit], units: Iterable[BuildUnit]) -> tuple[BuildUnit, ...]:
    """Those of `units` whose images stand behind the same lists as those of `selected`, themselves too."""
    lists = {unit.list_key for unit in selected}
    return tuple(unit for unit in units if unit.list_key in lists)
