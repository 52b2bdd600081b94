"""What a release did, event by event, so that one that was killed can be gone on with. Pure.

An event stands in the journal, one JSON object a line, before what it says may count: what a release
will do to a tag is written before it does it, what was verified before a byte of it is sent.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, get_origin

from toolkit import publish
from toolkit.errors import ToolkitError


class JournalCorrupt(ToolkitError):
    """A journal cannot be read. Only its last line may be torn, by what killed its writer."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A unit that is to be released; `inputs` are the short hashes of what goes into it."""

    identifier: str
    build_id: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Began:
    """The plan. `at` is RFC 3339, `destination` HOST[:PORT][/PATH]; `lists` has the digest under each list's
    reference then, "" for none; `dropped` are the platforms that lists may lose; `continues` is the release
    that ended with failures and is gone on with."""

    kind: ClassVar[str] = "began"
    release: str
    at: str
    destination: str
    steps: tuple[Step, ...]
    lists: Mapping[str, str]
    dropped: tuple[str, ...] = ()
    continues: str = ""


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A unit's layout is on disk and was proved; `digest` is its image's. Durations are seconds."""

    kind: ClassVar[str] = "verified"
    identifier: str
    digest: str
    durations: Mapping[str, float]
    emulated: bool


@dataclass(frozen=True, kw_only=True)
class Uploading:
    """An upload goes on at `address`, of which the registry has `offset` bytes; "" when it is over."""

    kind: ClassVar[str] = "uploading"
    repository: str
    digest: str
    address: str
    offset: int


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """A blob is in the registry; `fate` is how it got there."""

    kind: ClassVar[str] = "uploaded"
    repository: str
    digest: str
    size: int
    fate: str


@dataclass(frozen=True, kw_only=True)
class Moving:
    """A reference is about to name another manifest; `before` is "" when it names nothing."""

    kind: ClassVar[str] = "moving"
    reference: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Moved:
    """It was read back: it names it."""

    kind: ClassVar[str] = "moved"
    reference: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The release record is on disk; `digest` is that of its bytes, `failures` what it lacks and why."""

    kind: ClassVar[str] = "recorded"
    digest: str
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """There is nothing left to do, but for `failures`: what happened by identifier or list."""

    kind: ClassVar[str] = "ended"
    failures: Mapping[str, str] = field(default_factory=dict)


Event = Began | Verified | Uploading | Uploaded | Moving | Moved | Recorded | Ended
_EVENTS: Mapping[str, type[Event]] = {
    each.kind: each for each in (Began, Verified, Uploading, Uploaded, Moving, Moved, Recorded, Ended)
}


def event_of(step: publish.Step) -> Event | None:
    """What the journal says of a step of publishing; None where nothing was done to the registry."""
    match step:
        case publish.UploadAt():
            return Uploading(
                repository=step.repository,
                digest=step.blob.digest,
                address=step.address,
                offset=step.offset,
            )
        case publish.BlobProgress(fate=publish.Fate.SENT | publish.Fate.MOUNTED):
            return Uploaded(
                repository=step.repository,
                digest=step.blob.digest,
                size=step.blob.size,
                fate=step.fate.value,
            )
        case publish.BlobProgress():
            return None
        case publish.TagMoving():
            return Moving(reference=step.reference, before=step.before or "", after=step.after)
        case publish.TagMoved():
            return Moved(reference=step.reference, after=step.after)


class Journal(Protocol):
    """Where events are kept; methods may be called from several threads."""

    def append(self, event: Event) -> None:
        """Returns when the event would survive a power cut. Raises NeedNotMet when the disk takes no more."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What a journal comes to. `verified` is by identifier, `uploads` by (repository, digest), `moving` by
    reference: what may have been done although nobody could say so any more."""

    began: Began
    verified: Mapping[str, Verified] = field(default_factory=lambda: MappingProxyType({}))
    uploads: Mapping[tuple[str, str], Uploading] = field(default_factory=lambda: MappingProxyType({}))
    moving: Mapping[str, Moving] = field(default_factory=lambda: MappingProxyType({}))
    moved: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    recorded: Recorded | None = None
    ended: Ended | None = None

    @property
    def release(self) -> str:
        return self.began.release

    @property
    def failures(self) -> Mapping[str, str]:
        last = self.ended or self.recorded
        return last.failures if last else {}

    @property
    def is_done(self) -> bool:
        """Nothing is left to go on with."""
        return self.ended is not None and not self.failures


def fold(events: Iterable[Event]) -> State | None:
    """None for no event. Raises JournalCorrupt unless the first event, and no other, is the plan."""
    state: State | None = None
    for event in events:
        if (state is None) != isinstance(event, Began):
            wanted = "a plan" if state is None else "another event"
            raise JournalCorrupt(
                f"a journal has {event.kind!r} where {wanted} must be", remedy="Remove it: dist/journal/"
            )
        state = State(began=event) if isinstance(event, Began) else _after(state, event)
    return state


def _after(state: State | None, event: Event) -> State:
    assert state is not None
    match event:
        case Verified():
            return replace(state, verified={**state.verified, event.identifier: event})
        case Uploading():
            return replace(state, uploads={**state.uploads, (event.repository, event.digest): event})
        case Uploaded():
            left = {
                key: each for key, each in state.uploads.items() if key != (event.repository, event.digest)
            }
            return replace(state, uploads=left)
        case Moving():
            return replace(state, moving={**state.moving, event.reference: event})
        case Moved():
            left_moving = {key: each for key, each in state.moving.items() if key != event.reference}
            return replace(state, moving=left_moving, moved={**state.moved, event.reference: event.after})
        case Recorded():
            return replace(state, recorded=event)
        case Ended():
            return replace(state, ended=event)
        case Began():
            raise AssertionError("fold looks for it")


def dump(event: Event) -> bytes:
    """One line, with its end."""
    return json.dumps({"event": event.kind, **asdict(event)}, separators=(",", ":")).encode() + b"\n"


def whole_length(content: bytes) -> int:
    """The length in bytes of the lines that have an end: what comes behind was torn when it was written."""
    return content.rfind(b"\n") + 1


def parse(content: bytes, *, name: str) -> tuple[Event, ...]:
    """The events of a journal, without a last line that was torn. `name` is for messages."""
    lines = content[: whole_length(content)].splitlines()
    return tuple(_event(line, where=f"{name}:{number}") for number, line in enumerate(lines, 1))


def _event(line: bytes, *, where: str) -> Event:
    try:
        data = json.loads(line)
        kind = _EVENTS[data.pop("event")]
        if kind is Began:
            data["steps"] = [Step(**each) for each in data["steps"]]
        values = {each.name: _value(data[each.name], each.type) for each in fields(kind)}
        if len(values) != len(data):
            raise ValueError(f"{kind.kind} has fields that this toolkit does not know")
        return kind(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{error} is unknown or missing" if isinstance(error, KeyError) else str(error)
        raise JournalCorrupt(
            f"{where}: the journal is corrupt: {what}",
            remedy="Remove that file and release again: what is in the registry is not sent twice.",
        ) from error


def _value(value: Any, annotation: Any) -> Any:
    """A field's value from JSON's. Raises TypeError for one of another kind."""
    is_tuple = get_origin(annotation) is tuple
    wanted: Any = list if is_tuple else annotation if annotation in (str, int, bool) else dict
    if not isinstance(value, wanted):
        raise TypeError(f"{value!r} stands where {wanted.__name__} must")
    return tuple(value) if is_tuple else value
