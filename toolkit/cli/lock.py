"""`toolkit lock`: ask indexes, mirrors and registries, write images.lock; or look whether it fits."""

from datetime import UTC, datetime

import click

from toolkit.cli.project import Project, read_project
from toolkit.cli.selecting import selection_options
from toolkit.cli.settings import catalog_option, from_environment
from toolkit.errors import LockInvalid, UsageError
from toolkit.lock import Lock, format_lock
from toolkit.lock.changes import changes
from toolkit.lock.check import check_lock
from toolkit.locking import Locking
from toolkit.selection import Selection, select


@click.command()
@selection_options
@catalog_option
@click.option("--upgrade", is_flag=True, help="Resolve again what is locked and still fits the catalog.")
@click.option("--check", is_flag=True, help="Ask nobody, write nothing: exit 2 unless images.lock fits.")
@click.option("--complete", is_flag=True, help="With --check: rows that are unlocked do not fit either.")
def lock(selection: Selection, catalog: str, upgrade: bool, check: bool, complete: bool) -> None:
    """Resolve the catalog's wishes to exact versions and hashes, and write images.lock.

    Without patterns and options that choose units: everything. What is locked and fits stays as it is,
    unless --upgrade is given. A source that cannot be reached leaves its rows `unlocked` with the reason.
    """
    if check and (upgrade or str(selection)):
        raise UsageError(
            "--check looks at the whole lock and changes nothing",
            remedy="Leave --upgrade and the choice of images out.",
        )
    if complete and not check:
        raise UsageError("--complete belongs to --check", remedy="Run: toolkit lock --check --complete")
    project = read_project(from_environment(catalog))
    if check:
        _check(project, complete=complete)
    else:
        _lock(project, selection, upgrade=upgrade)


def _check(project: Project, *, complete: bool) -> None:
    path = project.settings.lock
    found = check_lock(
        project.lock,
        path.read_text() if path.exists() else "",
        units=project.units,
        bases=project.catalog.bases,
        serving=project.sources.serving_requirements,
    )
    for line in (*found.faults, *found.unlocked):
        click.echo(line, err=True)
    if count := len(found.faults) + (len(found.unlocked) if complete else 0):
        rows = "1 row does not fit" if count == 1 else f"{count} rows do not fit"
        raise LockInvalid(f"{path.name}: {rows} {project.settings.catalog.name}", remedy="Run: toolkit lock")
    click.echo(_count(project.lock))


def _lock(project: Project, selection: Selection, *, upgrade: bool) -> None:
    from toolkit.cli.finding import MachineFinder

    # First of all: a choice that fits nothing asks nobody and leaves nothing on disk.
    chosen = select(project.units, selection.or_everything, project.catalog)
    serving = project.sources.serving_requirements
    # An upgrade looks at everything anew, at keys and at files under the same address too.
    believed = Lock() if upgrade else project.lock
    result = Locking(
        lock=project.lock,
        units=project.units,
        bases=project.catalog.bases,
        serving=serving,
        finder=MachineFinder(project.settings, locked=believed, serving=serving),
        upgrade=upgrade,
        now=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    ).run(chosen)
    path, text = project.settings.lock, format_lock(result.lock)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    moved = tuple(changes(project.lock, result.lock))
    for line in (*moved, *result.kept):
        click.echo(line, err=True)
    if not moved and not result.failures:
        click.echo(f"nothing moved: {_count(result.lock)}", err=True)
    if result.failures:
        raise UsageError("\n".join(result.failures))


def _count(lock: Lock) -> str:
    waiting = sum(1 for row in lock.units.values() if row.unlocked)
    return f"{len(lock.units) - waiting} images locked, {waiting} unlocked"
