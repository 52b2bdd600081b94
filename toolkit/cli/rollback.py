"""`toolkit rollback`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

import toolkit
from toolkit.cli.display import reporter
from toolkit.cli.distributing import regions_of
from toolkit.cli.records import lookup_newest, lookup_release, push_record, release_ids, write_record
from toolkit.cli.registries import get_place, read_registries
from toolkit.cli.settings import Settings, catalog_option, from_environment, registry_option
from toolkit.distribution import distribute
from toolkit.errors import ToolkitError, UsageError, worst
from toolkit.oci import Platform
from toolkit.planning import Destination
from toolkit.progress import Event, Kind
from toolkit.record import ReleaseRecord, is_release_id, start_of
from toolkit.rollback import Rollback, carry_out_rollback, plan_rollback, rolled_back


@click.command()
@click.argument("release", metavar="RELEASE")
@catalog_option
@registry_option
@click.option("--dry-run", is_flag=True, help="Look at everything and say what would be moved; move nothing.")
@click.option(
    "--allow-drop-platform",
    "dropped",
    multiple=True,
    metavar="OS/ARCH",
    help="Let a list that has this platform be replaced by one without it. May be repeated.",
)
def rollback(release: str, catalog: str, registry: str, dry_run: bool, dropped: tuple[str, ...]) -> None:
    """Put the lists of RELEASE under their tags again, byte for byte; write a record that says so.

    First every list, image and blob of it is looked for: when one is gone nothing is moved. Images that
    came later keep their tags. Further regions follow. RELEASE is an id that `toolkit history` lists.
    """
    settings = from_environment(catalog)
    place = get_place(registry, lambda: read_registries(settings))
    may_drop = frozenset(Platform.parse(text) for text in dropped)
    with reporter(as_json=False) as report:
        from toolkit.cli.world import destination

        to = destination(settings, place, report)
        plan = plan_rollback(_get(settings, to, release), to.registry)
        if dry_run:
            click.echo(_text(plan))
            return
        elsewhere: Mapping[str, ToolkitError] = {}
        newest = lookup_newest(to)
        began = start_of(datetime.now(UTC), newest)
        failures = carry_out_rollback(plan, registry=to.registry, may_drop=may_drop, report=report)
        if len(failures) < len(plan.lists) and (plan.to_move or not newest or newest.release != release):
            record = rolled_back(plan, failures, newest=newest, began=began, toolkit=toolkit.__version__)
            done = distribute(
                record,
                regions_of(settings, place, report),
                home=to,
                before=record,  # nothing is new: what a region lacks is sent without waiting
                turns=iter(()),
                report=report,
                observe=lambda _step: None,
            )
            record, elsewhere = done.record, done.failures
            write_record(settings, record)
            push_record(record, to)
            report(Event(kind=Kind.NOTE, text=_summary(plan, failures, record)))
        else:
            report(Event(kind=Kind.NOTE, text=f"release {release} stands already: nothing was moved"))
    _end([*failures.values(), *elsewhere.values()])


def _get(settings: Settings, to: Destination, release: str) -> ReleaseRecord:
    found = lookup_release(settings, to, release) if is_release_id(release) else None
    if found:
        return found
    known = release_ids(settings, to)
    raise UsageError(
        f"{to.place} has no release {release!r}",
        remedy=f"It has: {', '.join(known[:5])}; `toolkit history` lists them."
        if known
        else "It has none yet: make release",
    )


def _text(plan: Rollback) -> str:
    rows = [
        f"{'stays' if move.is_there else 'move':<5}  {move.reference}  "
        + (move.index.digest if move.is_there else f"{move.stands or '(nothing)'} -> {move.index.digest}")
        for move in plan.lists
    ]
    return "\n".join([*rows, f"{len(plan.to_move)} of {len(plan.lists)} lists to move; nothing was moved"])


def _summary(plan: Rollback, failures: Mapping[tuple[str, str], ToolkitError], record: ReleaseRecord) -> str:
    moved = len(plan.to_move) - len(failures)
    return (
        f"release {record.release}: lists moved back: {moved}, there already: "
        f"{len(plan.lists) - len(plan.to_move)}. Take images.toml back too: the next release follows it."
    )


def _end(failures: Sequence[ToolkitError]) -> None:
    if not failures:
        return
    click.echo(f"{len(failures)} lists were not moved:", err=True)
    for error in failures:
        click.echo("  " + str(error).replace("\n", "\n  "), err=True)
    raise SystemExit(worst(error.exit_code for error in failures))
