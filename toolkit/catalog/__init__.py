"""images.toml: what is wanted, as frozen values, and every fault in it with its line.

The values are there at once; what reads a catalog is loaded by whoever reads one.
"""

from typing import TYPE_CHECKING

from toolkit.catalog.model import (
    Accelerator,
    AptPackages,
    Base,
    Catalog,
    Cell,
    Consumer,
    Download,
    Drop,
    EndOfLife,
    Exclusion,
    ForeignElf,
    Image,
    Install,
    Recipe,
    Sdk,
    Source,
    SourceKind,
    State,
    Support,
)
from toolkit.catalog.registry import CatalogRegistry, EcrRegistry, OciRegistry

if TYPE_CHECKING:
    from toolkit.catalog.parse import FILENAME, parse_catalog, parse_catalog_bytes

__all__ = [
    "FILENAME",
    "Accelerator",
    "AptPackages",
    "Base",
    "Catalog",
    "CatalogRegistry",
    "Cell",
    "Consumer",
    "Download",
    "Drop",
    "EcrRegistry",
    "EndOfLife",
    "Exclusion",
    "ForeignElf",
    "Image",
    "Install",
    "OciRegistry",
    "Recipe",
    "Sdk",
    "Source",
    "SourceKind",
    "State",
    "Support",
    "parse_catalog",
    "parse_catalog_bytes",
]

_READING = ("FILENAME", "parse_catalog", "parse_catalog_bytes")


def __getattr__(name: str) -> object:
    """https://peps.python.org/pep-0562/"""
    if name not in _READING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from toolkit.catalog import parse

    return getattr(parse, name)
