"""What each consumer demands of an image, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from toolkit.catalog.model import Consumer
from toolkit.oci import MediaType


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The demands of one consumer, with where they were read.

    An empty tuple of media types allows any. `arguments` is what the consumer starts the image with,
    in place of its Cmd; empty keeps the Cmd, None means that the consumer need not start it at all.
    """

    consumer: Consumer
    manifest_types: tuple[MediaType, ...] = ()
    config_types: tuple[MediaType, ...] = ()
    layer_types: tuple[MediaType, ...] = ()
    takes_index: bool = True
    takes_attestations: bool = True
    arguments: tuple[str, ...] | None
    source: str


SAGEMAKER = Contract(
    consumer=Consumer.SAGEMAKER,
    manifest_types=(MediaType.DOCKER_MANIFEST,),
    config_types=(MediaType.DOCKER_CONFIG,),
    layer_types=(MediaType.DOCKER_LAYER_GZIP,),
    takes_index=False,
    takes_attestations=False,
    # SageMaker runs `docker run IMAGE serve`:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    arguments=("serve",),
    source="https://github.com/aws/amazon-sagemaker-feedback/issues/180",
)

EKS = Contract(
    consumer=Consumer.EKS,
    manifest_types=(MediaType.OCI_MANIFEST, MediaType.DOCKER_MANIFEST),
    config_types=(MediaType.OCI_CONFIG, MediaType.DOCKER_CONFIG),
    layer_types=(
        MediaType.OCI_LAYER,
        MediaType.OCI_LAYER_GZIP,
        MediaType.OCI_LAYER_ZSTD,
        MediaType.DOCKER_LAYER,
        MediaType.DOCKER_LAYER_GZIP,
    ),
    arguments=(),
    source="https://github.com/containerd/containerd/blob/main/core/images/mediatypes.go",
)

GENERIC = Contract(
    consumer=Consumer.GENERIC,
    arguments=None,
    source="https://github.com/opencontainers/image-spec/blob/main/manifest.md",
)

_CONTRACTS: Mapping[Consumer, Contract] = MappingProxyType(
    {contract.consumer: contract for contract in (SAGEMAKER, EKS, GENERIC)}
)


def contract_of(consumer: Consumer) -> Contract:
    return _CONTRACTS[consumer]
