"""[groups] → names for sets of units, each pattern of which matches something."""

import fnmatch
import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from toolkit.catalog import grammar
from toolkit.catalog.faults import nearest, quote
from toolkit.catalog.model import Image
from toolkit.catalog.positions import Path
from toolkit.catalog.table import Table

DEFAULT_GROUP = "default"
"""What a bare `make release` takes."""

LEAVE_OUT = "!"
"""Begins a pattern whose units are left out of those that the other patterns take."""


def read_groups(groups: Table) -> dict[str, dict[str, Path]]:
    """Per group its patterns, with where each stands."""
    found = {}
    for name in groups:
        if problem := grammar.NAME.problem(name):
            groups.fault(groups.at(name), f"group name {quote(name)} {problem}")
        about = groups.about(f"group {quote(name)}: ")
        found[name] = about.elements(name, grammar.GLOB, word="pattern", required=True)
    return found


def check_groups(
    top: Table,
    groups: Mapping[str, Mapping[str, Path]],
    images: Sequence[Image],
    *,
    unreadable: Collection[str],
) -> None:
    """Note the patterns that match no unit, and groups of which no pattern takes any.

    `unreadable` are the frameworks ("" for unknown) of images whose faults hide their identifiers: a
    pattern that may be about one of those is let be until they are mended.
    """
    identifiers = dict.fromkeys(each.identifier for image in images for each in image.cells)
    image_ids = dict.fromkeys(each.image_id for image in images for each in image.cells)
    for name, patterns in groups.items():
        if patterns and all(pattern.startswith(LEAVE_OUT) for pattern in patterns):
            only = next(iter(patterns.values()))
            top.fault(only, f'group {quote(name)} only leaves out: add a pattern that takes units, like "*"')
        for written, path in patterns.items():
            pattern = written.removeprefix(LEAVE_OUT)
            if _matches_any(pattern, identifiers) or _matches_any(pattern, image_ids):
                continue
            if not any(_may_be_about(pattern, framework) for framework in unreadable):
                mend = f". The nearest is {quote(_nearest(pattern, identifiers))}" if identifiers else ""
                top.fault(path, f"group {quote(name)}: pattern {quote(written)} matches no build unit{mend}")


def check_default(top: Table, groups: Collection[str], images: Sequence[Image]) -> None:
    """Note that there is no default group."""
    if DEFAULT_GROUP in groups:
        return
    names = (f"{image.framework}-{each.version}-*" for image in images for each in image.cells)
    example = next(names, "pytorch-*")
    near = nearest(DEFAULT_GROUP, groups)
    mend = f"Rename {quote(near)}" if near else f"Add {DEFAULT_GROUP} = [{quote(example)}] below [groups]"
    top.fault(
        top.at("groups"),
        f"group {quote(DEFAULT_GROUP)} is missing: it says what a bare `make release` takes. {mend}",
    )


def _matches_any(pattern: str, names: Iterable[str]) -> bool:
    fits = re.compile(fnmatch.translate(pattern)).match
    return any(fits(name) for name in names)


def _may_be_about(pattern: str, framework: str) -> bool:
    start = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return not framework or start.startswith(f"{framework}-") or f"{framework}-".startswith(start)


def _nearest(pattern: str, identifiers: Collection[str]) -> str:
    """The identifier that has most of the pattern's parts, then most of its beginning.

    Linear, where difflib would take seconds over thousands of identifiers.
    """
    parts = set(pattern.split("-"))

    def likeness(identifier: str) -> tuple[int, int]:
        shared = parts.intersection(identifier.split("-"))
        return len(shared), _common_start(pattern, identifier)

    return max(identifiers, key=likeness)


def _common_start(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
