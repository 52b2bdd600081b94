"""Values of the OCI image and distribution specifications, and of Docker's schema 2.

Pure: text and bytes in, frozen values out. Nothing here knows a network or a disk.
Sources: https://github.com/opencontainers/image-spec, https://github.com/distribution/reference,
https://distribution.github.io/distribution/spec/manifest-v2-2/
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from toolkit.errors import UsageError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


class Digest(str):
    """`sha256:…` of a manifest or blob. Raises ValueError on any other text."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _DIGEST.fullmatch(text):
            raise ValueError(f"not a digest: {text!r}")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls("sha256:" + hashlib.sha256(content).hexdigest())

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        return self.partition(":")[2]


class Architecture(StrEnum):
    """The architectures that images are built for, in Go's spelling as the OCI specification has it."""

    AMD64 = "amd64"
    ARM64 = "arm64"

    @property
    def uname(self) -> str:
        """What `uname -m` and wheel platform tags say."""
        return {"amd64": "x86_64", "arm64": "aarch64"}[self.value]

    @property
    def ec2(self) -> str:
        """What EC2's DescribeInstanceTypes says."""
        return {"amd64": "x86_64", "arm64": "arm64"}[self.value]

    @property
    def platform(self) -> "Platform":
        return _PLATFORMS[self]


@dataclass(frozen=True, order=True)
class Platform:
    """`linux/arm64[/v8]`. Any architecture that an image may claim, not only those that are built here."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UsageError unless `text` is OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise UsageError(f"{text!r} is not a platform", remedy="Write it like linux/arm64.")
        return cls(*parts)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            os=str(data.get("os", "")),
            architecture=str(data.get("architecture", "")),
            variant=str(data.get("variant", "")),
        )

    def to_json(self) -> dict[str, str]:
        """Architecture first: the order Docker writes in manifest lists."""
        fields = {"architecture": self.architecture, "os": self.os}
        return fields | ({"variant": self.variant} if self.variant else {})

    @property
    def normalized(self) -> "Platform":
        """arm64/v8 is arm64 and amd64/v1 is amd64, as containerd compares platforms.

        https://github.com/containerd/platforms/blob/main/database.go
        """
        default = {"arm64": "v8", "amd64": "v1"}.get(self.architecture)
        return Platform(self.os, self.architecture) if self.variant == default else self

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


_PLATFORMS = {each: Platform(os="linux", architecture=each.value) for each in Architecture}


class MediaType(StrEnum):
    """The media types that are read or written here."""

    OCI_INDEX = "application/vnd.oci.image.index.v1+json"
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
    OCI_EMPTY = "application/vnd.oci.empty.v1+json"
    DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

    @property
    def is_index(self) -> bool:
        return self in (MediaType.OCI_INDEX, MediaType.DOCKER_LIST)


# What a client must accept, or a registry converts or refuses; BatchGetImage needs the same four.
MANIFEST_TYPES = (
    MediaType.DOCKER_LIST,
    MediaType.DOCKER_MANIFEST,
    MediaType.OCI_INDEX,
    MediaType.OCI_MANIFEST,
)


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """Media type, digest and size (bytes) of a blob or manifest. `media_type` may be one we do not know."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, content: bytes, media_type: str, *, platform: Platform | None = None) -> Self:
        return cls(media_type=media_type, digest=Digest.of(content), size=len(content), platform=platform)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Raises ValueError when a field is missing or of the wrong kind."""
        try:
            size = data["size"]
            if not isinstance(size, int) or size < 0:
                raise ValueError(f"size {size!r}")
            return cls(
                media_type=str(data["mediaType"]),
                digest=Digest(str(data["digest"])),
                size=size,
                platform=Platform.from_json(data["platform"]) if data.get("platform") else None,
                annotations=dict(data.get("annotations") or {}),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a descriptor: {error}") from error

    def to_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"mediaType": self.media_type, "size": self.size, "digest": str(self.digest)}
        if self.platform:
            fields["platform"] = self.platform.to_json()
        if self.annotations:
            fields["annotations"] = dict(self.annotations)
        return fields


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One image. `raw` are the very bytes its digest is taken of."""

    raw: bytes
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def size(self) -> int:
        """Compressed bytes of config and layers: what a pull moves."""
        return self.config.size + sum(layer.size for layer in self.layers)

    def descriptor(self, platform: Platform | None = None) -> Descriptor:
        return Descriptor.of(self.raw, self.media_type, platform=platform)


@dataclass(frozen=True, kw_only=True)
class Index:
    """A manifest list or an OCI image index. `raw` are the very bytes its digest is taken of."""

    raw: bytes
    media_type: str
    manifests: tuple[Descriptor, ...]

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor.of(self.raw, self.media_type)

    @property
    def images(self) -> tuple[Descriptor, ...]:
        """The children that are images: BuildKit's attestations carry the platform unknown/unknown.

        https://docs.docker.com/build/metadata/attestations/attestation-storage/
        """
        return tuple(
            child for child in self.manifests if not child.platform or child.platform.os != "unknown"
        )

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(child.platform.normalized for child in self.images if child.platform)


def parse_manifest(raw: bytes, media_type: str = "") -> Manifest | Index:
    """Parse manifest bytes; `media_type` is what the registry or layout said, if it said anything.

    Raises ValueError for other documents (schema 1 among them) and for a body whose own
    mediaType is not the one announced, which the OCI specification forbids.
    """
    try:
        data = json.loads(raw)
    except ValueError as error:
        raise ValueError(f"the manifest is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ValueError("the manifest is not a JSON object")
    if data.get("schemaVersion") == 1:
        raise ValueError("the manifest is Docker schema 1, which engines no longer read: push it again")
    declared = str(data.get("mediaType") or "")
    if declared and media_type and declared != media_type:
        raise ValueError(f"the manifest says it is {declared} but was announced as {media_type}")
    kind = declared or media_type
    annotations = data.get("annotations") or {}
    if isinstance(data.get("manifests"), list):
        children = tuple(Descriptor.from_json(child) for child in data["manifests"])
        return Index(raw=raw, media_type=kind or MediaType.OCI_INDEX, manifests=children)
    if isinstance(data.get("config"), dict) and isinstance(data.get("layers"), list):
        return Manifest(
            raw=raw,
            media_type=kind or MediaType.OCI_MANIFEST,
            config=Descriptor.from_json(data["config"]),
            layers=tuple(Descriptor.from_json(layer) for layer in data["layers"]),
            annotations=annotations if isinstance(annotations, dict) else {},
        )
    raise ValueError("the document is neither an image manifest nor an index")


def make_manifest(config: Descriptor, layers: Sequence[Descriptor], media_type: MediaType) -> Manifest:
    """An image manifest with one spelling: the same descriptors give the same digest."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_type.value,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    return Manifest(
        raw=_canonical(document), media_type=media_type.value, config=config, layers=tuple(layers)
    )


def make_index(children: Sequence[Descriptor], media_type: MediaType) -> Index:
    """An index with one spelling, children sorted by platform: its digest follows from its children's."""
    ordered = tuple(sorted(children, key=lambda child: child.platform or Platform("", "")))
    document = {
        "schemaVersion": 2,
        "mediaType": media_type.value,
        "manifests": [child.to_json() for child in ordered],
    }
    return Index(raw=_canonical(document), media_type=media_type.value, manifests=ordered)


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """The image configuration: what the engine is told about the file system it will run."""

    platform: Platform
    diff_ids: tuple[Digest, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_directory: str = "/"
    created: str = ""

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Raises ValueError when `raw` is no image configuration."""
        try:
            data = json.loads(raw)
            settings = data.get("config") or {}
            return cls(
                platform=Platform.from_json(data),
                diff_ids=tuple(Digest(item) for item in (data.get("rootfs") or {}).get("diff_ids") or ()),
                entrypoint=_words(settings, "Entrypoint"),
                command=_words(settings, "Cmd"),
                environment=_words(settings, "Env"),
                ports=tuple(sorted(settings.get("ExposedPorts") or ())),
                labels=dict(settings.get("Labels") or {}),
                user=str(settings.get("User") or ""),
                working_directory=str(settings.get("WorkingDir") or "/"),
                created=str(data.get("created") or ""),
            )
        except (AttributeError, TypeError) as error:
            raise ValueError(f"not an image configuration: {error}") from error


def _words(settings: Mapping[str, Any], name: str) -> tuple[str, ...]:
    words = settings.get(name) or ()
    if not (isinstance(words, (list, tuple)) and all(isinstance(word, str) for word in words)):
        raise ValueError(f"{name} is not a list of strings")
    return tuple(words)


_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9-]+)*(?::[0-9]+)?|\[[0-9a-fA-F:]+\](?::[0-9]+)?"
)
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """REGISTRY/REPOSITORY[:TAG][@DIGEST], with Docker's short names spelled out.

    Grammar: https://github.com/distribution/reference/blob/main/reference.go
    """

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UsageError that says which part is wrong. No tag and no digest means `latest`."""
        name, _, digest_text = text.partition("@")
        head, slash, rest = name.partition("/")
        if slash and ("." in head or ":" in head or head == "localhost" or head != head.lower()):
            registry, path = head, rest
        else:
            registry, path = "docker.io", name if slash else f"library/{name}"
        repository, _, tag = path.partition(":")
        problems = [
            (not _HOST.fullmatch(registry), f"{registry!r} is not a registry host"),
            (
                not _REPOSITORY.fullmatch(repository),
                f"{repository!r} is not a repository name (lower case, digits, . _ - /)",
            ),
            (":" in path and not _TAG.fullmatch(tag), f"{tag!r} is not a tag"),
            ("@" in text and not _DIGEST.fullmatch(digest_text), f"{digest_text!r} is not a digest"),
        ]
        for wrong, what in problems:
            if wrong:
                raise UsageError(
                    f"{text!r} is not an image reference: {what}",
                    remedy="Write it like localhost:5000/pytorch-inference:1.12.1 or HOST/NAME@sha256:….",
                )
        digest = Digest(digest_text) if digest_text else None
        return cls(
            registry=registry, repository=repository, tag=tag or ("" if digest else "latest"), digest=digest
        )

    @property
    def selector(self) -> str:
        """What a registry is asked for: the digest if there is one, else the tag."""
        return self.digest or self.tag

    def with_digest(self, digest: Digest) -> "Reference":
        """Pinned: the same repository by digest alone, a DigestReference."""
        return Reference(registry=self.registry, repository=self.repository, digest=digest)

    def with_tag(self, tag: str) -> "Reference":
        return Reference(registry=self.registry, repository=self.repository, tag=tag)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"
