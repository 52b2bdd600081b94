"""What a running command tells: one event at a time, to people or to programs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What happened to the subject of an event."""

    STARTED = "started"
    STAGE = "stage"
    FINISHED = "finished"
    FAILED = "failed"
    NOTE = "note"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Event:
    """`subject` is a unit's identifier, a list's reference or "" for the run as a whole.

    `elapsed` counts seconds since the subject started; `number` of `total` says which of how many.
    """

    kind: Kind
    subject: str = ""
    text: str = ""
    elapsed: float = 0.0
    number: int = 0
    total: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"event": self.kind.value, "subject": self.subject, "text": self.text}
        if self.total:
            fields |= {"number": self.number, "total": self.total}
        return fields | {"elapsed": round(self.elapsed, 3)} | dict(self.data)


Reporter = Callable[[Event], None]
