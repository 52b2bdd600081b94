"""Release record → rows → JSON, CSV and Markdown. Pure."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from toolkit.record import PublishedImage, ReleaseRecord

COLUMNS = (
    "identifier",
    "framework",
    "version",
    "python",
    "os",
    "architecture",
    "accelerator",
    "consumer",
    "registry",
    "repository",
    "tag",
    "digest",
    "uri",
    "index_tag",
    "index_uri",
    "media_type",
    "size",
    "unpacked_size",
    "entrypoint",
    "ports",
    "account",
    "region",
    "verified",
    "created",
    "remark",
)


def row(image: PublishedImage) -> dict[str, Any]:
    """One unit as a flat row of COLUMNS."""
    computed = {
        "entrypoint": " ".join(image.entrypoint),
        "ports": " ".join(image.ports),
        "verified": ", ".join(sorted(image.verification)),
    }
    return {name: computed.get(name, getattr(image, name, "")) for name in COLUMNS}


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


_MARKDOWN = ("identifier", "architecture", "consumer", "size", "uri", "index_tag")


def to_md(record: ReleaseRecord) -> str:
    """A table for people: what to deploy on which architecture, and the list for those who take one."""
    lines = [
        f"# Release {record.release}",
        "",
        f"Images in {record.registry} on {record.created}: {len(record.images)}.",
        "",
        "| " + " | ".join(_MARKDOWN) + " |",
        "|" + " --- |" * len(_MARKDOWN),
    ]
    for image in record.images:
        cells = row(image) | {"size": human_size(image.size), "uri": f"`{image.uri}`"}
        lines.append("| " + " | ".join(_escaped(str(cells[name])) for name in _MARKDOWN) + " |")
    remarks = sorted({(image.identifier, image.remark) for image in record.images if image.remark})
    if remarks:
        lines += ["", *(f"* `{identifier}`: {remark}" for identifier, remark in remarks)]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def human_size(size: float) -> str:
    """Bytes as people read them: 1.5 GB. Decimal units, as registries and disks are sold."""
    if size < 999_500:
        return f"{size / 1_000:.0f} kB"
    return f"{size / 1_000_000:.0f} MB" if size < 999_500_000 else f"{size / 1_000_000_000:.1f} GB"


FORMATS: Mapping[str, Callable[[ReleaseRecord], str]] = {"json": to_json, "csv": to_csv, "md": to_md}
