"""`toolkit deploy recommender`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.deploy import (
    ImageChoice,
    apply_option,
    aws_services,
    image_choice,
    image_options,
    show_plan,
    warn_of_support,
)
from toolkit.cli.material import Material, planned_uri
from toolkit.cli.settings import from_environment, json_option
from toolkit.deployers.archives import ARCHIVE_SUFFIX, is_remote, members
from toolkit.deployers.calls import Call
from toolkit.deployers.candidates import candidates
from toolkit.deployers.checks import Check, Outcome, check_machine, ensure_passed, not_checked
from toolkit.deployers.recommender import Benchmark, Load, document, get_framework, vocabulary
from toolkit.deployers.sagemaker import Deployment, Variant
from toolkit.deployers.sagemaker_checks import local_checks, remote_checks
from toolkit.errors import DeploymentFailed, NothingSelected, UsageError
from toolkit.hardware import get_instance_type
from toolkit.resolve import ImageConsumer, Unresolvable

if TYPE_CHECKING:
    from toolkit.adapters.aws import Aws

_WORDS = vocabulary()


@click.command(
    epilog="Example: toolkit deploy recommender resnet --framework pytorch --version 1.12.1 "
    "--region us-west-2 --model-data ./model --payload ./samples --domain COMPUTER_VISION "
    "--task IMAGE_CLASSIFICATION --input '{\"input0\": [1, 3, 224, 224]}' --upload-to s3://models/resnet "
    "--role arn:aws:iam::123456789012:role/serving --apply"
)
@click.argument("name")
@image_options
@click.option(
    "--instance-type",
    "instance_types",
    multiple=True,
    metavar="TYPE|GLOB",
    help="Candidates. Default: the newest c, m and r types of x86 and Graviton. Example: 'ml.c[67]*.xlarge'",
)
@click.option(
    "--model-data", required=True, metavar="S3|PATH", help="Example: --model-data s3://models/demo.tar.gz"
)
@click.option(
    "--payload",
    required=True,
    metavar="S3|PATH",
    help="Sample bodies, one per file, packed as the service wants them. Example: --payload ./samples",
)
@click.option(
    "--role",
    required=True,
    metavar="ARN",
    help="Of the jobs. Example: --role arn:aws:iam::123456789012:role/serving",
)
@click.option(
    "--input",
    "inputs",
    required=True,
    metavar="JSON",
    help="Name and shape of each input. Example: --input '{\"input0\": [1, 3, 224, 224]}'",
)
@click.option(
    "--content-type",
    "content_types",
    multiple=True,
    default=("application/json",),
    show_default=True,
    metavar="TYPE",
    help="Of the sample bodies. Example: --content-type text/csv",
)
@click.option(
    "--response-type",
    "response_types",
    multiple=True,
    default=("application/json",),
    show_default=True,
    metavar="TYPE",
    help="Of the answers. Example: --response-type text/csv",
)
@click.option("--domain", type=click.Choice(_WORDS.domains), default="MACHINE_LEARNING", show_default=True)
@click.option("--task", type=click.Choice(_WORDS.tasks), default="OTHER", show_default=True)
@click.option(
    "--nearest-model",
    default="",
    metavar="NAME",
    help="A model that the service has benchmarked. Default: the nearest. Example: --nearest-model resnet50",
)
@click.option("--model-framework", default="", metavar="NAME", help="Default: the image's. Example: PYTORCH")
@click.option("--model-version", default="", metavar="VERSION", help="Default: the image's. Example: 1.12.1")
@click.option("--script", default="", metavar="S3|PATH", help="Your code. Example: --script ./code")
@click.option("--program", default="inference.py", show_default=True, help="The file of the script to start.")
@click.option("--upload-to", default="", metavar="S3", help="For local paths. Example: s3://models/resnet")
@click.option(
    "--job",
    "kind",
    type=click.Choice(["default", "advanced"]),
    default="default",
    show_default=True,
    help="advanced is a load test with the options below.",
)
@click.option("--users", type=click.IntRange(1, 3), default=1, show_default=True, help="At the start.")
@click.option(
    "--spawn-rate", type=click.IntRange(0), default=1, show_default=True, help="New users a minute."
)
@click.option(
    "--seconds", type=click.IntRange(120, 3600), default=120, show_default=True, help="Of the load."
)
@click.option("--max-latency", type=click.IntRange(1), metavar="MS", help="Stop when its P95 is higher.")
@click.option("--max-invocations", type=click.IntRange(1), metavar="N", help="Stop at so many a minute.")
@click.option(
    "--timeout", type=click.IntRange(1), default=10800, show_default=True, help="Seconds to follow the jobs."
)
@apply_option
@json_option
def recommender(
    name: str,
    instance_types: tuple[str, ...],
    model_data: str,
    payload: str,
    role: str,
    inputs: str,
    content_types: tuple[str, ...],
    response_types: tuple[str, ...],
    domain: str,
    task: str,
    nearest_model: str,
    model_framework: str,
    model_version: str,
    script: str,
    program: str,
    upload_to: str,
    kind: str,
    users: int,
    spawn_rate: int,
    seconds: int,
    max_latency: int | None,
    max_invocations: int | None,
    timeout: int,
    is_applied: bool,
    as_json: bool,
    catalog: str,
    **image: Any,
) -> None:
    """Measure the model NAME with SageMaker Inference Recommender on x86 and Graviton, side by side.

    One versioned model package and one job for each image; a second run follows the jobs of the first.
    """
    settings = from_environment(catalog)
    choice = image_choice(settings, ImageConsumer.SAGEMAKER, **image)
    material = Material(
        model=model_data, script=script, program=program, upload_to=upload_to, payload=payload
    )
    variants = _variants(instance_types, choice)
    deployment = Deployment(
        name=name,
        region=choice.region,
        role=role,
        model_data=planned_uri(model_data),
        variants=variants,
        script=material.planned_script(variants),
    )
    checks = local_checks(deployment, instead=choice.instead_of)
    ensure_passed(checks)
    warn_of_support(variant.image for variant in variants)
    load = Load(
        users=users,
        spawn_rate=spawn_rate,
        seconds=seconds,
        latency_ms=max_latency,
        invocations=max_invocations,
    )
    benchmark = Benchmark(
        of=deployment,
        payload=planned_uri(payload),
        content_types=content_types,
        response_types=response_types,
        framework=get_framework(variants[0].image, model_framework),
        version=model_version or variants[0].image.version,
        domain=domain,
        task=task,
        nearest=nearest_model,
        inputs=_shapes(inputs),
        load=load if kind == "advanced" else None,
    )
    samples = {} if is_remote(payload) else _samples(Path(payload))
    services, cloud = aws_services(settings, deployment.region) if is_applied else (None, None)
    checks += remote_checks(deployment, cloud, stored=material.stored)
    ensure_passed(checks)
    deployment, uploads = material.packed(deployment, settings)
    uri, more = material.packed_payload(samples, settings)
    benchmark = replace(benchmark, of=deployment, payload=uri)
    if services:
        _apply(services, benchmark, (*uploads, *more), timeout, as_json=as_json)
        return
    show_plan((*checks, _metadata_check(nearest_model)), document(benchmark, (*uploads, *more)))


def _metadata_check(nearest: str) -> Check:
    what = f"whether the service has benchmarked {nearest}" if nearest else "which model is the nearest"
    return not_checked(
        "model metadata", f"ListModelMetadata says {what}, with credentials: only with --apply"
    )


def _variants(patterns: Sequence[str], choice: ImageChoice) -> tuple[Variant, ...]:
    """Raises NothingSelected when no candidate runs the image."""

    def runs(name: str) -> bool:
        try:
            found = check_machine(choice.for_type(name), get_instance_type(name), instead=lambda *_: "")
        except Unresolvable:
            return False
        return all(each.outcome is not Outcome.FAILED for each in found)

    names = candidates(patterns, runs)
    if not names:
        raise NothingSelected(
            "no instance type of SageMaker's endpoints runs the image",
            remedy="See: toolkit instances 'ml.*' --use endpoint",
        )
    return tuple(Variant(image=choice.for_type(each), machine=get_instance_type(each)) for each in names)


def _shapes(text: str) -> Mapping[str, Sequence[int]]:
    """DataInputConfig: `{"input0": [1, 3, 224, 224]}`."""
    try:
        shapes = json.loads(text)
    except (ValueError, RecursionError):
        shapes = None
    if not isinstance(shapes, dict) or not shapes or not all(_is_shape(each) for each in shapes.values()):
        raise UsageError(
            f"--input {text!r} does not name the inputs with their shapes",
            remedy="Write it like this: '{\"input0\": [1, 3, 224, 224]}'",
        )
    return shapes


def _is_shape(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, int) and each > 0 for each in value)


def _samples(path: Path) -> dict[str, Path]:
    """Each file is one body: side by side in the archive, and no larger than InvokeEndpoint takes.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html (SamplePayloadUrl)
    """
    if path.name.endswith(ARCHIVE_SUFFIX):
        return dict(members(path))
    files = {each.name: each for each in members(path).values()}
    if len(files) < len(members(path)):
        raise UsageError(f"files of {path} have the same name", remedy="Give each sample a name of its own.")
    most = vocabulary().payload_bytes
    for each in files.values():
        if each.stat().st_size > most:
            raise UsageError(f"{each} has {each.stat().st_size} bytes, a request has {most} at most")
    return files


def _apply(
    services: "Aws", benchmark: Benchmark, uploads: Sequence[Call], timeout: int, *, as_json: bool
) -> None:
    from toolkit.adapters.recommender import InferenceRecommender
    from toolkit.cli.display import reporter
    from toolkit.deployers.benchmarking import measure
    from toolkit.deployers.side_by_side import comparison

    with reporter(as_json=False) as report:
        try:
            jobs = measure(benchmark, uploads, InferenceRecommender(services), report, patience=timeout)
        except KeyboardInterrupt:
            click.echo("the jobs go on by themselves; run this again to follow them", err=True)
            raise
    if as_json:
        rows = [each.to_json() for found in jobs for each in found.measurements]
        click.echo(json.dumps({"jobs": {each.name: each.status for each in jobs}, "rows": rows}, indent=2))
    else:
        click.echo(comparison(jobs))
    if failed := [each for each in jobs if each.status != "COMPLETED"]:
        raise DeploymentFailed(
            "\n".join(f"job {each.name} is {each.status}: {each.reason or 'no reason'}" for each in failed),
            remedy="What the other jobs have measured is above.",
        )
