"""Outcome of a release → release record. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from toolkit.catalog.model import Consumer, Support
from toolkit.oci import Index, Reference
from toolkit.planning import Destination
from toolkit.record import (
    Package,
    PublishedImage,
    ReleaseRecord,
    account_and_region,
    carried_over,
    rfc3339,
)
from toolkit.release import Outcome
from toolkit.staging import Finished
from toolkit.support import in_texts


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What a record says besides the outcome.

    `release` is its id and `began` when it began; `before` is the newest record there is; `known` are the
    units that the catalog still has, by identifier, with their support at this time.
    """

    to: Destination
    release: str
    began: datetime
    before: ReleaseRecord | None
    known: Mapping[str, Support]
    toolkit: str
    warnings: tuple[str, ...] = ()


def record_of(outcome: Outcome, circumstances: Circumstances) -> ReleaseRecord:
    """What the home registry holds now: this outcome's units and, of the record before, the others.

    Units that are not deployable as their consumer wants them (no list yet) are left out.
    """
    before = circumstances.before
    earlier = {(each.identifier, each.digest): each for each in before.home} if before else {}
    rows = tuple(
        row for finished in outcome.finished if (row := _row(finished, outcome, circumstances, earlier))
    )
    lists = _by_child(outcome, circumstances.to)
    images = carried_over(
        replace(before, images=_brought_up_to_date(before, lists, circumstances)) if before else None,
        registry=circumstances.to.place,
        published=rows,
        known=circumstances.known,
    )
    return ReleaseRecord(
        release=circumstances.release,
        created=rfc3339(circumstances.began),
        registry=circumstances.to.place,
        images=images,
        toolkit=circumstances.toolkit,
        warnings=circumstances.warnings,
    )


def supports_are_recorded(record: ReleaseRecord | None, known: Mapping[str, Support]) -> bool:
    """Whether the record says of each image of the catalog what `known` says of its support."""
    images = record.images if record else ()
    return all(
        each.support == in_texts(known[each.identifier]) for each in images if each.identifier in known
    )


def _row(
    finished: Finished,
    outcome: Outcome,
    circumstances: Circumstances,
    before: Mapping[tuple[str, str], PublishedImage],
) -> PublishedImage | None:
    """`before` are the images of the newest record by identifier and digest."""
    unit = finished.rendered.unit
    if unit.identifier in outcome.withheld:
        return None
    index = outcome.lists.get((unit.repository, unit.list_tag))
    deployed = finished.image if unit.consumer is Consumer.SAGEMAKER else index
    if deployed is None:
        return None
    verification = finished.verification
    host = circumstances.to.registry.host
    account, region = account_and_region(host)
    place = Reference(registry=host, repository=circumstances.to.repository(unit.repository))
    earlier = before.get((unit.identifier, finished.image.digest))
    return PublishedImage(
        identifier=unit.identifier,
        image_id=unit.image_id,
        framework=unit.image.framework,
        version=unit.version,
        python=unit.base.python,
        os=unit.base.name,
        accelerator=unit.image.accelerator.value,
        architecture=unit.architecture.value,
        variant=verification.platform.variant,
        consumer=unit.consumer.value,
        registry=place.registry,
        account=account,
        region=region,
        repository=place.repository,
        tag=unit.arch_tag,
        digest=finished.image.digest,
        media_type=finished.image.media_type,
        size=verification.size,
        unpacked_size=verification.unpacked_size,
        build_id=finished.rendered.build_id,
        base={"reference": finished.rendered.base.reference, "digest": finished.rendered.base.digest},
        packages=tuple(
            Package(name=each.name, version=each.version, kind=each.kind.value)
            for each in verification.packages
        ),
        entrypoint=verification.entrypoint,
        ports=verification.ports,
        support=in_texts(circumstances.known[unit.identifier]),
        verification={check.name: "passed" for check in verification.checks if check.ok},
        emulated=earlier.emulated if earlier and not finished.built else finished.emulated,
        durations=earlier.durations if earlier and not finished.built else finished.durations,
        created=earlier.created if earlier else rfc3339(circumstances.began),
        remark=unit.remark,
        uri=str(place.with_digest(deployed.digest)),
        index_tag=unit.list_tag if index else "",
        index_uri=str(place.with_digest(index.digest)) if index else "",
        index_digest=index.digest if index else "",
    )


def _by_child(outcome: Outcome, to: Destination) -> Mapping[tuple[str, str], tuple[str, Index]]:
    """By repository and digest of each image that this release put a list around: the list and its tag."""
    return {
        (to.repository(repository), child.digest): (tag, index)
        for (repository, tag), index in outcome.lists.items()
        for child in index.manifests
    }


def _brought_up_to_date(
    before: ReleaseRecord, lists: Mapping[tuple[str, str], tuple[str, Index]], circumstances: Circumstances
) -> tuple[PublishedImage, ...]:
    """The images of the record before that the catalog still has, as they are now."""
    known = circumstances.known
    return tuple(
        replace(_relisted(each, lists), support=in_texts(known[each.identifier]))
        for each in before.home
        if each.identifier in known
    )


def _relisted(image: PublishedImage, lists: Mapping[tuple[str, str], tuple[str, Index]]) -> PublishedImage:
    """An image of the record before, behind the list that this release put around it for its sibling."""
    if (found := lists.get((image.repository, image.digest))) is None:
        return image
    tag, index = found
    listed = str(image.pinned.with_digest(index.digest))
    uri = image.uri if image.consumer == Consumer.SAGEMAKER else listed
    return replace(image, index_tag=tag, index_uri=listed, index_digest=index.digest, uri=uri)
