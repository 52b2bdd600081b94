"""An earlier release record → its lists under their tags again, byte for byte.

Nothing is moved before all of it is known to be there: every list, every image, every blob.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from toolkit.errors import Conflict, RegistryTrouble, ToolkitError
from toolkit.oci import Descriptor, Digest, Index, Manifest, Platform
from toolkit.progress import Event, Kind, Reporter
from toolkit.publish import Registry, follow_list, publish_index, spell
from toolkit.record import PublishedImage, ReleaseRecord, release_id, rfc3339

_LOOKUPS = 16

ListKey = tuple[str, str]
"""Repository and tag of a list."""


class ReleaseIncomplete(RegistryTrouble):
    """Something that a record names is no longer in the registry."""


@dataclass(frozen=True, kw_only=True)
class ListMove:
    """A list of the record. `stands` is what its tag names now, `tags` are those of its platforms' images."""

    key: ListKey
    reference: str
    index: Index
    stands: Digest | None
    tags: Mapping[Platform, str]

    @property
    def is_there(self) -> bool:
        return self.stands == self.index.digest


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """What going back to `record` does; lists in the order of repository and tag."""

    record: ReleaseRecord
    lists: tuple[ListMove, ...]

    @property
    def to_move(self) -> tuple[ListMove, ...]:
        return tuple(each for each in self.lists if not each.is_there)


def plan_rollback(record: ReleaseRecord, registry: Registry) -> Rollback:
    """Look at everything that the record names.

    Raises ReleaseIncomplete with all that is gone, RegistryUnavailable.
    """
    groups: dict[ListKey, list[PublishedImage]] = {}
    for image in record.home:
        if image.index_digest:
            groups.setdefault((image.repository, image.index_tag), []).append(image)
    with ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="rollback") as pool:
        looked = pool.map(lambda key: _look(key, groups[key], registry), sorted(groups))
        found = dict(zip(sorted(groups), looked, strict=True))
        images = {
            (key[0], child.digest) for key, move in found.items() if move for child in move.index.manifests
        }
        gone = [
            spell(registry, key[0], groups[key][0].index_digest) for key, move in found.items() if not move
        ]
        for missing in pool.map(lambda pair: _missing(pair[0], pair[1], registry), sorted(images)):
            gone += missing
    if gone:
        shown = "".join(f"\n  {each}" for each in sorted(set(gone)))
        raise ReleaseIncomplete(
            f"release {record.release} cannot be put back, the registry no longer has:{shown}",
            remedy="No tag was moved. Choose a later release (`toolkit history`), or build it again: "
            "check out the commit in their label org.opencontainers.image.revision, then make release",
        )
    return Rollback(record=record, lists=tuple(move for move in found.values() if move))


def _look(key: ListKey, images: Sequence[PublishedImage], registry: Registry) -> ListMove | None:
    repository, tag = key
    index = registry.lookup_manifest(repository, images[0].index_digest)
    if not isinstance(index, Index):
        return None
    standing = registry.lookup_descriptor(repository, tag)
    return ListMove(
        key=key,
        reference=spell(registry, repository, tag),
        index=index,
        stands=standing.digest if standing else None,
        tags={Platform(os="linux", architecture=image.architecture): image.tag for image in images},
    )


def _children(move: ListMove | None) -> tuple[Descriptor, ...]:
    return move.index.manifests if move else ()


def _missing(repository: str, image: Digest, registry: Registry) -> list[str]:
    manifest = registry.lookup_manifest(repository, image)
    if not isinstance(manifest, Manifest):
        return [spell(registry, repository, image)]
    blobs: dict[Digest, Descriptor] = {each.digest: each for each in (manifest.config, *manifest.layers)}
    return [
        f"blob {digest} of {spell(registry, repository, image)}"
        for digest in blobs
        if not registry.has_blob(repository, digest)
    ]


def carry_out_rollback(
    plan: Rollback, *, registry: Registry, may_drop: frozenset[Platform], report: Reporter
) -> Mapping[ListKey, ToolkitError]:
    """Put each list back, then let the tags of its platforms follow; the failures by list.

    One list that cannot be moved stops no other. Tags of platforms that are immutable stay as they are.
    """
    failures: dict[ListKey, ToolkitError] = {}
    for move in plan.to_move:
        repository, tag = move.key
        try:
            publish_index(
                move.index,
                required=move.index.platforms,
                registry=registry,
                repository=repository,
                tag=tag,
                may_drop=may_drop,
                known=() if move.stands is None else (move.stands,),
            )
        except ToolkitError as error:
            failures[move.key] = error
            report(Event(kind=Kind.FAILED, subject=move.reference, text=error.message))
            continue
        report(Event(kind=Kind.FINISHED, subject=move.reference, text=move.index.digest))
        try:
            follow_list(move.tags, registry=registry, repository=repository, list_tag=tag)
        except Conflict as error:
            report(Event(kind=Kind.NOTE, subject=move.reference, text=f"its list was moved, {error.message}"))
    return failures


def rolled_back(
    plan: Rollback,
    failures: Iterable[ListKey],
    *,
    newest: ReleaseRecord | None,
    began: datetime,
    toolkit: str,
) -> ReleaseRecord:
    """The record of what stands afterwards: images of the lists that were put back as they were recorded
    then, all others of the newest record as they are, in the home registry. `began` is in UTC."""
    kept = set(failures)
    back = {move.key for move in plan.lists if move.key not in kept}
    known = {(image.repository, image.index_tag) for image in plan.record.home} - kept
    images = [image for image in plan.record.home if (image.repository, image.index_tag) in back]
    images += [
        image for image in (newest.home if newest else ()) if (image.repository, image.index_tag) not in known
    ]
    ordered = tuple(sorted(images, key=lambda image: image.identifier))
    builds = {image.identifier: image.build_id for image in ordered}
    return replace(
        plan.record,
        release=release_id(began, plan.record.registry, builds),
        created=rfc3339(began),
        images=ordered,
        toolkit=toolkit,
        warnings=(f"rolled back to release {plan.record.release}",),
    )
