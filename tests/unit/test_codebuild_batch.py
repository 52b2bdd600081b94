"""Plan → batches of CodeBuild: what is built where, what waits for what, and what one batch takes."""

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
import yaml
from botocore.loaders import Loader
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.projects import AMD64, ARM64, BASES, PYTORCH, TENSORFLOW, digest, rendered, units
from tests.records import image, record
from toolkit import tags
from toolkit.codebuild.batch import Batch, Limits, Told, batches
from toolkit.codebuild.machines import COMPUTES, ENVIRONMENTS, compute_for
from toolkit.errors import UsageError
from toolkit.oci import Descriptor, MediaType
from toolkit.plan import Observed, Plan, decide, expected_index, unasked
from toolkit.record import PublishedImage

HERE = {"REGISTRY": "registry.example/ml"}
TOLD = Told(building=HERE, publishing=HERE)
MODEL = Loader().load_service_model("codebuild", "service-2")["shapes"]
GROUPS = '[groups]\ndefault = ["*"]\n'
EVERYTHING = tuple(rendered(each) for each in units(GROUPS + BASES + PYTORCH + TENSORFLOW))


def plan(chosen: Sequence[str] = (), published: Sequence[str] = (), *, listed: bool = False) -> Plan:
    """Of all units but those not `chosen`; `published` are identifiers, `listed` whether their lists are."""
    found = {
        each.unit.identifier: Descriptor(media_type=MediaType.DOCKER_MANIFEST, digest=digest(number), size=1)
        for number, each in enumerate(EVERYTHING)
    }
    there: dict[tuple[str, str], Descriptor | None] = {
        (each.unit.repository, tags.build_tag(each.build_id)): found[each.unit.identifier]
        for each in EVERYTHING
        if each.unit.identifier in published
    }
    descriptors = dict(unasked(EVERYTHING).descriptors) | there
    for key in {each.unit.list_key for each in EVERYTHING} if listed else ():
        members = [each for each in EVERYTHING if each.unit.list_key == key]
        index = expected_index(members, found)
        assert index
        descriptors[key] = index.descriptor
    wanted = [each for each in EVERYTHING if not chosen or each.unit.identifier in chosen]
    lists = {each.unit.list_key for each in wanted}
    every = [each for each in EVERYTHING if each.unit.list_key in lists]
    return decide(wanted, every, Observed(descriptors=descriptors))


def batch(found: Plan, *last: PublishedImage, told: Told = TOLD) -> Batch:
    (only,) = batches(found, before=record(*last) if last else None, told=told)
    return only


def graph(found: Batch) -> list[dict[str, object]]:
    read: dict[str, dict[str, list[dict[str, object]]]] = yaml.safe_load(found.text)
    return read["batch"]["build-graph"]


def test_each_unit_is_built_on_its_own_architecture_and_publishing_waits_for_all() -> None:
    last = image(AMD64, unpacked_size=7_000_000_000)
    assert (
        batch(plan((AMD64, ARM64)), last).text
        == """\
version: 0.2
batch:
  fast-fail: false
  build-graph:
  - identifier: pytorch_1_12_1_cpu_py39_debian11_sagemaker_amd64
    buildspec: buildspecs/build.yml
    env:
      type: LINUX_CONTAINER
      compute-type: BUILD_GENERAL1_LARGE
      privileged-mode: true
      variables:
        IMAGES: pytorch-1.12.1-cpu-py39-debian11-sagemaker-amd64
        REGISTRY: registry.example/ml
    ignore-failure: true
  - identifier: pytorch_1_12_1_cpu_py39_debian11_sagemaker_arm64
    buildspec: buildspecs/build.yml
    env:
      type: ARM_CONTAINER
      compute-type: BUILD_GENERAL1_MEDIUM
      privileged-mode: true
      variables:
        IMAGES: pytorch-1.12.1-cpu-py39-debian11-sagemaker-arm64
        REGISTRY: registry.example/ml
    ignore-failure: true
  - identifier: publish
    buildspec: buildspecs/publish.yml
    env:
      type: ARM_CONTAINER
      compute-type: BUILD_GENERAL1_SMALL
      privileged-mode: false
      variables:
        IMAGES: pytorch-1.12.1-cpu-py39-debian11-sagemaker
        REGISTRY: registry.example/ml
    ignore-failure: false
    depend-on:
    - pytorch_1_12_1_cpu_py39_debian11_sagemaker_amd64
    - pytorch_1_12_1_cpu_py39_debian11_sagemaker_arm64
"""
    )


def test_what_is_there_already_is_published_but_not_built_again() -> None:
    found = batch(plan((AMD64, ARM64), published=[AMD64]))
    assert [each.variables["IMAGES"] for each in found.units] == [ARM64]
    assert found.publish.variables["IMAGES"] == AMD64.removesuffix("-amd64")


def test_a_list_that_is_as_it_should_be_is_left_alone() -> None:
    everything = [each.unit.identifier for each in EVERYTHING]
    done = plan(published=[each for each in everything if each != ARM64], listed=True)
    rows = [image(each.identifier, digest=each.published.digest) for each in done.units if each.published]
    found = batch(done, *rows)
    assert [each.variables["IMAGES"] for each in found.units] == [ARM64]
    assert found.publish.variables["IMAGES"] == AMD64.removesuffix("-amd64")


def test_what_is_published_and_in_no_record_is_published_into_one() -> None:
    everything = [each.unit.identifier for each in EVERYTHING]
    done = plan(published=everything, listed=True)
    rows = [
        image(each.identifier, digest=str(each.published and each.published.digest)) for each in done.units
    ]
    assert AMD64.removesuffix("-amd64") in batch(done, *rows).publish.variables["IMAGES"]
    assert len(batch(done, *rows).publish.variables["IMAGES"].split()) == len(done.lists)
    lacking = [each for each in rows if each.identifier != ARM64]
    assert batch(done, *lacking).publish.variables["IMAGES"] == AMD64.removesuffix("-amd64")


def test_images_without_their_lists_are_a_batch_that_only_publishes() -> None:
    found = batch(plan(published=[each.unit.identifier for each in EVERYTHING]))
    assert found.units == ()
    assert "depend-on" not in found.text


def test_publishing_is_told_no_more_than_was_asked_for() -> None:
    assert batch(plan([ARM64])).publish.variables["IMAGES"] == ARM64


def test_what_builds_are_told_publishing_need_not_know() -> None:
    found = batch(plan(), told=Told(building=HERE | {"ARGS": "--registry-cache steps"}, publishing=HERE))
    assert {each.variables["ARGS"] for each in found.units} == {"--registry-cache steps"}
    assert "ARGS" not in found.publish.variables


def test_the_failure_of_a_unit_leaves_the_verdict_to_publishing() -> None:
    found = batch(plan())
    assert all(each.ignore_failure for each in found.units)
    assert not found.publish.ignore_failure


def test_types_are_those_that_codebuild_has() -> None:
    for environment in ENVIRONMENTS.values():
        assert environment in MODEL["EnvironmentType"]["enum"]
    assert {each.name for each in COMPUTES} <= set(MODEL["ComputeType"]["enum"])


def test_larger_types_build_larger_images_and_have_room_for_them() -> None:
    for small, large in pairwise(COMPUTES):
        assert small.disk <= large.disk
        assert small.unpacked < large.unpacked
    assert all(3 * each.unpacked <= each.disk / 2 for each in COMPUTES)


@pytest.mark.parametrize(
    ("unpacked", "compute"),
    [(1, "SMALL"), (2, "SMALL"), (2.1, "MEDIUM"), (15, "LARGE"), (39, "XLARGE"), (500, "2XLARGE")],
)
def test_the_compute_type_follows_from_what_the_image_unpacked_to(unpacked: float, compute: str) -> None:
    last = image(ARM64, unpacked_size=int(unpacked * 1e9))
    assert compute_for(last).name == f"BUILD_GENERAL1_{compute}"


def test_an_image_that_was_never_built_gets_a_medium_machine() -> None:
    assert compute_for(None).name == "BUILD_GENERAL1_MEDIUM"


def many(versions: int, frameworks: int = 1) -> Plan:
    numbers = ", ".join(f'"1.{number}"' for number in range(versions))
    text = (
        GROUPS
        + BASES
        + "".join(
            PYTORCH.replace("pytorch-inference", f"pytorch{number}-inference")
            .replace('framework = "pytorch"', f'framework = "pytorch{number}"')
            .replace('"1.12.1"', numbers)
            for number in range(frameworks)
        )
    )
    every = [rendered(each) for each in units(text)]
    return decide(every, every, unasked(every))


def test_more_than_one_batch_takes_becomes_several() -> None:
    found = batches(many(120), before=None, told=TOLD)
    assert [len(each.units) for each in found] == [58, 58, 58, 58, 8]
    assert all(len(each.text) <= 25_600 for each in found)


def test_a_list_that_no_batch_takes_is_an_error_that_names_it() -> None:
    with pytest.raises(UsageError, match=r"list pytorch0-inference:1\.0-cpu.*more than one batch") as caught:
        batches(many(1), before=None, told=TOLD, limits=Limits(builds=2))
    assert "make release" in caught.value.remedy


@settings(max_examples=40, deadline=None)
@given(
    versions=st.integers(1, 12),
    frameworks=st.integers(1, 3),
    limits=st.builds(
        Limits, builds=st.integers(3, 20), characters=st.integers(2_600, 9_000), variable=st.integers(60, 400)
    ),
)
def test_however_it_is_split_each_unit_is_built_once_beside_its_sibling(
    versions: int, frameworks: int, limits: Limits
) -> None:
    wanted = many(versions, frameworks)
    found = batches(wanted, before=None, told=TOLD, limits=limits)
    built = [each.variables["IMAGES"] for one in found for each in one.units]
    assert sorted(built) == [each.identifier for each in wanted.units]
    for one in found:
        names = [each.identifier for each in one.builds]
        assert len(set(names)) == len(names) <= limits.builds
        assert all(re.fullmatch("[A-Za-z0-9_]{1,127}", each) for each in names)
        assert len(one.text) <= limits.characters
        assert all(len(value) <= limits.variable for each in one.builds for value in each.variables.values())
        assert list(one.publish.depend_on) == [each.identifier for each in one.units]
        images = {each.variables["IMAGES"].rpartition("-")[0] for each in one.units}
        assert sorted(images) == one.publish.variables["IMAGES"].split(" ")
        assert len(one.units) == 2 * len(images)


def named(*frameworks: str, version: str = "1.12.1") -> list[str]:
    """The identifiers of the builds of such frameworks' images."""
    text = GROUPS + BASES
    for number, name in enumerate(frameworks):
        row = PYTORCH.replace('framework = "pytorch"', f'framework = "{name}"').replace("1.12.1", version)
        text += row.replace("pytorch-inference", f"images{number}")
    every = [rendered(each) for each in units(text)]
    return [each.identifier for each in batch(decide(every, every, unasked(every))).units]


def test_names_that_codebuild_would_take_for_one_are_told_apart() -> None:
    assert len(set(named("a-b", "a.b"))) == 4


def test_a_long_name_is_cut_and_still_its_own() -> None:
    names = named("a" * 64, f"{'a' * 62}-b", version=f"1.{'2' * 62}")
    assert len(set(names)) == 4
    assert {len(each) for each in names} == {127}


def test_the_text_is_the_same_with_and_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    found = batches(many(60), before=None, told=TOLD)
    with_libyaml = [each.text for each in found]
    monkeypatch.delattr(yaml, "CSafeDumper")
    assert [each.text for each in found] == with_libyaml


def test_the_same_plan_is_the_same_text() -> None:
    assert batch(plan()).text == batch(plan()).text
    assert [each["identifier"] for each in graph(batch(plan()))][-1] == "publish"
