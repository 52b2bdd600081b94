"""Catalog → build units: one per image × version × consumer × architecture, in one order."""

import difflib
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from toolkit import tags
from toolkit.catalog.matrix import Cell, image_id, list_tag, matrix
from toolkit.catalog.model import Base, Catalog, Consumer, Image
from toolkit.errors import NothingSelected
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

    @cached_property
    def image_id(self) -> str:
        return image_id(self.image, self.cell)

    @cached_property
    def identifier(self) -> str:
        return tags.unit_identifier(self.image_id, self.architecture)

    @property
    def platform(self) -> Platform:
        return self.architecture.platform

    @property
    def repository(self) -> str:
        return self.image.repository

    @cached_property
    def list_tag(self) -> str:
        return list_tag(self.image, self.cell)

    @property
    def list_key(self) -> tuple[str, str]:
        """Repository and tag of the list that the unit's image stands behind."""
        return self.repository, self.list_tag

    @property
    def arch_tag(self) -> str:
        return tags.arch_tag(self.list_tag, self.architecture)

    @property
    def requirements(self) -> tuple[str, ...]:
        """What the catalog asks for, with the version filled in; the lock holds what it resolves to."""
        asked = self.image.packages.get(self.architecture, ())
        return tuple(text.replace("{version}", self.version) for text in asked)

    @property
    def remark(self) -> str:
        return self.image.remarks.get(self.architecture, "")


def expand(catalog: Catalog) -> tuple[BuildUnit, ...]:
    """Every unit of the catalog, sorted by identifier."""
    units = (
        BuildUnit(image=image, base=catalog.bases[image.base], cell=cell)
        for image in catalog.images
        for cell in matrix(image)
    )
    return tuple(sorted(units, key=lambda unit: unit.identifier))


def select(
    units: Sequence[BuildUnit], patterns: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> tuple[BuildUnit, ...]:
    """The units that any of `patterns` (identifiers, image ids, globs or names of groups) matches.

    No pattern means the group `default`. Raises NothingSelected, with the nearest name, when one of
    the patterns matches nothing: a typo must not shrink a release silently.
    """
    wanted = [glob for pattern in patterns or ("default",) for glob in groups.get(pattern, (pattern,))]
    chosen: set[str] = set()
    for glob in wanted:
        found = {unit.identifier for unit in units if matches(unit, glob)}
        if not found:
            names = [*groups, *(name for unit in units for name in (unit.image_id, unit.identifier))]
            raise NothingSelected(f"no build unit matches {glob!r}", remedy=_nearest(glob, names))
        chosen |= found
    return tuple(unit for unit in units if unit.identifier in chosen)


def matches(unit: BuildUnit, glob: str) -> bool:
    """`glob` is matched against the identifier and, to name both platforms at once, the image id."""
    return fnmatch.fnmatchcase(unit.identifier, glob) or fnmatch.fnmatchcase(unit.image_id, glob)


def _nearest(glob: str, names: Iterable[str]) -> str:
    candidates = list(dict.fromkeys(names))
    near = difflib.get_close_matches(glob, candidates, n=1, cutoff=0.5) or _most_alike(glob, candidates)
    return f"{f'Did you mean {near[0]!r}? ' if near else ''}`toolkit plan '*'` lists all units."


def _most_alike(glob: str, names: Sequence[str]) -> list[str]:
    """The name that shares most parts with a glob, which is too short to be similar to it as a whole."""
    shared = {name: len(set(glob.split("-")) & set(name.split("-"))) for name in names}
    best = max(shared, key=shared.__getitem__, default="")
    return [best] if shared.get(best) else []


def with_siblings(selected: Iterable[BuildUnit], units: Iterable[BuildUnit]) -> tuple[BuildUnit, ...]:
    """Those of `units` whose images stand behind the same lists as those of `selected`, themselves too."""
    lists = {unit.list_key for unit in selected}
    return tuple(unit for unit in units if unit.list_key in lists)
