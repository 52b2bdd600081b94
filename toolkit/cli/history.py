"""`toolkit history`."""

import json
from dataclasses import asdict, dataclass

import click

from toolkit.cli.records import lookup_newest, lookup_release, release_ids
from toolkit.cli.registries import get_place, read_registries
from toolkit.cli.settings import catalog_option, from_environment, json_option, registry_option
from toolkit.comparison import compare_releases
from toolkit.errors import NothingSelected
from toolkit.record import ReleaseRecord


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A release beside the one before it; `stands` is what deployers are given now."""

    release: str
    created: str
    images: int
    added: int
    changed: int
    gone: int
    stands: bool
    remark: str


@click.command()
@catalog_option
@registry_option
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, the newest first."
)
@json_option
def history(catalog: str, registry: str, limit: int, as_json: bool) -> None:
    """List the releases of a registry, the newest first: images, and what each changed.

    They are those of dist/releases and those that the registry keeps. The release that stands has a star.
    """
    from toolkit.cli.world import destination

    settings = from_environment(catalog)
    place = get_place(registry, lambda: read_registries(settings))
    to = destination(settings, place)
    ids = release_ids(settings, to)
    # One more than is shown: the oldest row is compared with it.
    records = [found for each in ids[: limit + 1] if (found := lookup_release(settings, to, each))]
    newest = lookup_newest(to)
    if not records:
        raise NothingSelected(f"{to.place} has no release yet", remedy="Run: make release")
    befores: list[ReleaseRecord | None] = [*records[1:], None]
    standing = newest.release if newest else ""
    rows = [_row(each, before, standing) for each, before in zip(records, befores, strict=True)][:limit]
    click.echo(json.dumps([asdict(row) for row in rows], indent=2) if as_json else _text(rows))
    if len(ids) > limit and not as_json:
        click.echo(f"{len(ids) - limit} more: --limit {len(ids)}", err=True)


def _row(record: ReleaseRecord, before: ReleaseRecord | None, standing: str) -> _Row:
    change = compare_releases(before, record) if before else None
    return _Row(
        release=record.release,
        created=record.created,
        images=len(record.home),
        added=len(change.added) if change else len(record.home),
        changed=len(change.changed) if change else 0,
        gone=len(change.gone) if change else 0,
        stands=record.release == standing,
        remark="; ".join(record.warnings),
    )


_HEAD = ("", "release", "created", "images", "added", "changed", "gone", "remark")


def _text(rows: list[_Row]) -> str:
    cells = [_HEAD] + [
        (
            "*" if row.stands else "",
            row.release,
            row.created,
            str(row.images),
            str(row.added or "-"),
            str(row.changed or "-"),
            str(row.gone or "-"),
            row.remark,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)
