"""The table as JSON, CSV and Markdown."""

import csv
import io
import json

from toolkit.quantities import human_size
from toolkit.record import ReleaseRecord
from toolkit.tables.rows import COLUMNS, row


def to_json(record: ReleaseRecord) -> str:
    document = {
        "schema_version": 1,
        "release": record.release,
        "created": record.created,
        "registry": record.registry,
        "uris": [row(image) for image in record.images],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def to_csv(record: ReleaseRecord) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row(image) for image in record.images)
    return out.getvalue()


_MARKDOWN = ("identifier", "architecture", "consumer", "region", "size", "uri", "index_tag")


def to_md(record: ReleaseRecord) -> str:
    """A table for people: what to deploy on which architecture, and the list for those who take one."""
    further = sorted({image.region for image in record.images if not record.is_home(image)})
    columns = _MARKDOWN if further else tuple(name for name in _MARKDOWN if name != "region")
    also = f"; there are rows for {', '.join(further)} too" if further else ""
    lines = [
        f"# Release {record.release}",
        "",
        f"Images in {record.registry} on {record.created}: {len(record.home)}{also}.",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + " --- |" * len(columns),
    ]
    for image in record.images:
        cells = row(image) | {"size": human_size(image.size), "uri": f"`{image.uri}`"}
        lines.append("| " + " | ".join(cell(str(cells[name])) for name in columns) + " |")
    remarks = sorted({(image.identifier, image.remark) for image in record.images if image.remark})
    if remarks:
        lines += ["", *(f"* `{identifier}`: {' '.join(remark.split())}" for identifier, remark in remarks)]
    return "\n".join([*lines, *_unsupported(record)]) + "\n"


def _unsupported(record: ReleaseRecord) -> list[str]:
    """A line for each reason why nobody looks after images any more, with the images."""
    by_reason: dict[str, set[str]] = {}
    for image in record.images:
        state = image.support.get("state", "current")
        if state != "current":
            why = " ".join(image.support.get("reasons", "").split())
            by_reason.setdefault(f"{state} ({why})", set()).add(image.identifier)
    lines = [
        f"* {reason}: {', '.join(f'`{name}`' for name in sorted(names))}"
        for reason, names in sorted(by_reason.items())
    ]
    return ["", "## Warning: not looked after any more", "", *lines] if lines else []


def cell(text: str) -> str:
    """One line, and no bar that ends a cell: https://github.github.com/gfm/#example-200"""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
