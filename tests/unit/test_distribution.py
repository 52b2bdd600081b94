"""From the home registry to further regions: whole, list last, and told when it is not there."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes import MemoryRegistry, Request
from tests.projects import AMD64, ARM64, units
from tests.releases import BOTH, LIST, NOON, PYTORCH, House
from toolkit.comparison import compare_releases
from toolkit.distribution import Distribution, Region, distribute, is_distributed, with_copies
from toolkit.errors import Conflict, ExitCode, RegistryTrouble, RegistryUnavailable, worst
from toolkit.oci import Index
from toolkit.progress import Event, Kind
from toolkit.publish import Step, TagMoving, publish_image, publish_index
from toolkit.record import ReleaseRecord
from toolkit.recording import Circumstances, record_of
from toolkit.resolve import Request as Question
from toolkit.resolve import lookup_released
from toolkit.rollback import plan_rollback, rolled_back
from toolkit.support import known_ends, supports_of
from toolkit.tables import FORMATS

ACCOUNT = "123456789012"
HOME, EUROPE, CHINA = (
    f"{ACCOUNT}.dkr.ecr.{place}"
    for place in (
        "us-west-2.amazonaws.com",
        "eu-central-1.amazonaws.com",
        "cn-north-1.amazonaws.com.cn",
    )
)


class World:
    """A home registry with a release, and further ones."""

    def __init__(self, directory: Path) -> None:
        self.house = House(directory, registry=MemoryRegistry(HOME), prefix="ml")
        self.europe, self.china = MemoryRegistry(EUROPE), MemoryRegistry(CHINA)
        self.replicates = False
        self.events: list[Event] = []
        self.steps: list[Step] = []
        self.hour = 0

    @property
    def regions(self) -> tuple[Region, Region]:
        return tuple(  # type: ignore[return-value]
            Region(
                name=registry.host.split(".")[3],
                registry=registry,
                replicates=lambda repository: self.replicates,
            )
            for registry in (self.europe, self.china)
        )

    def released(self, *identifiers: str, before: ReleaseRecord | None = None) -> ReleaseRecord:
        """The record of the home registry."""
        outcome = self.house.release(*(identifiers or BOTH))
        assert not outcome.failures
        self.hour += 1
        began = NOON + timedelta(hours=self.hour)
        circumstances = Circumstances(
            to=self.house.to,
            before=before,
            known=supports_of(units(), known_ends(), on=began.date()),
            release=f"{began:%Y%m%dT%H%M%SZ}-12345678",
            began=began,
            toolkit="0.1.0",
        )
        return record_of(outcome, circumstances)

    def distribute(
        self,
        record: ReleaseRecord,
        *,
        before: ReleaseRecord | None = None,
        turns: Iterator[None] | None = None,
    ) -> Distribution:
        return distribute(
            record,
            self.regions,
            home=self.house.to,
            before=before,
            turns=turns or iter(()),
            report=self.events.append,
            observe=self.steps.append,
        )

    def texts(self, kind: Kind) -> list[str]:
        return [event.text for event in self.events if event.kind is kind]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def trouble(where: str, error: Exception) -> Callable[[Request], None]:
    def before(request: Request) -> None:
        if request[0] == where:
            raise error

    return before


def puts(registry: MemoryRegistry) -> list[str]:
    return [subject for _, _, subject in registry.made("put_manifest")]


def test_every_region_gets_images_by_digest_then_their_tags_and_the_list_last(world: World) -> None:
    done = world.distribute(world.released())
    assert not done.failures
    for registry in (world.europe, world.china):
        digests, tags, top = puts(registry)[:2], puts(registry)[2:4], puts(registry)[4:]
        assert all(digest.startswith("sha256:") for digest in digests)
        assert (tags, top) == ([f"{LIST}-amd64", f"{LIST}-arm64"], [LIST])
        assert registry.tags[f"ml/{PYTORCH}"] == {
            tag: digest
            for tag, digest in world.house.registry.tags[f"ml/{PYTORCH}"].items()
            if not tag.startswith("b-")
        }
        assert not registry.made("mount_blob")


def test_rows_are_of_each_region_with_its_own_host_and_partition(world: World) -> None:
    record = world.distribute(world.released()).record
    assert [(each.identifier, each.region) for each in record.images] == [
        (identifier, region) for identifier in BOTH for region in ("us-west-2", "eu-central-1", "cn-north-1")
    ]
    home, _, china = (each for each in record.images if each.identifier == ARM64)
    assert (china.registry, china.account, china.repository) == (CHINA, ACCOUNT, f"ml/{PYTORCH}")
    assert china.uri == f"{CHINA}/ml/{PYTORCH}@{home.digest}"
    assert china.index_uri == f"{CHINA}/ml/{PYTORCH}@{home.index_digest}"
    assert (china.digest, china.index_digest, china.tag) == (home.digest, home.index_digest, home.tag)
    assert record.home == tuple(each for each in record.images if each.registry == HOME)
    assert ReleaseRecord.loads(record.dumps()) == record


def test_what_is_everywhere_costs_one_head_per_list_and_region(world: World) -> None:
    record = world.distribute(world.released()).record
    for registry in (world.europe, world.china):
        registry.requests.clear()
    assert is_distributed(record, world.regions)
    for registry in (world.europe, world.china):
        assert registry.requests == [("lookup_descriptor", f"ml/{PYTORCH}", LIST)]
    assert world.distribute(record, before=record).record == record
    assert puts(world.europe) == []


def test_a_record_without_a_region_and_one_with_too_many_are_not_done(world: World) -> None:
    alone = world.released()
    record = world.distribute(alone).record
    assert not is_distributed(alone, world.regions)
    assert not is_distributed(record, world.regions[:1])
    assert is_distributed(alone, ())
    assert with_copies(record, {}) == alone


def test_a_region_that_lost_its_list_or_does_not_answer_is_not_done(world: World) -> None:
    record = world.distribute(world.released()).record
    listed = world.europe.tags[f"ml/{PYTORCH}"].pop(LIST)
    assert not is_distributed(record, world.regions)
    world.europe.tags[f"ml/{PYTORCH}"][LIST] = listed
    assert is_distributed(record, world.regions)
    world.china.before = trouble("lookup_descriptor", RegistryUnavailable("gone"))
    assert not is_distributed(record, world.regions)


def test_a_region_that_does_not_answer_keeps_no_other_from_its_rows_and_the_next_run_ends_it(
    world: World,
) -> None:
    alone = world.released()
    world.europe.before = trouble("upload_blob", RegistryUnavailable("nobody answers"))
    done = world.distribute(alone)
    assert {each.region for each in done.record.images} == {"us-west-2", "cn-north-1"}
    assert list(done.failures) == ["eu-central-1"]
    assert worst(each.exit_code for each in done.failures.values()) is ExitCode.REGISTRY_TROUBLE
    assert LIST not in world.europe.tags[f"ml/{PYTORCH}"]

    world.europe.before = lambda request: None
    again = world.distribute(done.record, before=done.record)
    assert not again.failures
    assert {each.region for each in again.record.images} == {"us-west-2", "eu-central-1", "cn-north-1"}
    assert is_distributed(again.record, world.regions)


def test_a_list_that_is_refused_stops_no_other_list(world: World) -> None:
    everything = world.released(*(each.identifier for each in units()))
    world.europe.before = lambda request: (
        trouble("upload_blob", RegistryTrouble("refused"))(request) if PYTORCH in request[1] else None
    )
    done = world.distribute(everything)
    assert list(done.failures) == [f"{EUROPE}/ml/{PYTORCH}:{LIST}"]
    held = {each.repository for each in done.record.images if each.region == "eu-central-1"}
    assert held == {"ml/tensorflow-inference"}


def test_an_immutable_tag_of_another_image_leaves_the_regions_list_as_it_was(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = world.distribute(world.released()).record
    world.europe = kept = MemoryRegistry(EUROPE, is_immutable=lambda tag: tag.endswith("-amd64"))
    world.distribute(first)
    old = kept.tags[f"ml/{PYTORCH}"][LIST]
    world.house.change_sources()
    done = world.distribute(world.released(before=first), before=first)
    (error,) = done.failures.values()
    assert isinstance(error, Conflict)
    assert kept.tags[f"ml/{PYTORCH}"][LIST] == old
    assert {each.region for each in done.record.images} == {"us-west-2", "cn-north-1"}


def test_a_list_moves_in_each_region_and_old_rows_go(world: World) -> None:
    first = world.distribute(world.released()).record
    world.house.change_sources()
    second = world.distribute(world.released(before=first), before=first).record
    assert {each.index_digest for each in second.images} == {
        world.house.index(repository=f"ml/{PYTORCH}").digest
    }
    assert world.europe.tags[f"ml/{PYTORCH}"][LIST] == second.images[0].index_digest
    assert not {each.digest for each in first.images} & {each.digest for each in second.images}


def test_what_was_left_as_it_was_stays_with_its_regions_in_a_release_of_others(world: World) -> None:
    first = world.distribute(world.released()).record
    other = next(each.identifier for each in units() if each.identifier not in BOTH)
    mates = [each.identifier for each in units() if each.image_id == other.rpartition("-")[0]]
    alone = world.released(*mates, before=first)
    assert {each.registry for each in alone.images} == {HOME}
    for registry in (world.europe, world.china):
        registry.requests.clear()
    second = world.distribute(alone, before=first).record
    assert {each.region for each in second.images if each.identifier == ARM64} == {
        "us-west-2",
        "eu-central-1",
        "cn-north-1",
    }
    assert not any(PYTORCH in repository for _, repository, _ in world.europe.made("put_manifest"))


def test_what_no_longer_stands_at_home_is_brought_nowhere(world: World) -> None:
    record = world.released()
    world.house.change_sources()
    world.released()
    done = world.distribute(record)
    assert {each.region for each in done.record.images} == {"us-west-2"}
    assert not done.failures
    assert puts(world.europe) == []
    assert world.texts(Kind.WARNING)[0].startswith("not brought: at home this tag names sha256:")


def test_tags_are_told_before_they_move(world: World) -> None:
    world.distribute(world.released())
    moving = [each.reference for each in world.steps if isinstance(each, TagMoving)]
    assert f"{EUROPE}/ml/{PYTORCH}:{LIST}" in moving


def test_whenever_it_is_killed_a_region_has_the_old_or_the_new_list_and_the_next_run_ends_it(
    world: World,
) -> None:
    first = world.distribute(world.released()).record
    old, repository = first.images[0].index_digest, f"ml/{PYTORCH}"
    world.house.change_sources()
    alone = world.released(before=first)
    new = alone.images[0].index_digest
    aims = dict(world.europe.tags[repository])
    blobs, manifests = dict(world.europe.blobs[repository]), dict(world.europe.manifests[repository])
    seen, points = set(), 0
    while True:
        world.europe = MemoryRegistry(EUROPE)
        world.europe.blobs[repository], world.europe.manifests[repository] = dict(blobs), dict(manifests)
        world.europe.tags[repository] = dict(aims)
        left = iter([None] * points)

        def kill(request: Request, left: Iterator[None] = left) -> None:
            for _ in left:
                return
            raise KeyboardInterrupt

        world.europe.before = kill
        try:
            world.distribute(alone, before=first)
        except KeyboardInterrupt:
            is_over = False
        else:
            is_over = True
        world.europe.before = lambda request: None
        stands = world.europe.tags[repository][LIST]
        listed = world.europe.manifests[repository][stands]
        assert stands in (old, new)
        assert isinstance(listed, Index)
        assert all(child.digest in world.europe.manifests[repository] for child in listed.manifests)
        seen.add(stands)
        done = world.distribute(alone, before=first)
        assert not done.failures
        assert world.europe.tags[repository][LIST] == new
        assert len(done.record.images) == 6
        if is_over:
            break
        points += 1
    assert seen == {old, new}
    assert points > 20


# --- replication


def replicate(world: World, registry: MemoryRegistry, *tags: str) -> None:
    """What the service does: the images, then `tags`."""
    source, repository = world.house.to.images(f"ml/{PYTORCH}"), f"ml/{PYTORCH}"
    index = world.house.index(repository=repository)
    for child in index.manifests:
        publish_image(source.get_manifest(child.digest), source, registry=registry, repository=repository)  # type: ignore[arg-type]
    registry.manifests[repository][index.digest] = index
    registry.tags[repository].update({tag: world.house.registry.tags[repository][tag] for tag in tags})


def test_replication_is_waited_for_and_nothing_is_sent(world: World) -> None:
    record = world.released()
    world.replicates = True
    seen = []

    def turns() -> Iterator[None]:
        for tags in ((LIST,), (f"{LIST}-amd64",), (f"{LIST}-arm64",)):
            for registry in (world.europe, world.china):
                replicate(world, registry, *tags)
                registry.requests.clear()
            seen.append(tags)
            yield

    done = world.distribute(record, turns=turns())
    assert len(seen) == 3  # a list before the tags of its platforms is not all of it
    assert len(done.record.images) == 6
    assert puts(world.europe) == puts(world.china) == []
    assert world.texts(Kind.NOTE) == [
        "waiting for replication: 1 to come",
        "replication brought 1, 0 to come",
    ]


def test_what_replication_does_not_bring_in_time_is_sent(world: World) -> None:
    world.replicates = True
    done = world.distribute(world.released(), turns=iter([None, None]))
    assert len(done.record.images) == 6
    assert puts(world.europe)[-1] == LIST
    assert "replication did not bring 1 in time: sent from here" in world.texts(Kind.NOTE)


def test_nobody_waits_for_what_was_pushed_before(world: World) -> None:
    alone = world.released()
    world.replicates = True

    def never() -> Iterator[None]:
        raise AssertionError("replication takes what is pushed, not what is there")
        yield

    assert len(world.distribute(alone, before=alone, turns=never()).record.images) == 6


def test_a_list_without_one_of_its_images_is_not_there(world: World) -> None:
    record = world.released()
    replicate(world, world.europe, LIST, f"{LIST}-amd64", f"{LIST}-arm64")
    del world.europe.manifests[f"ml/{PYTORCH}"][record.images[0].digest]
    del world.europe.tags[f"ml/{PYTORCH}"][record.images[0].tag]
    assert not world.distribute(record).failures
    assert record.images[0].digest in world.europe.manifests[f"ml/{PYTORCH}"]


# --- whoever reads a record with several rows of one identifier


def test_a_region_that_joined_is_no_change_of_images(world: World) -> None:
    alone = world.released()
    change = compare_releases(alone, world.distribute(alone).record)
    assert (change.added, change.changed, change.gone, change.same) == ((), (), (), 2)


def test_going_back_is_planned_from_home_and_brought_to_the_regions(world: World) -> None:
    first = world.distribute(world.released()).record
    world.house.change_sources()
    second = world.distribute(world.released(before=first), before=first).record
    plan = plan_rollback(first, world.house.registry)
    (move,) = plan.lists
    publish_index(
        move.index,
        required=move.index.platforms,
        registry=world.house.registry,
        repository=f"ml/{PYTORCH}",
        tag=LIST,
    )
    record = rolled_back(plan, (), newest=second, began=NOON + timedelta(hours=9), toolkit="0.1.0")
    assert record.images == first.home
    assert world.distribute(record, before=record).record.images == first.images
    assert world.europe.tags[f"ml/{PYTORCH}"][LIST] == move.index.digest


def test_a_question_is_answered_from_its_region_and_without_one_from_home(world: World) -> None:
    record = world.distribute(world.released()).record
    question = Question(framework="pytorch", region="", instance_type="ml.c7g.xlarge")
    for region, host in (("", HOME), ("eu-central-1", EUROPE), ("cn-north-1", CHINA)):
        found = lookup_released(replace(question, region=region), record)
        assert found
        assert (found.registry, found.identifier) == (host, ARM64)


def test_tables_have_a_row_per_region_and_no_name_twice(world: World) -> None:
    record = ReleaseRecord.loads(world.distribute(world.released()).record.dumps())
    assert FORMATS["csv"].write(record).count("eu-central-1.amazonaws.com/ml/") == 4  # uri, index_uri
    assert f'"{AMD64}" = {{' in FORMATS["tfvars"].write(record)
    assert f'"{AMD64}@cn-north-1" = {{' in FORMATS["tfvars"].write(record)
    names = [line for line in FORMATS["ssm"].write(record).splitlines() if '"Name"' in line]
    assert len(names) == len(set(names)) == 6
    assert HOME in FORMATS["kustomize"].write(record)
    assert EUROPE not in FORMATS["kustomize"].write(record)
    assert len(FORMATS["kustomize"].left_out(record)) == 4
    assert FORMATS["html"].write(record).count(f"Copy the URI of {AMD64} in eu-central-1") == 1
    assert " in us-west-2" not in FORMATS["html"].write(with_copies(record, {}))
    for name in ("md", "html", "sagemaker-config"):
        for text in ("us-west-2", "eu-central-1", "cn-north-1"):
            assert text in FORMATS[name].write(record), name
