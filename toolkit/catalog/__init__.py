"""images.toml: what is wanted, as frozen values, and every fault in it with its line."""

from toolkit.catalog.matrix import Cell, matrix
from toolkit.catalog.model import (
    Accelerator,
    AptPackages,
    Base,
    Catalog,
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
from toolkit.catalog.parse import FILENAME, parse_catalog, parse_catalog_bytes
from toolkit.catalog.registry import CatalogRegistry, EcrRegistry, OciRegistry

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
    "matrix",
    "parse_catalog",
    "parse_catalog_bytes",
]
