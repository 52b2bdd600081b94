"""A release that ends in the middle, at every event of its journal, and is gone on with."""

import threading
from pathlib import Path

import pytest

from tests.fakes import MemoryRegistry, Request
from tests.projects import AMD64, ARM64
from tests.releases import BOTH, LIST, PYTORCH, House
from toolkit.errors import Conflict, RegistryTrouble
from toolkit.journal import Event, Verified
from toolkit.oci import Digest, MediaType, make_index
from toolkit.publish import publish_index


class Killed(BaseException):
    """What SIGKILL is to a test without processes."""


class After:
    """Kills once the journal has had `count` events."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self, event: Event) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


@pytest.fixture
def whole(tmp_path: Path) -> House:
    """A release that nobody killed."""
    house = House(tmp_path / "whole")
    assert not house.release(*BOTH, jobs=1).failures
    return house


def kill(house: House, point: int) -> None:
    """Release until the journal has had so many events. A thread is not killed with it: it is waited for."""
    house.journal.before = After(point)
    with pytest.raises(Killed):
        house.release(*BOTH, jobs=1)
    for thread in threading.enumerate():
        if thread.name.startswith("unit"):
            thread.join()


def test_killed_before_any_event_and_gone_on_with_it_ends_as_if_it_never_was(
    tmp_path: Path, whole: House
) -> None:
    count = len(whole.journal.events) - 1
    assert count > 10
    for point in range(count):
        house = House(tmp_path / str(point))
        kill(house, point)
        built = [event.identifier for event in house.journal.events if isinstance(event, Verified)]
        house.journal.before = lambda event: None
        house.builder.built.clear()
        outcome = house.release(*BOTH, jobs=1, resume=True)
        assert not outcome.failures
        assert house.registry.tags == whole.registry.tags, f"after {point} events"
        assert set(house.builder.built) == set(BOTH) - set(built)
        assert all(each.built for each in outcome.finished)
        assert all(each.durations["build"] >= 0 for each in outcome.finished)


def test_at_every_event_the_public_tags_are_none_or_all(tmp_path: Path, whole: House) -> None:
    for point in range(len(whole.journal.events) - 1):
        house = House(tmp_path / str(point))
        kill(house, point)
        if LIST in house.public_tags():
            assert house.index() == whole.index()


@pytest.fixture
def cut_off(tmp_path: Path) -> House:
    """Both images are built and verified, and nothing is in the registry."""
    house = House(tmp_path / "cut-off")

    def down(request: Request) -> None:
        if request[0] == "upload_blob":
            raise RegistryTrouble("the registry is gone")

    house.registry.before = down
    assert set(house.release(*BOTH).failures) == set(BOTH)
    house.registry.before = lambda request: None
    house.builder.built.clear()
    return house


def test_what_was_verified_is_pushed_and_not_built_again(cut_off: House) -> None:
    outcome = cut_off.release(*BOTH, resume=True)
    assert not outcome.failures
    assert cut_off.builder.built == []
    assert LIST in cut_off.public_tags()


def layer_of(house: House, identifier: str) -> Path:
    blobs = house.directory / "layouts" / identifier / "blobs" / "sha256"
    return max(blobs.iterdir(), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "no layout"])
def test_a_layout_that_is_not_what_was_verified_is_built_again(cut_off: House, damage: str) -> None:
    path = layer_of(cut_off, ARM64)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    match damage:
        case "flipped":
            path.write_bytes(content)
        case "cut":
            path.write_bytes(content[:-1])
        case "gone":
            path.unlink()
        case _:
            (cut_off.directory / "layouts" / ARM64 / "index.json").unlink()
    outcome = cut_off.release(*BOTH, resume=True)
    assert not outcome.failures
    assert cut_off.builder.built == [ARM64]
    assert any("it is built again" in event.text for event in cut_off.events)


def test_a_layout_with_another_image_is_built_again(cut_off: House) -> None:
    layouts = cut_off.directory / "layouts"
    (layouts / ARM64).rename(layouts / "aside")
    (layouts / AMD64).rename(layouts / ARM64)
    (layouts / "aside").rename(layouts / AMD64)
    assert not cut_off.release(*BOTH, resume=True).failures
    assert set(cut_off.builder.built) == set(BOTH)


def another_list(house: House, registry: MemoryRegistry) -> Digest:
    """Someone else puts a list of one platform under the tag."""
    index = house.index()
    arm = tuple(child for child in index.manifests if child.platform and "arm64" in str(child.platform))
    put = publish_index(
        make_index(arm, MediaType(index.media_type)),
        required=[],
        registry=registry,
        repository=PYTORCH,
        tag=LIST,
        may_drop=frozenset(index.platforms),
    )
    return put.digest


def test_a_list_that_someone_else_moved_since_the_plan_is_left_to_them(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.release(*BOTH)
    house.change_sources()
    theirs: list[Digest] = []
    before = dict(house.registry.tags[PYTORCH])

    def meanwhile(identifier: str) -> None:
        if not theirs:
            theirs.append(another_list(house, house.registry))

    house.builder.during = meanwhile
    outcome = house.release(*BOTH)
    (error,) = outcome.failures.values()
    assert isinstance(error, Conflict)
    assert theirs[0] in error.message and "someone else" in error.message
    assert house.registry.tags[PYTORCH][LIST] == theirs[0]
    unmoved = [f"{LIST}-{each}" for each in ("amd64", "arm64")]
    assert [house.registry.tags[PYTORCH][tag] for tag in unmoved] == [before[tag] for tag in unmoved]
    assert outcome.withheld == set(BOTH)
    again = house.release(*BOTH)
    assert not again.failures
    assert house.registry.tags[PYTORCH][LIST] == house.index().digest != theirs[0]


def test_a_list_that_someone_else_moved_after_it_was_put_is_told_at_the_end(tmp_path: Path) -> None:
    house = House(tmp_path)
    puts: list[Digest] = []

    def overtake(request: Request) -> None:
        """Their PUT comes after this release has read its own list back."""
        read = ("lookup_descriptor", PYTORCH, f"{LIST}-amd64")
        if request == read and LIST in house.registry.tags[PYTORCH] and not puts:
            puts.append(Digest.of(b""))
            puts.append(another_list(house, house.registry))

    house.registry.before = overtake
    outcome = house.release(*BOTH)
    (error,) = outcome.failures.values()
    assert isinstance(error, Conflict) and puts[1] in error.message
    assert outcome.lists == {} and outcome.withheld == set(BOTH)


def test_tags_that_two_releases_put_in_turns_are_those_of_the_list_that_stands(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.release(*BOTH)
    old = dict(house.registry.tags[PYTORCH])
    house.change_sources()
    turns: list[str] = []

    def other(request: Request) -> None:
        """Another release, which lost, puts its tag of one platform behind this one's."""
        if request == ("put_manifest", PYTORCH, LIST):
            turns.append(request[2])
            house.registry.tags[PYTORCH][f"{LIST}-arm64"] = old[f"{LIST}-arm64"]

    house.registry.before = other
    outcome = house.release(*BOTH)
    assert turns and not outcome.failures
    listed = {child.digest for child in house.index().manifests}
    assert {house.registry.tags[PYTORCH][f"{LIST}-{each}"] for each in ("amd64", "arm64")} == listed


def test_who_lost_the_list_gives_back_the_tags_that_it_had_put_already(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.release(*BOTH)
    old = dict(house.registry.tags[PYTORCH])
    house.change_sources()
    theirs: list[Digest] = []

    def overtake(request: Request) -> None:
        """Their list, of one old image, comes between this release's tags and its list."""
        if request == ("put_manifest", PYTORCH, f"{LIST}-arm64") and not theirs:
            theirs.append(Digest.of(b""))
            theirs.append(another_list(house, house.registry))

    house.registry.before = overtake
    (error,) = house.release(*BOTH).failures.values()
    assert isinstance(error, Conflict) and theirs[1] in error.message
    assert house.registry.tags[PYTORCH][LIST] == theirs[1]
    assert house.registry.tags[PYTORCH][f"{LIST}-arm64"] == old[f"{LIST}-arm64"]
