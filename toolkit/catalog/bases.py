"""[bases.NAME] → Base."""

from toolkit.catalog import grammar
from toolkit.catalog.faults import Faults
from toolkit.catalog.model import Base, Recipe
from toolkit.catalog.support import read_end_of_life
from toolkit.catalog.table import Table
from toolkit.oci import Reference

_RECIPE_KEYS = ("suite", "packages")


def read_bases(bases: Table, faults: Faults) -> dict[str, Base]:
    """The bases without fault, by name, in the order of the file."""
    found = {}
    for name, table in bases.tables("base", grammar.BASE_NAME):
        before = len(faults)
        python = table.text("python", grammar.PYTHON)
        glibc = table.text("glibc", grammar.GLIBC)
        origin = _read_origin(table)
        install = table.texts("install", grammar.DEB_PACKAGE, word="package", required=False)
        if install and isinstance(origin, Recipe):
            table.fault(
                table.at("install"),
                "install is for an image of a registry: add them to packages of the recipe",
            )
        end_of_life = read_end_of_life(table)
        table.close()
        if origin is not None and len(faults) == before:
            line = table.line(table.path)
            found[name] = Base(
                name=name,
                python=python,
                glibc=glibc,
                origin=origin,
                line=line,
                install=install,
                end_of_life=end_of_life,
            )
    return found


def _read_origin(table: Table) -> Recipe | Reference | None:
    """A recipe or a reference: not both, not neither."""
    asks_recipe = any(key in table for key in _RECIPE_KEYS)
    needs_recipe = asks_recipe and "reference" not in table
    reference = table.text("reference", grammar.REFERENCE, default="")
    suite = table.text("suite", grammar.SUITE, default=None if needs_recipe else "")
    packages = table.texts("packages", grammar.DEB_PACKAGE, word="package", required=needs_recipe)
    if "reference" in table:
        if asks_recipe:
            table.fault(
                table.at("reference"),
                "has a reference and also suite or packages: a base is an image of a registry or a recipe",
            )
        return Reference.parse(reference) if reference else None
    if not asks_recipe:
        table.fault(
            table.path,
            "has no origin: add suite and packages (a recipe) or reference (an image of a registry)",
        )
    return Recipe(suite=suite, packages=tuple(sorted(packages)))
