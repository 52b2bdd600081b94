"""Prove from its bytes what an image is: label, ELF files, layers, contract. Nothing is started.

Works on any image of any source. Whoever publishes passes every image through `verify_reference` first.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from toolkit.catalog.model import ForeignElf
from toolkit.checks import (
    Check,
    check_elf,
    check_index,
    check_label,
    check_layers,
    check_media_types,
    comparable,
    printable,
)
from toolkit.contracts import GENERIC, Contract
from toolkit.errors import VerificationFailed
from toolkit.layers.elf import MALFORMED
from toolkit.layers.filesystem import FileSystem
from toolkit.layers.installed import Package
from toolkit.layers.scan import LayerScan, scan_layer
from toolkit.oci import Descriptor, Digest, ImageConfig, Index, Manifest, MediaType, Platform
from toolkit.programs import check_entrypoint

# Configs are held in memory; containerd refuses larger ones too.
_CONFIG_LIMIT = 8 << 20

# An index within an index is rare, a loop of them impossible but for a broken source.
_MAX_DEPTH = 4
_INDEX_TYPES = tuple(kind for kind in MediaType if kind.is_index)


class ImageSource(Protocol):
    """Where an image's bytes come from: one repository of a registry, or a layout on disk."""

    @property
    def name(self) -> str:
        """For messages: REGISTRY/REPOSITORY or the layout's path."""

    def get_manifest(self, selector: str) -> Manifest | Index:
        """By tag or digest. Raises UsageError or RegistryTrouble when there is none."""

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[BinaryIO]:
        """The blob's bytes; reading to the end raises when they are not what `descriptor` names."""


class ScanCache(Protocol):
    """Layer scans by digest, so that a layer that was read before costs nothing.

    A hit proves what the digest means, not that the source still holds the bytes.
    """

    def lookup_scan(self, digest: Digest) -> LayerScan | None: ...

    def store_scan(self, scan: LayerScan) -> None: ...


class MemoryScans:
    """A ScanCache for one run."""

    def __init__(self) -> None:
        self._scans: dict[Digest, LayerScan] = {}

    def lookup_scan(self, digest: Digest) -> LayerScan | None:
        return self._scans.get(digest)

    def store_scan(self, scan: LayerScan) -> None:
        self._scans[scan.digest] = scan


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found out about one image.

    `size` is what a pull moves, `unpacked_size` the bytes of its uncompressed layers, `elf_files` the
    number of ELF files in the final file system.
    """

    digest: Digest
    platform: Platform
    media_type: str
    checks: tuple[Check, ...]
    size: int
    unpacked_size: int = 0
    elf_files: int = 0
    packages: tuple[Package, ...] = ()
    entrypoint: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok)

    def to_json(self) -> dict[str, Any]:
        return {
            "digest": self.digest,
            "platform": str(self.platform),
            "media_type": self.media_type,
            "ok": self.ok,
            "checks": [check.to_json() for check in self.checks],
            "size": self.size,
            "unpacked_size": self.unpacked_size,
            "elf_files": self.elf_files,
            "packages": [package.to_json() for package in self.packages],
            "entrypoint": list(self.entrypoint),
            "ports": list(self.ports),
        }


def verify_reference(
    source: ImageSource,
    selector: str,
    *,
    platform: Platform | None = None,
    contract: Contract = GENERIC,
    foreign_elf: Sequence[ForeignElf] = (),
    scans: ScanCache | None = None,
) -> tuple[Verification, ...]:
    """Verify the image behind `selector`, or every image of the index that it is; attestations are no images.

    `platform` picks one image of an index, and is what a single image must be. Raises VerificationFailed when
    there is no such image or a config or manifest cannot be read, and what `source` raises.
    """
    cache = MemoryScans() if scans is None else scans
    top = source.get_manifest(selector)
    if isinstance(top, Manifest):
        verification = verify_image(
            source, top, platform=platform, contract=contract, foreign_elf=foreign_elf, scans=cache
        )
        return (verification,)
    children = _images_of(source, top)
    chosen = [
        child
        for child in children
        if platform is None or (child.platform and comparable(child.platform) == comparable(platform))
    ]
    if not chosen:
        listed = ", ".join(printable(str(child.platform)) for child in children if child.platform)
        wanted = f"an image for {platform}" if platform else "any image"
        raise VerificationFailed(
            f"{source.name}: {top.digest} does not list {wanted}: it has {listed or 'none'}"
        )
    return tuple(
        verify_image(
            source,
            _get_image(source, child),
            platform=platform,
            contract=contract,
            foreign_elf=foreign_elf,
            scans=cache,
            listed=child.platform,
            checks=(
                check_index(
                    attestations=len(top.manifests) - len(top.images),
                    wanted_whole=platform is None,
                    contract=contract,
                ),
            ),
        )
        for child in chosen
    )


def verify_image(
    source: ImageSource,
    manifest: Manifest,
    *,
    platform: Platform | None,
    contract: Contract,
    foreign_elf: Sequence[ForeignElf],
    scans: ScanCache,
    listed: Platform | None = None,
    checks: tuple[Check, ...] = (),
) -> Verification:
    """Verify one image; `listed` is the platform its index gives it, `checks` what is known already.

    Everything that is wrong with the image itself ends up in the checks. Raises VerificationFailed only
    when its config cannot be read, and what `source` raises.
    """
    config = _read_config(source, manifest)
    label = check_label(config.platform, expected=platform, listed=listed)
    try:
        layers = tuple(_get_scan(source, layer, scans) for layer in manifest.layers)
        files = FileSystem.merge(layers)
    except VerificationFailed as trouble:
        # Without its file system nothing more can be said of the image.
        unreadable = Check(name="layers", ok=False, detail=trouble.message)
        return Verification(
            digest=manifest.digest,
            platform=config.platform,
            media_type=manifest.media_type,
            checks=(label, unreadable, *checks),
            size=manifest.size,
        )
    entrypoint = check_entrypoint(files, config, contract, working_directory=config.working_directory)
    found = list(files.files())
    return Verification(
        digest=manifest.digest,
        platform=config.platform,
        media_type=manifest.media_type,
        checks=(
            label,
            check_elf(found, config.platform, foreign_elf),
            check_layers(layers, config.diff_ids),
            check_media_types(manifest, layers, contract),
            *checks,
            *((entrypoint,) if entrypoint else ()),
        ),
        size=manifest.size,
        unpacked_size=sum(layer.unpacked_size for layer in layers),
        elf_files=sum(entry.elf not in ("", MALFORMED) for _, entry in found),
        packages=tuple(sorted({package for _, entry in found for package in entry.packages})),
        entrypoint=config.entrypoint,
        ports=config.ports,
    )


def ensure_verified(name: str, verifications: Sequence[Verification]) -> None:
    """Raises VerificationFailed, which names `name` and every failed check, unless all are ok."""
    failed = [verification for verification in verifications if not verification.ok]
    if failed:
        lines = [line for verification in failed for line in summary_lines(verification)]
        raise VerificationFailed("\n  ".join([f"{name} is not what it says:", *lines]))


def summary_lines(verification: Verification) -> tuple[str, ...]:
    """For people: what it is in one line, then one line per failed check that the first did not tell."""
    told = {check.name: check for check in verification.checks if check.name in ("label", "elf")}
    head = ", ".join(check.sentence for check in told.values())
    state = "ok" if verification.ok else "FAILED"
    short = f"{verification.digest.algorithm}:{verification.digest.hex[:12]}"
    return (
        f"{state} {short} {head}",
        *(f"{check.name}: {check.sentence}" for check in verification.failures if check.name not in told),
    )


def _read_config(source: ImageSource, manifest: Manifest) -> ImageConfig:
    descriptor = manifest.config
    where = f"{source.name}@{manifest.digest}"
    if descriptor.size > _CONFIG_LIMIT:
        raise VerificationFailed(f"{where}: its config of {descriptor.size} bytes is no image config")
    with source.open_blob(descriptor) as blob:
        raw = b"".join(iter(lambda: blob.read(1 << 16), b""))
    try:
        return ImageConfig.parse(raw)
    except ValueError as error:
        kind = printable(descriptor.media_type)
        raise VerificationFailed(
            f"{where} is no container image: its config ({kind}) cannot be read: {error}"
        ) from error


def _get_scan(source: ImageSource, layer: Descriptor, scans: ScanCache) -> LayerScan:
    if known := scans.lookup_scan(layer.digest):
        return known
    if "foreign" in layer.media_type or "nondistributable" in layer.media_type:
        raise VerificationFailed(
            f"layer {layer.digest} is not distributed with the image ({printable(layer.media_type)})"
        )
    if layer.media_type.endswith("+encrypted"):
        raise VerificationFailed(f"layer {layer.digest} is encrypted: what it holds cannot be read")
    with source.open_blob(layer) as blob:
        scan = scan_layer(layer, blob)
    scans.store_scan(scan)
    return scan


def _images_of(source: ImageSource, index: Index, depth: int = 0) -> list[Descriptor]:
    """The image manifests that `index` lists, itself or through an index it lists."""
    images: list[Descriptor] = []
    for child in index.images:
        if child.media_type not in _INDEX_TYPES or depth == _MAX_DEPTH:
            images.append(child)
            continue
        below = source.get_manifest(child.digest)
        images += _images_of(source, below, depth + 1) if isinstance(below, Index) else [child]
    return images


def _get_image(source: ImageSource, descriptor: Descriptor) -> Manifest:
    manifest = source.get_manifest(descriptor.digest)
    if not isinstance(manifest, Manifest):
        raise VerificationFailed(f"{source.name}: {descriptor.digest} is listed as an image but is an index")
    return manifest
