"""`toolkit tables`."""

import click

from toolkit.cli.settings import catalog_option, from_environment


@click.command()
@catalog_option
@click.option("--format", "kind", type=click.Choice(["json", "csv", "md"]), default="md", show_default=True)
@click.option("--record", default="", metavar="PATH|REFERENCE", help="Default: dist/release.json.")
def tables(catalog: str, kind: str, record: str) -> None:
    """Print the URI table of a release: one row per unit, with what a deployer asks next."""
    from toolkit.cli.records import get_record
    from toolkit.tables import FORMATS

    settings = from_environment(catalog)
    click.echo(FORMATS[kind](get_record(settings, record)), nl=False)
