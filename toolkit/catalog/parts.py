"""Rows that are about some of an image's units: which ones, and `exclude`."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from toolkit.catalog.faults import did_you_mean, quote
from toolkit.catalog.grammar import VERSION
from toolkit.catalog.model import Exclusion, Part
from toolkit.catalog.table import Table
from toolkit.oci import Architecture

Place = tuple[str, Architecture]
"""A version on an architecture."""


def places_of(versions: Iterable[str], architectures: Collection[Architecture]) -> set[Place]:
    return {(version, architecture) for version in versions for architecture in architectures}


@dataclass(frozen=True, kw_only=True)
class Extent:
    """What an image is built of and for; `built` are its places without those that it excludes."""

    python: str
    versions: tuple[str, ...]
    architectures: tuple[Architecture, ...]
    built: frozenset[Place]

    @classmethod
    def of(
        cls,
        *,
        python: str,
        versions: tuple[str, ...],
        architectures: tuple[Architecture, ...],
        exclusions: Collection[Exclusion],
    ) -> "Extent":
        every = places_of(versions, architectures)
        excluded = {place for place in every if any(each.covers(*place) for each in exclusions)}
        return cls(
            python=python,
            versions=versions,
            architectures=architectures,
            built=frozenset(every - excluded),
        )


def read_part(row: Table) -> Part:
    """The row's `version` and `architecture`; a faulty one, which is noted, is read as any."""
    return Part(
        version=row.text("version", VERSION, default=""),
        architecture=row.choice("architecture", Architecture, required=False),
    )


def is_faulty(part: Part, row: Table) -> bool:
    """Whether `row` names what could not be read."""
    return bool(part.version) != ("version" in row) or (part.architecture is not None) != (
        "architecture" in row
    )


def why_nothing(part: Part, versions: Collection[str], architectures: Collection[Architecture]) -> str | None:
    """Why an image of these versions and architectures has no such part; None when it has."""
    if part.version and versions and part.version not in versions:
        mend = did_you_mean(part.version, versions)
        return f"version {quote(part.version)} is not in versions{mend}"
    if part.architecture and architectures and part.architecture not in architectures:
        return f"{quote(part.architecture)} is not in architectures"
    return None


def read_exclusions(
    table: Table, versions: tuple[str, ...], architectures: tuple[Architecture, ...]
) -> tuple[Exclusion, ...]:
    """Each must exclude something that is there and that no row above it excludes."""
    left = places_of(versions, architectures)
    found = []
    for row in table.rows("exclude"):
        part = read_part(row)
        reason = row.text("reason")
        row.close()
        found.append(Exclusion(version=part.version, architecture=part.architecture, reason=reason))
        if "version" not in row and "architecture" not in row:
            row.fault(row.path, "names no version and no architecture: it would exclude the whole image")
            continue
        if is_faulty(part, row):
            continue
        covered = {place for place in left if part.covers(*place)}
        if left and not covered:
            why = why_nothing(part, versions, architectures) or "the rows above exclude all of it already"
            row.fault(row.path, f"there is nothing to exclude: {why}")
        left -= covered
    if versions and architectures and not left:
        table.fault(table.at("exclude"), "exclude leaves nothing to build: remove a row, or the image")
    return tuple(found)
