"""An image on Kubernetes: a Deployment and a Service, as the values that kubectl reads. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.deployers.eks_servers import Server, check_model_data, server_of
from toolkit.deployers.image import DeployableImage
from toolkit.errors import UsageError
from toolkit.hardware import AcceleratorKind, InstanceType
from toolkit.regions import get_partition

Manifest = dict[str, Any]

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#rfc-1035-label-names
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_MODEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
# Devices are counted by what their plugin calls them.
_DEVICES = {
    AcceleratorKind.NEURON: "aws.amazon.com/neuron",
    AcceleratorKind.NEURONX: "aws.amazon.com/neuron",
    AcceleratorKind.GPU: "nvidia.com/gpu",
}
_USER = 1000
_MODEL_DIRECTORY = "/opt/ml/model"
# With the image's own boto3 and its own care: submission.unpack takes files and directories only.
FETCH = (
    "import shutil, sys; from serving.submission import get_code_dir; "
    "shutil.copytree(get_code_dir(sys.argv[1], region=sys.argv[2]), sys.argv[3], dirs_exist_ok=True)"
)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Kubernetes quantities: `1`, `500m`; `1Gi`. The defaults are those of AWS's walkthrough."""

    cpu: str = "1"
    memory: str = "1Gi"
    cpu_limit: str = "4"
    memory_limit: str = "4Gi"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is deployed. `model_data` is "" for a model that the image or a volume of one's own holds.

    `port` is asked for only where nothing here knows the image. Raises UsageError for what no cluster takes.
    """

    name: str
    image: DeployableImage
    machine: InstanceType
    region: str
    replicas: int = 2
    namespace: str = ""
    model_name: str = "model"
    model_data: str = ""
    devices: int = 1
    resources: Resources = Resources()
    service_account: str = ""
    port: int = 8080
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        for name, what in ((self.name, "a Deployment"), (self.namespace, "a namespace")):
            if name and not _NAME.fullmatch(name):
                raise UsageError(
                    f"{name!r} cannot be the name of {what}",
                    remedy="Use a-z, 0-9 and -, beginning with a letter, at most 63 of them.",
                )
        if not _MODEL.fullmatch(self.model_name):
            raise UsageError(
                f"{self.model_name!r} cannot be the name of a model", remedy="Name it like resnet50."
            )
        if self.machine.name.startswith("ml."):
            raise UsageError(
                f"{self.machine.name} is a type of SageMaker, and EKS's nodes are EC2's",
                remedy=f"Write it like this: --instance-type {self.machine.name.removeprefix('ml.')}",
            )
        check_model_data(self.server, self.image, self.model_data)

    @property
    def server(self) -> Server:
        return server_of(self.image)

    @property
    def uri(self) -> str:
        """One's own image by digest, of the list where a list was named; any other as given."""
        published = self.image.published
        if not published or self.image.reference.digest:
            return self.image.uri
        is_list = not self.image.media_type
        return published[0].index_uri if is_list else str(published[0].pinned)

    @property
    def device(self) -> str:
        """The resource that stands for the machine's accelerator, "" where the image uses none."""
        kind = self.image.accelerator if self.image.accelerator is not None else self.machine.accelerator.kind
        return _DEVICES.get(kind, "")

    @property
    def is_neuron(self) -> bool:
        return self.device == _DEVICES[AcceleratorKind.NEURON]

    @property
    def ports(self) -> dict[str, int]:
        if self.image.published:
            exposed = [int(port.partition("/")[0]) for port in self.image.published[0].ports]
            return {"http": exposed[0]} if exposed else dict(self.server.ports)
        return dict(self.server.ports) if self.server.health else {"http": self.port}

    @property
    def labels(self) -> dict[str, str]:
        return {"app.kubernetes.io/name": self.name}


def manifests(workload: Workload) -> tuple[Manifest, ...]:
    """The Deployment and the Service, in the order in which they are applied."""
    return _deployment(workload), _service(workload)


def _metadata(workload: Workload) -> Manifest:
    namespace = {"namespace": workload.namespace} if workload.namespace else {}
    labels = {**workload.labels, "app.kubernetes.io/managed-by": "multiarch-images"}
    return {"name": workload.name, **namespace, "labels": labels}


def _deployment(workload: Workload) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(workload),
        "spec": {
            "replicas": workload.replicas,
            "selector": {"matchLabels": workload.labels},
            "template": {"metadata": {"labels": workload.labels}, "spec": _pod(workload)},
        },
    }


def _service(workload: Workload) -> Manifest:
    ports = [
        {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}
        for name, number in workload.ports.items()
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(workload),
        "spec": {"type": "ClusterIP", "selector": workload.labels, "ports": ports},
    }


def _pod(workload: Workload) -> Manifest:
    fetches = workload.server.unpacks_model and workload.model_data
    pod: Manifest = {"automountServiceAccountToken": False}
    if workload.service_account:
        pod["serviceAccountName"] = workload.service_account
    if selector := _node_selector(workload):
        pod["nodeSelector"] = selector
    if workload.server.hardened:
        pod["securityContext"] = _pod_security(workload)
        pod["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    if fetches:
        pod["volumes"].append({"name": "model", "emptyDir": {}})
        pod["initContainers"] = [_fetching(workload)]
    pod["containers"] = [_container(workload)]
    return pod


def _node_selector(workload: Workload) -> dict[str, str]:
    """A list runs on nodes of each of its architectures; one image needs nodes of its own."""
    architectures = workload.image.architectures or (workload.machine.architecture,)
    return {"kubernetes.io/arch": architectures[0].value} if len(architectures) == 1 else {}


def _pod_security(workload: Workload) -> Manifest:
    if workload.is_neuron:
        # A capability that is added counts only for root.
        return {"seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _security(workload: Workload) -> Manifest:
    added = {"add": ["IPC_LOCK"]} if workload.is_neuron else {}
    if not workload.server.hardened:
        return {"allowPrivilegeEscalation": False} | ({"capabilities": added} if added else {})
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], **added},
    }


def _container(workload: Workload) -> Manifest:
    server = workload.server
    container: Manifest = {
        "name": workload.name,
        "image": workload.uri,
        "imagePullPolicy": "IfNotPresent",
    }
    if server.command:
        container["command"] = list(server.command)
    arguments = (*server.arguments, *(server.model_arguments if workload.model_data else ()))
    if arguments:
        container["args"] = [_filled(each, workload) for each in arguments]
    container["ports"] = [
        {"name": name, "containerPort": number, "protocol": "TCP"} for name, number in workload.ports.items()
    ]
    if environment := _environment(workload):
        container["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    container["resources"] = _resources(workload)
    container |= _probes(workload)
    container["securityContext"] = _security(workload)
    if server.hardened:
        container["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
        if server.unpacks_model and workload.model_data:
            container["volumeMounts"].append(
                {"name": "model", "mountPath": _MODEL_DIRECTORY, "readOnly": True}
            )
    return container


def _filled(text: str, workload: Workload) -> str:
    return text.replace("{model}", workload.model_name).replace("{data}", workload.model_data)


def _environment(workload: Workload) -> dict[str, str]:
    found: dict[str, str] = {}
    if workload.server.s3_settings:
        suffix = get_partition(workload.region).dns_suffix
        endpoint = f"s3.{workload.region}.{suffix}"
        found = {"AWS_REGION": workload.region, "S3_ENDPOINT": endpoint, **workload.server.s3_settings}
    if workload.server.hardened:
        found = {"SAGEMAKER_REGION": workload.region}
    return {**found, **workload.environment}


def _resources(workload: Workload) -> Manifest:
    asked = workload.resources
    limits = {"cpu": asked.cpu_limit, "memory": asked.memory_limit}
    if workload.device:
        # An extended resource has one number: Kubernetes takes the limit as the request too.
        limits[workload.device] = str(workload.devices)
    return {"requests": {"cpu": asked.cpu, "memory": asked.memory}, "limits": limits}


def _probes(workload: Workload) -> Manifest:
    """Ten minutes to load a model; then not ready after 15 s of silence, started anew after a minute."""
    health = workload.server.health
    action: Manifest = (
        {"httpGet": {"path": _filled(health, workload), "port": "http"}}
        if health
        else {"tcpSocket": {"port": "http"}}
    )
    return {
        "startupProbe": {**action, "periodSeconds": 5, "failureThreshold": 120, "timeoutSeconds": 5},
        "readinessProbe": {**action, "periodSeconds": 5, "failureThreshold": 3, "timeoutSeconds": 5},
        "livenessProbe": {**action, "periodSeconds": 20, "failureThreshold": 3, "timeoutSeconds": 10},
    }


def _fetching(workload: Workload) -> Manifest:
    """Fetches and unpacks the model with the image itself, as SageMaker does before it starts a container."""
    return {
        "name": "fetch-model",
        "image": workload.uri,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-B", "-c", FETCH, workload.model_data, workload.region, _MODEL_DIRECTORY],
        "env": [{"name": "PYTHONPATH", "value": "/opt/serving"}],
        "resources": {
            "requests": {"cpu": workload.resources.cpu, "memory": workload.resources.memory},
            "limits": {"cpu": workload.resources.cpu_limit, "memory": workload.resources.memory_limit},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "model", "mountPath": _MODEL_DIRECTORY},
        ],
    }
