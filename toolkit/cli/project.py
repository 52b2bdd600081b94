"""Read a project from disk into values: catalog, lock, sources, bases."""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from toolkit.bases import BuiltBase, LockedPackage
from toolkit.catalog import parse_catalog_bytes
from toolkit.catalog.model import Base, Catalog, Recipe
from toolkit.cli.settings import Settings
from toolkit.errors import UsageError
from toolkit.lock import Lock, UnlockedBase, get_base_row, lookup_locked_base, parse_lock
from toolkit.oci import Architecture
from toolkit.render import BaseIdentity, RenderedUnit, Sources, base_name, render
from toolkit.units import BuildUnit, expand


@dataclass(frozen=True, kw_only=True)
class Project:
    """A catalog with all that belongs to it, read once."""

    settings: Settings
    catalog: Catalog
    units: tuple[BuildUnit, ...]
    sources: Sources
    lock: Lock


def read_project(settings: Settings) -> Project:
    """Raises CatalogInvalid with every fault, UsageError for a missing file, LockInvalid."""
    sources = Sources(
        templates=_templates(settings.dockerfiles),
        serving=_serving(settings.dockerfiles / "serving"),
        programs=_programs(settings.dockerfiles / "environment"),
    )
    catalog = parse_catalog_bytes(
        read_catalog(settings),
        filename=settings.catalog.name,
        templates=sources.templates.keys(),
    )
    lock = parse_lock(_read_text(settings.lock, _LOCK_REMEDY)) if settings.lock.exists() else Lock()
    return Project(
        settings=replace(settings, mirrors=catalog.mirrors, sources=tuple(catalog.sources.values())),
        catalog=catalog,
        units=expand(catalog),
        sources=sources,
        lock=lock,
    )


def read_catalog(settings: Settings) -> bytes:
    return _read(settings.catalog, "Run it where images.toml is, or name it: --catalog FILE")


_LOCK_REMEDY = "Restore it from version control, or write it anew: toolkit lock '*'"


def _read(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"there is no {path.name} in {path.parent}", remedy=remedy) from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a directory", remedy=remedy) from None


def _read_text(path: Path, remedy: str) -> str:
    try:
        return _read(path, remedy).decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise UsageError(
            f"{path} is not UTF-8 text: byte {error.start} is 0x{byte:02x}", remedy=remedy
        ) from None


def _templates(directory: Path) -> dict[str, str]:
    """By their path below `directory`, as images.toml names them."""
    return {
        path.relative_to(directory).as_posix(): _read_text(path, "Save the template as UTF-8.")
        for path in sorted(directory.rglob("*.j2"))
    }


def _serving(directory: Path) -> dict[str, bytes]:
    """The runtime's files: `serve`, `requirements.in` and the package's modules, by relative path."""
    wanted: Iterable[Path] = (
        directory / "serve",
        directory / "requirements.in",
        *directory.glob("serving/*.py"),
    )
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(wanted) if path.is_file()}


def _programs(directory: Path) -> dict[str, bytes]:
    """What builds run, by name."""
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*.py"))}


# What a job said that a base was, by the base's name.
Told = Mapping[tuple[str, Architecture], BaseIdentity]


def identities(
    project: Project, built: Mapping[str, BuiltBase], told: Told = MappingProxyType({})
) -> Callable[[BuildUnit], BaseIdentity]:
    """What stands behind each unit's base: the base that is on this machine, else what was `told` by those
    who built on theirs, else what the lock says."""

    @functools.cache
    def identity(name: str, architecture: Architecture) -> BaseIdentity:
        base = project.catalog.bases[name]
        made = built.get(name)
        if made and (platform := made.platforms.get(architecture)):
            return BaseIdentity(reference=base_name(base), digest=platform.manifest)
        if by_others := told.get((name, architecture)):
            return by_others
        row = get_base_row(project.lock, base, architecture)
        if isinstance(row, UnlockedBase):
            return BaseIdentity(reference=base_name(base), digest="", unlocked=row.reason)
        return BaseIdentity(reference=base_name(base), digest=row.digest, index=row.index or "")

    return lambda unit: identity(unit.base.name, unit.architecture)


def renderer(
    project: Project, identity: Callable[[BuildUnit], BaseIdentity]
) -> Callable[[BuildUnit], RenderedUnit]:
    def rendered(unit: BuildUnit) -> RenderedUnit:
        return render(unit, lock=project.lock, sources=project.sources, base=identity(unit))

    return rendered


def architectures_of(project: Project, base: Base) -> tuple[Architecture, ...]:
    """Every architecture that some unit wants of this base."""
    return tuple(sorted({unit.architecture for unit in project.units if unit.base.name == base.name}))


def lookup_bases(project: Project) -> dict[str, BuiltBase]:
    """The bootstrapped bases that are on this machine already, as locked, by name."""
    home = project.settings.cache / "bases"
    if not home.is_dir():
        return {}
    from toolkit.adapters.bootstrap import lookup_base

    found = {
        base.name: lookup_base(home, base, tuple(packages), locked=packages)
        for base in project.catalog.bases.values()
        if isinstance(base.origin, Recipe) and (packages := lookup_locked_packages(project, base))
    }
    return {name: built for name, built in found.items() if built}


def lookup_locked_packages(
    project: Project, base: Base
) -> dict[Architecture, tuple[LockedPackage, ...]] | None:
    """The packages of every architecture that is wanted, None when one of them is not locked."""
    wanted = architectures_of(project, base)
    locked = {each: lookup_locked_base(project.lock, base, each) for each in wanted}
    packages = {each: entry.packages for each, entry in locked.items() if entry}
    return packages if len(packages) == len(wanted) else None
