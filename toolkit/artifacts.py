"""Documents in a registry: one is an artifact of one layer."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from toolkit.errors import RegistryTrouble
from toolkit.oci import Descriptor, Digest, Index, Manifest, MediaType, parse_manifest
from toolkit.publish import Registry, publish_image, spell

# A config that says nothing, for manifests that are no images.
# https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidance-for-an-empty-descriptor
_EMPTY = b"{}"


def push_artifact(
    document: bytes, *, artifact_type: str, registry: Registry, repository: str, tag: str
) -> Descriptor:
    """Put a document under `tag` as an OCI artifact of one layer, whose media type is `artifact_type`.

    https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
    """
    config = Descriptor.of(_EMPTY, MediaType.OCI_EMPTY)
    layer = Descriptor.of(document, artifact_type)
    fields = {
        "schemaVersion": 2,
        "mediaType": MediaType.OCI_MANIFEST.value,
        "artifactType": artifact_type,
        "config": config.to_json(),
        "layers": [layer.to_json()],
    }
    manifest = parse_manifest(json.dumps(fields, separators=(",", ":")).encode())
    assert isinstance(manifest, Manifest)
    source = _InMemory({config.digest: _EMPTY, layer.digest: document})
    return publish_image(manifest, source, registry=registry, repository=repository, tags=(tag,))


@dataclass(frozen=True)
class _InMemory:
    blobs: dict[Digest, bytes]

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.blobs[descriptor.digest])


def fetch_artifact(*, registry: Registry, repository: str, selector: str) -> bytes | None:
    """The document that `push_artifact` put there, None when nothing is there.

    Raises RegistryTrouble for an image or an index.
    """
    manifest = registry.lookup_manifest(repository, selector)
    if manifest is None:
        return None
    if isinstance(manifest, Index) or manifest.config.media_type != MediaType.OCI_EMPTY:
        raise RegistryTrouble(
            f"{spell(registry, repository, selector)} is an image, not a document",
            remedy="Name the reference that the release printed, like HOST/releases:ID.",
        )
    if len(manifest.layers) != 1:
        raise RegistryTrouble(
            f"{spell(registry, repository, selector)} has {len(manifest.layers)} layers; a document has one"
        )
    with registry.open_blob(repository, manifest.layers[0]) as content:
        return content.read()
