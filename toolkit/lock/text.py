"""The text of images.lock ↔ values.

Ten thousand units are read on the way to every plan. So a set of requirements stands there once,
however many units have it, and in memory it is one tuple. Its name is the digest of what was asked for,
which an upgrade leaves as it is: a package that moves is one changed line.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import tomli

from toolkit.bases import LockedPackage
from toolkit.errors import LockInvalid
from toolkit.lock.model import BaseRow, Lock, LockedBase, LockedUnit, UnlockedBase
from toolkit.oci import Architecture, Digest

VERSION = 2
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_REMEDY = "Restore it from version control, or write it anew: toolkit lock '*'"


def parse_lock(text: str) -> Lock:
    """Raises LockInvalid when the text is not a lock of this version."""
    try:
        data = tomli.loads(text)
        if data.get("version", VERSION) != VERSION:
            raise LockInvalid(
                f"images.lock has version {data['version']}, this toolkit reads {VERSION}",
                remedy="Run the toolkit that wrote it, or remove the file and lock again: toolkit lock '*'",
            )
        bases = {
            name: {Architecture(architecture): _base(row) for architecture, row in rows.items()}
            for name, rows in data.get("bases", {}).items()
        }
        sets = {name: _texts(lines) for name, lines in data.get("requirements", {}).items()}
        times: dict[str, str] = {}
        units = {name: _unit(row, sets, times) for name, row in data.get("units", {}).items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise LockInvalid(f"images.lock cannot be read: {what}", remedy=_REMEDY) from error
    return Lock(bases=bases, units=units)


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


def _unit(
    row: Mapping[str, object], sets: Mapping[str, tuple[str, ...]], times: dict[str, str]
) -> LockedUnit:
    """`times` has those that were judged already: most units were locked in a few moments."""
    created = _text(row["created"])
    return LockedUnit(
        inputs=_text(row["inputs"]),
        created=times.get(created) or times.setdefault(created, _time(created)),
        requirements=sets[_text(row["requirements"])] if "requirements" in row else (),
        unlocked=_text(row.get("unlocked", "")),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is not an array")
    return tuple(_text(value) for value in values)


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
    sets = _sets(lock.units)
    if sets:
        lines += ["", "[requirements]"]
    for (_, requirements), users in sets.items():
        more = f" and {len(users.identifiers) - 1} more" if len(users.identifiers) > 1 else ""
        lines += [f"# {_quoted(users.identifiers[0])}{more}", *_array(_quoted(users.name), requirements)]
    for identifier, unit in sorted(lock.units.items()):
        lines += ["", f"[units.{_quoted(identifier)}]"]
        lines += [f"inputs = {_quoted(unit.inputs)}", f"created = {_quoted(unit.created)}"]
        if unit.requirements:
            lines.append(f"requirements = {_quoted(sets[unit.inputs, unit.requirements].name)}")
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


@dataclass(frozen=True)
class _Set:
    """What a set goes by, and the units that have it."""

    name: str
    identifiers: list[str]


def _sets(units: Mapping[str, LockedUnit]) -> dict[tuple[str, tuple[str, ...]], _Set]:
    """The sets by what was asked for and what it resolved to, in the order of their first units.

    Where units that asked for the same got other answers, at other times, the later names are longer.
    """
    sets: dict[tuple[str, tuple[str, ...]], _Set] = {}
    asked: set[str] = set()
    for identifier, unit in sorted(units.items()):
        key = (unit.inputs, unit.requirements)
        if unit.requirements and key not in sets:
            content = hashlib.sha256(json.dumps(unit.requirements).encode()).hexdigest()[:16]
            name = f"{unit.inputs}-{content}" if unit.inputs in asked else unit.inputs
            asked.add(unit.inputs)
            sets[key] = _Set(name, [])
        if unit.requirements:
            sets[key].identifiers.append(identifier)
    return sets


def _array(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key} = [", *(f"  {_quoted(value)}," for value in values), "]"]


def _quoted(text: str) -> str:
    """A TOML string: JSON's, but for the one character that only JSON allows as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
