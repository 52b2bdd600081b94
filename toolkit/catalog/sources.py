"""[sources.NAME] → Source, and looking one up by name."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from toolkit.catalog import places
from toolkit.catalog.faults import Faults, did_you_mean, quote
from toolkit.catalog.grammar import SUITE
from toolkit.catalog.model import Source, SourceKind
from toolkit.catalog.positions import Path
from toolkit.catalog.table import Table

PIP_KINDS = (SourceKind.INDEX, SourceKind.FIND_LINKS)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The sources without fault by name; `names` has the faulty ones too, None when they cannot be told."""

    found: Mapping[str, Source]
    names: Collection[str] | None

    def lookup(self, name: str, table: Table, path: Path, kinds: Collection[SourceKind]) -> Source | None:
        """The source that `table` names at `path`; notes one that is nowhere or of none of `kinds`."""
        if name and self.names is not None and name not in self.names:
            mend = did_you_mean(name, self.names) or f": add [sources.{name}]"
            table.fault(path, f"source {quote(name)} is not defined{mend}")
        source = self.found.get(name)
        if source and source.kind not in kinds:
            wanted = " or ".join(kinds)
            table.fault(
                path,
                f"source {quote(name)} is of kind {source.kind} (line {source.line}): "
                f"here goes one of kind {wanted}",
            )
            return None
        return source


def read_sources(sources: Table, faults: Faults) -> dict[str, Source]:
    """The sources without fault, by name, in the order of the file."""
    found = {}
    for name, table in sources.tables("source", places.SOURCE_NAME):
        before = len(faults)
        kind = table.choice("kind", SourceKind)
        url = table.text("url", places.SOURCE_URL)
        suite, components, key = _read_apt(table, kind)
        packages = _read_packages(table, kind)
        table.close()
        if kind is not None and len(faults) == before:
            found[name] = Source(
                name=name,
                kind=kind,
                url=url,
                line=table.line(table.path),
                suite=suite,
                components=components,
                key=key,
                packages=packages,
            )
    return found


def _read_packages(table: Table, kind: SourceKind | None) -> tuple[str, ...]:
    """The names that a Python index is asked for."""
    if kind not in (*PIP_KINDS, None):
        return ()
    names = table.texts("packages", places.PYTHON_PACKAGE, word="package", required=False)
    return tuple(dict.fromkeys(canonicalize_name(name) for name in names))


def _read_apt(table: Table, kind: SourceKind | None) -> tuple[str, tuple[str, ...], str]:
    """Suite, components and signing key, which apt repositories have and no other source."""
    if kind not in (SourceKind.APT, None):
        return "", (), ""
    needed = kind is SourceKind.APT
    return (
        table.text("suite", SUITE, default=None if needed else ""),
        table.texts("components", places.COMPONENT, word="component", required=needed),
        table.text("key", places.KEY_URL, default=None if needed else ""),
    )
