"""A base of which the engine has a part, given to it whole another way.

BuildKit copies the layers of a base that is a layout on disk (`oci-layout://`) into containerd when a step
first needs them. When that is cut off, containerd keeps the part that it got, and each later build of that
base goes on behind it; but a layout is read through the build's session, which has no way to begin anywhere
but at the start ("unsupported offset"). The part stays until containerd collects its garbage, at most for 24
hours. A layer that containerd has whole is not copied at all, whatever part of it there is besides, and
`docker load` brings it there by a copy of another name:
https://github.com/containerd/containerd/blob/v1.7.24/metadata/content.go (Writer).
"""

import io
import json
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from python_on_whales import DockerClient
from python_on_whales.exceptions import DockerException

from toolkit.adapters.layout import OciLayout
from toolkit.oci import Descriptor, Index, Platform


@contextmanager
def loaded_base(engine: DockerClient, base_layout: str, platform: Platform, *, room: Path) -> Iterator[None]:
    """The engine has this platform of `oci-layout://PATH@DIGEST` whole until the end.

    `room` is a directory on a disk with room for its layers. Under a name of its own: of two builds that
    do so at once neither takes the other's away. Raises DockerException when the engine does not take it.
    """
    path, _, digest = base_layout.removeprefix("oci-layout://").rpartition("@")
    name = f"docker.io/library/toolkit-base:{uuid.uuid4().hex}"
    try:
        with tempfile.TemporaryDirectory(prefix=".base-", dir=room) as directory:
            archive = Path(directory) / "base.tar"
            write_archive(Path(path), digest, platform, name, archive)
            engine.image.load(archive, quiet=True)
        yield
    finally:
        with suppress(DockerException):
            engine.image.remove(name)


def write_archive(path: Path, digest: str, platform: Platform, name: str, archive: Path) -> None:
    """The layout of one platform of an image, as `docker load` takes it, every byte held to its digest.

    Raises BlobCorrupt, and UsageError when `path` is no layout that has `digest`.
    """
    layout = OciLayout.open(path)
    image = layout.get_manifest(digest)
    if isinstance(image, Index):
        image = layout.get_manifest(next(e.digest for e in image.manifests if e.platform == platform))
    assert not isinstance(image, Index)
    entry = Descriptor.of(image.raw, image.media_type).to_json()
    # The name by which containerd's import knows an image.
    # https://github.com/containerd/containerd/blob/v1.7.24/images/annotations.go
    entry["annotations"] = {"io.containerd.image.name": name}
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        _add(tar, _blob(Descriptor.of(image.raw, image.media_type)), image.raw)
        for descriptor in {each.digest: each for each in (image.config, *image.layers)}.values():
            member = tarfile.TarInfo(_blob(descriptor))
            member.size = descriptor.size
            with layout.open_blob(descriptor) as blob:
                tar.addfile(member, blob)
                blob.read()  # to its end, where the digest is held against the bytes


def _blob(descriptor: Descriptor) -> str:
    return f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
