"""Where a project's packages and files come from on this machine: places, credentials, trust."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.settings import Settings
from toolkit.errors import UsageError
from toolkit.mirrors import APT_SOURCES, Places, apt_with_logins, get_places
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

    sources, logins = apt_with_logins(_apt_sources(settings, unit), settings.lookup_login)
    return {"uv-config": build_settings(where, unit.indexes), "apt-sources": sources, "apt-auth": logins}


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
