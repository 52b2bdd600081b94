"""images.toml: what is wanted, as frozen values, and every fault in it with its line."""

from toolkit.catalog.matrix import Cell, matrix
from toolkit.catalog.model import (
    Accelerator,
    Base,
    Catalog,
    Consumer,
    Exclusion,
    ForeignElf,
    Image,
    Recipe,
)
from toolkit.catalog.parse import FILENAME, parse_catalog, parse_catalog_bytes

__all__ = [
    "FILENAME",
    "Accelerator",
    "Base",
    "Catalog",
    "Cell",
    "Consumer",
    "Exclusion",
    "ForeignElf",
    "Image",
    "Recipe",
    "matrix",
    "parse_catalog",
    "parse_catalog_bytes",
]
