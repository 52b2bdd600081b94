"""`toolkit bases`."""

import click

from toolkit.catalog.model import Recipe
from toolkit.cli.display import reporter
from toolkit.cli.project import read_project
from toolkit.cli.settings import catalog_option, from_environment, json_option


@click.command()
@catalog_option
@json_option
def bases(catalog: str, as_json: bool) -> None:
    """Make the bootstrapped bases of the catalog, as locked; what is there already is left alone.

    A base that is an image of a registry is fetched by the builds on it, and needs nothing here.
    """
    from toolkit.cli.project import lookup_bases
    from toolkit.cli.world import Bases

    project = read_project(from_environment(catalog))
    present = lookup_bases(project)
    maker = Bases(project=project)
    with reporter(as_json=as_json) as report:
        every = project.catalog.bases.values()
        maker.ensure_all(
            (base for base in every if isinstance(base.origin, Recipe) and base.name not in present), report
        )
