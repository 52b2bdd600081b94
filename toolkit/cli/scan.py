"""`toolkit scan`."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from toolkit.cli.records import get_record
from toolkit.cli.settings import Settings, catalog_option, from_environment, json_option
from toolkit.ecr.scanning import Scan, Severity, judge, parse_allowances
from toolkit.errors import ExitCode, UsageError
from toolkit.record import PublishedImage
from toolkit.regions import parse_ecr_host

_THREADS = 8


@click.command()
@catalog_option
@click.option("--record", default="", metavar="PATH|REFERENCE", help="Default: dist/release.json.")
@click.option(
    "--fail-on",
    type=click.Choice([each.value for each in Severity]),
    default=Severity.CRITICAL.value,
    show_default=True,
    help="The least severity that fails.",
)
@click.option(
    "--allow",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="TOML with rows [[allow]] of cve, package, reason and expires.",
)
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for scans that are under way.",
)
@json_option
def scan(catalog: str, record: str, fail_on: str, allow: Path | None, timeout: int, as_json: bool) -> None:
    """Wait for Amazon ECR's scans of every image of a release, and sum up what they found by list.

    Exit 4 when a finding is as severe as --fail-on and not allowed, when an image was not scanned, and when
    an allowance has run out.
    """
    settings = from_environment(catalog)
    release = get_record(settings, record)
    allowances = parse_allowances(_read(allow), filename=str(allow)) if allow else ()
    images = [image for image in release.home if parse_ecr_host(image.registry)]
    if not images:
        raise UsageError(
            f"release {release.release} is not in Amazon ECR: its registry is {release.registry}",
            remedy="Name another: --record PATH|REFERENCE",
        )
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(partial(_scan, settings, timeout), images))
    scans = list(zip(images, found, strict=True))
    verdict = judge(scans, fail_on=Severity(fail_on), allowances=allowances, on=datetime.now(UTC).date())
    click.echo(_json(scans, verdict.failures) if as_json else "\n".join(verdict.lines))
    for note in verdict.notes:
        click.echo(f"note: {note}", err=True)
    for failure in verdict.failures:
        click.echo(f"error: {failure}", err=True)
    if verdict.failures:
        raise SystemExit(ExitCode.VERIFICATION_FAILED)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", remedy="Mend --allow.") from error


def _scan(settings: Settings, timeout: int, image: PublishedImage) -> Scan:
    from toolkit.adapters.aws import Aws
    from toolkit.adapters.ecr import EcrControl

    host = parse_ecr_host(image.registry)
    assert host
    control = EcrControl(Aws(host.region, ca_bundle=settings.ca_bundle), account=host.account)
    return control.wait_for_scan(image.repository, image.digest, seconds=timeout)


def _json(scans: Sequence[tuple[PublishedImage, Scan]], failures: Sequence[str]) -> str:
    rows = [
        {
            "identifier": image.identifier,
            "digest": image.digest,
            "list": image.index_tag,
            "state": scan.state,
            "findings": [
                {
                    "name": each.name,
                    "package": each.package,
                    "version": each.version,
                    "severity": each.severity.value,
                }
                for each in scan.findings
            ],
        }
        for image, scan in scans
    ]
    return json.dumps({"images": rows, "failures": list(failures)}, indent=2)
