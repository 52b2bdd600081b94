"""What differs between two releases, or between the images of two architectures. Pure values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from toolkit.record import PublishedImage, ReleaseRecord


@dataclass(frozen=True, kw_only=True)
class PackageChange:
    """`kind` is "python" or "deb"; a version is "" where the package is not there."""

    kind: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class ImageChange:
    """From one image to another: sizes are bytes, compressed and unpacked, `base` is reference and digest."""

    before: str
    after: str
    digest: tuple[str, str]
    size: tuple[int, int]
    unpacked_size: tuple[int, int]
    base: tuple[str, str]
    packages: tuple[PackageChange, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare_images(before: PublishedImage, after: PublishedImage) -> ImageChange:
    return ImageChange(
        before=before.identifier,
        after=after.identifier,
        digest=(before.digest, after.digest),
        size=(before.size, after.size),
        unpacked_size=(before.unpacked_size, after.unpacked_size),
        base=(_base(before), _base(after)),
        packages=tuple(_package_changes(_versions(before), _versions(after))),
    )


def _base(image: PublishedImage) -> str:
    return " ".join(filter(None, (image.base.get("reference", ""), image.base.get("digest", ""))))


def _versions(image: PublishedImage) -> dict[tuple[str, str], str]:
    """By kind and name; several versions of one are told in one text."""
    found: dict[tuple[str, str], set[str]] = {}
    for each in image.packages:
        found.setdefault((each.kind, each.name), set()).add(each.version)
    return {key: ", ".join(sorted(versions)) for key, versions in found.items()}


def _package_changes(
    before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]
) -> Iterable[PackageChange]:
    """Python's first, then the distribution's, by name."""
    for kind, name in sorted(before.keys() | after.keys(), key=lambda each: (each[0] != "python", *each)):
        old, new = before.get((kind, name), ""), after.get((kind, name), "")
        if old != new:
            yield PackageChange(kind=kind, name=name, before=old, after=new)


@dataclass(frozen=True, kw_only=True)
class ReleaseChange:
    """From one release to another. An image has changed when its digest has, or that of its list has."""

    before: str
    after: str
    added: tuple[PublishedImage, ...]
    changed: tuple[ImageChange, ...]
    gone: tuple[PublishedImage, ...]
    same: int

    def to_json(self) -> dict[str, Any]:
        return {
            "before": self.before,
            "after": self.after,
            "added": [_named(each) for each in self.added],
            "changed": [each.to_json() for each in self.changed],
            "gone": [_named(each) for each in self.gone],
            "same": self.same,
        }


def _named(image: PublishedImage) -> dict[str, Any]:
    return {"identifier": image.identifier, "digest": image.digest, "size": image.size, "uri": image.uri}


def compare_releases(before: ReleaseRecord, after: ReleaseRecord) -> ReleaseChange:
    """By identifier; registries are not compared, as a digest means the same in each. What further regions
    hold is the same as what the home registry holds."""
    old, new = ({image.identifier: image for image in record.home} for record in (before, after))
    both = [(old[name], new[name]) for name in sorted(old.keys() & new.keys())]
    changed = tuple(compare_images(one, other) for one, other in both if _digests(one) != _digests(other))
    return ReleaseChange(
        before=before.release,
        after=after.release,
        added=tuple(new[name] for name in sorted(new.keys() - old.keys())),
        changed=changed,
        gone=tuple(old[name] for name in sorted(old.keys() - new.keys())),
        same=len(both) - len(changed),
    )


def _digests(image: PublishedImage) -> tuple[str, str]:
    return image.digest, image.index_digest


def siblings(images: Sequence[PublishedImage]) -> tuple[tuple[PublishedImage, PublishedImage], ...]:
    """Of each image id that has both architectures its two images, amd64's first."""
    found: dict[str, dict[str, PublishedImage]] = {}
    for image in images:
        found.setdefault(image.image_id, {})[image.architecture] = image
    return tuple(
        (each["amd64"], each["arm64"])
        for _, each in sorted(found.items())
        if {"amd64", "arm64"} <= each.keys()
    )
