"""`toolkit release` and `toolkit build`."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

import toolkit
from toolkit.bases import BuiltBase
from toolkit.catalog.model import State, Support
from toolkit.cli.credentials import private_docker_config
from toolkit.cli.display import reporter
from toolkit.cli.project import Project, identities, read_project, renderer
from toolkit.cli.records import lookup_record, push_record, write_record
from toolkit.cli.registries import get_place
from toolkit.cli.selecting import selection_options
from toolkit.cli.settings import catalog_option, from_environment, json_option, registry_option
from toolkit.cli.supporting import refuse_unsupported, support_options, today, warn_of_unsupported
from toolkit.cli.world import Bases, destination, layouts, lookup_bases, workshop
from toolkit.errors import worst
from toolkit.lock import other_digests
from toolkit.oci import Platform, Reference
from toolkit.plan import Plan
from toolkit.progress import Event, Kind, Reporter
from toolkit.record import ReleaseRecord
from toolkit.recording import Circumstances, record_of
from toolkit.release import Destination, Outcome, carry_out, plan_release
from toolkit.render import require_locked
from toolkit.selection import Selection, select
from toolkit.support import in_texts, supports_of
from toolkit.units import BuildUnit
from toolkit.workshop import build_only

_jobs = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=max(2, (os.cpu_count() or 2) // 2),
    show_default=True,
    help="Units that are built side by side.",
)
_cold = click.option("--no-cache", "cold", is_flag=True, help="Run every step of every Dockerfile again.")
_locked = click.option("--locked", is_flag=True, help="Refuse a base that differs from images.lock.")


@click.command()
@selection_options
@catalog_option
@registry_option
@_jobs
@_cold
@_locked
@support_options
@click.option(
    "--allow-drop-platform",
    "dropped",
    multiple=True,
    metavar="OS/ARCH",
    help="Let a list that has this platform be replaced by one without it. May be repeated.",
)
@json_option
def release(
    selection: Selection,
    catalog: str,
    registry: str,
    jobs: int,
    cold: bool,
    locked: bool,
    accepted: Sequence[State],
    dropped: tuple[str, ...],
    as_json: bool,
) -> None:
    """Bring the registry to what images.toml says; write dist/release.json and the URI tables.

    What is there already is not built again: one HEAD per unit and per list tells. Every image is
    verified before a byte of it is published; a manifest list is put last, when all its platforms
    are there. Without patterns and options that choose units the group `default` is taken.
    """
    project = read_project(from_environment(catalog))
    selected = select(project.units, selection, project.catalog)
    may_drop = frozenset(Platform.parse(text) for text in dropped)
    place = get_place(registry, lambda: project.catalog.registries)
    refuse_unsupported(project, selected, accepted)
    registries = (place.host, *_base_registries(project))
    with (
        reporter(as_json=as_json) as report,
        private_docker_config(project.settings, registries) as docker_config,
    ):
        warn_of_unsupported(project, selected, report)
        known = supports_of(project.units, project.sources.ends, on=today())
        to = destination(project.settings, place, report)
        present = lookup_bases(project)
        plan = _plan(project, selected, present, to)
        before = lookup_record(project.settings, to)
        if plan.is_done and _has_all(before, plan) and _has_support(before, known):
            assert before is not None
            write_record(project.settings, before)
            report(Event(kind=Kind.NOTE, text=_nothing_to_do(plan)))
            return
        bases = Bases(project=project, locked_only=locked)
        shop = workshop(project.settings, bases=bases, cold=cold, docker_config=docker_config)
        if plan.to_build:
            require_locked([unit.rendered for unit in plan.to_build])
            shop.tools()  # a machine that cannot build is told before a base is made
            plan, warnings = _with_made_bases(project, plan, bases, present, to, report)
        else:
            warnings = ()
        with layouts(project.settings, report):
            outcome = carry_out(plan, workshop=shop, to=to, jobs=jobs, report=report, may_drop=may_drop)
        circumstances = Circumstances(
            to=to,
            before=before,
            known=known,
            now=datetime.now(UTC),
            toolkit=toolkit.__version__,
            warnings=warnings,
        )
        record = record_of(outcome, circumstances)
        if record.images:
            write_record(project.settings, record)
            push_record(record, to)
            report(Event(kind=Kind.NOTE, text=_summary(record, outcome, project)))
    _end(outcome, len(selected))


def _base_registries(project: Project) -> tuple[str, ...]:
    origins = (base.origin for base in project.catalog.bases.values())
    return tuple(origin.registry for origin in origins if isinstance(origin, Reference))


def _plan(
    project: Project, selected: Sequence[BuildUnit], built: Mapping[str, BuiltBase], to: Destination
) -> Plan:
    return plan_release(selected, project.units, render=renderer(project, identities(project, built)), to=to)


def _with_made_bases(
    project: Project,
    plan: Plan,
    bases: "Bases",
    present: Mapping[str, BuiltBase],
    to: Destination,
    report: Reporter,
) -> tuple[Plan, tuple[str, ...]]:
    """Make the bases that builds need; when one is not what the plan was made with, plan again."""
    made = dict(present)
    for unit in plan.to_build:
        if base := bases.ensure(unit.rendered.unit.base, report):
            made[base.name] = base
    warnings = tuple(
        f"base {base.name} is not as images.lock says: {difference}"
        for base in made.values()
        for difference in base.drift or other_digests(project.lock, base)
    )
    for text in warnings:
        report(Event(kind=Kind.WARNING, text=text))
    if made == dict(present):
        return plan, warnings
    selected = [unit.rendered.unit for unit in plan.units]
    return _plan(project, selected, made, to), warnings


def _has_all(record: ReleaseRecord | None, plan: Plan) -> bool:
    known = {(image.identifier, image.digest) for image in record.images} if record else set()
    return all((unit.identifier, unit.published and unit.published.digest) in known for unit in plan.units)


def _has_support(record: ReleaseRecord | None, known: Mapping[str, Support]) -> bool:
    """Whether what the record says of support is what can be said today."""
    images = record.images if record else ()
    return all(
        image.support == in_texts(known[image.identifier]) for image in images if image.identifier in known
    )


def _nothing_to_do(plan: Plan) -> str:
    return (
        f"nothing changed: {len(plan.units)} units and {len(plan.lists)} lists are published as images.toml "
        f"says ({len(plan.observed.descriptors)} HEAD requests, no engine used)"
    )


def _summary(record: ReleaseRecord, outcome: Outcome, project: Project) -> str:
    built = sum(each.built for each in outcome.finished)
    reused = len(outcome.finished) - built
    return (
        f"release {record.release}: units built: {built}, reused: {reused}; lists: {len(outcome.lists)}; "
        f"tables in {project.settings.dist.name}/uris.md, .csv, .json, .html"
    )


def _end(outcome: Outcome, total: int) -> None:
    """Exit with the code of the worst failure after one line for each."""
    if not outcome.failures:
        return
    click.echo(f"{len(outcome.failures)} of {total} units failed:", err=True)
    for name, error in sorted(outcome.failures.items()):
        text = str(error).replace("\n", "\n  ")
        click.echo(f"  {text if name in str(error) else f'{name}: {text}'}", err=True)
    raise SystemExit(worst(error.exit_code for error in outcome.failures.values()))


@click.command()
@selection_options
@catalog_option
@_jobs
@_cold
@_locked
@support_options
@json_option
def build(
    selection: Selection,
    catalog: str,
    jobs: int,
    cold: bool,
    locked: bool,
    accepted: Sequence[State],
    as_json: bool,
) -> None:
    """Build and verify into OCI layouts under .cache/layouts/IDENTIFIER; publish nothing."""
    project = read_project(from_environment(catalog))
    selected = select(project.units, selection, project.catalog)
    refuse_unsupported(project, selected, accepted)
    with (
        reporter(as_json=as_json) as report,
        private_docker_config(project.settings, _base_registries(project)) as docker_config,
    ):
        warn_of_unsupported(project, selected, report)
        bases = Bases(project=project, locked_only=locked)
        made = {base.name: base for unit in selected if (base := bases.ensure(unit.base, report))}
        rendered = [renderer(project, identities(project, made))(unit) for unit in selected]
        require_locked(rendered)
        with layouts(project.settings, report):
            failures = build_only(
                rendered,
                workshop=workshop(project.settings, bases=bases, cold=cold, docker_config=docker_config),
                jobs=jobs,
                report=report,
            )
    _end(Outcome(finished=(), lists={}, failures=failures), len(selected))
