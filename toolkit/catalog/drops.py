"""`drop` of an image: what of the installed packages does not come into it, and why."""

from toolkit.catalog import grammar
from toolkit.catalog.faults import quote
from toolkit.catalog.model import Drop
from toolkit.catalog.parts import Extent, is_faulty, read_part, why_nothing
from toolkit.catalog.table import Table


def read_drops(table: Table, extent: Extent) -> tuple[Drop, ...]:
    """No two rows may take the same from the same units: the second would find nothing."""
    found: list[Drop] = []
    for row in table.rows("drop"):
        part = read_part(row)
        if not is_faulty(part, row) and (why := why_nothing(part, extent.versions, extent.architectures)):
            row.fault(row.path, f"no unit has it: {why}")
        path = row.text("path", grammar.ENVIRONMENT_GLOB)
        sections = row.texts("sections", grammar.ELF_SECTION, word="section", required=False)
        reason = row.text("reason")
        row.close()
        drop = Drop(
            version=part.version,
            architecture=part.architecture,
            path=path,
            sections=sections,
            reason=reason,
        )
        if path and any(_is_twice(drop, each) for each in found):
            said = f"{quote(path)} is dropped by a row above already"
            row.fault(row.at("path"), f"{said}: remove one of the two")
        found.append(drop)
    return tuple(found)


def _is_twice(drop: Drop, other: Drop) -> bool:
    """Whether both would take the same; sections of one file may have a row each, for their reasons."""
    place = (drop.path, drop.version, drop.architecture)
    if place != (other.path, other.version, other.architecture):
        return False
    return not drop.sections or not other.sections or bool({*drop.sections} & {*other.sections})
