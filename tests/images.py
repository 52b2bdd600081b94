"""A small maker of images for tests: layouts with chosen layers, labels and ELF files, honest or lying."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import zstandard

from toolkit.adapters.layout import LayoutWriter, OciLayout
from toolkit.blobs import CheckedBlob
from toolkit.layers.elf import ARCHITECTURES, ElfTarget
from toolkit.layers.scan import LayerScan, scan_layer
from toolkit.oci import Descriptor, Digest, Manifest, MediaType, Platform, make_index, make_manifest

ARM64 = Platform("linux", "arm64")
AMD64 = Platform("linux", "amd64")

ElfKind = Literal["relocatable", "executable", "shared", "core"]
_ELF_TYPES = {"relocatable": 1, "executable": 2, "shared": 3, "core": 4}

DOCKER = (MediaType.DOCKER_MANIFEST, MediaType.DOCKER_CONFIG, MediaType.DOCKER_LAYER_GZIP)
OCI = (MediaType.OCI_MANIFEST, MediaType.OCI_CONFIG, MediaType.OCI_LAYER_GZIP)


def elf(target: str | ElfTarget = "arm64", kind: ElfKind = "shared") -> bytes:
    """A complete ELF header for an architecture of Go's name, or any target, and nothing behind it."""
    made_for = ARCHITECTURES[target] if isinstance(target, str) else target
    order = made_for.byte_order
    ident = b"\x7fELF" + bytes([made_for.bits // 32, 1 if order == "little" else 2, 1]) + bytes(9)
    numbers = _ELF_TYPES[kind].to_bytes(2, order) + made_for.machine.to_bytes(2, order)
    return (ident + numbers).ljust(64 if made_for.bits == 64 else 52, b"\0")


def native_elf() -> bytes:
    """A program of the machine the tests run on."""
    return Path("/bin/true").read_bytes()


@dataclass(frozen=True)
class Item:
    """One tar member; a directory, link or whiteout has no content."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE
    link: str = ""


def program(path: str, architecture: str = "arm64") -> Item:
    return Item(path, elf(architecture), 0o755)


def script(path: str, interpreter: str, mode: int = 0o755) -> Item:
    return Item(path, f"#!{interpreter}\necho\n".encode(), mode)


def directory(path: str) -> Item:
    return Item(path, mode=0o755, kind=tarfile.DIRTYPE)


def symlink(path: str, target: str) -> Item:
    return Item(path, mode=0o777, kind=tarfile.SYMTYPE, link=target)


def hard_link(path: str, target: str) -> Item:
    return Item(path, kind=tarfile.LNKTYPE, link=target)


def whiteout(path: str) -> Item:
    """Deletes `path` of the layers below."""
    parent, _, name = path.rpartition("/")
    return Item(f"{parent}/.wh.{name}" if parent else f".wh.{name}")


def opaque(path: str) -> Item:
    """Hides what the layers below have in the directory `path`."""
    return Item(f"{path}/.wh..wh..opq")


def tar(*items: Item, format: int = tarfile.PAX_FORMAT) -> bytes:
    """The members exactly as named and in the given order; names may hold surrogate escapes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, errors="surrogateescape") as archive:
        for item in items:
            member = tarfile.TarInfo(item.path)
            member.type, member.mode, member.linkname = item.kind, item.mode, item.link
            member.size = len(item.content)
            archive.addfile(member, io.BytesIO(item.content))
    return buffer.getvalue()


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The blob as it is stored, its media type and the digest of its tar."""

    blob: bytes
    media_type: str
    diff_id: Digest

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor.of(self.blob, self.media_type)


def layer(*items: Item, media_type: str = MediaType.DOCKER_LAYER_GZIP) -> Layer:
    return packed(tar(*items), media_type)


def packed(archive: bytes, media_type: str = MediaType.DOCKER_LAYER_GZIP) -> Layer:
    """Compressed as the media type's ending says."""
    if media_type.endswith("gzip"):
        blob = gzip.compress(archive, 1, mtime=0)
    elif media_type.endswith("zstd"):
        blob = zstandard.compress(archive)
    else:
        blob = archive
    return Layer(blob=blob, media_type=media_type, diff_id=Digest.of(archive))


def scan(made: Layer) -> LayerScan:
    blob = CheckedBlob(io.BytesIO(made.blob), made.descriptor, where="test")
    return scan_layer(made.descriptor, io.BufferedReader(blob))


@dataclass(frozen=True, kw_only=True)
class FakeImage:
    """What an image consists of. `platform` is its label, true or not; `diff_ids` None tells the truth."""

    layers: Sequence[Layer]
    platform: Platform = ARM64
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Sequence[str] = ()
    working_directory: str = ""
    types: tuple[MediaType, MediaType, MediaType] = DOCKER
    diff_ids: Sequence[str] | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    def config(self) -> bytes:
        diff_ids = [each.diff_id for each in self.layers] if self.diff_ids is None else self.diff_ids
        document = {
            **self.platform.to_json(),
            "config": {
                "Entrypoint": list(self.entrypoint),
                "Cmd": list(self.command),
                "Env": list(self.environment),
                "WorkingDir": self.working_directory,
                **self.settings,
            },
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        }
        return json.dumps(document).encode()

    def add_to(self, writer: LayoutWriter) -> Manifest:
        manifest_type, config_type, _ = self.types
        config = writer.add_blob(self.config(), config_type)
        layers = [writer.add_blob(each.blob, each.media_type) for each in self.layers]
        manifest = make_manifest(config, layers, manifest_type)
        writer.add_manifest(manifest)
        return manifest


def image_of(*items: Item, platform: Platform = ARM64) -> FakeImage:
    """An image of one layer, of the generic kind."""
    return FakeImage(layers=[layer(*items)], platform=platform)


def single(root: Path, image: FakeImage) -> OciLayout:
    """A layout whose one entry is the image's manifest, as Buildx writes it without provenance."""
    writer = LayoutWriter(root)
    writer.finish([image.add_to(writer).descriptor()])
    return OciLayout.open(root)


def listed(
    root: Path,
    images: Mapping[Platform, FakeImage],
    *,
    attestations: int = 0,
    media_type: MediaType = MediaType.DOCKER_LIST,
) -> OciLayout:
    """A layout whose one entry is an index of `images` under the platforms that the mapping gives them."""
    writer = LayoutWriter(root)
    children = [image.add_to(writer).descriptor(platform) for platform, image in images.items()]
    for number in range(attestations):
        statement = writer.add_blob(
            json.dumps({"statement": number}).encode(), "application/vnd.in-toto+json"
        )
        config = writer.add_blob(b"{}", MediaType.OCI_CONFIG)
        attestation = make_manifest(config, [statement], MediaType.OCI_MANIFEST)
        writer.add_manifest(attestation)
        children.append(attestation.descriptor(Platform("unknown", "unknown")))
    writer.finish([writer.add_manifest(make_index(children, media_type))])
    return OciLayout.open(root)
