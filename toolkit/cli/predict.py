"""`toolkit predict`."""

import sys
from pathlib import Path

import click

from toolkit.cli.settings import Settings, catalog_option, from_environment
from toolkit.deployers.prediction import Asker, Question, content_type_of, http_target
from toolkit.deployers.prediction import predict as ask
from toolkit.errors import UsageError


@click.command(
    epilog="Examples: toolkit predict http://localhost:8080 --data '[[1, 2]]'; "
    "toolkit predict http://localhost:9000 --model half_plus_two --data '{\"instances\": [1]}'; "
    "toolkit predict demo --region us-west-2 --variant ml-c7g-xlarge --file rows.csv"
)
@click.argument("target", metavar="URL|ENDPOINT")
@click.option("--data", metavar="TEXT", help="The body. Example: --data '[[1, 2], [3, 4]]'")
@click.option(
    "--file", "file", metavar="PATH", help="The body from a file, - for stdin. Example: --file rows.csv"
)
@click.option(
    "--content-type", metavar="TYPE", help="Default: by the file's suffix (.json, .csv, .npy), else JSON."
)
@click.option(
    "--accept", default="", metavar="TYPE", help="The type of the answer. Example: --accept text/csv"
)
@click.option(
    "--model", default="", metavar="NAME", help="Of TensorFlow Serving: posts to /v1/models/NAME:predict."
)
@click.option(
    "--variant", default="", metavar="NAME", help="Of an endpoint with several: ask this one alone."
)
@click.option("--region", default="", metavar="REGION", help="Default: AWS_REGION or AWS_DEFAULT_REGION.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=60, show_default=True, help="Seconds.")
@catalog_option
def predict(
    target: str,
    data: str | None,
    file: str | None,
    content_type: str | None,
    accept: str,
    model: str,
    variant: str,
    region: str,
    timeout: float,
    catalog: str,
) -> None:
    """Ask a model and print its answer.

    The URL of an HTTP service (one's own images take /invocations) or of TensorFlow Serving's REST port, or
    the name of an endpoint of SageMaker.
    """
    settings = from_environment(catalog)
    http = http_target(target, model)
    if http and variant:
        raise UsageError(
            "--variant is one of an endpoint of SageMaker", remedy="Drop it, or name the endpoint."
        )
    question = Question(
        body=_body(data, file),
        content_type=content_type or content_type_of(file or ""),
        accept=accept,
    )
    asker: Asker
    if http:
        from toolkit.adapters.http_prediction import HttpAsker

        asker = HttpAsker(http.url, timeout=timeout, ca_bundle=settings.ca_bundle)
    else:
        asker = _endpoint(settings, target, variant, region or settings.region, timeout)
    answer = ask(asker, question, is_tensorflow_serving=bool(http and http.is_tensorflow_serving))
    sys.stdout.buffer.write(answer.body)
    if sys.stdout.isatty() and not answer.body.endswith(b"\n"):
        click.echo()


def _endpoint(settings: Settings, name: str, variant: str, region: str, timeout: float) -> Asker:
    from toolkit.adapters.endpoint_prediction import EndpointAsker
    from toolkit.cli.connections import aws

    if not region:
        raise UsageError("the region is not given", remedy="Give it: --region us-west-2, or set AWS_REGION.")
    return EndpointAsker(aws(settings, region, timeout=timeout), name, variant=variant)


def _body(data: str | None, file: str | None) -> bytes:
    if (data is None) == (file is None):
        raise UsageError(
            "there is nothing to ask" if data is None else "--data and --file both say what to ask",
            remedy="Give --data '[[1, 2]]' or --file PATH.",
        )
    if data is not None:
        return data.encode()
    assert file is not None
    if file == "-":
        return sys.stdin.buffer.read()
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"there is no file {file}", remedy="Check the path.")
    return path.read_bytes()
