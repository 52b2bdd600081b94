"""`toolkit tables`."""

import click

from toolkit.cli.settings import catalog_option, from_environment
from toolkit.tables import FORMATS


@click.command()
@catalog_option
@click.option("--format", "kind", type=click.Choice(list(FORMATS)), default="md", show_default=True)
@click.option("--record", default="", metavar="PATH|REFERENCE", help="Default: dist/release.json.")
def tables(catalog: str, kind: str, record: str) -> None:
    """Print the URI table of a release: one row per unit, with what a deployer asks next.

    \b
    md, csv, json     for people and programs
    html              a page that needs no network
    tfvars            images["IDENTIFIER"].uri for terraform apply -var-file
    ssm               inputs of aws ssm put-parameter, a JSON list
    kustomize         a Component with an images transformer
    sagemaker-config  what the SageMaker SDK's image_uris.retrieve reads; images in ECR only

    What a format leaves out is told on stderr.
    """
    from toolkit.cli.records import get_record

    found = get_record(from_environment(catalog), record)
    click.echo(FORMATS[kind].write(found), nl=False)
    for sentence in FORMATS[kind].left_out(found):
        click.echo(f"left out: {sentence}", err=True)
