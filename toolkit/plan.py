"""Rendered units and what the registry has → what is to be done, and why. Pure.

The registry is the truth: a unit is there when its `b-` tag answers, a list when its digest is the
one that follows from its children's descriptors. One HEAD each, no local state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from toolkit import tags
from toolkit.oci import Descriptor, Index, MediaType, Platform, make_index
from toolkit.render import RenderedUnit, changed_inputs, media_family

_FILES_NAMED = 2


class Action(StrEnum):
    """What a release does with a unit."""

    BUILD = "build"
    REUSE = "reuse"
    RETAG = "retag"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What the registry answered, by (repository, tag).

    `descriptors` has an entry for every tag asked for, None where nothing is there; `inputs` are the
    inputs label of what stands under a unit's per-architecture tag, for units that are not there.
    Unless it `was_asked` at all, nothing is there.
    """

    descriptors: Mapping[tuple[str, str], Descriptor | None]
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    was_asked: bool = True


def unasked(every: Sequence[RenderedUnit]) -> Observed:
    """As of a registry that has nothing; it was not asked."""
    return Observed(descriptors=dict.fromkeys(wanted_tags(every)), was_asked=False)


@dataclass(frozen=True, kw_only=True)
class PlannedUnit:
    """`published` is the image that stands under the unit's `b-` tag; `build_tag` is that tag."""

    rendered: RenderedUnit
    action: Action
    why: str
    published: Descriptor | None

    @property
    def identifier(self) -> str:
        return self.rendered.unit.identifier

    @property
    def build_tag(self) -> str:
        return tags.build_tag(self.rendered.build_id)


@dataclass(frozen=True, kw_only=True)
class PlannedList:
    """A manifest list and all units behind it, selected or not.

    `present` is what stands under the tag; `complete` that it is exactly the list of these units.
    """

    repository: str
    tag: str
    media_type: MediaType
    members: tuple[RenderedUnit, ...]
    present: Descriptor | None
    complete: bool

    @property
    def required(self) -> tuple[Platform, ...]:
        return tuple(member.unit.platform for member in self.members)

    def to_json(self) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "tag": self.tag,
            "complete": self.complete,
            "platforms": [str(platform) for platform in self.required],
            "digest": self.present.digest if self.present else None,
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Units in the order of their identifiers; lists in the order of repository and tag."""

    units: tuple[PlannedUnit, ...]
    lists: tuple[PlannedList, ...]
    observed: Observed

    @property
    def is_done(self) -> bool:
        return all(unit.action is Action.REUSE for unit in self.units) and all(
            each.complete for each in self.lists
        )

    @property
    def to_build(self) -> tuple[PlannedUnit, ...]:
        return tuple(unit for unit in self.units if unit.action is Action.BUILD)


def lists_of(rendered: Sequence[RenderedUnit]) -> dict[tuple[str, str], tuple[RenderedUnit, ...]]:
    """Rendered units grouped by the (repository, tag) of the list they stand behind."""
    groups: dict[tuple[str, str], list[RenderedUnit]] = {}
    for each in rendered:
        groups.setdefault(each.unit.list_key, []).append(each)
    return {key: tuple(groups[key]) for key in sorted(groups)}


def wanted_tags(rendered: Sequence[RenderedUnit]) -> tuple[tuple[str, str], ...]:
    """The (repository, tag) pairs to ask a registry for: one per unit, one per list."""
    units = ((each.unit.repository, tags.build_tag(each.build_id)) for each in rendered)
    return (*units, *lists_of(rendered))


def index_media_type(rendered: RenderedUnit) -> MediaType:
    docker = media_family(rendered.unit.consumer) == "docker"
    return MediaType.DOCKER_LIST if docker else MediaType.OCI_INDEX


def expected_index(members: Sequence[RenderedUnit], images: Mapping[str, Descriptor]) -> Index | None:
    """The list of `members`, None as long as one of their images (by identifier) is missing."""
    children = [
        Descriptor(
            media_type=image.media_type, digest=image.digest, size=image.size, platform=member.unit.platform
        )
        for member in members
        if (image := images.get(member.unit.identifier))
    ]
    if len(children) != len(members):
        return None
    return make_index(children, index_media_type(members[0]))


def decide(selected: Sequence[RenderedUnit], every: Sequence[RenderedUnit], observed: Observed) -> Plan:
    """`every` has the selected units and their siblings behind the same lists."""
    images = {
        each.unit.identifier: found
        for each in every
        if (found := observed.descriptors[each.unit.repository, tags.build_tag(each.build_id)])
    }
    lists = tuple(
        _planned_list(key, members, images, observed.descriptors[key])
        for key, members in lists_of(every).items()
    )
    complete = {(each.repository, each.tag): each for each in lists}
    units = tuple(
        _planned_unit(
            each,
            images.get(each.unit.identifier),
            complete[each.unit.list_key],
            observed,
        )
        for each in selected
    )
    return Plan(units=units, lists=lists, observed=observed)


def _planned_list(
    key: tuple[str, str],
    members: tuple[RenderedUnit, ...],
    images: Mapping[str, Descriptor],
    present: Descriptor | None,
) -> PlannedList:
    expected = expected_index(members, images)
    return PlannedList(
        repository=key[0],
        tag=key[1],
        media_type=index_media_type(members[0]),
        members=members,
        present=present,
        complete=bool(expected and present and expected.digest == present.digest),
    )


def _planned_unit(
    rendered: RenderedUnit,
    published: Descriptor | None,
    group: PlannedList,
    observed: Observed,
) -> PlannedUnit:
    before = observed.inputs.get(rendered.unit.identifier)
    action, why = _reason(rendered, published, group, before, was_asked=observed.was_asked)
    return PlannedUnit(rendered=rendered, action=action, why=why, published=published)


def _reason(
    rendered: RenderedUnit,
    published: Descriptor | None,
    group: PlannedList,
    before: Mapping[str, str] | None,
    *,
    was_asked: bool,
) -> tuple[Action, str]:
    if published is None:
        if before is None:
            return Action.BUILD, "not published yet" if was_asked else "the registry was not asked"
        names = changed_inputs(rendered, before)
        return Action.BUILD, f"changed: {_in_short(names)}" if names else "its build tag is gone"
    if group.complete:
        return Action.REUSE, "published"
    if group.present is None:
        return Action.RETAG, "published, but there is no list yet"
    return Action.RETAG, "published, but the list has other images"


def _in_short(names: Sequence[str]) -> str:
    """The inputs, of many files their number: `toolkit plan --explain` names each."""
    files = [name for name in names if name.startswith("file ")]
    if len(files) <= _FILES_NAMED:
        return ", ".join(names)
    return ", ".join([*(name for name in names if name not in files), f"{len(files)} files"])
