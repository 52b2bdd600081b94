"""images.toml → Catalog, or all of its faults at once."""

from collections.abc import Collection

from toolkit.catalog import grammar
from toolkit.catalog.bases import read_bases
from toolkit.catalog.conflicts import check_names, name_cells
from toolkit.catalog.faults import Faults
from toolkit.catalog.groups import check_groups, read_groups
from toolkit.catalog.images import Surroundings, read_image
from toolkit.catalog.model import Catalog, Image
from toolkit.catalog.positions import locate
from toolkit.catalog.syntax import read_bytes, read_toml
from toolkit.catalog.table import Table

FILENAME = "images.toml"


def parse_catalog(
    text: str, *, filename: str = FILENAME, templates: Collection[str] | None = None
) -> Catalog:
    """The catalog that `text` spells; `templates` are the names that exist, None leaves them unchecked.

    Raises CatalogInvalid with every fault, each as `FILENAME:LINE: …`, sorted by line. Text that is
    not TOML is one fault.
    """
    values = read_toml(text, filename=filename)
    faults = Faults(filename=filename, positions=locate(text))
    top = Table(values, path=(), subject="", faults=faults)
    groups = read_groups(top)
    base_tables = top.table("bases", required=False)
    bases = read_bases(base_tables, faults)
    around = Surroundings(bases=bases, base_names=tuple(base_tables), templates=templates)
    images: list[Image] = []
    unreadable: list[str] = []
    image_tables = top.table("images", required=False)
    for name, table in image_tables.tables("image", grammar.NAME):
        if image := read_image(name, table, around, faults):
            images.append(image)
        else:
            framework = table.get("framework")
            unreadable.append(framework if isinstance(framework, str) else "")
    top.close()
    if top.is_table("images") and not tuple(image_tables):
        top.fault(top.at("images"), "there is no image: add a table [images.NAME]")
    cells = name_cells(images)
    check_names(cells, faults)
    check_groups(
        top,
        groups,
        identifiers=dict.fromkeys(each.identifier for each in cells),
        image_ids=dict.fromkeys(each.image_id for each in cells),
        unreadable=unreadable,
    )
    faults.check()
    patterns = {name: tuple(found) for name, found in groups.items()}
    return Catalog(images=tuple(images), bases=bases, groups=patterns)


def parse_catalog_bytes(
    content: bytes, *, filename: str = FILENAME, templates: Collection[str] | None = None
) -> Catalog:
    """`parse_catalog` of a file's bytes, which must be UTF-8."""
    return parse_catalog(read_bytes(content, filename=filename), filename=filename, templates=templates)
