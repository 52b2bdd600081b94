"""`toolkit deploy`: the group, and what its commands have in common."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.lazy import Commands, LazyGroup
from toolkit.cli.named_record import get_named_record, lookup_named_record
from toolkit.cli.settings import Settings, catalog_option
from toolkit.deployers.checks import Check, Outcome
from toolkit.deployers.image import DeployableImage, choose_image, describe_image
from toolkit.errors import UsageError
from toolkit.record import ReleaseRecord
from toolkit.resolve import ImageConsumer, Request, Unresolvable

if TYPE_CHECKING:
    from toolkit.adapters.aws import Aws
    from toolkit.deployers.sagemaker_checks import Cloud

# Command → module and one-line help, as in toolkit.cli.
DEPLOYERS: Commands = {
    "recommender": (
        "deploy_recommender",
        "Cost, latency and throughput on x86 and Graviton, measured by SageMaker.",
    ),
    "sagemaker": (
        "deploy_sagemaker",
        "A real-time endpoint of SageMaker: made, updated, or its traffic moved.",
    ),
    "eks": ("deploy_eks", "A Deployment and a Service for Kubernetes, with nodes and plugin if wanted."),
}


@click.command(cls=LazyGroup, table=DEPLOYERS)
def deploy() -> None:
    """Bring an image to where it serves. Without --apply nothing is sent: the requests are printed, with each
    check that needs credentials as `not checked`."""


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--image or --framework and --version, and where they are looked for: the arguments of ImageChoice."""
    for option in reversed(
        (
            click.option(
                "--image",
                default="",
                metavar="URI",
                help="The image itself, as given. Example: --image HOST/NAME@sha256:…",
            ),
            click.option(
                "--framework",
                default="",
                metavar="NAME",
                help="In place of --image: the image that `toolkit uri` gives. Example: --framework pytorch",
            ),
            click.option(
                "--version",
                default="",
                metavar="VERSION",
                help="Of the framework. Default: the newest that fits. Example: --version 1.12.1",
            ),
            click.option(
                "--py-version",
                default="",
                metavar="pyNN",
                help="Where there are several. Example: --py-version py39",
            ),
            click.option(
                "--source",
                type=click.Choice(["release", "aws"]),
                help="Only one's own release or only AWS's images. Default: the release, where it has one.",
            ),
            click.option(
                "--record", default="", metavar="PATH|REFERENCE", help="Default: dist/release.json."
            ),
            click.option(
                "--region",
                default="",
                metavar="REGION",
                help="Default: AWS_REGION or AWS_DEFAULT_REGION. Example: --region us-west-2",
            ),
            catalog_option,
        )
    ):
        command = option(command)
    return command


def apply_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--apply/--dry-run",
        "is_applied",
        default=False,
        help="Send it. Default: --dry-run, which prints the requests and needs no credentials.",
    )(command)


@dataclass(frozen=True, kw_only=True)
class ImageChoice:
    """What the command line says of the image; `record` is the release that is looked at, if there is one."""

    image: str
    framework: str
    version: str
    py_version: str
    region: str
    consumer: ImageConsumer
    record: ReleaseRecord | None
    is_aws_asked: bool
    accelerator_type: str = ""

    def for_type(self, instance_type: str) -> DeployableImage:
        """The image that was named or, of the framework, the one that runs on the instance type.

        Raises UsageError, and of its kind Unresolvable.
        """
        if self.image:
            return describe_image(self.image, self.record)
        return choose_image(self._request(instance_type), self.record, is_aws_asked=self.is_aws_asked)

    def instead_of(self, image: DeployableImage, instance_type: str) -> str:
        """A sentence: the image of the same framework and version that does run on the instance type."""
        if not image.framework:
            return f"See what runs there: toolkit uri FRAMEWORK --instance-type {instance_type}"
        asked = replace(self, framework=image.framework, version=image.version)
        try:
            found = choose_image(asked._request(instance_type), self.record, is_aws_asked=self.is_aws_asked)
        except Unresolvable as error:
            return f"{error.message.rstrip('.')}. {error.remedy}"
        return f"On {instance_type} use --image {found.uri}"

    def _request(self, instance_type: str) -> Request:
        return Request(
            framework=self.framework,
            region=self.region,
            version=self.version or None,
            py_version=self.py_version or None,
            instance_type=instance_type,
            accelerator_type=self.accelerator_type or None,
            image_scope="inference",
            consumer=self.consumer,
        )


def image_choice(
    settings: Settings,
    consumer: ImageConsumer,
    *,
    image: str,
    framework: str,
    version: str,
    py_version: str,
    source: str | None,
    record: str,
    region: str,
    accelerator_type: str = "",
) -> ImageChoice:
    """From the values of `image_options`. Raises UsageError when they contradict each other."""
    if bool(image) == bool(framework):
        raise UsageError(
            "the image is not given" if not image else "--image and --framework both say what the image is",
            remedy="Give --image URI, or --framework NAME with --version.",
        )
    if image and version:
        raise UsageError("--version is that of a --framework, --image has its own", remedy="Leave one out.")
    where = region or settings.region
    if not where:
        raise UsageError("the region is not given", remedy="Give it: --region us-west-2, or set AWS_REGION.")
    if source == "aws" and record:
        raise UsageError("--record names a release, --source aws leaves releases out", remedy="Drop one.")
    held = None
    if source != "aws":
        held = (get_named_record if source == "release" else lookup_named_record)(settings, record)
    return ImageChoice(
        image=image,
        framework=framework,
        version=version,
        py_version=py_version,
        region=where,
        consumer=consumer,
        record=held,
        is_aws_asked=source != "release",
        accelerator_type=accelerator_type,
    )


def assignment(text: str) -> tuple[str, str]:
    """`NAME=VALUE`, for --env. Raises UsageError."""
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[a-zA-Z_]\w*", name):
        raise UsageError(f"{text!r} sets no variable", remedy="Write it like this: --env NAME=VALUE")
    return name, value


def show_plan(checks: Sequence[Check], plan: Mapping[str, Any]) -> None:
    """What --apply would send, with the checks, as JSON on stdout."""
    click.echo(json.dumps({**plan, "checks": [each.to_json() for each in checks]}, indent=2))
    open_ones = sum(each.outcome is Outcome.NOT_CHECKED for each in checks)
    passed = sum(each.outcome is Outcome.PASSED for each in checks)
    click.echo(
        f"nothing was sent: {passed} checks passed, {open_ones} not checked; --apply sends it", err=True
    )


def warn_of_support(images: Iterable[DeployableImage]) -> None:
    """On stderr, what nobody looks after any more among images of one's own release."""
    published = {each.identifier: each.support for image in images for each in image.published}
    for identifier, support in published.items():
        if support.get("state", "current") != "current":
            since = f" since {support['date']}" if support.get("date") else ""
            click.echo(f"warning: {identifier} is {support['state']}{since}", err=True)


def aws_services(settings: Settings, region: str) -> "tuple[Aws, Cloud]":
    """For --apply alone: without it neither boto3 nor what a release needs is imported."""
    from toolkit.cli.connections import aws, cloud

    services = aws(settings, region)
    return services, cloud(services)
