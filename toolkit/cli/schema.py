"""`toolkit schema`."""

import json

import click

from toolkit.catalog.parse import read_catalog
from toolkit.catalog.schema import json_schema


@click.command()
def schema() -> None:
    """Print a JSON Schema of images.toml, by which editors complete and check it while it is written.

    It stands in docs/images.schema.json, which images.toml names in its first line. What only the whole
    catalog tells, such as a name that two images share, `toolkit plan` says.
    """
    click.echo(json.dumps(json_schema(read_catalog), indent=2, ensure_ascii=False))
