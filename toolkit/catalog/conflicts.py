"""Faults that only show between units: a name that two of them share, a tag that gets too long."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from toolkit import tags
from toolkit.catalog.faults import Faults, quote
from toolkit.catalog.matrix import Cell, image_id, list_tag, matrix
from toolkit.catalog.model import Image


@dataclass(frozen=True, kw_only=True)
class NamedCell:
    """A cell with the names that its unit will have."""

    image: Image
    cell: Cell
    image_id: str
    identifier: str
    list_tag: str

    @property
    def arch_tag(self) -> str:
        return tags.arch_tag(self.list_tag, self.cell.architecture)


@dataclass(frozen=True, kw_only=True)
class _Clash:
    """Two units that have one name."""

    name: str
    first: NamedCell
    second: NamedCell


def name_cells(images: Iterable[Image]) -> tuple[NamedCell, ...]:
    """The cells of all images, in the order of the file."""
    return tuple(_named(image, cell) for image in images for cell in matrix(image))


def check_names(cells: Iterable[NamedCell], faults: Faults) -> None:
    """Note the identifiers and tags that two units share, and what cannot be a tag."""
    cells = tuple(cells)
    for clash in _clashes((each.identifier, "", each.image.name, each) for each in cells):
        other = f"image {quote(clash.first.image.name)} (line {clash.first.image.line})"
        message = (
            f"its unit {quote(clash.name)} is also one of {other}: change its framework, versions, "
            "accelerator, python, base or consumers, or exclude it from one of the two"
        )
        _tell(clash.second, "", message, faults)
    for clash in _clashes(_tag_claims(cells)):
        _tell(clash.second, "tag", _tag_message(clash), faults)
    _check_tag_form(cells, faults)


def _named(image: Image, cell: Cell) -> NamedCell:
    name = image_id(image, cell)
    return NamedCell(
        image=image,
        cell=cell,
        image_id=name,
        identifier=tags.unit_identifier(name, cell.architecture),
        list_tag=list_tag(image, cell),
    )


def _clashes(claims: Iterable[tuple[str, str, Hashable, NamedCell]]) -> Iterator[_Clash]:
    """Of claims (name, scope, owner, cell) those whose name in their scope has another owner already.

    Of two images only the first clash: the change that mends it mends the others.
    """
    owners: dict[tuple[str, str], tuple[Hashable, NamedCell]] = {}
    told: set[tuple[str, str]] = set()
    for name, scope, owner, cell in claims:
        first_owner, first = owners.setdefault((name, scope), (owner, cell))
        pair = (first.image.name, cell.image.name)
        if first_owner != owner and pair not in told:
            told.add(pair)
            yield _Clash(name=name, first=first, second=cell)


def _tag_claims(cells: Iterable[NamedCell]) -> Iterator[tuple[str, str, Hashable, NamedCell]]:
    """The tags that releases of `cells` move; architectures share a list, nothing else may."""
    for each in cells:
        repository = each.image.repository
        behind_list = (each.image.name, each.cell.version, each.cell.consumer)
        yield each.list_tag, repository, behind_list, each
        yield each.arch_tag, repository, (*behind_list, each.cell.architecture), each


def _tag_message(clash: _Clash) -> str:
    first, second = clash.first, clash.second
    if first.image is not second.image:
        return (
            f"its tag {quote(clash.name)} in repository {quote(second.image.repository)} is also one of "
            f"image {quote(first.image.name)} (line {first.image.line}): "
            "give one of the two another repository or tag"
        )
    lacking = "{version}" if first.cell.version != second.cell.version else "{consumer}"
    return (
        f"tag {quote(second.image.tag)} gives {quote(clash.name)} to both {quote(first.image_id)} "
        f"and {quote(second.image_id)}: add {lacking} to it"
    )


def _check_tag_form(cells: Iterable[NamedCell], faults: Faults) -> None:
    told: set[str] = set()
    for each in cells:
        if each.image.name not in told and not tags.is_tag(each.arch_tag):
            told.add(each.image.name)
            long = len(each.arch_tag) > tags.TAG_LIMIT
            why = (
                f"is {len(each.arch_tag)} characters long, at most {tags.TAG_LIMIT} are allowed"
                if long
                else "must begin with a letter, a digit or _"
            )
            _tell(each, "tag", f"its tag {quote(each.arch_tag)} {why}", faults)


def _tell(where: NamedCell, key: str, message: str, faults: Faults) -> None:
    faults.add(("images", where.image.name, key), f"image {quote(where.image.name)}: {message}")
