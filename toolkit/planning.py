"""Where a release goes, and what there is to be done: one look at the registry."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit import tags
from toolkit.errors import RegistryTrouble
from toolkit.oci import ImageConfig, Manifest
from toolkit.plan import Observed, Plan, decide, unasked, wanted_tags
from toolkit.render import LABEL, RenderedUnit
from toolkit.units import BuildUnit, with_siblings

if TYPE_CHECKING:  # a plan that asks nobody does without what reads images
    from toolkit.publish import Registry
    from toolkit.verify import ImageSource

_LOOKUPS = 16


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A registry, the path before every repository ("" or "team/ml"), and how to read it as images."""

    registry: "Registry"
    prefix: str
    images: "Callable[[str], ImageSource]"  # by full repository name

    @property
    def place(self) -> str:
        """HOST[:PORT][/PATH], as it was asked for."""
        return f"{self.registry.host}/{self.prefix}" if self.prefix else self.registry.host

    def repository(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def reference(self, name: str, tag: str) -> str:
        return f"{self.registry.host}/{self.repository(name)}:{tag}"


def plan_release(
    selected: Sequence[BuildUnit],
    every: Sequence[BuildUnit],
    *,
    render: Callable[[BuildUnit], RenderedUnit],
    to: Destination,
) -> Plan:
    """One HEAD per unit and per list; for units that are not there, what stood in their place.

    Raises RegistryUnavailable, LockInvalid, UsageError.
    """
    chosen, everything = _rendered(selected, every, render)
    with ThreadPoolExecutor(_LOOKUPS) as pool:
        pairs = wanted_tags(everything)
        found = pool.map(lambda pair: to.registry.lookup_descriptor(to.repository(pair[0]), pair[1]), pairs)
        descriptors = dict(zip(pairs, found, strict=True))
        missing = [
            each for each in chosen if not descriptors[each.unit.repository, tags.build_tag(each.build_id)]
        ]
        before = pool.map(lambda each: lookup_inputs(to, each.unit), missing)
        inputs = {each.unit.identifier: was for each, was in zip(missing, before, strict=True) if was}
    return decide(chosen, everything, Observed(descriptors=descriptors, inputs=inputs))


def plan_offline(
    selected: Sequence[BuildUnit],
    every: Sequence[BuildUnit],
    *,
    render: Callable[[BuildUnit], RenderedUnit],
) -> Plan:
    """The plan for a registry that has nothing. Raises LockInvalid, UsageError."""
    chosen, everything = _rendered(selected, every, render)
    return decide(chosen, everything, unasked(everything))


def _rendered(
    selected: Sequence[BuildUnit], every: Sequence[BuildUnit], render: Callable[[BuildUnit], RenderedUnit]
) -> tuple[tuple[RenderedUnit, ...], tuple[RenderedUnit, ...]]:
    """The selected units, and these with all that stand behind the same lists."""
    rendered = {unit.identifier: render(unit) for unit in with_siblings(selected, every)}
    return tuple(rendered[unit.identifier] for unit in selected), tuple(rendered.values())


def lookup_inputs(to: Destination, unit: BuildUnit) -> Mapping[str, str] | None:
    """The inputs label of the image under the unit's per-architecture tag, None without image or label."""
    repository = to.repository(unit.repository)
    manifest = to.registry.lookup_manifest(repository, unit.arch_tag)
    if not isinstance(manifest, Manifest):
        return None
    with suppress(ValueError, RegistryTrouble):
        with to.registry.open_blob(repository, manifest.config) as blob:
            labels = ImageConfig.parse(blob.read()).labels
        inputs = json.loads(labels.get(f"{LABEL}.inputs", "null"))
        return inputs if isinstance(inputs, dict) else None
    return None
