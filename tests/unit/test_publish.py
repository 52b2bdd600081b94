from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import MemoryRegistry, Request
from tests.images import AMD64, ARM64, FakeImage, image_of, layer, program, single
from toolkit.adapters.layout import OciLayout
from toolkit.artifacts import fetch_artifact, push_artifact
from toolkit.errors import Conflict, DigestMismatch, RegistryTrouble
from toolkit.oci import Descriptor, Digest, Index, Manifest, MediaType, Platform, make_index
from toolkit.publish import (
    BlobProgress,
    Fate,
    IncompleteIndex,
    Step,
    TagMoved,
    TagMoving,
    publish_image,
    publish_index,
    tag_image,
)

REPOSITORY = "pytorch-inference"
RISCV = Platform("linux", "riscv64")

Made = tuple[Manifest, OciLayout]
Make = Callable[..., Made]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make_image(platform: Platform = ARM64, name: str = "bin/serve") -> Made:
        image = image_of(program(name), platform=platform)
        layout = single(tmp_path / platform.architecture / name, image)
        manifest = layout.get_manifest("")
        assert isinstance(manifest, Manifest)
        return manifest, layout

    return make_image


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


def push(registry: MemoryRegistry, made: Made, *tags: str) -> Descriptor:
    return publish_image(*made, registry=registry, repository=REPOSITORY, tags=tags)


def put_list(
    registry: MemoryRegistry,
    children: list[Descriptor],
    *required: Platform,
    may_drop: frozenset[Platform] = frozenset(),
) -> Descriptor:
    return publish_index(
        make_index(children, MediaType.DOCKER_LIST),
        required=required,
        registry=registry,
        repository=REPOSITORY,
        tag="1.12.1",
        may_drop=may_drop,
    )


def pushed(registry: MemoryRegistry, make: Make, *platforms: Platform) -> list[Descriptor]:
    """Images of these platforms that are in the registry, as children of a list."""
    return [replace(push(registry, make(platform)), platform=platform) for platform in platforms]


def tag_of(registry: MemoryRegistry, tag: str = "1.12.1") -> Digest | None:
    return registry.tags[REPOSITORY].get(tag)


def test_blobs_go_before_the_manifest(registry: MemoryRegistry, make: Make) -> None:
    manifest, layout = make()
    assert push(registry, (manifest, layout), "a", "b") == manifest.descriptor()
    last_upload = max(i for i, request in enumerate(registry.requests) if request[0] == "upload_blob")
    first_put = min(i for i, request in enumerate(registry.requests) if request[0] == "put_manifest")
    assert last_upload < first_put
    assert registry.tags[REPOSITORY] == {"a": manifest.digest, "b": manifest.digest}


def test_publishing_again_is_one_lookup_per_tag(registry: MemoryRegistry, make: Make) -> None:
    made = make()
    push(registry, made, "a", "b")
    registry.requests.clear()
    push(registry, made, "a", "b")
    assert [request[0] for request in registry.requests] == ["lookup_descriptor"] * 2


def test_another_tag_of_an_image_that_is_there_sends_no_blob(registry: MemoryRegistry, make: Make) -> None:
    made = make()
    push(registry, made, "b-0123456789abcdef")
    registry.requests.clear()
    push(registry, made, "1.12.1-arm64")
    assert not registry.made("has_blob") + registry.made("upload_blob")
    assert registry.made("put_manifest") == [("put_manifest", REPOSITORY, "1.12.1-arm64")]


def test_tags_of_an_image_that_was_just_read_are_put_without_asking_for_it_again(
    registry: MemoryRegistry, make: Make
) -> None:
    made = make()
    push(registry, made, "b-0123456789abcdef", "there")
    registry.requests.clear()
    tag_image(made[0], registry=registry, repository=REPOSITORY, tags=["1.12.1-arm64", "there"])
    assert [request[0] for request in registry.requests] == [
        "lookup_descriptor",
        "lookup_descriptor",
        "put_manifest",
        "lookup_descriptor",
    ]
    assert tag_of(registry, "1.12.1-arm64") == made[0].digest


def test_a_tag_whose_image_was_removed_meanwhile_is_not_put(registry: MemoryRegistry, make: Make) -> None:
    with pytest.raises(RegistryTrouble, match="lacks"):
        tag_image(make()[0], registry=registry, repository=REPOSITORY, tags=["1.12.1-arm64"])
    assert tag_of(registry, "1.12.1-arm64") is None


def test_an_image_without_tags_is_put_once_by_digest(registry: MemoryRegistry, make: Make) -> None:
    made = make()
    push(registry, made)
    push(registry, made)
    assert registry.made("put_manifest") == [("put_manifest", REPOSITORY, made[0].digest)]
    assert registry.tags[REPOSITORY] == {}


def test_blobs_that_are_there_are_not_sent(registry: MemoryRegistry, make: Make) -> None:
    first, second = make(ARM64), make(AMD64)
    assert first[0].layers == second[0].layers
    push(registry, first)
    registry.requests.clear()
    push(registry, second)
    assert [request[2] for request in registry.made("upload_blob")] == [second[0].config.digest]


def test_a_layer_that_an_image_has_twice_is_sent_once(registry: MemoryRegistry, tmp_path: Path) -> None:
    same = layer(program("bin/serve"))
    layout = single(tmp_path, FakeImage(layers=[same, same]))
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    push(registry, (manifest, layout))
    assert len(registry.made("upload_blob")) == 2


def test_blobs_are_mounted_from_where_they_are(registry: MemoryRegistry, make: Make) -> None:
    made = make()
    publish_image(*made, registry=registry, repository="base", tags=["one"])
    registry.requests.clear()
    steps: list[Step] = []
    publish_image(
        *made,
        registry=registry,
        repository=REPOSITORY,
        tags=["one"],
        mount_from=["nothing-here", REPOSITORY, "base"],
        observe=steps.append,
    )
    assert not registry.made("upload_blob")
    assert {step.fate for step in steps if isinstance(step, BlobProgress)} == {Fate.MOUNTED}


def test_progress_counts_the_bytes_of_each_blob(registry: MemoryRegistry, make: Make) -> None:
    manifest, layout = make()
    steps: list[Step] = []
    publish_image(
        manifest, layout, registry=registry, repository=REPOSITORY, tags=["one"], observe=steps.append
    )
    (blob,) = manifest.layers
    told = [step for step in steps if isinstance(step, BlobProgress) and step.blob == blob]
    assert told[-1] == BlobProgress(repository=REPOSITORY, blob=blob, fate=Fate.SENT, sent=blob.size)
    assert [step.sent for step in told] == sorted(step.sent for step in told)
    assert Fate.SENDING in {step.fate for step in told}


def test_a_moved_tag_tells_what_it_named_before(registry: MemoryRegistry, make: Make) -> None:
    first, second = make(name="one"), make(name="two")
    push(registry, first, "latest")
    steps: list[Step] = []
    publish_image(*second, registry=registry, repository=REPOSITORY, tags=["latest"], observe=steps.append)
    moved = {
        "reference": "registry.example/pytorch-inference:latest",
        "before": first[0].digest,
        "after": second[0].digest,
    }
    assert steps[-2:] == [TagMoving(**moved), TagMoved(**moved)]  # type: ignore[arg-type]


def test_an_immutable_tag_is_left_to_whoever_came_first(make: Make) -> None:
    registry = MemoryRegistry(is_immutable=lambda tag: tag.startswith("b-"))
    first, second = make(name="one"), make(name="two")
    push(registry, first, "b-1", "latest")
    with pytest.raises(Conflict):
        push(registry, second, "b-1")
    push(registry, second, "latest")
    assert registry.tags[REPOSITORY] == {"b-1": first[0].digest, "latest": second[0].digest}


def test_no_tag_is_put_when_a_blob_cannot_be_sent(registry: MemoryRegistry, make: Make) -> None:
    def refuse(request: Request) -> None:
        if request[0] == "upload_blob":
            raise RegistryTrouble("the registry's disk is full")

    registry.before = refuse
    with pytest.raises(RegistryTrouble, match="disk is full"):
        push(registry, make(), "a")
    assert not registry.made("put_manifest")


def test_someone_elses_push_to_the_same_tag_is_told(registry: MemoryRegistry, make: Make) -> None:
    ours, theirs = make(name="ours"), make(name="theirs")
    push(registry, theirs)

    def race(request: Request) -> None:
        if request[0] == "lookup_descriptor" and registry.made("put_manifest")[-1][2] == "latest":
            registry.tags[REPOSITORY]["latest"] = theirs[0].digest

    registry.before = race
    with pytest.raises(DigestMismatch) as caught:
        push(registry, ours, "latest")
    assert (caught.value.expected, caught.value.actual) == (ours[0].digest, theirs[0].digest)


def test_a_list_is_put_in_one_request_after_its_images(registry: MemoryRegistry, make: Make) -> None:
    children = pushed(registry, make, ARM64, AMD64)
    registry.requests.clear()
    descriptor = put_list(registry, children, AMD64, ARM64)
    assert registry.made("put_manifest") == [("put_manifest", REPOSITORY, "1.12.1")]
    assert tag_of(registry) == descriptor.digest == make_index(children, MediaType.DOCKER_LIST).digest


def test_index_is_not_pushed_when_one_platform_is_missing(registry: MemoryRegistry, make: Make) -> None:
    children = pushed(registry, make, AMD64)
    with pytest.raises(IncompleteIndex, match="linux/arm64 is missing"):
        put_list(registry, children, AMD64, ARM64)
    assert tag_of(registry) is None


def test_index_is_not_pushed_when_a_platform_is_there_twice(registry: MemoryRegistry, make: Make) -> None:
    one = pushed(registry, make, ARM64)
    other = replace(push(registry, make(name="bin/other")), platform=Platform("linux", "arm64", "v8"))
    with pytest.raises(IncompleteIndex, match="linux/arm64 is there more than once"):
        put_list(registry, [*one, other], ARM64)
    assert tag_of(registry) is None


def test_index_is_not_pushed_when_a_child_names_no_platform(registry: MemoryRegistry, make: Make) -> None:
    child = push(registry, make())
    with pytest.raises(IncompleteIndex, match="without a platform"):
        put_list(registry, [child])
    assert tag_of(registry) is None


def test_index_is_not_pushed_when_an_image_is_not_in_the_repository(
    registry: MemoryRegistry, make: Make
) -> None:
    children = [*pushed(registry, make, AMD64), make(ARM64)[0].descriptor(ARM64)]
    with pytest.raises(IncompleteIndex, match=f"linux/arm64, {children[1].digest}, is not in"):
        put_list(registry, children, AMD64, ARM64)
    assert not [request for request in registry.made("put_manifest") if request[2] == "1.12.1"]


def test_index_is_not_pushed_when_a_child_has_another_size(registry: MemoryRegistry, make: Make) -> None:
    (child,) = pushed(registry, make, ARM64)
    with pytest.raises(IncompleteIndex, match=r"listed as .* but the registry has"):
        put_list(registry, [replace(child, size=child.size + 1)], ARM64)
    assert tag_of(registry) is None


def test_a_variant_that_means_the_same_platform_completes_a_list(
    registry: MemoryRegistry, make: Make
) -> None:
    children = pushed(registry, make, ARM64)
    put_list(registry, children, Platform("linux", "arm64", "v8"))
    assert tag_of(registry)


def test_attestations_are_no_platform(registry: MemoryRegistry, make: Make) -> None:
    unknown = Platform("unknown", "unknown")
    attestations = [
        replace(push(registry, make(name=name)), platform=unknown) for name in ("first", "second")
    ]
    put_list(registry, [*pushed(registry, make, ARM64), *attestations], ARM64)
    assert tag_of(registry)


def test_a_list_that_is_there_costs_one_lookup(registry: MemoryRegistry, make: Make) -> None:
    children = pushed(registry, make, ARM64, AMD64)
    first = put_list(registry, children, ARM64, AMD64)
    registry.requests.clear()
    assert put_list(registry, children[::-1], ARM64, AMD64) == first
    assert registry.requests == [("lookup_descriptor", REPOSITORY, "1.12.1")]


def test_a_list_is_not_replaced_by_one_with_fewer_platforms(registry: MemoryRegistry, make: Make) -> None:
    children = pushed(registry, make, ARM64, AMD64)
    first = put_list(registry, children, ARM64, AMD64)
    with pytest.raises(Conflict, match=r"linux/amd64.*\n.*--allow-drop-platform linux/amd64"):
        put_list(registry, children[:1], ARM64)
    assert tag_of(registry) == first.digest


def test_a_platform_may_be_dropped_when_it_is_named(registry: MemoryRegistry, make: Make) -> None:
    children = pushed(registry, make, ARM64, AMD64, RISCV)
    put_list(registry, children)
    with pytest.raises(Conflict, match="linux/riscv64"):
        put_list(registry, children[:1], may_drop=frozenset({AMD64}))
    second = put_list(registry, children[:1], may_drop=frozenset({AMD64, RISCV}))
    assert tag_of(registry) == second.digest


def test_a_list_may_gain_platforms(registry: MemoryRegistry, make: Make) -> None:
    children = pushed(registry, make, ARM64, AMD64)
    put_list(registry, children[:1], ARM64)
    put_list(registry, children, ARM64, AMD64)
    found = registry.lookup_manifest(REPOSITORY, "1.12.1")
    assert isinstance(found, Index)
    assert found.platforms == (AMD64, ARM64)


def test_a_single_image_under_the_tag_counts_as_its_platform(registry: MemoryRegistry, make: Make) -> None:
    push(registry, make(AMD64), "1.12.1")
    children = pushed(registry, make, ARM64, AMD64)
    with pytest.raises(Conflict, match="now has linux/amd64"):
        put_list(registry, children[:1], ARM64)
    put_list(registry, children, ARM64, AMD64)
    assert isinstance(registry.lookup_manifest(REPOSITORY, "1.12.1"), Index)


def test_a_document_under_the_tag_has_no_platform_to_lose(registry: MemoryRegistry, make: Make) -> None:
    push_artifact(b"{}", artifact_type="text/x", registry=registry, repository=REPOSITORY, tag="1.12.1")
    descriptor = put_list(registry, pushed(registry, make, ARM64), ARM64)
    assert tag_of(registry) == descriptor.digest


def test_a_document_is_found_again_and_an_image_is_not_taken_for_one(
    registry: MemoryRegistry, make: Make
) -> None:
    pushed_as = push_artifact(
        b'{"a": 1}', artifact_type="application/x", registry=registry, repository="releases", tag="newest"
    )
    assert registry.tags["releases"] == {"newest": pushed_as.digest}
    assert fetch_artifact(registry=registry, repository="releases", selector="newest") == b'{"a": 1}'
    push(registry, make(), "image")
    with pytest.raises(RegistryTrouble, match="is an image, not a document"):
        fetch_artifact(registry=registry, repository=REPOSITORY, selector="image")
