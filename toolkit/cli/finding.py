"""What `toolkit lock` asks, and whom: implements locking.Finder with this machine's places."""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from toolkit.catalog.model import Base, Install
from toolkit.cli.settings import Settings
from toolkit.cli.supplies import downloads, fetcher, places, resolver
from toolkit.cli.world import base_maker, lookup_registry_base
from toolkit.errors import NeedNotMet, RegistryTrouble, SourceUnreachable
from toolkit.lock import Folder, Lock, LockedBase, LockedBases, LockedDownload, base_inputs_digest
from toolkit.locking import Finder
from toolkit.mirrors import without_credentials
from toolkit.oci import Architecture, Digest, Reference
from toolkit.units import BuildUnit

if TYPE_CHECKING:
    from toolkit.adapters.downloads import Downloads

_FOLDERS: Mapping[Install, Folder] = {
    Install.WHEEL: Folder.WHEELS,
    Install.DEB: Folder.DEBS,
    Install.FILE: Folder.FILES,
    Install.ARCHIVE: Folder.FILES,
}


class MachineFinder:
    """`locked` is what is believed of signing keys and of files that were fetched for it once."""

    def __init__(self, settings: Settings, *, locked: Lock, serving: Sequence[str]) -> None:
        from toolkit.adapters.vendor_apt import VendorApt

        self._settings = settings
        self._serving = serving
        self._places = places(settings)
        self._fetcher = fetcher(settings)
        self._resolver = resolver(settings)
        self._downloads: Downloads = downloads(settings)
        self._apt = VendorApt(self._fetcher, keys=locked.keys)
        self._known = {each.url: each.sha256 for unit in locked.units.values() for each in unit.downloads}
        self._index_lock = threading.Lock()
        self._index_asked = False
        self._index_trouble: SourceUnreachable | None = None

    def requirements(self, unit: BuildUnit) -> tuple[str, ...]:
        for source in unit.sources:
            self._fetcher.probe(source.url)
        self._probe_index()
        return self._resolver.resolve(
            (*unit.requirements, *self._serving),
            python=unit.base.python,
            architecture=unit.architecture,
            glibc=unit.base.glibc,
            indexes=unit.indexes,
        )

    def downloads(self, unit: BuildUnit) -> tuple[LockedDownload, ...]:
        files = [
            LockedDownload(
                folder=_FOLDERS[each.install], name=each.filename, sha256=self._sha256(each.url), url=each.url
            )
            for each in unit.downloads
        ]
        debs = self._apt.find(unit.apt, unit.architecture) if unit.apt else ()
        return tuple(sorted((*files, *debs)))

    def base(self, base: Base, architectures: Sequence[Architecture]) -> LockedBases:
        inputs = base_inputs_digest(base)
        wanted = tuple(architectures)
        if isinstance(base.origin, Reference):
            index, found = self._registry_base(base.origin, wanted)
            return {
                each: LockedBase(inputs=inputs, digest=digest, index=index) for each, digest in found.items()
            }
        try:
            built = base_maker(self._settings).ensure_base(base, wanted)
        except NeedNotMet as error:
            raise SourceUnreachable(
                error.message,
                remedy=error.remedy,
                reason=f"no mirror gave the packages of {base.origin.suite}",
            ) from error
        return {
            architecture: LockedBase(inputs=inputs, digest=platform.manifest, packages=platform.packages)
            for architecture, platform in built.platforms.items()
        }

    def keys(self) -> Mapping[str, str]:
        return self._apt.keys_seen

    def _registry_base(
        self, reference: Reference, wanted: tuple[Architecture, ...]
    ) -> tuple[Digest, Mapping[Architecture, Digest]]:
        try:
            return lookup_registry_base(self._settings, reference, wanted)
        except RegistryTrouble as error:
            raise SourceUnreachable(
                error.message, remedy=error.remedy, reason=f"{reference.registry} cannot be reached"
            ) from error

    def _sha256(self, url: str) -> str:
        return self._known.get(url) or self._downloads.fetch(url)[0]

    def _probe_index(self) -> None:
        """The machine's own index, once: uv would try each resolution several times."""
        with self._index_lock:
            if self._places.index and not self._index_asked:
                try:
                    self._fetcher.probe(self._places.index)
                except SourceUnreachable as error:
                    self._index_trouble = SourceUnreachable(
                        f"the package index at {without_credentials(self._places.index)}: {error.message}",
                        remedy=error.remedy,
                        reason="the package index of the machine that locked could not be reached",
                    )
            self._index_asked = True
        if self._index_trouble:
            raise self._index_trouble


_CONFORMS: type[Finder] = MachineFinder
