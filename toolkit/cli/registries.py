"""`--registry`: a host, or the name of a [registries] table of the catalog."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from toolkit.catalog.grammar import REGISTRY_NAME, REPOSITORY
from toolkit.catalog.registry import CatalogRegistry, EcrRegistry
from toolkit.cli.settings import Settings, split_registry
from toolkit.errors import UsageError

Registries = Mapping[str, CatalogRegistry]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where images go: HOST[:PORT] and the path before every repository.

    `ecr` is what the catalog says of this place, None when it says nothing or is no Amazon ECR. `cache` is
    the repository of its host that keeps the steps of builds, "" for none.
    """

    host: str
    prefix: str
    ecr: EcrRegistry | None = None
    cache: str = ""

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}" if self.prefix else self.host


def get_place(text: str, registries: Callable[[], Registries]) -> Place:
    """`registries` is asked for what the catalog names. Raises UsageError for what is neither."""
    if not REGISTRY_NAME.accepts(text):
        host, prefix = split_registry(text)
        return Place(host=host, prefix=prefix)
    known = registries()
    if text not in known:
        raise UsageError(f"{text!r} is not a registry of the catalog", remedy=_remedy(text, known))
    found = known[text]
    ecr = found if isinstance(found, EcrRegistry) else None
    return Place(host=found.host, prefix=found.prefix, ecr=ecr, cache=found.cache)


def with_cache(place: Place, repository: str | None) -> Place:
    """The place with the cache that the command line names, "" for none; None leaves it the catalog's.

    Raises UsageError for what is no repository.
    """
    if repository is None:
        return place
    if repository and (problem := REPOSITORY.problem(repository)):
        raise UsageError(
            f"--registry-cache: {repository!r} {problem}", remedy="Name a repository of the same host."
        )
    return replace(place, cache=repository)


def get_ecr(text: str, registries: Registries) -> EcrRegistry:
    """The Amazon ECR that is named; "" is the only one there is. Raises UsageError."""
    found = {name: each for name, each in registries.items() if isinstance(each, EcrRegistry)}
    if not text and len(found) == 1:
        return next(iter(found.values()))
    if text in found:
        return found[text]
    example = 'Add to images.toml: [registries.prod] with kind = "ecr", account = "…", region = "…"'
    if not found:
        raise UsageError("the catalog has no registry of kind ecr", remedy=example)
    names = ", ".join(found)
    if not text:
        raise UsageError("the catalog has several registries", remedy=f"Name one: --registry {names}")
    raise UsageError(f"{text!r} is no registry of kind ecr in the catalog", remedy=f"Those are: {names}")


def read_registries(settings: Settings) -> Registries:
    """Those of the catalog on disk, for commands that read nothing else of it."""
    from toolkit.catalog import parse_catalog_bytes
    from toolkit.cli.project import read_catalog

    return parse_catalog_bytes(read_catalog(settings), filename=settings.catalog.name).registries


def _remedy(text: str, known: Registries) -> str:
    import difflib

    near = difflib.get_close_matches(text, known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    named = f"images.toml names {', '.join(known)}" if known else "images.toml names none in [registries]"
    return f"{hint}{named}. A host is written HOST[:PORT][/PATH], like localhost:5000."
