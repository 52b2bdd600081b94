"""The catalog's registry as it should be: what has to change in each region, and what must never expire."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from toolkit.catalog.registry import EcrRegistry
from toolkit.ecr.changes import Change, lasting_difference, replication_changes, repository_changes
from toolkit.ecr.lifecycle import Rule, StoredImage, danger, parse_policy
from toolkit.ecr.settings import (
    ReplicationRule,
    RepositorySettings,
    repositories_of,
    wanted_cache,
    wanted_replication,
    wanted_settings,
)
from toolkit.errors import Conflict, ToolkitError
from toolkit.oci import Digest
from toolkit.record import ReleaseRecord
from toolkit.units import BuildUnit

Live = Mapping[str, Mapping[Digest, str]]
"""By repository the digests that kept records name, each with what names it."""


class Control(Protocol):
    """ECR's control plane in one region. Methods raise ToolkitError."""

    @property
    def region(self) -> str: ...

    def lookup_repositories(self, names: Sequence[str]) -> Mapping[str, RepositorySettings]:
        """The settings of those that are there."""

    def list_replication(self) -> tuple[ReplicationRule, ...]: ...

    def list_images(self, repository: str) -> tuple[StoredImage, ...]: ...

    def preview(self, repository: str, policy: str) -> Mapping[Digest, int]:
        """What `policy` would expire as ECR sees it, with the priority of the rule that does."""

    def apply(self, change: Change) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """`changes` in order; `problems` are what they leave, or what keeps a change from being made.

    `checked` counts the kept images and lists that were held against lifecycle policies.
    """

    changes: tuple[Change, ...]
    problems: tuple[ToolkitError, ...]
    checked: int = 0


def kept_digests(
    records: Iterable[ReleaseRecord], children: Callable[[str, Digest], Sequence[Digest]]
) -> Live:
    """All that the records name: images, lists, and what stands behind the lists.

    `children` are the digests behind a list of a repository.
    """
    live: dict[str, dict[Digest, str]] = {}
    for record in records:
        for image in record.images:
            named = live.setdefault(image.repository, {})
            why = f"{image.identifier} of release {record.release}"
            named.setdefault(Digest(image.digest), why)
            if image.index_digest and Digest(image.index_digest) not in named:
                index = Digest(image.index_digest)
                named[index] = f"the list of {why}"
                for child in children(image.repository, index):
                    named.setdefault(child, f"behind the list of {why}")
    return live


def look(
    registry: EcrRegistry, units: Sequence[BuildUnit], controls: Sequence[Control], live: Live
) -> Outlook:
    """`controls` are the home region's and then those of the further ones. Nothing is changed."""
    changes: list[Change] = []
    problems: list[ToolkitError] = []
    checked = 0
    names = repositories_of(registry, units)
    for control in controls:
        observed = control.lookup_repositories([*names, registry.cache] if registry.cache else names)
        rows = wanted_settings(registry, units, observed)
        for wanted in (*rows, *wanted_cache(registry, control.region, observed)):
            there = observed.get(wanted.name)
            changes += repository_changes(control.region, wanted, there)
            if problem := lasting_difference(control.region, wanted, there):
                problems.append(problem)
            kept = live.get(wanted.name, {})
            if there and wanted.lifecycle and kept:
                images = [each for each in control.list_images(wanted.name) if each.digest in kept]
                checked += len(images)
                problems += endangered(control.region, wanted, images, kept)
    if registry.regions:
        rules = controls[0].list_replication()
        changes += replication_changes(registry, wanted_replication(registry, names, rules), rules)
    return Outlook(changes=tuple(changes), problems=tuple(problems), checked=checked)


def endangered(
    region: str, settings: RepositorySettings, images: Iterable[StoredImage], kept: Mapping[Digest, str]
) -> list[ToolkitError]:
    """One error for each image of a kept record that the lifecycle policy may take away some day."""
    rules = parse_policy(_text(settings))
    found: list[tuple[StoredImage, Rule]] = [
        (image, rule) for image in images if (rule := danger(rules, image))
    ]
    return [_would_go(region, settings.name, image.digest, str(rule), kept) for image, rule in found]


def previewed(
    control: Control, settings: RepositorySettings, kept: Mapping[Digest, str]
) -> list[ToolkitError]:
    """What ECR itself says that the policy would take away now of what kept records name."""
    taken = control.preview(settings.name, _text(settings))
    return [
        _would_go(control.region, settings.name, digest, f"rule {priority}, says ECR's preview", kept)
        for digest, priority in sorted(taken.items())
        if digest in kept
    ]


def _text(settings: RepositorySettings) -> str:
    return json.dumps(settings.lifecycle)


def _would_go(region: str, name: str, digest: Digest, rule: str, kept: Mapping[Digest, str]) -> Conflict:
    return Conflict(
        f"{name}@{digest} in {region} ({kept[digest]}) would be expired by the lifecycle policy: {rule}",
        remedy="Give it a tag that is kept, or change the policy: it was not put.",
    )
