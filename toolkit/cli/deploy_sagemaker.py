"""`toolkit deploy sagemaker`."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.deploy import (
    ImageChoice,
    apply_option,
    assignment,
    aws_services,
    image_choice,
    image_options,
    show_plan,
    warn_of_support,
)
from toolkit.cli.material import Material, planned_uri
from toolkit.cli.settings import from_environment
from toolkit.deployers.calls import Call
from toolkit.deployers.checks import ensure_passed
from toolkit.deployers.rollout import roll_out
from toolkit.deployers.sagemaker import Deployment, Variant, document
from toolkit.deployers.sagemaker_checks import end_of_elastic_inference, local_checks, remote_checks
from toolkit.errors import DeploymentRefused, UsageError
from toolkit.hardware import get_instance_type
from toolkit.resolve import ImageConsumer

if TYPE_CHECKING:
    from toolkit.adapters.aws import Aws

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


@click.command(
    epilog="Example: toolkit deploy sagemaker demo --framework pytorch --version 1.12.1 --region us-west-2 "
    "--instance-type ml.c5.xlarge=90 --instance-type ml.c7g.xlarge=10 --model-data s3://models/demo.tar.gz "
    "--role arn:aws:iam::123456789012:role/serving --apply"
)
@click.argument("name")
@image_options
@click.option(
    "--instance-type",
    "instance_types",
    multiple=True,
    required=True,
    metavar="TYPE[=WEIGHT]",
    help="Once for each variant, with its share of the traffic. Example: --instance-type ml.c7g.xlarge",
)
@click.option(
    "--model-data",
    required=True,
    metavar="S3|PATH",
    help="An archive in S3, or a local file or directory, which is packed and uploaded. "
    "Example: --model-data s3://models/demo.tar.gz",
)
@click.option(
    "--role",
    required=True,
    metavar="ARN",
    help="Of the endpoint. Example: --role arn:aws:iam::123456789012:role/serving",
)
@click.option(
    "--script",
    default="",
    metavar="S3|PATH",
    help="Your code: s3://BUCKET/KEY.tar.gz or a local file or directory. Example: --script ./code",
)
@click.option("--program", default="inference.py", show_default=True, help="The file to start.")
@click.option(
    "--upload-to", default="", metavar="S3", help="For local paths. Example: --upload-to s3://models/demo"
)
@click.option(
    "--instance-count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of each variant. Default: 1 at first, later what is running. Example: --instance-count 2",
)
@click.option(
    "--accelerator-type",
    default="",
    metavar="TYPE",
    help="Of Elastic Inference. Example: --accelerator-type ml.eia2.medium",
)
@click.option(
    "--log-level",
    type=click.Choice(list(_LEVELS)),
    default="info",
    show_default=True,
    help="Of the container.",
)
@click.option(
    "--env", multiple=True, metavar="NAME=VALUE", help="Of the container. Example: --env OMP_NUM_THREADS=2"
)
@click.option(
    "--timeout", type=click.IntRange(min=1), default=3600, show_default=True, help="Seconds to follow it."
)
@apply_option
@click.option("--allow-eol", is_flag=True, help="Apply although the service has ended (Elastic Inference).")
def sagemaker(
    name: str,
    instance_types: tuple[str, ...],
    model_data: str,
    role: str,
    script: str,
    program: str,
    upload_to: str,
    instance_count: int | None,
    accelerator_type: str,
    log_level: str,
    env: tuple[str, ...],
    timeout: int,
    is_applied: bool,
    allow_eol: bool,
    catalog: str,
    **image: Any,
) -> None:
    """Make the real-time endpoint NAME of SageMaker, or update it.

    An endpoint that is there gets a new configuration, blue/green; it is never deleted. With several
    --instance-type the traffic is split by their weights; when only weights change, only traffic moves.
    """
    settings = from_environment(catalog)
    choice = image_choice(settings, ImageConsumer.SAGEMAKER, accelerator_type=accelerator_type, **image)
    material = Material(model=model_data, script=script, program=program, upload_to=upload_to)
    variants = tuple(_variant(text, choice) for text in instance_types)
    # Whatever can be refused is refused before anything is packed.
    deployment = Deployment(
        name=name,
        region=choice.region,
        role=role,
        model_data=planned_uri(model_data),
        variants=variants,
        script=material.planned_script(variants),
        count=instance_count,
        accelerator_type=accelerator_type,
        log_level=_LEVELS[log_level],
        environment=dict(assignment(text) for text in env),
    )
    checks = local_checks(deployment, instead=choice.instead_of)
    ensure_passed(checks)
    warn_of_support(variant.image for variant in variants)
    if accelerator_type and is_applied and not allow_eol:
        raise DeploymentRefused(end_of_elastic_inference(), remedy="Send it all the same: --allow-eol")
    services, cloud = aws_services(settings, deployment.region) if is_applied else (None, None)
    checks += remote_checks(deployment, cloud, stored=material.stored)
    ensure_passed(checks)
    deployment, uploads = material.packed(deployment, settings)
    if services:
        _apply(services, deployment, uploads, timeout)
        return
    if accelerator_type:
        click.echo(f"warning: {end_of_elastic_inference()}; --apply refuses without --allow-eol", err=True)
    show_plan(checks, document(deployment, uploads))


def _apply(services: "Aws", deployment: Deployment, uploads: Sequence[Call], timeout: int) -> None:
    from toolkit.adapters.sagemaker import SageMaker
    from toolkit.cli.display import reporter

    with reporter(as_json=False) as report:
        try:
            endpoint = roll_out(deployment, uploads, SageMaker(services), report, patience=timeout)
        except KeyboardInterrupt:
            click.echo("SageMaker goes on by itself; run this again to follow it", err=True)
            raise
    click.echo(endpoint.arn)
    click.echo(f"ask it: toolkit predict {deployment.name} --region {deployment.region} --data '…'", err=True)


def _variant(text: str, choice: ImageChoice) -> Variant:
    """`TYPE` or `TYPE=WEIGHT`."""
    name, equals, weight = text.partition("=")
    if equals and not re.fullmatch(r"\d+(\.\d+)?", weight):
        raise UsageError(f"{weight!r} is not a weight", remedy=f"Write a number: {name}=10")
    machine = get_instance_type(name)
    return Variant(image=choice.for_type(name), machine=machine, weight=float(weight) if equals else 1.0)
