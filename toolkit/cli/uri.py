"""`toolkit uri`."""

import json

import click

from toolkit.cli.settings import Settings, catalog_option, from_environment, json_option
from toolkit.errors import UsageError
from toolkit.resolve import (
    ArchitectureUnavailable,
    Request,
    Resolution,
    Unresolvable,
    Use,
    resolve,
    resolve_released,
)


@click.command()
@click.argument("framework")
@click.option("--version", "version", help="Default: the newest that the instance type has an image of.")
@click.option("--instance-type", metavar="TYPE", help="Like ml.c7g.xlarge or c7g.xlarge.")
@click.option(
    "--region", metavar="REGION", help="Default: the environment's AWS_REGION or AWS_DEFAULT_REGION."
)
@click.option("--scope", default="inference", show_default=True, help="training, inference, processing …")
@click.option(
    "--consumer", type=click.Choice([each.value for each in Use]), default="sagemaker", show_default=True
)
@click.option("--py-version", metavar="pyNN", help="Where a version has images for several Pythons.")
@click.option("--accelerator-type", metavar="TYPE", help="Of Elastic Inference, like ml.eia2.medium.")
@click.option(
    "--source",
    type=click.Choice(["release", "aws"]),
    help="Only one's own release or only AWS's images. Default: the release where it answers, else AWS.",
)
@click.option("--record", default="", metavar="PATH|REFERENCE", help="Default: dist/release.json.")
@click.option("--explain", is_flag=True, help="Say on stderr why this image.")
@catalog_option
@json_option
def uri(
    framework: str,
    version: str | None,
    instance_type: str | None,
    region: str | None,
    scope: str,
    consumer: str,
    py_version: str | None,
    accelerator_type: str | None,
    source: str | None,
    record: str,
    explain: bool,
    catalog: str,
    as_json: bool,
) -> None:
    """Print the URI of the image of FRAMEWORK that runs on the instance type, and nothing else."""
    settings = from_environment(catalog)
    environment = settings.environment
    request = Request(
        framework=framework,
        region=region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "",
        version=version,
        py_version=py_version,
        instance_type=instance_type,
        accelerator_type=accelerator_type,
        image_scope=scope,
        consumer=Use(consumer),
    )
    if source == "aws" and record:
        raise UsageError("--record names a release, --source aws leaves releases out", remedy="Drop one.")
    found = None if source == "aws" else _released(settings, request, record, is_demanded=source == "release")
    found = found or _of_aws(settings, request)
    if explain:
        for sentence in found.why:
            click.echo(sentence, err=True)
    click.echo(json.dumps(found.to_json(), indent=2) if as_json else found.uri)


def _released(settings: Settings, request: Request, name: str, *, is_demanded: bool) -> Resolution | None:
    """Of the release that is named or, when there is one, the newest here."""
    if not name and not is_demanded and not (settings.dist / "release.json").is_file():
        return None
    from toolkit.cli.records import get_record

    record = get_record(settings, name)
    found = resolve_released(request, record)
    if found is None and is_demanded:
        what = " ".join(filter(None, (request.framework, request.version)))
        where = f" that runs on {request.instance_type}" if request.instance_type else ""
        held = ", ".join(sorted(image.identifier for image in record.images))
        raise Unresolvable(
            f"release {record.release} has no image of {what} for {request.consumer}{where}",
            remedy=f"It has: {held}." if held else "It is empty: make release",
        )
    return found


def _of_aws(settings: Settings, request: Request) -> Resolution:
    if not request.region:
        raise UsageError("the region is not given", remedy="Give it: --region us-west-2, or set AWS_REGION.")
    try:
        return resolve(request)
    except ArchitectureUnavailable as error:
        if buildable := _buildable(settings, request, error):
            error.remedy += f" The catalog has: {', '.join(buildable)} (make release)."
        raise


def _buildable(settings: Settings, request: Request, error: ArchitectureUnavailable) -> tuple[str, ...]:
    """Units of the catalog, if there is one here, that could be built for the machine."""
    if not settings.catalog.is_file():
        return ()
    from toolkit.cli.project import read_project

    return tuple(
        unit.identifier
        for unit in read_project(settings).units
        if unit.image.framework == request.framework and unit.architecture is error.architecture
    )
