"""`toolkit uri`."""

import json
from dataclasses import replace

import click

from toolkit.cli.named_record import get_named_record, lookup_named_record
from toolkit.cli.settings import Settings, catalog_option, from_environment, json_option
from toolkit.errors import UsageError
from toolkit.record import ReleaseRecord
from toolkit.resolve import (
    ArchitectureUnavailable,
    ImageConsumer,
    Request,
    Resolution,
    Unresolvable,
    lookup_released,
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
    "--consumer",
    type=click.Choice([each.value for each in ImageConsumer]),
    default="sagemaker",
    show_default=True,
)
@click.option("--py-version", metavar="pyNN", help="Where a version has images for several Pythons.")
@click.option("--accelerator-type", metavar="TYPE", help="Of Elastic Inference, like ml.eia2.medium.")
@click.option(
    "--source",
    type=click.Choice(["release", "aws"]),
    help="Only one's own release or only AWS's images. Default: the release where it answers, else AWS.",
)
@click.option("--record", default="", metavar="PATH|REFERENCE", help="Default: dist/release.json.")
@click.option(
    "--migrate",
    type=click.Choice(["graviton"]),
    help="Name the Graviton type to move to, its image, and what differs between the two images.",
)
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
    migrate: str | None,
    explain: bool,
    catalog: str,
    as_json: bool,
) -> None:
    """Print the URI of the image of FRAMEWORK that runs on the instance type, and nothing else."""
    settings = from_environment(catalog)
    request = Request(
        framework=framework,
        region=region or settings.region,
        version=version,
        py_version=py_version,
        instance_type=instance_type,
        accelerator_type=accelerator_type,
        image_scope=scope,
        consumer=ImageConsumer(consumer),
    )
    if source == "aws" and record:
        raise UsageError("--record names a release, --source aws leaves releases out", remedy="Drop one.")
    held = None
    if source != "aws":
        held = (get_named_record if source == "release" else lookup_named_record)(settings, record)
    is_aws_asked = source != "release"
    if migrate:
        click.echo(_migration(settings, request, held, is_aws_asked=is_aws_asked, as_json=as_json))
        return
    found = _resolved(settings, request, held, is_aws_asked=is_aws_asked)
    if explain:
        for sentence in found.why:
            click.echo(sentence, err=True)
    click.echo(json.dumps(found.to_json(), indent=2) if as_json else found.uri)


def _resolved(
    settings: Settings, request: Request, record: ReleaseRecord | None, *, is_aws_asked: bool
) -> Resolution:
    """From the release where it has an answer, else from AWS where it is asked."""
    found = resolve_released(request, record) if record else None
    if found:
        return found
    if is_aws_asked or record is None:
        return _of_aws(settings, request)
    what = " ".join(filter(None, (request.framework, request.version)))
    where = f" that runs on {request.instance_type}" if request.instance_type else ""
    held = ", ".join(sorted({image.identifier for image in record.images}))
    raise Unresolvable(
        f"release {record.release} has no image of {what} for {request.consumer}{where}",
        remedy=f"It has: {held}." if held else "It is empty: make release",
    )


def _migration(
    settings: Settings, request: Request, record: ReleaseRecord | None, *, is_aws_asked: bool, as_json: bool
) -> str:
    """The two machines, their images and, of images that are in the release, what differs."""
    from toolkit.comparison import compare_images
    from toolkit.resolve.migration import get_graviton_type
    from toolkit.tables.differences import image_text

    if not request.instance_type:
        raise UsageError(
            "--migrate moves from an instance type", remedy="Give it: --instance-type ml.c5.xlarge"
        )
    there = replace(request, instance_type=get_graviton_type(request.instance_type).name)
    before, after = (
        _resolved(settings, each, record, is_aws_asked=is_aws_asked) for each in (request, there)
    )
    held = [lookup_released(each, record) if record else None for each in (request, there)]
    changed = compare_images(held[0], held[1]) if held[0] and held[1] else None
    if as_json:
        document = {
            "instance_type": [request.instance_type, there.instance_type],
            "images": [before.to_json(), after.to_json()],
            "difference": changed.to_json() if changed else None,
        }
        return json.dumps(document, indent=2)
    lines = [
        f"instance type  {request.instance_type} → {there.instance_type}",
        f"image          {before.uri}",
        f"             → {after.uri}",
    ]
    if changed is None:
        return "\n".join([*lines, "packages       not known: not both images are in a release of one's own"])
    return "\n".join([*lines, *image_text(changed)])


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
