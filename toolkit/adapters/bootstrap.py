"""Makes base images of a Debian suite's packages: fetched by apt, unpacked here, written as an OCI layout.

Two platforms take a few seconds, need no emulation and no root, and give the same digest everywhere.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.adapters.apt import Archive, Fetched
from toolkit.adapters.locks import only_process
from toolkit.bases import (
    RECIPE_VERSION,
    BaseMaker,
    BuiltBase,
    BuiltPlatform,
    Drift,
    LockedPackage,
    Mirrors,
    Packages,
    check_lock,
    compare,
)
from toolkit.catalog.model import Base, Recipe
from toolkit.errors import UsageError
from toolkit.oci import Architecture, Descriptor, Digest, MediaType, make_index, make_manifest
from toolkit.rootfs.deb import read_deb
from toolkit.rootfs.image import created, image_config, make_tree
from toolkit.rootfs.tree import write_layer

_Locks = Mapping[Architecture, Packages]


@dataclass(frozen=True, kw_only=True)
class Bootstrapper:
    """A `BaseMaker`. `bases` keeps the layouts, `cache` the packages; both are made when needed.

    Who shares `bases` with another process shares `cache` with it: one process works in a suite at a time.
    """

    mirrors: Mirrors
    bases: Path
    cache: Path

    def ensure_base(
        self,
        base: Base,
        architectures: tuple[Architecture, ...],
        *,
        locked: Mapping[Architecture, Packages] | None = None,
    ) -> BuiltBase:
        """See `BaseMaker`. A locked base that is there costs the reading of one small file."""
        if (found := lookup_base(self.bases, base, architectures, locked=locked)) is not None:
            return found
        recipe = _recipe(base)
        locks = _locks(architectures, locked)
        check_lock(base.name, recipe, locks)
        # All of a suite lies below one directory, so bases of two suites are made side by side.
        with only_process(self.cache / recipe.suite):
            self.bases.mkdir(parents=True, exist_ok=True)
            fetched = self._fetch(recipe, locks)
            drift = tuple(
                line
                for architecture, packages in locks.items()
                if packages
                for line in compare(architecture, packages, fetched[architecture].packages)
            )
            # Without a lock today's packages name the base, and the lock made of them finds it.
            named = {
                architecture: locks[architecture] or fetched[architecture].packages for architecture in locks
            }
            home = _home(self.bases, base.name, recipe, named)
            # Another process may have made it while this one waited.
            return _lookup_built(home) or _make(base.name, recipe.suite, fetched, drift, home)

    def _fetch(self, recipe: Recipe, locks: _Locks) -> dict[Architecture, Fetched]:
        archive = Archive(suite=recipe.suite, mirrors=self.mirrors, directory=self.cache)
        fetched = {architecture: archive.lookup_fetched(packages) for architecture, packages in locks.items()}
        if not all(fetched.values()):
            archive.update(tuple(locks))
        return {
            architecture: fetched[architecture]
            or archive.fetch(recipe.packages, architecture, preferred=locks[architecture])
            for architecture in locks
        }


_: type[BaseMaker] = Bootstrapper


def lookup_base(
    bases: Path,
    base: Base,
    architectures: tuple[Architecture, ...],
    *,
    locked: Mapping[Architecture, Packages] | None,
) -> BuiltBase | None:
    """The base made of `locked` for these architectures if it is in the directory `bases`."""
    locks = _locks(architectures, locked)
    if not all(locks.values()):
        return None
    return _lookup_built(_home(bases, base.name, _recipe(base), locks))


def _recipe(base: Base) -> Recipe:
    if not isinstance(base.origin, Recipe):
        raise UsageError(
            f"base {base.name} is the image {base.origin} of a registry: there is nothing to make"
        )
    return base.origin


def _locks(architectures: Sequence[Architecture], locked: Mapping[Architecture, Packages] | None) -> _Locks:
    return {architecture: (locked or {}).get(architecture, ()) for architecture in sorted(set(architectures))}


def _home(bases: Path, name: str, recipe: Recipe, locks: _Locks) -> Path:
    """Where a base is kept: named by all that was asked for."""
    asked = {
        "recipe": RECIPE_VERSION,
        "suite": recipe.suite,
        "packages": recipe.packages,
        "locks": {
            architecture: [str(package) for package in packages] for architecture, packages in locks.items()
        },
    }
    return bases / f"{name}-{hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]}"


def _make(
    name: str, suite: str, fetched: Mapping[Architecture, Fetched], drift: tuple[Drift, ...], home: Path
) -> BuiltBase:
    """Write the layout beside `home` and rename it there: it is complete or it is not there."""
    prefix = f".{home.name}-"
    for abandoned in home.parent.glob(f"{prefix}*"):
        shutil.rmtree(abandoned)
    work = Path(tempfile.mkdtemp(dir=home.parent, prefix=prefix))
    try:
        layout = work / "layout"
        (layout / _BLOBS).mkdir(parents=True)
        # Decompression leaves Python's lock alone, so threads do it side by side.
        with ThreadPoolExecutor() as pool:
            written = pool.map(partial(_write_platform, layout, suite), fetched, fetched.values())
            built = dict(zip(fetched, written, strict=True))
        index = _write_index(
            layout, {architecture: manifest for architecture, (manifest, _) in built.items()}
        )
        result = BuiltBase(
            name=name,
            layout=home / "layout",
            index=index,
            platforms={architecture: platform for architecture, (_, platform) in built.items()},
            drift=drift,
        )
        (work / _BUILT).write_text(json.dumps(_to_json(result)))
        work.chmod(0o755)
        work.rename(home)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return result


_BUILT = "base.json"
_BLOBS = "blobs/sha256"


def _write_platform(
    layout: Path, suite: str, architecture: Architecture, fetched: Fetched
) -> tuple[Descriptor, BuiltPlatform]:
    debs = [
        read_deb(fetched.files[package.name].read_bytes(), str(fetched.files[package.name]))
        for package in fetched.packages
    ]
    base = make_tree(debs, suite=suite, architecture=architecture)
    blobs = layout / _BLOBS
    # Uncompressed, so that no version of a compressor decides the digest.
    with (blobs / f".{architecture}").open("w+b") as stream:
        write_layer(base.tree, stream)
        size = stream.tell()
        stream.seek(0)
        layer = Digest("sha256:" + hashlib.file_digest(stream, "sha256").hexdigest())
    (blobs / f".{architecture}").rename(blobs / layer.hex)
    config = image_config(base.tree, layer, suite=suite, architecture=architecture)
    manifest = make_manifest(
        _write_blob(layout, config, MediaType.OCI_CONFIG),
        [Descriptor(media_type=MediaType.OCI_LAYER, digest=layer, size=size)],
        MediaType.OCI_MANIFEST,
    )
    _write_blob(layout, manifest.raw, MediaType.OCI_MANIFEST)
    platform = BuiltPlatform(
        manifest=manifest.digest,
        packages=fetched.packages,
        created=created(base.tree),
        size=size,
        remarks=(*fetched.remarks, *base.remarks),
    )
    return manifest.descriptor(architecture.platform), platform


def _write_index(layout: Path, manifests: Mapping[Architecture, Descriptor]) -> Digest:
    """Write the index and the layout's own two files, which name it.

    https://github.com/opencontainers/image-spec/blob/main/image-layout.md
    """
    index = make_index(tuple(manifests.values()), MediaType.OCI_INDEX)
    _write_blob(layout, index.raw, MediaType.OCI_INDEX)
    entry = make_index([index.descriptor], MediaType.OCI_INDEX)
    (layout / "index.json").write_bytes(entry.raw)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return index.digest


def _write_blob(layout: Path, content: bytes, media_type: MediaType) -> Descriptor:
    descriptor = Descriptor.of(content, media_type)
    (layout / _BLOBS / descriptor.digest.hex).write_bytes(content)
    return descriptor


def _lookup_built(home: Path) -> BuiltBase | None:
    try:
        data = json.loads((home / _BUILT).read_text())
    except FileNotFoundError:
        return None
    return BuiltBase(
        name=data["name"],
        layout=home / "layout",
        index=Digest(data["index"]),
        platforms={
            Architecture(architecture): BuiltPlatform(
                manifest=Digest(row["manifest"]),
                packages=tuple(LockedPackage.parse(line) for line in row["packages"]),
                created=row["created"],
                size=row["size"],
                remarks=tuple(row["remarks"]),
            )
            for architecture, row in data["platforms"].items()
        },
        drift=tuple(_parse_drift(row) for row in data["drift"]),
    )


def _parse_drift(row: Sequence[str]) -> Drift:
    architecture, name, locked, actual = row
    return Drift(architecture=Architecture(architecture), name=name, locked=locked, actual=actual)


def _to_json(built: BuiltBase) -> dict[str, Any]:
    return {
        "name": built.name,
        "index": built.index,
        "platforms": {
            architecture: {
                "manifest": platform.manifest,
                "packages": [str(package) for package in platform.packages],
                "created": platform.created,
                "size": platform.size,
                "remarks": platform.remarks,
            }
            for architecture, platform in built.platforms.items()
        },
        "drift": [[row.architecture, row.name, row.locked, row.actual] for row in built.drift],
    }
