"""What the registry has → what is to be done, and why."""

from collections.abc import Mapping, Sequence

import pytest

from tests.projects import AMD64, ARM64, digest, rendered, unit, units
from toolkit import tags
from toolkit.oci import Descriptor, MediaType, Platform
from toolkit.plan import (
    Action,
    Observed,
    Plan,
    decide,
    expected_index,
    index_media_type,
    lists_of,
    unasked,
    wanted_tags,
)
from toolkit.render import RenderedUnit

BOTH = (rendered(unit(AMD64)), rendered(unit(ARM64)))
REPOSITORY, LIST = "pytorch-inference", "1.12.1-cpu-py39-debian11-sagemaker"
IMAGES = {
    each.unit.identifier: Descriptor(
        media_type=MediaType.DOCKER_MANIFEST, digest=digest(number), size=1000 + number
    )
    for number, each in enumerate(BOTH)
}


def the_list(images: Mapping[str, Descriptor] = IMAGES) -> Descriptor:
    index = expected_index(BOTH, images)
    assert index is not None
    return index.descriptor


def plan_for(
    *,
    published: Sequence[str] = (),
    listed: Descriptor | None = None,
    selected: Sequence[RenderedUnit] = BOTH,
    inputs: Mapping[str, Mapping[str, str]] | None = None,
) -> Plan:
    """`published` are the identifiers whose build tag answers, `listed` what the list's tag names."""
    descriptors: dict[tuple[str, str], Descriptor | None] = {
        (REPOSITORY, tags.build_tag(each.build_id)): (
            IMAGES[each.unit.identifier] if each.unit.identifier in published else None
        )
        for each in BOTH
    }
    return decide(
        selected, BOTH, Observed(descriptors={**descriptors, (REPOSITORY, LIST): listed}, inputs=inputs or {})
    )


def decisions(plan: Plan) -> list[tuple[Action, str]]:
    return [(each.action, each.why) for each in plan.units]


def test_where_nothing_is_published_everything_is_built() -> None:
    plan = plan_for()
    assert decisions(plan) == [
        (Action.BUILD, "not published yet"),
        (Action.BUILD, "not published yet"),
    ]
    assert [each.identifier for each in plan.to_build] == [AMD64, ARM64]
    assert not plan.is_done


def test_what_is_published_behind_its_list_is_reused() -> None:
    plan = plan_for(published=[AMD64, ARM64], listed=the_list())
    assert decisions(plan) == [(Action.REUSE, "published")] * 2
    assert plan.is_done
    assert plan.to_build == ()


def test_a_changed_input_is_named_as_the_reason() -> None:
    before = {**BOTH[1].inputs, "base": "sha256:old", "file serve": "old"}
    plan = plan_for(published=[AMD64], listed=digest_only(7), inputs={ARM64: before})
    assert decisions(plan)[1] == (Action.BUILD, "changed: base, file serve")


def test_of_many_changed_files_the_reason_has_the_number() -> None:
    before = {**BOTH[1].inputs, "base": "sha256:old", **{f"file serving/{n}.py": "old" for n in range(3)}}
    plan = plan_for(published=[AMD64], listed=digest_only(7), inputs={ARM64: before})
    assert decisions(plan)[1] == (Action.BUILD, "changed: base, 3 files")


def test_an_image_whose_build_tag_was_deleted_is_built_again() -> None:
    plan = plan_for(inputs={ARM64: BOTH[1].inputs})
    assert decisions(plan)[1] == (Action.BUILD, "its build tag is gone")


def test_images_without_their_list_get_one_without_a_build() -> None:
    plan = plan_for(published=[AMD64, ARM64])
    assert decisions(plan) == [(Action.RETAG, "published, but there is no list yet")] * 2
    assert plan.to_build == ()
    assert not plan.is_done


def test_a_list_of_other_images_is_put_anew_without_a_build() -> None:
    plan = plan_for(published=[AMD64, ARM64], listed=digest_only(8))
    assert decisions(plan) == [(Action.RETAG, "published, but the list has other images")] * 2
    assert plan.lists[0].present == digest_only(8)
    assert not plan.lists[0].complete


def test_a_list_is_not_complete_while_one_of_its_images_is_to_be_built() -> None:
    plan = plan_for(published=[AMD64], listed=the_list())
    assert [each.action for each in plan.units] == [Action.RETAG, Action.BUILD]


def test_a_selected_unit_alone_is_judged_with_its_sibling_in_view() -> None:
    done = plan_for(selected=BOTH[1:], published=[AMD64, ARM64], listed=the_list())
    assert [each.identifier for each in done.units] == [ARM64]
    assert done.is_done
    assert done.lists[0].required == (Platform("linux", "amd64"), Platform("linux", "arm64"))
    missing_sibling = plan_for(selected=BOTH[1:], published=[ARM64])
    assert decisions(missing_sibling) == [(Action.RETAG, "published, but there is no list yet")]


def test_every_unit_and_every_list_is_asked_for_once() -> None:
    every = [rendered(each) for each in units()]
    wanted = wanted_tags(every)
    assert len(wanted) == len(set(wanted)) == 6 + 3
    assert (REPOSITORY, LIST) in wanted
    assert (REPOSITORY, tags.build_tag(BOTH[0].build_id)) in wanted


def test_lists_are_grouped_by_repository_and_tag_in_one_order() -> None:
    every = [rendered(each) for each in reversed(units())]
    assert {
        key: [each.unit.architecture.value for each in group] for key, group in lists_of(every).items()
    } == {
        (REPOSITORY, LIST): ["arm64", "amd64"],
        ("tensorflow-inference", "2.9.1-cpu-py39-debian11-eks"): ["arm64", "amd64"],
        ("tensorflow-inference", "2.9.1-cpu-py39-debian11-sagemaker"): ["arm64", "amd64"],
    }
    assert list(lists_of(every)) == sorted(lists_of(every))


def test_a_list_follows_from_its_images_whatever_the_order() -> None:
    first, again = expected_index(BOTH, IMAGES), expected_index(BOTH[::-1], IMAGES)
    assert first is not None
    assert again is not None
    assert first.raw == again.raw
    assert [str(child.platform) for child in first.manifests] == ["linux/amd64", "linux/arm64"]


@pytest.mark.parametrize("missing", [AMD64, ARM64])
def test_there_is_no_list_while_an_image_is_missing(missing: str) -> None:
    assert expected_index(BOTH, {name: each for name, each in IMAGES.items() if name != missing}) is None


def test_the_consumer_decides_the_lists_media_type() -> None:
    eks = rendered(unit("tensorflow-2.9.1-cpu-py39-debian11-eks-arm64"))
    assert index_media_type(BOTH[0]) is MediaType.DOCKER_LIST
    assert index_media_type(eks) is MediaType.OCI_INDEX


def test_a_plan_of_a_registry_that_was_not_asked_builds_everything_and_says_so() -> None:
    plan = decide(BOTH, BOTH, unasked(BOTH))
    assert decisions(plan) == [(Action.BUILD, "the registry was not asked")] * 2
    assert not plan.lists[0].complete


def digest_only(number: int) -> Descriptor:
    return Descriptor(media_type=MediaType.DOCKER_LIST, digest=digest(number), size=500)
