"""Nodes for a workload: eksctl's ClusterConfig, and the plugin for Neuron devices. Pure."""

from toolkit.deployers.eks import Manifest, Workload
from toolkit.deployers.eks_servers import NEURON_KINDS
from toolkit.hardware import SAGEMAKER_PREFIX, get_instance_type, instance_type_names
from toolkit.regions import get_partition

_PLUGIN = "neuron-device-plugin"
# The chart of aws-neuron/neuron-helm-charts at 84b0746, values.yaml.
_PLUGIN_IMAGE = "public.ecr.aws/neuron/neuron-device-plugin:2.20.13.0"
# eksctl attaches the first three by itself, but not where policies are named.
# https://eksctl.io/usage/iam-policies/
_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonS3ReadOnlyAccess",
)


def cluster_config(workload: Workload) -> Manifest:
    """A cluster of the workload's name with one group of nodes of its instance type."""
    partition = get_partition(workload.region).name
    return {
        "apiVersion": "eksctl.io/v1alpha5",
        "kind": "ClusterConfig",
        "metadata": {"name": workload.name, "region": workload.region},
        "iam": {"withOIDC": True},
        "managedNodeGroups": [
            {
                "name": workload.machine.name.replace(".", "-"),
                "instanceType": workload.machine.name,
                "minSize": 1,
                "desiredCapacity": workload.replicas,
                "maxSize": max(4, workload.replicas),
                "iam": {
                    "attachPolicyARNs": [f"arn:{partition}:iam::aws:policy/{name}" for name in _POLICIES]
                },
            }
        ],
    }


def cluster_remarks(workload: Workload) -> tuple[str, ...]:
    own_plugin = " --install-neuron-plugin=false" if needs_plugin(workload) else ""
    return (f"eksctl create cluster{own_plugin} -f THIS-FILE",)


def needs_plugin(workload: Workload) -> bool:
    return workload.machine.accelerator.kind in NEURON_KINDS


def device_plugin() -> tuple[Manifest, ...]:
    """The plugin with the rights that it needs, under the names under which eksctl installs it:
    eksctl-io/eksctl, pkg/addons/assets/neuron-device-plugin.yaml."""
    in_system = {"name": _PLUGIN, "namespace": "kube-system"}
    labels = {"name": f"{_PLUGIN}-ds"}
    return (
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": _PLUGIN},
            "rules": [
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
                {
                    "apiGroups": [""],
                    "resources": ["pods"],
                    "verbs": ["update", "patch", "get", "list", "watch"],
                },
                {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch", "update"]},
            ],
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": in_system},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": _PLUGIN},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _PLUGIN},
            "subjects": [{"kind": "ServiceAccount", **in_system}],
        },
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": f"{_PLUGIN}-daemonset", "namespace": "kube-system"},
            "spec": {
                "selector": {"matchLabels": labels},
                "updateStrategy": {"type": "RollingUpdate"},
                "template": {"metadata": {"labels": labels}, "spec": _plugin_pod()},
            },
        },
    )


def _plugin_pod() -> Manifest:
    directories = {"device-plugin": "/var/lib/kubelet/device-plugins", "infa-map": "/run"}
    return {
        "serviceAccountName": _PLUGIN,
        "priorityClassName": "system-node-critical",
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": "aws.amazon.com/neuron", "operator": "Exists", "effect": "NoSchedule"},
        ],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _neuron_nodes()}},
        "containers": [
            {
                "name": _PLUGIN,
                "image": _PLUGIN_IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "env": [
                    {"name": "KUBECONFIG", "value": "/etc/kubernetes/kubelet.conf"},
                    {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                ],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": name, "mountPath": path} for name, path in directories.items()],
            }
        ],
        "volumes": [{"name": name, "hostPath": {"path": path}} for name, path in directories.items()],
    }


def _neuron_nodes() -> Manifest:
    types = sorted(
        name
        for name in instance_type_names()
        if not name.startswith(SAGEMAKER_PREFIX) and get_instance_type(name).accelerator.kind in NEURON_KINDS
    )
    of_type = {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": types}
    return {"nodeSelectorTerms": [{"matchExpressions": [of_type]}]}
