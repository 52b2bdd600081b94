"""Two releases, or two architectures: what differs."""

from dataclasses import replace

from tests.records import image, record
from toolkit.comparison import PackageChange, compare_images, compare_releases, siblings
from toolkit.record import Package

OTHER = "sha256:" + "9" * 64


def packages(**versions: str) -> tuple[Package, ...]:
    return tuple(Package(name=name, version=version, kind="python") for name, version in versions.items())


def test_images_are_added_changed_and_gone_by_their_identifiers() -> None:
    before = record(image("a-amd64"), image("b-amd64"), image("c-amd64"))
    after = record(image("b-amd64"), image("c-amd64", digest=OTHER), image("d-amd64"))
    found = compare_releases(before, after)
    assert [each.identifier for each in found.added] == ["d-amd64"]
    assert [each.before for each in found.changed] == ["c-amd64"]
    assert [each.identifier for each in found.gone] == ["a-amd64"]
    assert found.same == 1


def test_another_list_around_the_same_image_is_a_change() -> None:
    found = compare_releases(record(image()), record(image(index_digest=OTHER)))
    assert len(found.changed) == 1


def test_the_registry_and_the_time_are_no_change() -> None:
    elsewhere = image(registry="other.example", created="2027-01-01T00:00:00Z", uri="other.example/a")
    after = replace(record(elsewhere), registry="other.example")
    assert compare_releases(record(image()), after).same == 1


def test_packages_that_came_went_or_moved_are_told_pythons_first() -> None:
    old = image(packages=(*packages(a="1", b="1", c="1"), Package(name="libc6", version="1", kind="deb")))
    new = image(packages=(*packages(b="2", c="1", d="1"), Package(name="libc6", version="2", kind="deb")))
    assert compare_images(old, new).packages == (
        PackageChange(kind="python", name="a", before="1", after=""),
        PackageChange(kind="python", name="b", before="1", after="2"),
        PackageChange(kind="python", name="d", before="", after="1"),
        PackageChange(kind="deb", name="libc6", before="1", after="2"),
    )


def test_a_package_of_the_distribution_is_not_the_one_of_the_same_name_of_python() -> None:
    old = image(packages=(*packages(six="1"), Package(name="six", version="2", kind="deb")))
    assert [each.kind for each in compare_images(old, image(packages=packages(six="1"))).packages] == ["deb"]


def test_several_versions_of_one_package_are_told_together() -> None:
    twice = image(packages=(*packages(a="2"), *packages(a="1")))
    (found,) = compare_images(image(packages=()), twice).packages
    assert found.after == "1, 2"


def test_only_images_with_both_architectures_are_siblings() -> None:
    found = siblings((image("a-arm64"), image("b-arm64"), image("a-amd64")))
    assert [(one.identifier, other.identifier) for one, other in found] == [("a-amd64", "a-arm64")]


def test_json_names_what_came_and_went_with_digest_and_size() -> None:
    found = compare_releases(record(), record(image("a-amd64"))).to_json()
    assert found["added"][0] == {
        "identifier": "a-amd64",
        "digest": image().digest,
        "size": 250_000_000,
        "uri": image().uri,
    }
