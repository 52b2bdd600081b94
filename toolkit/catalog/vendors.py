"""What an image takes from vendors' own places: Python indexes, apt packages, files; and its SDK."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.version import Version

from toolkit.catalog import places
from toolkit.catalog.faults import quote
from toolkit.catalog.grammar import Grammar
from toolkit.catalog.model import Accelerator, AptPackages, Download, Install, Sdk, Source, SourceKind
from toolkit.catalog.parts import Extent, is_faulty, read_part, why_nothing
from toolkit.catalog.sources import PIP_KINDS, Sources
from toolkit.catalog.table import Table
from toolkit.catalog.wheels import wheel_problem
from toolkit.oci import Architecture

ALL = "all"
"""The key of `packages` and `index` that every architecture gets."""

_PATHS: Mapping[Install, Grammar] = {
    Install.WHEEL: places.WHEEL,
    Install.DEB: places.DEB_FILE,
    Install.FILE: places.OBJECT,
    Install.ARCHIVE: places.ARCHIVE,
}
_NEED_PLACE = (Install.FILE, Install.ARCHIVE)

_HAVE_SDK = (Accelerator.NEURON, Accelerator.NEURONX)


@dataclass(frozen=True, kw_only=True)
class Vendors:
    """What `read_vendors` found."""

    indexes: Mapping[Architecture, tuple[Source, ...]]
    apt: AptPackages | None
    downloads: tuple[Download, ...]


def read_vendors(table: Table, extent: Extent, sources: Sources) -> Vendors:
    return Vendors(
        indexes=_read_indexes(table, extent.architectures, sources),
        apt=_read_apt(table, sources),
        downloads=_read_downloads(table, extent, sources),
    )


def _read_indexes(
    table: Table, architectures: tuple[Architecture, ...], sources: Sources
) -> dict[Architecture, tuple[Source, ...]]:
    """Per architecture those of `index.all` and then of `index.ARCH`, the first asked first."""
    indexes = table.optional_table("index", example='{ all = ["pytorch-cpu"] }')
    if indexes is None:
        return {}
    shared = _read_names(indexes, ALL, sources)
    own = {each: _read_names(indexes, each, sources) for each in Architecture}
    indexes.close()
    indexes.fault_unbuilt(architectures)
    for architecture in Architecture:
        for name in own[architecture].keys() & shared.keys():
            indexes.fault(
                indexes.at(architecture),
                f"{indexes.label(architecture)} names {quote(name)}, as {indexes.label(ALL)} does: "
                "remove one of the two",
            )
    merged = {each: (*shared.values(), *own[each].values()) for each in architectures}
    return {each: found for each, found in merged.items() if found}


def _read_names(indexes: Table, key: str, sources: Sources) -> dict[str, Source]:
    named = indexes.elements(key, places.SOURCE_NAME, word="source", required=False)
    looked_up = {name: sources.lookup(name, indexes, path, PIP_KINDS) for name, path in named.items()}
    return {name: source for name, source in looked_up.items() if source}


def _read_apt(table: Table, sources: Sources) -> AptPackages | None:
    apt = table.optional_table("apt", example='{ source = "neuron-apt", packages = ["aws-neuronx-tools"] }')
    if apt is None:
        return None
    source = _read_source(apt, sources, SourceKind.APT)
    packages = apt.texts("packages", places.APT_PACKAGE, word="package")
    apt.close()
    _fault_package_twice(apt, packages)
    return AptPackages(source=source, packages=packages) if source else None


def _fault_package_twice(apt: Table, packages: Sequence[str]) -> None:
    seen: set[str] = set()
    for index, text in enumerate(packages):
        name = text.partition("=")[0]
        if name in seen:
            apt.fault(
                apt.at("packages", index), f"package {quote(name)} stands here twice: keep one of the two"
            )
        seen.add(name)


def _read_source(table: Table, sources: Sources, kind: SourceKind) -> Source | None:
    name = table.text("source", places.SOURCE_NAME)
    return sources.lookup(name, table, table.at("source"), (kind,))


def _read_downloads(table: Table, extent: Extent, sources: Sources) -> tuple[Download, ...]:
    """Two files of one name cannot lie side by side, so no unit may have both."""
    found = []
    claimed: dict[tuple[str, str, Architecture], int] = {}
    for row in table.rows("downloads"):
        download = _read_download(row, extent, sources)
        if download is None:
            continue
        found.append(download)
        built = {place for place in extent.built if download.covers(*place)}
        if download.install is Install.WHEEL and extent.python:
            architectures = sorted({architecture for _, architecture in built})
            if problem := wheel_problem(download.filename, extent.python, architectures):
                row.fault(row.at("path"), f"wheel {quote(download.filename)} {problem}")
        claims = {(download.filename, *place) for place in built}
        if first := min((claimed[claim] for claim in claims if claim in claimed), default=0):
            row.fault(
                row.path,
                f"{quote(download.filename)} is the file of line {first} already: remove one of the two, or "
                "say for which version or architecture each is",
            )
        claimed |= dict.fromkeys(claims, row.line(row.path))
    return tuple(found)


def _read_download(row: Table, extent: Extent, sources: Sources) -> Download | None:
    part = read_part(row)
    if not is_faulty(part, row) and (why := why_nothing(part, extent.versions, extent.architectures)):
        row.fault(row.path, f"no unit has it: {why}")
    source = _read_source(row, sources, SourceKind.OBJECTS)
    install = row.choice("install", Install)
    path = row.text("path", _PATHS[install] if install else places.OBJECT)
    to = _read_place(row, install)
    strip = row.count("strip", default=0) if install in (Install.ARCHIVE, None) else 0
    row.close()
    if source is None or install is None or not path:
        return None
    return Download(
        version=part.version,
        architecture=part.architecture,
        source=source,
        path=path,
        install=install,
        to=to,
        strip=strip,
    )


def _read_place(row: Table, install: Install | None) -> str:
    """Where a file or an archive goes; packages know their place."""
    if install is None:
        return row.text("to", places.PLACE, default="")
    if install in _NEED_PLACE:
        return row.text("to", places.PLACE)
    return ""


def read_sdk(table: Table, accelerator: Accelerator | None) -> Sdk | None:
    sdk = table.optional_table(
        "sdk", example='{ version = "2.20.2", floor = "2.20.0", source = "https://…" }'
    )
    if sdk is None:
        return None
    version = sdk.text("version", places.SDK_VERSION)
    floor = sdk.text("floor", places.SDK_VERSION)
    source = sdk.text("source", places.PAGE_URL)
    sdk.close()
    if accelerator and accelerator not in _HAVE_SDK:
        sdk.fault(sdk.path, f"sdk does nothing: accelerator {quote(accelerator)} has none")
    if version and floor and Version(floor) > Version(version):
        sdk.fault(
            sdk.at("floor"),
            f"sdk.floor {quote(floor)} is above sdk.version {quote(version)}: the floor is the oldest SDK "
            "whose host serves the image",
        )
    return Sdk(version=version, floor=floor, source=source)
