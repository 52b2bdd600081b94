"""Plan and newest record → what one reads before acting: a row per unit, and what it will take. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.builders.placement import Assign, Placement
from toolkit.catalog.model import Support
from toolkit.explain import InputRow, explain
from toolkit.plan import Action, Plan, PlannedUnit
from toolkit.record import PublishedImage, ReleaseRecord
from toolkit.support import in_texts

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class PreviewRow:
    """A planned unit and what the newest record says of its last build.

    `placement` says where it would be built; `before` are the inputs
    of the image that stands in the unit's place and differs, None when there is none.
    `support` is the unit's state of support today, `unreachable` a sentence for each place that its build
    needs and that does not answer.
    """

    planned: PlannedUnit
    last: PublishedImage | None
    placement: Placement
    before: Mapping[str, str] | None
    support: Support
    unreachable: tuple[str, ...]

    @property
    def inputs(self) -> tuple[InputRow, ...]:
        return explain(self.planned.rendered, self.before)

    @property
    def seconds(self) -> float | None:
        """What building, verifying and publishing it took the last time; None when that is not known."""
        return sum(self.last.durations.values()) if self.last and self.last.durations else None

    def to_json(self) -> dict[str, Any]:
        unit = self.planned.rendered.unit
        return {
            "identifier": unit.identifier,
            "image_id": unit.image_id,
            "architecture": unit.architecture.value,
            "action": self.planned.action.value,
            "why": self.planned.why,
            "build_id": self.planned.rendered.build_id,
            "repository": unit.repository,
            "tag": unit.arch_tag,
            "digest": self.planned.published.digest if self.planned.published else None,
            "emulated": self.placement.emulated,
            "nodes": list(self.placement.nodes),
            "refusal": self.placement.refusal,
            "last": _last_json(self.last),
            "remark": unit.remark,
            "unlocked": self.planned.rendered.unlocked,
            "support": in_texts(self.support),
            "unreachable": list(self.unreachable),
            "inputs": [each.to_json() for each in self.inputs],
        }


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What building takes, by the last builds: seconds one after the other, compressed bytes.

    `known` of the `units` that are to be built were built before; only these are counted.
    """

    units: int
    known: int
    seconds: float
    size: int


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Rows in the order of the plan's units."""

    plan: Plan
    rows: tuple[PreviewRow, ...]

    @property
    def effort(self) -> Effort:
        rows = [row for row in self.rows if row.planned.action is Action.BUILD]
        known = [(row.seconds, row.last.size) for row in rows if row.last and row.seconds is not None]
        return Effort(
            units=len(rows),
            known=len(known),
            seconds=sum(seconds for seconds, _ in known),
            size=sum(size for _, size in known),
        )

    @property
    def counts(self) -> Mapping[Action, int]:
        return {action: sum(row.planned.action is action for row in self.rows) for action in Action}

    @property
    def blocked(self) -> int:
        """How many units are to be built and cannot be: not locked, no node for it, or a place is silent."""
        rows = (row for row in self.rows if row.planned.action is Action.BUILD)
        return sum(
            bool(row.planned.rendered.unlocked or row.unreachable or row.placement.refusal) for row in rows
        )

    @property
    def unpublished(self) -> int:
        """How many lists are not what they should be."""
        return sum(not each.complete for each in self.plan.lists)

    def to_json(self) -> dict[str, Any]:
        effort = self.effort
        return {
            "schema_version": SCHEMA_VERSION,
            "units": [row.to_json() for row in self.rows],
            "lists": [each.to_json() for each in self.plan.lists],
            "totals": {
                **{action.value: count for action, count in self.counts.items()},
                "blocked": self.blocked,
                "lists": len(self.plan.lists),
                "lists_to_publish": self.unpublished,
                "built_before": effort.known,
                "seconds": round(effort.seconds, 2),
                "size": effort.size,
            },
        }


def preview(
    plan: Plan,
    *,
    record: ReleaseRecord | None,
    assign: Assign,
    supports: Mapping[str, Support],
    unreachable: Mapping[str, tuple[str, ...]],
) -> Preview:
    """`record` is the newest one there is, `assign` says where a unit would be built.

    By identifier `supports` has what `support_of` says today of each unit, `unreachable` what does not
    answer, for units that have such places.
    """
    last = {image.identifier: image for image in record.home} if record else {}
    rows = (
        PreviewRow(
            planned=unit,
            last=last.get(unit.identifier),
            placement=assign(unit.rendered),
            before=plan.observed.inputs.get(unit.identifier),
            support=supports[unit.identifier],
            unreachable=unreachable.get(unit.identifier, ()),
        )
        for unit in plan.units
    )
    return Preview(plan=plan, rows=tuple(rows))


def _last_json(last: PublishedImage | None) -> dict[str, Any] | None:
    if last is None:
        return None
    return {
        "digest": last.digest,
        "size": last.size,
        "unpacked_size": last.unpacked_size,
        "durations": dict(last.durations),
        "emulated": last.emulated,
        "created": last.created,
    }
