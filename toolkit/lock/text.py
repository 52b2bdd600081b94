"""The text of images.lock ↔ values.

Ten thousand units are read on the way to every plan. So a set of requirements stands there once,
however many units have it, and in memory it is one tuple. Its name is the digest of what was asked for,
which an upgrade leaves as it is: a package that moves is one changed line.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import tomli

from toolkit.bases import LockedPackage
from toolkit.errors import LockInvalid
from toolkit.lock.model import BaseRow, Lock, LockedBase, LockedDownload, LockedUnit, UnlockedBase
from toolkit.lock.written import read_written
from toolkit.oci import Architecture, Digest

VERSION = 2
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_REMEDY = "Restore it from version control, or write it anew: toolkit lock '*'"


def parse_lock(text: str) -> Lock:
    """Raises LockInvalid when the text is not a lock of this version."""
    try:
        data = read_written(text) or tomli.loads(text)
        if data.get("version", VERSION) != VERSION:
            raise LockInvalid(
                f"images.lock has version {data['version']}, this toolkit reads {VERSION}",
                remedy="Run the toolkit that wrote it, or remove the file and lock again: toolkit lock '*'",
            )
        bases = {
            name: {Architecture(architecture): _base(row) for architecture, row in rows.items()}
            for name, rows in data.get("bases", {}).items()
        }
        requirements = {name: _texts(lines) for name, lines in data.get("requirements", {}).items()}
        downloads = {
            name: tuple(LockedDownload.parse(line) for line in _texts(lines))
            for name, lines in data.get("downloads", {}).items()
        }
        keys = {url: _sha256(value) for url, value in data.get("keys", {}).items()}
        sets = _Sets(requirements=requirements, downloads=downloads)
        units = {name: _unit(row, sets) for name, row in data.get("units", {}).items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise LockInvalid(f"images.lock cannot be read: {what}", remedy=_REMEDY) from error
    return Lock(bases=bases, keys=keys, units=units)


def _base(row: Mapping[str, object]) -> BaseRow:
    inputs = _text(row["inputs"])
    if "unlocked" in row:
        return UnlockedBase(inputs=inputs, reason=_text(row["unlocked"]))
    return LockedBase(
        inputs=inputs,
        digest=Digest(_text(row["digest"])),
        index=Digest(_text(row["index"])) if "index" in row else None,
        packages=tuple(LockedPackage.parse(line) for line in _texts(row.get("packages", []))),
    )


@dataclass(frozen=True, kw_only=True)
class _Sets:
    """What several units share: sets by name, and times that were judged already."""

    requirements: Mapping[str, tuple[str, ...]]
    downloads: Mapping[str, tuple[LockedDownload, ...]]
    times: dict[str, str] = field(default_factory=dict)


def _unit(row: Mapping[str, object], sets: _Sets) -> LockedUnit:
    created = _text(row["created"])
    return LockedUnit(
        inputs=_text(row["inputs"]),
        created=sets.times.get(created) or sets.times.setdefault(created, _time(created)),
        requirements=sets.requirements[_text(row["requirements"])] if "requirements" in row else (),
        downloads=sets.downloads[_text(row["downloads"])] if "downloads" in row else (),
        unlocked=_text(row.get("unlocked", "")),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is not an array")
    return tuple(map(_text, values))


def _sha256(value: object) -> str:
    """Hex, as `toolkit lock` wrote it."""
    return Digest(_text(value)).hex


def _time(value: str) -> str:
    """A build takes it as SOURCE_DATE_EPOCH."""
    datetime.strptime(value, _TIME)
    return value


def format_lock(lock: Lock) -> str:
    """The file's text; the same lock always gives the same bytes, so that diffs stay small."""
    lines = ["# Written by `toolkit lock`. Review and commit it like any lock file.", f"version = {VERSION}"]
    for name, rows in sorted(lock.bases.items()):
        for architecture, row in sorted(rows.items()):
            lines += ["", f"[bases.{_quoted(name)}.{architecture}]", *_base_lines(row)]
    if lock.keys:
        lines += ["", "[keys]"]
        lines += [f'{_quoted(url)} = "sha256:{sha256}"' for url, sha256 in sorted(lock.keys.items())]
    shared: dict[str, list[str]] = {identifier: [] for identifier in lock.units}
    for key, lines_of in _SHARED.items():
        sets = _named_sets(
            {identifier: (unit.inputs, lines_of(unit)) for identifier, unit in lock.units.items()}
        )
        lines += ["", f"[{key}]"] if sets else []
        for name, (members, users) in sets.items():
            more = f" and {len(users) - 1} more" if len(users) > 1 else ""
            lines += [f"# {_quoted(users[0])}{more}", *_array(_quoted(name), members)]
            for identifier in users:
                shared[identifier].append(f"{key} = {_quoted(name)}")
    for identifier, unit in sorted(lock.units.items()):
        lines += ["", f"[units.{_quoted(identifier)}]"]
        lines += [f"inputs = {_quoted(unit.inputs)}", f"created = {_quoted(unit.created)}"]
        lines += shared[identifier]
        if unit.unlocked:
            lines.append(f"unlocked = {_quoted(unit.unlocked)}")
    return "\n".join(lines) + "\n"


def _base_lines(row: BaseRow) -> list[str]:
    lines = [f"inputs = {_quoted(row.inputs)}"]
    if isinstance(row, UnlockedBase):
        return [*lines, f"unlocked = {_quoted(row.reason)}"]
    lines.append(f"digest = {_quoted(row.digest)}")
    if row.index:
        lines.append(f"index = {_quoted(row.index)}")
    if row.packages:
        lines += _array("packages", [str(package) for package in row.packages])
    return lines


# What units share, by the table of its sets.
_SHARED: Mapping[str, Callable[[LockedUnit], tuple[str, ...]]] = {
    "requirements": lambda unit: unit.requirements,
    "downloads": lambda unit: tuple(str(each) for each in unit.downloads),
}


def _named_sets(
    units: Mapping[str, tuple[str, tuple[str, ...]]],
) -> dict[str, tuple[tuple[str, ...], list[str]]]:
    """Lines and users of each set by its name, in the order of the first users.

    `units` has what was asked for and the lines, by identifier. Where units that asked for the same got
    other answers, at other times, the later names are longer.
    """
    names: dict[tuple[str, tuple[str, ...]], str] = {}
    sets: dict[str, tuple[tuple[str, ...], list[str]]] = {}
    for identifier, (inputs, lines) in sorted(units.items()):
        if not lines:
            continue
        if (inputs, lines) not in names:
            content = hashlib.sha256(json.dumps(lines).encode()).hexdigest()[:16]
            names[inputs, lines] = f"{inputs}-{content}" if inputs in sets else inputs
            sets[names[inputs, lines]] = (lines, [])
        sets[names[inputs, lines]][1].append(identifier)
    return sets


def _array(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key} = [", *(f"  {_quoted(value)}," for value in values), "]"]


def _quoted(text: str) -> str:
    """A TOML string: JSON's, but for the one character that only JSON allows as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
