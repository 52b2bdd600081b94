"""`toolkit lock`: ask the index and the mirrors, write images.lock."""

from dataclasses import replace
from datetime import UTC, datetime

import click

from toolkit.bases import BaseMaker
from toolkit.catalog.model import Base
from toolkit.cli.project import Project, architectures_of, read_project
from toolkit.cli.selecting import selection_options
from toolkit.cli.settings import catalog_option, from_environment
from toolkit.errors import NeedNotMet, RegistryTrouble, UsageError
from toolkit.lock import (
    Lock,
    LockedBase,
    LockedBases,
    LockedUnit,
    UnlockedBase,
    base_inputs_digest,
    format_lock,
    inputs_digest,
    lookup_locked_base,
)
from toolkit.oci import Reference
from toolkit.selection import Selection, select
from toolkit.units import BuildUnit


@click.command()
@selection_options
@catalog_option
@click.option("--upgrade", is_flag=True, help="Resolve again what is locked and still fits the catalog.")
def lock(selection: Selection, catalog: str, upgrade: bool) -> None:
    """Resolve the catalog's wishes to exact versions and hashes, and write images.lock.

    Without patterns and options that choose units: everything. What is locked and fits stays as it is,
    unless --upgrade is given. A source that cannot be reached leaves its rows `unlocked` with the reason.
    """
    from toolkit.cli.world import base_maker

    project = read_project(from_environment(catalog))
    chosen = select(project.units, selection.or_everything, project.catalog)
    known = {unit.identifier for unit in project.units}
    result = Lock(
        bases={name: base for name, base in project.lock.bases.items() if name in project.catalog.bases},
        units={name: unit for name, unit in project.lock.units.items() if name in known},
    )
    for name in sorted({unit.base.name for unit in chosen}):
        if upgrade or not _has_base(project, project.catalog.bases[name]):
            result = result.with_base(
                name, _locked_base(project, project.catalog.bases[name], base_maker(project.settings))
            )
    failures: list[str] = []
    for unit in chosen:
        if upgrade or not _fits(project, unit):
            try:
                result = result.with_unit(unit.identifier, _locked_unit(project, unit))
            except UsageError as error:
                failures.append(f"images.toml:{unit.image.line}: {unit.identifier}: {error}")
    _tell(project.lock, result)
    text = format_lock(result)
    if not project.settings.lock.exists() or project.settings.lock.read_text() != text:
        project.settings.lock.write_text(text)
    if failures:
        raise UsageError("\n".join(failures))


def _has_base(project: Project, base: Base) -> bool:
    wanted = architectures_of(project, base)
    return all(lookup_locked_base(project.lock, base, architecture) for architecture in wanted)


def _fits(project: Project, unit: BuildUnit) -> bool:
    locked = project.lock.units.get(unit.identifier)
    wanted = inputs_digest(unit, project.sources.serving_requirements)
    return bool(locked and locked.inputs == wanted and not locked.unlocked)


def _locked_base(project: Project, base: Base, maker: BaseMaker) -> LockedBases:
    architectures = architectures_of(project, base)
    inputs = base_inputs_digest(base)
    if isinstance(base.origin, Reference):
        from toolkit.cli.world import lookup_registry_base

        try:
            index, found = lookup_registry_base(project.settings, base.origin, architectures)
        except RegistryTrouble as error:
            return {each: UnlockedBase(inputs=inputs, reason=error.message) for each in architectures}
        return {each: LockedBase(inputs=inputs, digest=digest, index=index) for each, digest in found.items()}
    built = maker.ensure_base(base, architectures)
    return {
        architecture: LockedBase(inputs=inputs, digest=platform.manifest, packages=platform.packages)
        for architecture, platform in built.platforms.items()
    }


def _locked_unit(project: Project, unit: BuildUnit) -> LockedUnit:
    from toolkit.cli.world import resolver

    serving = project.sources.serving_requirements
    before = project.lock.units.get(unit.identifier)
    fresh = LockedUnit(inputs=inputs_digest(unit, serving), created=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    try:
        requirements = resolver(project.settings).resolve(
            (*unit.requirements, *serving),
            python=unit.base.python,
            architecture=unit.architecture,
            glibc=unit.base.glibc,
        )
    except NeedNotMet as error:
        return replace(fresh, unlocked=error.message)
    if before and before.requirements == requirements:
        return replace(fresh, requirements=requirements, created=before.created)
    return replace(fresh, requirements=requirements)


def _tell(before: Lock, after: Lock) -> None:
    """What moved, old → new, per unit."""
    for name, unit in sorted(after.units.items()):
        was = before.units.get(name)
        if unit == was:
            continue
        if unit.unlocked:
            click.echo(f"{name}: unlocked: {unit.unlocked}", err=True)
        elif was is None or not was.requirements:
            click.echo(f"{name}: {len(unit.requirements)} packages locked", err=True)
        elif was.requirements != unit.requirements:
            old, new = _versions(was.requirements), _versions(unit.requirements)
            moved = [
                f"{package} {old.get(package, '(none)')} -> {new.get(package, '(none)')}"
                for package in sorted(old.keys() | new.keys())
                if old.get(package) != new.get(package)
            ]
            click.echo(f"{name}: {', '.join(moved) or 'other files of the same versions'}", err=True)
    for name, base in sorted(after.bases.items()):
        if before.bases.get(name) != base:
            reasons = {row.reason for row in base.values() if isinstance(row, UnlockedBase)}
            what = f"unlocked: {'; '.join(sorted(reasons))}" if reasons else "locked"
            click.echo(f"base {name}: {what} for {', '.join(sorted(base))}", err=True)


def _versions(requirements: tuple[str, ...]) -> dict[str, str]:
    pins = (line.split(" ")[0].partition("==") for line in requirements)
    return {name: version for name, _, version in pins}
