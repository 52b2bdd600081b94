"""The text of images.lock, as `format_lock` writes it, → the tables that any reader of TOML gives.

Ten thousand units are read on the way to every plan; this takes a sixth of the time. What is spelled in
any other way, by hand or by a merge, is left to a reader of all of TOML.
"""

import re
from collections.abc import Mapping
from typing import Any

import tomli

# Nothing in it is escaped: what stands between the quotes is what the text says.
_TEXT = r'"([^"\\\n]*)"'
_SET = re.compile(rf"(?:#[^\n]*\n)?{_TEXT} = \[\n")
_KEYS = ("inputs", "created", "requirements", "downloads", "unlocked")
_UNIT = re.compile(rf"\n\[units\.{_TEXT}\]\n" + "".join(rf"(?:{key} = {_TEXT}\n)?" for key in _KEYS))
_FIRST_TABLE = re.compile(r"\n\[(?:requirements\]|downloads\]|units\.)")

# No text of TOML has them as they are.
_CONTROLS = bytes({*range(0x20), 0x7F} - {ord("\n")})


def read_written(text: str) -> Mapping[str, Any] | None:
    """None for what may be TOML in another spelling, or none at all."""
    first = _FIRST_TABLE.search(text)
    if first is None or "\\" in text:
        return None
    try:
        content = text.encode()
        tables = tomli.loads(text[: first.start()])  # bases and keys are few
    except ValueError:
        return None
    if len(content.translate(None, _CONTROLS)) != len(content):
        return None
    at = first.start()
    read: dict[str, Mapping[str, object]] = {}
    for name in ("requirements", "downloads"):
        if text.startswith(header := f"\n[{name}]\n", at):
            sets, at = _sets(text, at + len(header))
            read[name] = sets
    read["units"], at = _units(text, at)
    return {**tables, **read} if at == len(text) and not tables.keys() & read.keys() else None


def _sets(text: str, at: int) -> tuple[dict[str, list[str]], int]:
    """The arrays of texts from `at` on, and where they end: before what is none, or is there twice."""
    sets: dict[str, list[str]] = {}
    while (head := _SET.match(text, at)) and head[1] not in sets:
        end = text.find("\n]\n", at) + 1
        body = text[head.end() : end]
        # Each line is `  "TEXT",`
        lines = body[3:-3].split('",\n  "')
        counts = body.count("\n"), body.count('"')
        if counts != (len(lines), 2 * len(lines)) or body[:3] != '  "' or body[-3:] != '",\n':
            break
        sets[head[1]] = lines
        at = end + 2
    return sets, at


def _units(text: str, at: int) -> tuple[dict[str, dict[str, str]], int]:
    """The tables of units from `at` on, and where they end: before what is none, or is there twice."""
    units: dict[str, dict[str, str]] = {}
    while (found := _UNIT.match(text, at)) and found[1] not in units:
        values = zip(_KEYS, found.groups()[1:], strict=True)
        units[found[1]] = {key: value for key, value in values if value is not None}
        at = found.end()
    return units, at
