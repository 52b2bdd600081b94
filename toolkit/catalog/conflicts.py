"""Faults that only show between units: a name that two of them share, a tag that gets too long."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from toolkit import tags
from toolkit.catalog.faults import Faults, quote
from toolkit.catalog.model import Cell, Image

Place = tuple[Image, Cell]


@dataclass(frozen=True, kw_only=True)
class _Clash:
    """Two units that have one name."""

    name: str
    first: Place
    second: Place


def check_names(images: Sequence[Image], faults: Faults) -> None:
    """Note the identifiers and tags that two units share, and what cannot be a tag."""
    places = [(image, cell) for image in images for cell in image.cells]
    for clash in _clashes((cell.identifier, "", image.name, (image, cell)) for image, cell in places):
        first, _ = clash.first
        other = f"image {quote(first.name)} (line {first.line})"
        message = (
            f"its unit {quote(clash.name)} is also one of {other}: change its framework, versions, "
            "accelerator, python, base or consumers, or exclude it from one of the two"
        )
        _tell(clash.second, "", message, faults)
    for clash in _clashes(_tag_claims(places)):
        _tell(clash.second, "tag", _tag_message(clash), faults)
    _check_tag_form(places, faults)


def _clashes(claims: Iterable[tuple[str, str, Hashable, Place]]) -> Iterator[_Clash]:
    """Of claims (name, scope, owner, place) those whose name in their scope has another owner already.

    Of two images only the first clash: the change that mends it mends the others.
    """
    owners: dict[tuple[str, str], tuple[Hashable, Place]] = {}
    told: set[tuple[str, str]] = set()
    for name, scope, owner, place in claims:
        first_owner, first = owners.setdefault((name, scope), (owner, place))
        if first_owner != owner and (pair := (first[0].name, place[0].name)) not in told:
            told.add(pair)
            yield _Clash(name=name, first=first, second=place)


def _tag_claims(places: Iterable[Place]) -> Iterator[tuple[str, str, Hashable, Place]]:
    """The tags that releases of `places` move; architectures share a list, nothing else may."""
    for place in places:
        image, cell = place
        behind_list = (image.name, cell.version, cell.consumer)
        yield cell.list_tag, image.repository, behind_list, place
        yield cell.arch_tag, image.repository, (*behind_list, cell.architecture), place


def _tag_message(clash: _Clash) -> str:
    (first, cell), (second, other) = clash.first, clash.second
    if first is not second:
        return (
            f"its tag {quote(clash.name)} in repository {quote(second.repository)} is also one of "
            f"image {quote(first.name)} (line {first.line}): "
            "give one of the two another repository or tag"
        )
    lacking = "{version}" if cell.version != other.version else "{consumer}"
    return (
        f"tag {quote(second.tag)} gives {quote(clash.name)} to both {quote(cell.image_id)} "
        f"and {quote(other.image_id)}: add {lacking} to it"
    )


def _check_tag_form(places: Iterable[Place], faults: Faults) -> None:
    told: set[str] = set()
    for image, cell in places:
        tag = cell.arch_tag
        if image.name not in told and not tags.is_tag(tag):
            told.add(image.name)
            long = len(tag) > tags.TAG_LIMIT
            why = (
                f"is {len(tag)} characters long, at most {tags.TAG_LIMIT} are allowed"
                if long
                else "must begin with a letter, a digit or _"
            )
            _tell((image, cell), "tag", f"its tag {quote(tag)} {why}", faults)


def _tell(where: Place, key: str, message: str, faults: Faults) -> None:
    image, _ = where
    faults.add(("images", image.name, key), f"image {quote(image.name)}: {message}")
