"""`toolkit codebuild batch` and `toolkit codebuild start`."""

from collections.abc import Sequence
from pathlib import Path

import click

from toolkit.catalog.model import State
from toolkit.cli.building import cache_options
from toolkit.cli.display import reporter
from toolkit.cli.project import read_project
from toolkit.cli.registries import get_place, with_cache
from toolkit.cli.selecting import selection_options
from toolkit.cli.settings import Settings, catalog_option, from_environment, registry_option
from toolkit.cli.supporting import refuse_unsupported, support_options, warn_of_unsupported
from toolkit.codebuild.batch import Batch, Told, batches
from toolkit.errors import NeedNotMet, UsageError
from toolkit.progress import Event, Kind, Reporter
from toolkit.selection import Selection, select


@click.group()
def codebuild() -> None:
    """A release on AWS CodeBuild: a batch of builds, one for each image that is to be built."""


@codebuild.command()
@selection_options
@catalog_option
@registry_option
@cache_options
@support_options
@click.option(
    "--out",
    default=Path("dist/batch"),
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the buildspecs are written: batch-1.yml, and more where CodeBuild takes no more in one.",
)
def batch(
    selection: Selection, catalog: str, registry: str, cache: str | None, accepted: Sequence[State], out: Path
) -> None:
    """Write the buildspec of a batch that brings the registry to what images.toml says.

    One build for each unit that is to be built, native on Arm or x86, and one that publishes their lists
    and the record once all of them ended. Nothing is written when nothing changed. The paths are
    printed; several batches are run one after another, as each goes on with the record of the one before.
    """
    with reporter(as_json=False) as report:
        found = _batches(selection, catalog, registry, cache, accepted, report)
    for left in out.glob("batch-*.yml"):
        left.unlink()
    for number, each in enumerate(found, start=1):
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"batch-{number}.yml"
        path.write_text(each.text)
        click.echo(path)


@codebuild.command(
    epilog="Example: toolkit codebuild start --project images-batch --registry prod --region us-west-2"
)
@click.option("--project", required=True, metavar="NAME", help="Of CodeBuild, with batches enabled.")
@selection_options
@catalog_option
@registry_option
@cache_options
@support_options
@click.option("--region", default="", metavar="REGION", help="Of the project. Default: AWS_REGION.")
@click.option(
    "--source-version",
    default="",
    envvar="CODEBUILD_RESOLVED_SOURCE_VERSION",
    metavar="COMMIT",
    help="What every build checks out. Default: in a build of CodeBuild its commit, else the one that is "
    "checked out here.",
)
@click.option(
    "--timeout", type=click.IntRange(1), default=28800, show_default=True, help="Seconds to follow a batch."
)
def start(
    project: str,
    selection: Selection,
    catalog: str,
    registry: str,
    cache: str | None,
    accepted: Sequence[State],
    region: str,
    source_version: str,
    timeout: int,
) -> None:
    """Write batches, start them one after another, and follow them until their lists are published.

    The credentials need codebuild:StartBuildBatch and codebuild:BatchGetBuildBatches on the project, and
    to read the registry. Nothing is started when nothing changed. Exit 5 when a batch failed; what is not
    complete is then not published, and running this again builds what is missing.
    """
    from toolkit.adapters.codebuild import CodeBuildBatches
    from toolkit.cli.connections import aws
    from toolkit.codebuild.running import run

    settings = from_environment(catalog)
    if not (region or settings.region):
        raise NeedNotMet("no region is set", remedy="Set AWS_REGION, or name it: --region us-west-2")
    version = source_version or _committed(settings)
    with reporter(as_json=False) as report:
        found = _batches(selection, catalog, registry, cache, accepted, report)
        if not found:
            return
        services = aws(settings, region or settings.region)
        service = CodeBuildBatches(services, project=project, source_version=version)
        try:
            run(found, service, report, patience=timeout)
        except KeyboardInterrupt:
            click.echo("a batch that was started goes on by itself; stop it in CodeBuild", err=True)
            raise


def _committed(settings: Settings) -> str:
    """The commit whose images were planned. Raises UsageError where there is none that builds could take."""
    from toolkit.adapters.git import Checkout

    checkout = Checkout(
        directory=settings.project, sources=(settings.catalog, settings.lock, settings.dockerfiles)
    )
    if not checkout.commit or checkout.revision.endswith("-dirty"):
        what = "differ from the commit that is checked out" if checkout.commit else "are in no git checkout"
        raise UsageError(
            f"the sources of the images {what}: CodeBuild would build others than were planned",
            remedy="Commit and push images.toml, images.lock and dockerfiles/, or name a --source-version.",
        )
    return checkout.commit


def _batches(
    selection: Selection,
    catalog: str,
    registry: str,
    cache: str | None,
    accepted: Sequence[State],
    report: Reporter,
) -> tuple[Batch, ...]:
    """What is to be done, told to `report`; refuses what `release` refuses."""
    from toolkit.cli.distributing import regions_of
    from toolkit.cli.preflight import registry_findings_of
    from toolkit.cli.releasing import Choice, look
    from toolkit.cli.world import destination
    from toolkit.preflight import ensure_ready
    from toolkit.render import require_locked

    project = read_project(from_environment(catalog))
    place = with_cache(get_place(registry, lambda: project.catalog.registries), cache)
    selected = select(project.units, selection, project.catalog)
    refuse_unsupported(project, selected, accepted)
    warn_of_unsupported(project, selected, report)
    to = destination(project.settings, place, report)
    # What a release on this machine left behind is its own affair.
    sight = look(project, Choice(units=selected, left=None), to, regions_of(project.settings, place, report))
    require_locked([unit.rendered for unit in sight.plan.to_build])
    if sight.lookup_done():
        report(Event(kind=Kind.NOTE, text=f"nothing changed: no batch for {len(selected)} units"))
        return ()
    # Once, before a hundred machines find the same.
    ensure_ready(registry_findings_of(project, sight.plan, place, to))
    found = batches(sight.plan, before=sight.before, told=_told(registry, cache, accepted))
    report(Event(kind=Kind.NOTE, text=_summary(found)))
    return found


def _told(registry: str, cache: str | None, accepted: Sequence[State]) -> Told:
    """What was said on the command line that builds have to know."""
    common = ["--allow-eol"] if State.ENDED in accepted else []
    named = [f"--registry-cache {cache}"] if cache else ["--no-registry-cache"] if cache == "" else []

    def variables(options: Sequence[str]) -> dict[str, str]:
        return {"REGISTRY": registry} | ({"ARGS": " ".join(options)} if options else {})

    return Told(building=variables([*common, *named]), publishing=variables(common))


def _summary(found: Sequence[Batch]) -> str:
    units = [each for batch in found for each in batch.units]
    kinds = {each.type for each in units}
    counts = ", ".join(f"{sum(each.type == kind for each in units)} {kind}" for kind in sorted(kinds))
    batches = "1 batch" if len(found) == 1 else f"{len(found)} batches"
    return f"{len(units)} to build{f' ({counts})' if counts else ''} in {batches}"
