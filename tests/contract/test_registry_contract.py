import hashlib
import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.images import AMD64, ARM64, OCI, FakeImage, image_of, layer, program, single
from toolkit.adapters.layout import OciLayout
from toolkit.adapters.registry import RegistryImages
from toolkit.artifacts import fetch_artifact, push_artifact
from toolkit.blobs import BlobCorrupt
from toolkit.errors import RegistryTrouble
from toolkit.oci import Descriptor, Digest, Index, Manifest, MediaType, Platform, make_index, make_manifest
from toolkit.publish import (
    Registry,
    publish_image,
    publish_index,
)
from toolkit.verify import verify_reference


def bytes_of(content: bytes) -> Callable[[], AbstractContextManager[BinaryIO]]:
    return lambda: nullcontext(io.BytesIO(content))


def an_image(
    root: Path, platform: Platform = ARM64, name: str = "usr/bin/serve"
) -> tuple[Manifest, OciLayout]:
    layout = single(root, image_of(program(name, platform.architecture), platform=platform))
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    return manifest, layout


def push(registry: Registry, repository: str, content: bytes) -> Descriptor:
    blob = Descriptor.of(content, MediaType.OCI_LAYER)
    registry.upload_blob(repository, blob, bytes_of(content))
    return blob


def test_what_was_never_pushed_is_none(registry: Registry, repository: str) -> None:
    digest = Digest.of(b"never")
    assert registry.lookup_descriptor(repository, "latest") is None
    assert registry.lookup_descriptor(repository, digest) is None
    assert registry.lookup_manifest(repository, "latest") is None
    assert registry.has_blob(repository, digest) is False
    assert registry.list_tags(repository) == ()


def test_a_blob_comes_back_as_it_was_uploaded(registry: Registry, repository: str) -> None:
    content = os.urandom((3 << 20) + 17)
    blob = push(registry, repository, content)
    assert registry.has_blob(repository, blob.digest)
    with registry.open_blob(repository, blob) as stream:
        assert stream.read() == content


def test_an_empty_blob_can_be_uploaded(registry: Registry, repository: str) -> None:
    blob = push(registry, repository, b"")
    assert registry.has_blob(repository, blob.digest)


def test_uploading_a_blob_twice_is_no_trouble(registry: Registry, repository: str) -> None:
    push(registry, repository, b"twice")
    blob = push(registry, repository, b"twice")
    assert registry.has_blob(repository, blob.digest)


def test_bytes_that_are_not_the_digest_are_refused(registry: Registry, repository: str) -> None:
    blob = Descriptor.of(b"right bytes", MediaType.OCI_LAYER)
    with pytest.raises(RegistryTrouble):
        registry.upload_blob(repository, blob, bytes_of(b"wrong bytes"))
    assert not registry.has_blob(repository, blob.digest)


@pytest.mark.parametrize("content", [b"short", b"rather too long for that"])
def test_content_of_another_length_is_not_uploaded(
    registry: Registry, repository: str, content: bytes
) -> None:
    blob = Descriptor.of(b"ten bytes!", MediaType.OCI_LAYER)
    with pytest.raises(BlobCorrupt):
        registry.upload_blob(repository, blob, bytes_of(content))
    assert not registry.has_blob(repository, blob.digest)


def test_a_missing_blob_is_told_by_name(registry: Registry, repository: str) -> None:
    blob = Descriptor.of(b"never", MediaType.OCI_LAYER)
    with (
        pytest.raises(RegistryTrouble, match=f"{repository}: blob {blob.digest} is missing"),
        registry.open_blob(repository, blob),
    ):
        pass


def test_a_blob_that_is_not_what_its_descriptor_says_is_found_while_reading(
    registry: Registry, repository: str
) -> None:
    blob = push(registry, repository, b"0123456789")
    shorter = Descriptor(media_type=blob.media_type, digest=blob.digest, size=9)
    with registry.open_blob(repository, shorter) as stream, pytest.raises(BlobCorrupt, match="more than"):
        stream.read()


def test_a_blob_is_mounted_from_another_repository(registry: Registry, repository: str) -> None:
    blob = push(registry, f"{repository}/source", b"to be mounted")
    assert registry.mount_blob(repository, blob.digest, source=f"{repository}/source") is True
    assert registry.has_blob(repository, blob.digest)


def test_a_blob_that_is_not_there_is_not_mounted(registry: Registry, repository: str) -> None:
    digest = Digest.of(b"nowhere")
    assert registry.mount_blob(repository, digest, source=f"{repository}/source") is False
    assert not registry.has_blob(repository, digest)


def test_a_manifest_comes_back_byte_for_byte(registry: Registry, repository: str, tmp_path: Path) -> None:
    manifest, layout = an_image(tmp_path)
    publish_image(manifest, layout, registry=registry, repository=repository, tags=["1.12.1-arm64"])
    by_tag = registry.lookup_manifest(repository, "1.12.1-arm64")
    by_digest = registry.lookup_manifest(repository, manifest.digest)
    assert by_tag == by_digest == manifest
    assert by_tag is not None
    assert by_tag.raw == manifest.raw


def test_a_descriptor_has_digest_media_type_and_size(
    registry: Registry, repository: str, tmp_path: Path
) -> None:
    manifest, layout = an_image(tmp_path)
    published = publish_image(manifest, layout, registry=registry, repository=repository, tags=["one"])
    assert published == manifest.descriptor()
    assert registry.lookup_descriptor(repository, "one") == manifest.descriptor()
    assert registry.lookup_descriptor(repository, manifest.digest) == manifest.descriptor()


def test_an_oci_image_keeps_its_media_type(registry: Registry, repository: str, tmp_path: Path) -> None:
    oci_layer = layer(program("bin/sh"), media_type=MediaType.OCI_LAYER_GZIP)
    layout = single(tmp_path, FakeImage(layers=[oci_layer], types=OCI))
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    publish_image(manifest, layout, registry=registry, repository=repository, tags=["oci"])
    found = registry.lookup_descriptor(repository, "oci")
    assert found is not None
    assert found.media_type == MediaType.OCI_MANIFEST


def test_an_image_without_tags_is_there_by_digest(
    registry: Registry, repository: str, tmp_path: Path
) -> None:
    manifest, layout = an_image(tmp_path)
    publish_image(manifest, layout, registry=registry, repository=repository)
    assert registry.lookup_descriptor(repository, manifest.digest) == manifest.descriptor()
    assert registry.list_tags(repository) == ()


def test_a_manifest_before_its_blobs_is_refused(registry: Registry, repository: str) -> None:
    config = Descriptor.of(b"{}", MediaType.DOCKER_CONFIG)
    absent = make_manifest(
        config, [Descriptor.of(b"x", MediaType.DOCKER_LAYER_GZIP)], MediaType.DOCKER_MANIFEST
    )
    with pytest.raises(RegistryTrouble):
        registry.put_manifest(repository, "early", absent)
    assert registry.lookup_descriptor(repository, "early") is None


def test_an_index_before_its_images_is_refused(registry: Registry, repository: str, tmp_path: Path) -> None:
    manifest, _ = an_image(tmp_path)
    index = make_index([manifest.descriptor(ARM64)], MediaType.DOCKER_LIST)
    with pytest.raises(RegistryTrouble):
        registry.put_manifest(repository, "early", index)
    assert registry.lookup_descriptor(repository, "early") is None


@pytest.mark.parametrize("media_type", [MediaType.DOCKER_LIST, MediaType.OCI_INDEX])
def test_an_index_of_two_platforms_is_published_and_read_back(
    registry: Registry, repository: str, tmp_path: Path, media_type: MediaType
) -> None:
    children = []
    for platform in (ARM64, AMD64):
        manifest, layout = an_image(tmp_path / platform.architecture, platform)
        publish_image(manifest, layout, registry=registry, repository=repository)
        children.append(manifest.descriptor(platform))
    published = publish_index(
        make_index(children, media_type),
        required=[AMD64, ARM64],
        registry=registry,
        repository=repository,
        tag="1.12.1",
    )
    found = registry.lookup_manifest(repository, "1.12.1")
    assert isinstance(found, Index)
    assert found.descriptor == published
    assert found.media_type == media_type
    assert found.platforms == (AMD64, ARM64)


def test_a_moved_tag_names_the_new_image(registry: Registry, repository: str, tmp_path: Path) -> None:
    first, first_layout = an_image(tmp_path / "1", name="one")
    second, second_layout = an_image(tmp_path / "2", name="two")
    publish_image(first, first_layout, registry=registry, repository=repository, tags=["latest"])
    publish_image(second, second_layout, registry=registry, repository=repository, tags=["latest"])
    assert registry.lookup_descriptor(repository, "latest") == second.descriptor()
    assert registry.lookup_descriptor(repository, first.digest) == first.descriptor()


def test_tags_are_listed(registry: Registry, repository: str, tmp_path: Path) -> None:
    manifest, layout = an_image(tmp_path)
    publish_image(manifest, layout, registry=registry, repository=repository, tags=["a", "b"])
    assert sorted(registry.list_tags(repository)) == ["a", "b"]


def test_a_document_is_kept_as_an_artifact(registry: Registry, repository: str) -> None:
    document = b'{"schema_version": 1}'
    kind = "application/vnd.example.record.v1+json"
    pushed = push_artifact(
        document, artifact_type=kind, registry=registry, repository=repository, tag="newest"
    )
    assert pushed.media_type == MediaType.OCI_MANIFEST
    assert fetch_artifact(registry=registry, repository=repository, selector="newest") == document
    assert fetch_artifact(registry=registry, repository=repository, selector=pushed.digest) == document
    assert fetch_artifact(registry=registry, repository=repository, selector="oldest") is None


def test_an_image_is_verified_in_the_registry(registry: Registry, repository: str, tmp_path: Path) -> None:
    manifest, layout = an_image(tmp_path)
    publish_image(manifest, layout, registry=registry, repository=repository, tags=["one"])
    (verification,) = verify_reference(RegistryImages(registry, repository), "one", platform=ARM64)
    assert verification.ok
    assert verification.digest == manifest.digest


def test_a_misspelt_tag_is_answered_with_the_nearest(
    registry: Registry, repository: str, tmp_path: Path
) -> None:
    manifest, layout = an_image(tmp_path)
    publish_image(manifest, layout, registry=registry, repository=repository, tags=["1.12.1-arm64", "other"])
    images = RegistryImages(registry, repository)
    with pytest.raises(RegistryTrouble, match=r"no such image\n.*Did you mean 1\.12\.1-arm64\?"):
        images.get_manifest("1.12.1-amr64")


def test_a_repository_that_is_not_there_is_told(registry: Registry, repository: str) -> None:
    with pytest.raises(RegistryTrouble, match="there is no such repository"):
        RegistryImages(registry, repository).get_manifest("latest")


def test_sha512_names_a_blob_as_well(registry: Registry, repository: str) -> None:
    content = b"a longer hash"
    digest = Digest("sha512:" + hashlib.sha512(content).hexdigest())
    assert registry.has_blob(repository, digest) is False
