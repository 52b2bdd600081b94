"""Back to an earlier release: everything is looked for first, lists go back in their own bytes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes import MemoryRegistry
from tests.projects import AMD64, ARM64, units
from tests.releases import BOTH, LIST, NOON, PYTORCH, House
from toolkit.errors import Conflict, ToolkitError
from toolkit.oci import Index, Manifest, MediaType, Platform, make_index
from toolkit.progress import Event, Kind
from toolkit.publish import publish_index
from toolkit.record import ReleaseRecord
from toolkit.recording import Circumstances, record_of
from toolkit.rollback import ReleaseIncomplete, carry_out_rollback, plan_rollback, rolled_back
from toolkit.support import known_ends, supports_of

KEY = (PYTORCH, LIST)


def released(
    house: House, *identifiers: str, before: ReleaseRecord | None = None, hour: int = 0
) -> ReleaseRecord:
    """A release and its record."""
    outcome = house.release(*identifiers)
    assert not outcome.failures
    began = NOON + timedelta(hours=hour)
    return record_of(
        outcome,
        Circumstances(
            to=house.to,
            before=before,
            known=supports_of(units(house.catalog), known_ends(), on=began.date()),
            release=f"{began:%Y%m%dT%H%M%SZ}-12345678",
            began=began,
            toolkit="0.1.0",
            warnings=(),
        ),
    )


class Two:
    """Two releases, of which the second moved the list of the first."""

    def __init__(self, directory: Path, registry: MemoryRegistry | None = None) -> None:
        self.house = House(directory, registry=registry or MemoryRegistry())
        self.first = released(self.house, *BOTH)
        self.old = self.house.index()
        self.house.change_sources()
        self.second = released(self.house, *BOTH, before=self.first, hour=1)
        self.new = self.house.index()
        assert self.old.digest != self.new.digest

    @property
    def registry(self) -> MemoryRegistry:
        return self.house.registry

    def back(self, *, may_drop: frozenset[Platform] = frozenset()) -> dict[tuple[str, str], ToolkitError]:
        self.events: list[Event] = []
        plan = plan_rollback(self.first, self.registry)
        return dict(
            carry_out_rollback(plan, registry=self.registry, may_drop=may_drop, report=self.events.append)
        )


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def test_the_list_is_put_back_byte_for_byte_and_the_tags_of_its_platforms_follow(two: Two) -> None:
    assert two.back() == {}
    assert two.house.index().raw == two.old.raw
    tags = two.registry.tags[PYTORCH]
    assert {tags[f"{LIST}-amd64"], tags[f"{LIST}-arm64"]} == {each.digest for each in two.old.manifests}


def test_planning_moves_nothing_and_says_what_stands(two: Two) -> None:
    puts = len(two.house.puts())
    (move,) = plan_rollback(two.first, two.registry).lists
    assert (move.key, move.stands, move.index.digest) == (KEY, two.new.digest, two.old.digest)
    assert len(two.house.puts()) == puts


def test_a_release_that_stands_is_not_moved(two: Two) -> None:
    plan = plan_rollback(two.second, two.registry)
    assert (len(plan.lists), plan.to_move) == (1, ())


def test_everything_that_is_gone_is_told_at_once_and_nothing_is_moved(two: Two) -> None:
    amd64, arm64 = (two.registry.manifests[PYTORCH][child.digest] for child in two.old.manifests)
    assert isinstance(amd64, Manifest)
    del two.registry.blobs[PYTORCH][amd64.config.digest]
    del two.registry.manifests[PYTORCH][arm64.digest]
    with pytest.raises(ReleaseIncomplete) as raised:
        two.back()
    assert amd64.config.digest in raised.value.message
    assert arm64.digest in raised.value.message
    assert two.house.index().digest == two.new.digest


def test_a_list_that_is_gone_is_told(two: Two) -> None:
    del two.registry.manifests[PYTORCH][two.old.digest]
    with pytest.raises(ReleaseIncomplete, match=two.old.digest):
        two.back()


def test_a_list_that_someone_moves_meanwhile_is_left_to_them(two: Two) -> None:
    plan = plan_rollback(two.first, two.registry)
    theirs = make_index(two.new.manifests[:1], MediaType.DOCKER_LIST)
    publish_index(
        theirs, required=[], registry=two.registry, repository=PYTORCH, tag=LIST,
        may_drop=frozenset(two.new.platforms),
    )  # fmt: skip
    failures = carry_out_rollback(
        plan, registry=two.registry, may_drop=frozenset(), report=lambda event: None
    )
    assert isinstance(failures[KEY], Conflict)
    assert two.house.index().digest == theirs.digest


def test_a_list_never_loses_a_platform_unless_it_is_said(tmp_path: Path) -> None:
    house = House(tmp_path)
    first = released(house, *BOTH)
    one = make_index(house.index().manifests[:1], MediaType.DOCKER_LIST)
    house.registry.manifests[PYTORCH][one.digest] = one
    only_amd64 = replace(first, images=tuple(replace(each, index_digest=one.digest) for each in first.images))
    plan = plan_rollback(only_amd64, house.registry)
    failures = carry_out_rollback(
        plan, registry=house.registry, may_drop=frozenset(), report=lambda event: None
    )
    assert "--allow-drop-platform linux/arm64" in str(failures[KEY])
    dropped = frozenset({Platform("linux", "arm64")})
    assert not carry_out_rollback(plan, registry=house.registry, may_drop=dropped, report=lambda event: None)
    assert house.index().digest == one.digest


def test_immutable_tags_of_platforms_stay_and_the_list_goes_back(tmp_path: Path) -> None:
    two = Two(tmp_path)
    frozen = MemoryRegistry(is_immutable=lambda tag: tag.endswith(("-amd64", "-arm64")))
    frozen.blobs, frozen.manifests, frozen.tags = (
        two.registry.blobs,
        two.registry.manifests,
        two.registry.tags,
    )
    plan = plan_rollback(two.first, frozen)
    events: list[Event] = []
    assert not carry_out_rollback(plan, registry=frozen, may_drop=frozenset(), report=events.append)
    assert frozen.tags[PYTORCH][LIST] == two.old.digest
    assert frozen.tags[PYTORCH][f"{LIST}-arm64"] in {each.digest for each in two.new.manifests}
    assert [event.kind for event in events] == [Kind.FINISHED, Kind.NOTE]


def test_the_record_has_the_images_of_then_and_those_that_came_later(two: Two) -> None:
    house = two.house
    third = released(house, before=two.second, hour=2)
    later = {image.identifier for image in third.images} - {AMD64, ARM64}
    assert later
    plan = plan_rollback(two.first, house.registry)
    began = datetime(2026, 11, 22, tzinfo=UTC)
    record = rolled_back(plan, (), newest=third, began=began, toolkit="0.1.0")
    assert record.release.startswith("20261122T000000Z-")
    assert record.warnings == (f"rolled back to release {two.first.release}",)
    assert {image.identifier for image in record.images} == {AMD64, ARM64, *later}
    then = {image.identifier: image.digest for image in two.first.images}
    assert {image.identifier: image.digest for image in record.images if image.identifier in then} == then
    assert ReleaseRecord.loads(record.dumps()) == record


def test_a_list_that_was_not_moved_stands_in_the_record_as_it_stands(two: Two) -> None:
    plan = plan_rollback(two.first, two.registry)
    record = rolled_back(
        plan, [KEY], newest=two.second, began=datetime(2026, 11, 22, tzinfo=UTC), toolkit="0.1.0"
    )
    assert record.images == two.second.images


def test_a_list_is_put_in_bytes_that_this_toolkit_would_not_write(tmp_path: Path) -> None:
    """Another tool's spelling, or an older version's: its digest is what deployers know."""
    two = Two(tmp_path)
    spaced = two.old.raw.replace(b'{"schemaVersion":2', b'{ "schemaVersion": 2')
    foreign = Index(raw=spaced, media_type=two.old.media_type, manifests=two.old.manifests)
    two.registry.manifests[PYTORCH][foreign.digest] = foreign
    two.first = replace(
        two.first, images=tuple(replace(each, index_digest=foreign.digest) for each in two.first.images)
    )
    assert two.back() == {}
    assert two.house.index().raw == spaced
