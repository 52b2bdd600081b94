"""[mirrors]: what is asked in the place of the public ones. Never with credentials: the file is shared."""

from collections.abc import Collection
from dataclasses import replace

from toolkit.catalog import places
from toolkit.catalog.faults import did_you_mean, quote
from toolkit.catalog.grammar import REGISTRY_HOST, Grammar, pattern
from toolkit.catalog.mirror import CatalogMirrors
from toolkit.catalog.table import Table

_MIRROR_URL = replace(places.SOURCE_URL, what="the URL of a mirror", example="https://mirror.example/simple")
_FIND_LINKS = Grammar(
    what="the URL of a page of links, or a directory",
    example="https://mirror.example/wheels",
    matches=lambda text: places.SOURCE_URL.accepts(text) or pattern(r"/?[A-Za-z0-9._/-]+")(text),
    maximum=500,
)
_FILE = Grammar(
    what="the path of a file",
    example="mirror/company-ca.pem",
    matches=pattern(r"/?[A-Za-z0-9._ /-]+"),
    maximum=500,
)
_REGISTRY = Grammar(
    what="a registry with the path before its repositories",
    example="mirror.example/ecr-public",
    matches=pattern(r"[a-z0-9.-]+(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*"),
    maximum=200,
    hints=(("://", "write it without https://"),),
    mends=(lambda text: text.partition("://")[2].rstrip("/"), str.lower),
)


def read_mirrors(
    mirrors: Table, source_names: Collection[str] | None, base_names: Collection[str] | None
) -> CatalogMirrors:
    """The names are those of [sources] and [bases], None when they cannot be told."""
    sources = mirrors.table("sources")
    registries = mirrors.table("registries")
    apt_sources = mirrors.table("apt-sources")
    found = CatalogMirrors(
        index=mirrors.text("index", _MIRROR_URL, default=""),
        find_links=mirrors.texts("find-links", _FIND_LINKS, word="place", required=False),
        apt=mirrors.text("apt", _MIRROR_URL, default=""),
        apt_security=mirrors.text("apt-security", _MIRROR_URL, default=""),
        apt_sources={base: apt_sources.text(base, _FILE, default="") for base in tuple(apt_sources)},
        objects=mirrors.text("objects", _MIRROR_URL, default=""),
        ca_bundle=mirrors.text("ca-bundle", _FILE, default=""),
        sources={name: sources.text(name, _MIRROR_URL, default="") for name in tuple(sources)},
        registries={host: registries.text(host, _REGISTRY, default="") for host in tuple(registries)},
    )
    mirrors.close()
    for kind, table, names in (("source", sources, source_names), ("base", apt_sources, base_names)):
        for name in table:
            if names is not None and name not in names:
                mend = did_you_mean(name, names) or f": add [{kind}s.{name}]"
                mirrors.fault(table.at(name), f"{kind} {quote(name)} is not defined{mend}")
    for host in registries:
        if problem := REGISTRY_HOST.problem(host):
            mirrors.fault(registries.at(host), f"registry {quote(host)} {problem}")
    return found
