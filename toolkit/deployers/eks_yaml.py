"""Manifests as text: a stream for kubectl, or files for Kustomize."""

from collections.abc import Iterable, Sequence
from typing import Any

from toolkit.deployers.eks import Manifest, Workload, manifests
from toolkit.deployers.eks_checks import notes
from toolkit.oci import Reference


def to_yaml(documents: Sequence[Manifest], remarks: Iterable[str] = ()) -> str:
    """The documents as one stream, `remarks` as comments before them."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Without anchors: what is said twice is written twice."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
            return True

    head = "".join(f"# {' '.join(remark.split())}\n" for remark in remarks)
    return head + str(
        yaml.dump_all(documents, Dumper=Plain, sort_keys=False, explicit_start=True, width=1000)
    )


def kustomize(workload: Workload) -> dict[str, str]:
    """File → text: a base whose image has a name, and above it the transformer that says which one it is."""
    name = workload.name
    deployment, service = manifests(workload)
    pod = deployment["spec"]["template"]["spec"]
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        container["image"] = name
    reference = Reference.parse(workload.uri)
    pinned = {"digest": str(reference.digest)} if reference.digest else {"newTag": reference.tag}
    image = {"name": name, "newName": f"{reference.registry}/{reference.repository}", **pinned}
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return {
        "base/deployment.yaml": to_yaml((deployment,)),
        "base/service.yaml": to_yaml((service,)),
        "base/kustomization.yaml": to_yaml(({**head, "resources": ["deployment.yaml", "service.yaml"]},)),
        "kustomization.yaml": to_yaml(({**head, "resources": ["base"], "images": [image]},), notes(workload)),
    }
