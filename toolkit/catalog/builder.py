"""What [builders.NAME] says, as frozen values."""

from dataclasses import dataclass
from enum import StrEnum

from toolkit.oci import Architecture


class NodeKind(StrEnum):
    """What a builder node is: an engine near or far, a BuildKit, or what Buildx starts one in."""

    LOCAL = "local"  # a Docker engine on this machine
    SSH = "ssh"  # a Docker engine on another one
    REMOTE = "remote"  # a buildkitd that listens
    CONTAINER = "docker-container"  # a buildkitd that Buildx starts in an engine
    KUBERNETES = "kubernetes"  # one that it starts in a cluster


class NodePlatform(StrEnum):
    """A platform that images are built for."""

    AMD64 = "linux/amd64"
    ARM64 = "linux/arm64"

    @property
    def architecture(self) -> Architecture:
        return Architecture(self.value.partition("/")[2])


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine of a builder. `endpoint` is "" for what this machine's docker client talks to anyway.

    `certificates` is the name of a directory beside docker's config.json with ca.pem, cert.pem and key.pem,
    "" without TLS. `image` is the BuildKit that Buildx starts, "" for its own choice.
    `namespace` and `replicas` are Kubernetes'.
    """

    name: str
    kind: NodeKind
    platforms: tuple[NodePlatform, ...]
    line: int
    endpoint: str = ""
    certificates: str = ""
    server_name: str = ""
    image: str = ""
    namespace: str = ""
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class CatalogBuilder:
    """A Buildx builder of several nodes, in the order in which they are preferred."""

    name: str
    nodes: tuple[Node, ...]
    line: int
