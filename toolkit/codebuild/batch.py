"""Plan → batches of CodeBuild: a build for each unit, then one that publishes their lists. Pure."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from toolkit.codebuild.buildspec import Build, buildspec, length
from toolkit.codebuild.machines import COMPUTES, ENVIRONMENTS, compute_for
from toolkit.errors import UsageError
from toolkit.oci import Architecture
from toolkit.plan import Action, Plan, PlannedList, PlannedUnit
from toolkit.record import PublishedImage, ReleaseRecord

# "must contain only alphanumeric characters and underscores and be less than 128 characters in length":
# what CodeBuild answers, https://github.com/aws/copilot-cli/pull/1673
_FOREIGN = re.compile(r"[^A-Za-z0-9_]")
_IDENTIFIER_LENGTH = 127

PUBLISH = "publish"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one batch may have: builds, characters of its buildspec, characters of one variable.

    The guide names no number of builds; the project of buildspecs/pipeline.cfn.yaml allows as many as
    stand here (`MaximumBuildsAllowed`), and a batch with more fails:
    https://docs.aws.amazon.com/codebuild/latest/userguide/create-project.html (Batch configuration).
    A buildspec that is given when a batch is started has 25,600 characters at most, which only its error
    tells, https://github.com/aws/aws-cdk/pull/14974; and so it is for variables,
    https://github.com/wolfeidau/buildkite-serverless-agent/issues/35.
    """

    builds: int = 100
    characters: int = 25_600
    variable: int = 4_096


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Builds of which `publish` is the last and waits for all others."""

    units: tuple[Build, ...]
    publish: Build

    @property
    def builds(self) -> tuple[Build, ...]:
        return (*self.units, self.publish)

    @property
    def text(self) -> str:
        return buildspec(self.builds)


@dataclass(frozen=True, kw_only=True)
class Told:
    """Variables besides IMAGES: of the builds of units, and of the one that publishes."""

    building: Mapping[str, str]
    publishing: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """What has to stay together: the units behind one list that are to be built, and what publishes it."""

    name: str
    units: tuple[Build, ...]
    images: tuple[str, ...]

    def length(self) -> int:
        """An upper bound of what it adds to the buildspec."""
        # Each identifier stands in `depend-on` of publish too: indentation, dash, line end.
        waited = sum(len(each.identifier) + len("          - \n") for each in self.units)
        return sum(map(length, self.units)) + waited + sum(len(name) + 1 for name in self.images)


def batches(
    plan: Plan,
    *,
    before: ReleaseRecord | None,
    told: Told,
    limits: Limits = Limits(),
) -> tuple[Batch, ...]:
    """As few batches as the limits allow, for what is not published or not in the record; where all is,
    one that writes the record anew.

    No list is divided among two. `before`, the newest record, also says how large each image was.
    Raises UsageError for a list that is more than one batch takes.
    """
    last = {image.identifier: image for image in before.home} if before else {}
    selected: dict[tuple[str, str], list[PlannedUnit]] = {}
    for unit in plan.units:
        selected.setdefault(unit.rendered.unit.list_key, []).append(unit)

    def is_done(group: PlannedList) -> bool:
        return group.complete and all(
            each.published
            and each.identifier in last
            and last[each.identifier].digest == each.published.digest
            for each in selected.get((group.repository, group.tag), ())
        )

    wanted = [each for each in plan.lists if not is_done(each)] or plan.lists
    names = _identifiers([each.identifier for each in plan.units])
    groups = [
        _group(each, selected.get((each.repository, each.tag), []), names, last, told) for each in wanted
    ]
    return tuple(_batch(part, told) for part in _parts(groups, told, limits))


def _group(
    group: PlannedList,
    units: Sequence[PlannedUnit],
    names: Mapping[str, str],
    last: Mapping[str, PublishedImage],
    told: Told,
) -> _Group:
    to_build = (each for each in units if each.action is Action.BUILD)
    # The image's name stands for its units where all of them were asked for.
    whole = len(units) == len(group.members)
    images = (each.rendered.unit.image_id if whole else each.identifier for each in units)
    return _Group(
        name=f"{group.repository}:{group.tag}",
        units=tuple(
            _unit_build(names[each.identifier], each, last.get(each.identifier), told) for each in to_build
        ),
        images=tuple(sorted(set(images))),
    )


def _unit_build(name: str, unit: PlannedUnit, last: PublishedImage | None, told: Told) -> Build:
    return Build(
        identifier=name,
        buildspec="buildspecs/build.yml",
        type=ENVIRONMENTS[unit.rendered.unit.architecture],
        compute_type=compute_for(last).name,
        privileged=True,
        variables={"IMAGES": unit.identifier, **told.building},
        # Publishing runs all the same: it publishes what is complete, and fails for what is not.
        ignore_failure=True,
    )


def _batch(groups: Sequence[_Group], told: Told) -> Batch:
    units = tuple(each for group in groups for each in group.units)
    return Batch(units=units, publish=_publish_build(groups, units, told))


def _publish_build(groups: Iterable[_Group], units: Sequence[Build], told: Told) -> Build:
    # It builds nothing, so that any machine will do; those of arm64 cost less.
    return Build(
        identifier=PUBLISH,
        buildspec="buildspecs/publish.yml",
        type=ENVIRONMENTS[Architecture.ARM64],
        compute_type=COMPUTES[0].name,
        privileged=False,
        variables={"IMAGES": _images(groups), **told.publishing},
        depend_on=tuple(each.identifier for each in units),
    )


def _images(groups: Iterable[_Group]) -> str:
    return " ".join(sorted({name for group in groups for name in group.images}))


def _parts(groups: Sequence[_Group], told: Told, limits: Limits) -> Iterator[tuple[_Group, ...]]:
    """Groups that fit one batch, one after the other."""
    start = length(_publish_build((), (), told)) + len(buildspec(()))
    part: list[_Group] = []
    builds, characters, images = 1, start, 0
    for group in groups:
        sizes = (len(group.units), group.length(), sum(len(name) + 1 for name in group.images))
        if 1 + sizes[0] > limits.builds or start + sizes[1] > limits.characters or sizes[2] > limits.variable:
            raise UsageError(
                f"list {group.name}: {sizes[0]} units are more than one batch of CodeBuild takes",
                remedy="Choose fewer units of it, or release it on one machine: make release",
            )
        if part and (
            builds + sizes[0] > limits.builds
            or characters + sizes[1] > limits.characters
            or images + sizes[2] > limits.variable
        ):
            yield tuple(part)
            part, builds, characters, images = [], 1, start, 0
        part.append(group)
        builds, characters, images = builds + sizes[0], characters + sizes[1], images + sizes[2]
    if part:
        yield tuple(part)


def _identifiers(units: Iterable[str]) -> dict[str, str]:
    """Each unit's name in a batch, no two alike."""
    names: dict[str, str] = {}
    taken = {PUBLISH}
    for unit in units:
        name = _FOREIGN.sub("_", unit)
        if name in taken or len(name) > _IDENTIFIER_LENGTH:
            mark = hashlib.sha256(unit.encode()).hexdigest()[:8]
            name = f"{name[: _IDENTIFIER_LENGTH - 9]}_{mark}"
        taken.add(name)
        names[unit] = name
    return names
