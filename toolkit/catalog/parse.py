"""images.toml → Catalog, or all of its faults at once."""

from collections.abc import Collection

from toolkit.catalog import grammar
from toolkit.catalog.bases import read_bases
from toolkit.catalog.builders import read_builders
from toolkit.catalog.conflicts import check_names
from toolkit.catalog.faults import Faults
from toolkit.catalog.groups import check_default, check_groups, read_groups
from toolkit.catalog.images import Surroundings, read_image
from toolkit.catalog.mirrors import read_mirrors
from toolkit.catalog.model import Catalog, Image
from toolkit.catalog.positions import locate
from toolkit.catalog.registries import check_caches, read_registries
from toolkit.catalog.sources import Sources, read_sources
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
    catalog = read_catalog(Table(values, path=(), subject="", faults=faults), faults, templates=templates)
    faults.check()
    return catalog


def read_catalog(top: Table, faults: Faults, *, templates: Collection[str] | None = None) -> Catalog:
    """What the top table says; with any fault noted, it is good for nothing."""
    group_table, source_tables, mirror_table, base_tables, image_tables, registry_tables, builder_tables = (
        top.table(key)
        for key in ("groups", "sources", "mirrors", "bases", "images", "registries", "builders")
    )
    unreadable_tables = top.close() | {key for key in top if not isinstance(top.get(key), dict)}

    groups = read_groups(group_table)
    around = Surroundings(
        bases=read_bases(base_tables, faults),
        base_names=None if "bases" in unreadable_tables else tuple(base_tables),
        templates=templates,
        sources=Sources(
            found=read_sources(source_tables, faults),
            names=None if "sources" in unreadable_tables else tuple(source_tables),
        ),
    )
    mirrors = read_mirrors(mirror_table, around.sources.names, around.base_names)
    registries = read_registries(registry_tables, faults)
    builders = read_builders(builder_tables, faults)
    images: list[Image] = []
    unreadable: list[str] = []
    for name, table in image_tables.tables("image", grammar.NAME):
        if image := read_image(name, table, around, faults):
            images.append(image)
        else:
            framework = table.get("framework")
            is_known = isinstance(framework, str) and grammar.NAME.accepts(framework)
            unreadable.append(str(framework) if is_known else "")
    check_names(images, faults)
    check_caches(registries, images, faults)
    if "images" not in unreadable_tables:
        if not tuple(image_tables):
            top.fault(top.at("images"), "there is no image: add a table [images.NAME]")
        check_groups(top, groups, images, unreadable=unreadable)
    if "groups" not in unreadable_tables:
        check_default(top, groups, images)
    return Catalog(
        images=tuple(images),
        bases=around.bases,
        sources=around.sources.found,
        groups={name: tuple(patterns) for name, patterns in groups.items()},
        registries=registries,
        builders=builders,
        mirrors=mirrors,
    )


def parse_catalog_bytes(
    content: bytes, *, filename: str = FILENAME, templates: Collection[str] | None = None
) -> Catalog:
    """`parse_catalog` of a file's bytes, which must be UTF-8."""
    return parse_catalog(read_bytes(content, filename=filename), filename=filename, templates=templates)
