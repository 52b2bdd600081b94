"""`toolkit diff` and `toolkit parity`."""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import click

from toolkit.cli.records import get_record
from toolkit.cli.settings import catalog_option, from_environment
from toolkit.comparison import compare_images, compare_releases, siblings
from toolkit.errors import NothingSelected
from toolkit.tables import differences

_format = click.option(
    "--format", "kind", type=click.Choice(["text", "md", "json"]), default="text", show_default=True
)


@click.command()
@click.argument("before", metavar="RELEASE")
@click.argument("after", metavar="[RELEASE]", default="")
@_format
@catalog_option
def diff(before: str, after: str, kind: str, catalog: str) -> None:
    """Print what a release changed: images added and gone, and of those that changed size and packages.

    A RELEASE is an id of dist/releases, the path of a record or a reference to one in a registry; the second
    is dist/release.json if it is not given.
    """
    settings = from_environment(catalog)
    found = compare_releases(get_record(settings, before), get_record(settings, after))
    writers: dict[str, Callable[[Any], str]] = {
        "text": differences.release_text,
        "md": differences.release_md,
    }
    click.echo(writers[kind](found) if kind in writers else json.dumps(found.to_json(), indent=2))


@click.command()
@click.argument("patterns", nargs=-1, metavar="[IMAGE|GLOB]...")
@_format
@click.option("--record", default="", metavar="PATH|REFERENCE", help="Default: dist/release.json.")
@catalog_option
def parity(patterns: tuple[str, ...], kind: str, record: str, catalog: str) -> None:
    """Print what differs between the amd64 and the arm64 image of a release: sizes, packages, versions.

    An IMAGE is an image id or the identifier of one of its two images. Without one: all that have both.
    """
    found = get_record(from_environment(catalog), record)
    pairs = [
        pair
        for pair in siblings(found.home)
        if not patterns or any(fnmatchcase(name, each) for each in patterns for name in _names(pair[0]))
    ]
    if not pairs:
        held = ", ".join(sorted({image.image_id for image in found.images}))
        raise NothingSelected(
            f"release {found.release} has no such image for both architectures", remedy=f"It has: {held}."
        )
    changes = [compare_images(*pair) for pair in pairs]
    writers: dict[str, Callable[[Any], str]] = {
        "text": differences.parity_text,
        "md": differences.parity_md,
    }
    click.echo(
        writers[kind](changes)
        if kind in writers
        else json.dumps([each.to_json() for each in changes], indent=2)
    )


def _names(image: Any) -> tuple[str, ...]:
    return (image.image_id, *(f"{image.image_id}-{architecture}" for architecture in ("amd64", "arm64")))
