"""What uv is told about places: when it resolves, and inside a build.

Both texts may carry credentials: they go into a file of this user alone, or a build secret.
"""

import json
from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from toolkit.catalog.model import Source, SourceKind
from toolkit.mirrors import Places

LOCAL_LINKS = "/opt/uv/find-links"
"""Where a build finds the wheels of this machine's own directories, beside uv."""


def project_text(requirements: Sequence[str], places: Places, indexes: Sequence[Source]) -> str:
    """A pyproject.toml that asks for the requirements at the right places.

    uv takes a name from the first index that has it and looks no further, so nobody can slip in a newer
    package of that name elsewhere. A source that says what it is for is asked for these alone.
    https://docs.astral.sh/uv/concepts/indexes/
    """
    asked = {canonicalize_name(Requirement(each).name) for each in requirements}
    pinned = {name: each.name for each in indexes for name in each.packages if name in asked}
    lines = [
        "[project]",
        'name = "image"',
        'version = "0"',
        f"dependencies = {json.dumps(list(requirements))}",
        "[tool.uv]",
        f"find-links = {json.dumps(_links(places, indexes))}",
        "[tool.uv.sources]",
        *(f"{name} = {{ index = {json.dumps(index)} }}" for name, index in pinned.items()),
    ]
    for each in indexes:
        if each.kind is SourceKind.INDEX:
            lines += _index(places.source_url(each), name=each.name, explicit=bool(each.packages))
    lines += _machine_indexes(places)
    return "\n".join("[[tool.uv.index]]" if line == "[[index]]" else line for line in lines) + "\n"


def build_settings(places: Places, indexes: Sequence[Source]) -> str:
    """uv.toml for a build, whose packages are all pinned by hash; "" when nothing needs to be said.

    A source that is there for some packages is given as the pages of these: among what pages and
    indexes offer, uv takes the file that has the hash.
    """
    pages = [
        f"{places.source_url(each).rstrip('/')}/{name}/"
        for each in indexes
        if each.kind is SourceKind.INDEX
        for name in each.packages
    ]
    lines = []
    links = _links(places, indexes)
    remote = [*pages, *(each for each in links if "://" in each)]
    local = [LOCAL_LINKS] if len(remote) < len(pages) + len(links) else []
    if remote or local:
        lines.append(f"find-links = {json.dumps([*remote, *local])}")
    for each in indexes:
        if each.kind is SourceKind.INDEX and not each.packages:
            lines += _index(places.source_url(each), name=each.name)
    return "".join(f"{line}\n" for line in [*lines, *_machine_indexes(places)])


def _links(places: Places, indexes: Sequence[Source]) -> list[str]:
    vendors = [places.source_url(each) for each in indexes if each.kind is SourceKind.FIND_LINKS]
    return [*vendors, *places.find_links]


def _machine_indexes(places: Places) -> list[str]:
    lines = [line for url in places.further_indexes for line in _index(url)]
    return lines + (_index(places.index, default=True) if places.index else [])


def _index(url: str, *, name: str = "", explicit: bool = False, default: bool = False) -> list[str]:
    """An [[index]] table; in a pyproject.toml it stands below tool.uv."""
    named = [f"name = {json.dumps(name)}"] if name else []
    flags = [f"{flag} = true" for flag, on in (("explicit", explicit), ("default", default)) if on]
    return ["[[index]]", f"url = {json.dumps(url)}", *named, *flags]
