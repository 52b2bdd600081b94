"""What set-up changed, kept on the machine so that uninstall takes back that and nothing else.

A change is recorded before it is made: after an interruption the record names at most too much,
and taking back what never happened does nothing.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from toolkit.errors import NeedNotMet
from toolkit.machine.system import Process

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class FileWritten:
    """`before` is the text that stood there, None where nothing did; `after` what set-up wrote."""

    path: str
    before: str | None
    after: str


@dataclass(frozen=True, kw_only=True)
class DirectoryMade:
    """A directory that was not there. With `whole`, all in it is set-up's doing: engine data, for one."""

    path: str
    whole: bool


@dataclass(frozen=True, kw_only=True)
class PackagesInstalled:
    """Packages that were not there, dependencies included."""

    packages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class UserMade:
    """A system user with its group, made by a package that leaves it behind."""

    name: str


@dataclass(frozen=True, kw_only=True)
class GroupMade:
    """A system group, made by a package that leaves it behind."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Mounted:
    target: str


@dataclass(frozen=True, kw_only=True)
class EmulatorRegistered:
    """A binfmt_misc entry."""

    name: str


@dataclass(frozen=True, kw_only=True)
class ProcessStarted:
    """A daemon. `pid` and the rest of its identity are None if set-up was cut off while starting it."""

    name: str
    command: tuple[str, ...]
    pid: int | None = None
    started: int | None = None
    boot: str | None = None

    @property
    def process(self) -> Process | None:
        if self.pid is None or self.started is None or self.boot is None:
            return None
        return Process(pid=self.pid, started=self.started, boot=self.boot)


@dataclass(frozen=True, kw_only=True)
class NetworkTouched:
    """Before the engine's first start: `forwarding` of packets, 0 or 1; whether its bridge was there."""

    forwarding: str
    bridge: bool


@dataclass(frozen=True, kw_only=True)
class ServiceStarted:
    service: str


Change = (
    FileWritten
    | DirectoryMade
    | PackagesInstalled
    | UserMade
    | GroupMade
    | Mounted
    | EmulatorRegistered
    | ProcessStarted
    | NetworkTouched
    | ServiceStarted
)

_KINDS: dict[str, type[Change]] = {
    "file": FileWritten,
    "directory": DirectoryMade,
    "packages": PackagesInstalled,
    "user": UserMade,
    "group": GroupMade,
    "mount": Mounted,
    "emulator": EmulatorRegistered,
    "process": ProcessStarted,
    "network": NetworkTouched,
    "service": ServiceStarted,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True, kw_only=True)
class SetupRecord:
    """The changes in the order they were made."""

    changes: tuple[Change, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises NeedNotMet when the text is no record of this version."""
        try:
            data = json.loads(text)
            if data["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"schema_version {data['schema_version']!r}")
            return cls(changes=tuple(_change(item) for item in data["changes"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NeedNotMet(
                f"the record of set-up cannot be read ({error}): damaged, or written by another version",
                remedy="Run the version that wrote it, or remove the record and what set-up made by hand.",
            ) from error

    def dump(self) -> str:
        changes = [{"kind": _NAMES[type(change)], **asdict(change)} for change in self.changes]
        return json.dumps({"schema_version": SCHEMA_VERSION, "changes": changes}, indent=1) + "\n"

    def adding(self, change: Change) -> "SetupRecord":
        """With `change`. What stood before is what stood at first; of a process the last start counts."""
        known = next((known for known in self.changes if _key(known) == _key(change)), None)
        match known, change:
            case None, _:
                return SetupRecord(changes=(*self.changes, change))
            case ProcessStarted(), ProcessStarted():
                return SetupRecord(changes=(*self.without(known).changes, change))
            case FileWritten(before=before), FileWritten():
                merged = replace(change, before=before)
                return SetupRecord(changes=tuple(merged if item == known else item for item in self.changes))
            case _:
                return self

    def without(self, change: Change) -> "SetupRecord":
        return SetupRecord(changes=tuple(known for known in self.changes if known != change))


def _change(item: dict[str, Any]) -> Change:
    kind = _KINDS[item["kind"]]
    names = {field.name for field in fields(kind)}
    values: dict[str, Any] = {
        name: tuple(item[name]) if isinstance(item[name], list) else item[name] for name in names
    }
    return kind(**values)


def _key(change: Change) -> tuple[type[Change], object]:
    """Two changes with one key are the same change made again."""
    match change:
        case FileWritten(path=path) | DirectoryMade(path=path):
            return type(change), path
        case ProcessStarted(command=command):
            return type(change), command
        case NetworkTouched():
            return type(change), None
        case _:
            return type(change), change
