"""How an image serves on Kubernetes: what is started, its ports, how it is asked whether it is well. Data.

AWS's images are started as AWS starts them: its walkthrough for Inferentia (the EKS user guide,
awsdocs/amazon-eks-user-guide doc_source/inferentia-support.md) and the manifests by which it tests them
(aws/deep-learning-containers, test/dlc_tests/eks/eks_manifest_templates).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from toolkit.deployers.image import DeployableImage, Origin
from toolkit.errors import UsageError
from toolkit.hardware import AcceleratorKind

NEURON_KINDS = (AcceleratorKind.NEURON, AcceleratorKind.NEURONX)


@dataclass(frozen=True, kw_only=True)
class Server:
    """`{model}` and `{data}` in `arguments` and `health` are the model's name and where it is kept.

    `ports` maps names to numbers, the one that answers `health` (a path, "" for a server whose path is not
    known) is `http`. `schemes` are how `{data}` may begin, () where the server takes no model by address;
    `model_arguments` are added when there is one. `hardened` images are known to run as another user than
    root, without any capability, on a read-only root file system: one's own. `note` is for people.
    """

    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    model_arguments: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=lambda: {"http": 8080})
    health: str = ""
    schemes: tuple[str, ...] = ()
    s3_settings: Mapping[str, str] = field(default_factory=dict)
    hardened: bool = False
    unpacks_model: bool = False
    notes: tuple[str, ...] = ()


OWN = Server(
    arguments=("serve",),
    health="/ping",
    schemes=("s3://",),
    hardened=True,
    unpacks_model=True,
)

_IRSA = (
    "TensorFlow Serving cannot use IAM roles for service accounts: the role of the nodes needs "
    "AmazonS3ReadOnlyAccess (--with-cluster attaches it)"
)
_SERVING = Server(
    arguments=("--port=8500", "--rest_api_port=9000", "--model_name={model}", "--model_base_path={data}"),
    ports={"grpc": 8500, "http": 9000},
    health="/v1/models/{model}",
    schemes=("s3://", "/"),
)
# The walkthrough's Service calls 8500 http-tf-serving and 9000 grpc-tf-serving, the wrong way round: its own
# arguments and client have gRPC on 8500.
TENSORFLOW_NEURON = Server(
    command=("/usr/local/bin/entrypoint.sh",),
    arguments=_SERVING.arguments,
    ports=_SERVING.ports,
    health=_SERVING.health,
    schemes=_SERVING.schemes,
    # S3's certificate is not verified there: the walkthrough's value for these images.
    s3_settings={"S3_USE_HTTPS": "1", "S3_VERIFY_SSL": "0", "AWS_LOG_LEVEL": "3"},
    notes=(
        _IRSA,
        "gRPC is on 8500 and HTTP on 9000: the Service in AWS's walkthrough has the two names swapped",
        "S3's certificate is not verified, as in AWS's walkthrough: try --env S3_VERIFY_SSL=1",
    ),
)
TENSORFLOW = Server(
    command=("/usr/bin/tensorflow_model_server",),
    arguments=_SERVING.arguments,
    ports=_SERVING.ports,
    health=_SERVING.health,
    schemes=_SERVING.schemes,
    s3_settings={"S3_USE_HTTPS": "1", "S3_VERIFY_SSL": "1"},
    notes=(_IRSA,),
)


def _model_server(program: str, config: str) -> Server:
    """TorchServe and the Multi Model Server have one grammar."""
    return Server(
        arguments=(program, "--start", config, "/home/model-server/config.properties"),
        model_arguments=("--models", "{model}={data}"),
        health="/ping",
        schemes=("https://", "http://"),
    )


SAGEMAKER = Server(
    arguments=("serve",),
    health="/ping",
    notes=("an image for SageMaker looks for its model in /opt/ml/model: mount one there",),
)
GIVEN = Server(notes=("nothing here knows how this image serves: its ports are --port, its probes TCP",))
# The first row that matches; None matches every kind.
_AWS: tuple[tuple[str, tuple[AcceleratorKind, ...] | None, Server], ...] = (
    ("tensorflow", NEURON_KINDS, TENSORFLOW_NEURON),
    ("tensorflow", None, TENSORFLOW),
    ("pytorch", None, _model_server("torchserve", "--ts-config")),
    ("mxnet", None, _model_server("mxnet-model-server", "--mms-config")),
)


def server_of(image: DeployableImage) -> Server:
    if image.origin is Origin.RELEASE:
        return OWN
    if image.origin is Origin.AWS:
        if "sagemaker" in image.reference.tag.split("-"):
            return SAGEMAKER
        for framework, kinds, server in _AWS:
            if image.framework == framework and (kinds is None or image.accelerator in kinds):
                return server
    return GIVEN


def check_model_data(server: Server, image: DeployableImage, data: str) -> None:
    """Raises UsageError for a model that the server cannot fetch, or one that it needs and has not got."""
    if data and not data.startswith(server.schemes or "\0"):
        takes = " or ".join(server.schemes)
        raise UsageError(
            f"{image.uri} cannot fetch its model from {data}",
            remedy=f"It takes {takes}." if takes else "Leave --model-data out and mount the model yourself.",
        )
    if server.unpacks_model and data and not data.endswith(".tar.gz"):
        raise UsageError(
            f"{data} is no archive", remedy="Pack the model: --model-data s3://BUCKET/KEY.tar.gz"
        )
    if not data and any("{data}" in argument for argument in server.arguments):
        raise UsageError(
            f"{image.uri} is TensorFlow Serving, which needs to know its model",
            remedy="Say where it is: --model-data s3://BUCKET/PREFIX",
        )
