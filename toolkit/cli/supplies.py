"""Where a project's packages and files come from on this machine: places, credentials, trust."""

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.settings import Settings
from toolkit.errors import UsageError
from toolkit.mirrors import APT_SOURCES, Places, get_places, with_credentials
from toolkit.render import RenderedUnit
from toolkit.units import BuildUnit

if TYPE_CHECKING:
    from toolkit.adapters.downloads import Downloads
    from toolkit.adapters.fetching import Fetcher
    from toolkit.adapters.uv import UvResolver


def places(settings: Settings) -> Places:
    from toolkit.adapters.uv import configured_index

    return get_places(
        settings.mirrors,
        settings.environment,
        sources=settings.sources,
        configured_index=configured_index,
        credentials=settings.lookup_login,
    )


def ca_bundle(settings: Settings) -> Path | None:
    """One file of all that is trusted, for programs that take no second one; None when nothing is named."""
    from toolkit.adapters.certificates import ensure_bundle

    named = settings.ca_bundle
    return ensure_bundle(named, settings.cache) if named else None


def uv_environment(settings: Settings, *, index: str = "") -> dict[str, str]:
    """What uv sees; `index` is for what it fetches itself, "" for its default."""
    bundle = ca_bundle(settings)
    trusted = {"SSL_CERT_FILE": str(bundle)} if bundle else {}
    return {**settings.environment, **({"UV_DEFAULT_INDEX": index} if index else {}), **trusted}


def resolver(settings: Settings) -> "UvResolver":
    from toolkit.adapters.uv import UvResolver

    return UvResolver(places=places(settings), environment=uv_environment(settings))


def fetcher(settings: Settings) -> "Fetcher":
    from toolkit.adapters.fetching import Fetcher

    where = places(settings)
    return Fetcher(located=lambda url: where.located(url, settings.sources), ca_bundle=settings.ca_bundle)


def downloads(settings: Settings) -> "Downloads":
    from toolkit.adapters.downloads import Downloads

    return Downloads(fetcher=fetcher(settings), directory=settings.cache / "downloads")


def fetching(settings: Settings) -> Callable[[RenderedUnit], Path | None]:
    """Brings a unit's downloads to the directory that becomes its build context `downloads`."""
    kept = functools.cache(functools.partial(downloads, settings))

    def fetch(rendered: RenderedUnit) -> Path | None:
        if not rendered.downloads:
            return None
        return kept().gather(rendered.downloads, settings.cache / "contexts" / rendered.unit.identifier)

    return fetch


def build_secrets(settings: Settings, where: Places, unit: BuildUnit) -> Mapping[str, str]:
    """What a unit's build may read and no image keeps, by the ids that templates mount."""
    from toolkit.adapters.uv_settings import build_settings

    sources = re.sub(
        r"https?://[^\s\]]+",
        lambda url: with_credentials(url[0], settings.lookup_login),
        _apt_sources(settings, unit),
    )
    return {
        "uv-config": build_settings(where, unit.indexes),
        "apt-config": apt_settings(has_sources=bool(sources), has_bundle=settings.ca_bundle is not None),
        "apt-sources": sources,
    }


def apt_settings(*, has_sources: bool, has_bundle: bool) -> str:
    """What APT_CONFIG of a build's own apt names, "" when nothing needs to be said; the secrets that it
    speaks of lie where BuildKit puts them.

    https://manpages.debian.org/bookworm/apt/apt.conf.5.en.html
    """
    listed = 'Dir::Etc::SourceList "/run/secrets/apt-sources";\nDir::Etc::SourceParts "/dev/null";\n'
    trusted = 'Acquire::https::CaInfo "/run/secrets/ca-bundle";\n'
    return (listed if has_sources else "") + (trusted if has_bundle else "")


def _apt_sources(settings: Settings, unit: BuildUnit) -> str:
    """The sources.list, in apt's one-line style, that a base's own apt uses inside builds; "" for its own."""
    named = settings.environment.get(APT_SOURCES) or settings.mirrors.apt_sources.get(unit.base.name, "")
    if not named:
        return ""
    path = settings.project / named
    if not path.is_file():
        raise UsageError(
            f"the apt sources for base {unit.base.name} are to be read from {path}, which is not a file",
            remedy=f"Mend {APT_SOURCES}, or apt-sources in [mirrors] of {settings.catalog.name}.",
        )
    return path.read_text()
