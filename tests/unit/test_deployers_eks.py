"""Images on Kubernetes: valid for its schemas, as AWS's walkthrough has it, no privilege beyond need."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.records import HOST, INDEX, image, record
from toolkit.deployers.checks import Outcome, ensure_passed
from toolkit.deployers.eks import Manifest, Resources, Workload, manifests
from toolkit.deployers.eks_checks import checks, notes
from toolkit.deployers.eks_cluster import cluster_config, cluster_remarks, device_plugin, needs_plugin
from toolkit.deployers.eks_yaml import kustomize, to_yaml
from toolkit.deployers.image import choose_image, describe_image
from toolkit.errors import DeploymentRefused, UsageError
from toolkit.hardware import AcceleratorKind, get_instance_type
from toolkit.resolve import ImageConsumer, Request

# The last four that kubernetes-validate has the schemas of.
RELEASES = ("1.34", "1.35", "1.36", "1.37")

RELEASED = record(image("pytorch-amd64", consumer="eks"), image("pytorch-arm64", consumer="eks"))
LIST = f"{HOST}/pytorch-inference@{INDEX}"
AWS = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
NEURON = f"{AWS}/tensorflow-inference-neuron:1.15.4-neuron-py37-ubuntu18.04"
GRAVITON = f"{AWS}/pytorch-inference-graviton:2.4.0-cpu-py311-ubuntu22.04-ec2"


def workload(uri: str = LIST, machine: str = "c7g.xlarge", **changes: Any) -> Workload:
    values: dict[str, Any] = {
        "name": "demo",
        "image": describe_image(uri, RELEASED),
        "machine": get_instance_type(machine),
        "region": "us-east-1",
        "environment": {},
    }
    return Workload(**values | changes)


def resnet(**changes: Any) -> Workload:
    """The walkthrough's own question."""
    asked: dict[str, Any] = {
        "machine": "inf1.2xlarge",
        "name": "eks-neuron-test",
        "model_name": "resnet50_neuron",
        "model_data": "s3://your-bucket-of-models/resnet50_neuron/",
        "replicas": 2,
    }
    return workload(NEURON, **asked | changes)


WORKLOADS = {
    "own": workload(),
    "own with a model": workload(model_data="s3://models/m.tar.gz", service_account="reader", namespace="ml"),
    "own on Inferentia": workload(
        machine="inf2.xlarge",
        image=replace(describe_image(LIST, RELEASED), accelerator=AcceleratorKind.NEURONX),
    ),
    "walkthrough": resnet(),
    "tensorflow": workload(f"{AWS}/tensorflow-inference:2.19.0-cpu-py312-ubuntu22.04-ec2", "c7i.large", model_data="s3://b/m"),
    "torchserve": workload(GRAVITON, model_data="https://models.example/densenet.mar"),
    "mxnet": workload(f"{AWS}/mxnet-inference:1.9.0-cpu-py38-ubuntu20.04-ec2", "c7i.large"),
    "for SageMaker": workload(f"{AWS}/pytorch-inference:2.6.0-gpu-py312-cu124-sagemaker", "g5.xlarge"),
    "given": workload("registry.example/anything:1", port=9090, environment={"A": "b"}),
}  # fmt: skip


def pod(asked: Workload) -> Manifest:
    spec: Manifest = manifests(asked)[0]["spec"]["template"]["spec"]
    return spec


def container(asked: Workload) -> Manifest:
    (only,) = pod(asked)["containers"]
    assert isinstance(only, dict)
    return only


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", WORKLOADS)
def test_what_is_printed_is_valid_for_the_last_four_releases_of_kubernetes(name: str, release: str) -> None:
    for document in yaml.safe_load_all(to_yaml((*device_plugin(), *manifests(WORKLOADS[name])))):
        kubernetes_validate.validate(document, release, strict=True)


def test_the_releases_are_the_newest_that_are_known() -> None:
    assert kubernetes_validate.latest_version().startswith(RELEASES[-1])


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_service_and_the_deployment_find_the_pods_by_their_labels_and_ports(name: str) -> None:
    deployment, service = manifests(WORKLOADS[name])
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels == service["spec"]["selector"]
    opened = {port["name"]: port["containerPort"] for port in container(WORKLOADS[name])["ports"]}
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == opened
    assert container(WORKLOADS[name])["readinessProbe"].popitem()


# awsdocs/amazon-eks-user-guide, doc_source/inferentia-support.md: rn50_deployment.yaml, as a meaning.
WALKTHROUGH = {
    "image": NEURON,
    "command": ["/usr/local/bin/entrypoint.sh"],
    "args": [
        "--port=8500",
        "--rest_api_port=9000",
        "--model_name=resnet50_neuron",
        "--model_base_path=s3://your-bucket-of-models/resnet50_neuron/",
    ],
    "imagePullPolicy": "IfNotPresent",
    "env": {
        "AWS_REGION": "us-east-1",
        "S3_USE_HTTPS": "1",
        "S3_VERIFY_SSL": "0",
        "S3_ENDPOINT": "s3.us-east-1.amazonaws.com",
        "AWS_LOG_LEVEL": "3",
    },
    "limits": {"cpu": "4", "memory": "4Gi", "aws.amazon.com/neuron": "1"},
    "requests": {"cpu": "1", "memory": "1Gi"},
    "added": ["IPC_LOCK"],
    "ports": {8500, 9000},
    "replicas": 2,
}


def meaning(asked: Workload) -> Mapping[str, Any]:
    """What decides how the pods run, whatever the order and the names."""
    (deployment, _), only = manifests(asked), container(asked)
    return {
        **{key: only[key] for key in ("image", "command", "args", "imagePullPolicy")},
        "env": {each["name"]: each["value"] for each in only["env"]},
        **only["resources"],
        "added": only["securityContext"]["capabilities"]["add"],
        "ports": {each["containerPort"] for each in only["ports"]},
        "replicas": deployment["spec"]["replicas"],
    }


def test_the_walkthrough_for_inferentia_means_the_same() -> None:
    assert meaning(resnet()) == WALKTHROUGH


def test_grpc_and_http_are_named_rightly_which_the_walkthrough_does_not() -> None:
    (_, service) = manifests(resnet())
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == {"grpc": 8500, "http": 9000}
    assert any("swapped" in note for note in notes(resnet()))


def test_the_readiness_of_tensorflow_serving_is_that_of_its_model() -> None:
    probe = container(resnet())["readinessProbe"]["httpGet"]
    assert probe == {"path": "/v1/models/resnet50_neuron", "port": "http"}


def test_china_has_an_endpoint_of_its_own() -> None:
    found = {each["name"]: each["value"] for each in container(resnet(region="cn-north-1"))["env"]}
    assert found["S3_ENDPOINT"] == "s3.cn-north-1.amazonaws.com.cn"


def test_ones_own_image_is_named_by_the_digest_of_its_list_however_it_was_asked_for() -> None:
    assert container(workload(LIST))["image"] == LIST
    assert container(workload(f"{HOST}/pytorch-inference:1.12.1"))["image"] == LIST
    request = Request(
        framework="pytorch", region="us-east-1", instance_type="c7g.xlarge", consumer=ImageConsumer.EKS
    )
    released = record(image("pytorch-arm64", consumer="eks", uri=LIST))
    assert container(workload(image=choose_image(request, released)))["image"] == LIST


def test_a_list_runs_on_every_architecture_and_one_image_on_its_own() -> None:
    assert "nodeSelector" not in pod(workload(LIST))
    assert pod(workload(GRAVITON))["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    alone = workload(f"{HOST}/pytorch-inference:1.12.1-arm64")
    assert pod(alone)["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert container(alone)["image"].endswith(image("pytorch-arm64").digest)


def test_ones_own_image_has_no_privilege_and_nowhere_to_write_but_tmp() -> None:
    asked = WORKLOADS["own"]
    assert pod(asked)["securityContext"]["runAsNonRoot"] is True
    assert container(asked)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container(asked)["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert pod(asked)["automountServiceAccountToken"] is False


def test_ones_own_image_serves_on_the_port_of_the_record() -> None:
    asked = container(WORKLOADS["own"])
    assert asked["args"] == ["serve"]
    assert asked["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    assert asked["livenessProbe"]["httpGet"] == {"path": "/ping", "port": "http"}


def test_the_model_is_fetched_by_the_image_itself_before_it_serves() -> None:
    asked = WORKLOADS["own with a model"]
    (fetching,) = pod(asked)["initContainers"]
    assert fetching["image"] == container(asked)["image"]
    assert fetching["command"][-3:] == ["s3://models/m.tar.gz", "us-east-1", "/opt/ml/model"]
    assert {"name": "model", "mountPath": "/opt/ml/model", "readOnly": True} in container(asked)[
        "volumeMounts"
    ]
    assert pod(asked)["serviceAccountName"] == "reader"


def test_neuron_devices_come_with_the_capability_that_they_need() -> None:
    asked = WORKLOADS["own on Inferentia"]
    assert container(asked)["resources"]["limits"]["aws.amazon.com/neuron"] == "1"
    assert container(asked)["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["IPC_LOCK"]}
    # A capability that is added counts only for root.
    assert "runAsUser" not in pod(asked)["securityContext"]


def test_gpus_need_no_capability_and_no_root() -> None:
    asked = workload(
        machine="g5g.xlarge", image=replace(describe_image(LIST, RELEASED), accelerator=AcceleratorKind.GPU)
    )
    assert container(asked)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container(asked)["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod(asked)["securityContext"]["runAsNonRoot"] is True


def test_several_devices_on_the_large_inf1_are_warned_of() -> None:
    for machine, devices, is_told in (
        ("inf1.6xlarge", 2, True),
        ("inf1.6xlarge", 1, False),
        ("inf2.24xlarge", 2, False),
    ):
        found = notes(resnet(machine=machine, devices=devices))
        assert any("not neighbours" in note for note in found) is is_told


def refused(asked: Workload) -> str:
    with pytest.raises(DeploymentRefused) as error:
        ensure_passed(checks(asked, instead=lambda image, machine: f"use another on {machine}"))
    return str(error.value)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (workload(GRAVITON, "c7i.xlarge"), "c7i.xlarge is amd64, but"),
        (resnet(machine="inf2.xlarge"), "accelerator of kind neuron"),
        (resnet(devices=2), "inf1.2xlarge has 1 of aws.amazon.com/neuron, and each pod asks for 2"),
        (workload(resources=Resources(cpu="5", cpu_limit="8")), "has 4 of vCPU, and each pod asks for 5"),
        (workload(resources=Resources(memory="9Gi", memory_limit="9Gi")), "has 8Gi of memory, and each"),
    ],
)  # fmt: skip
def test_what_would_never_start_is_refused_with_what_mends_it(asked: Workload, said: str) -> None:
    text = refused(asked)
    assert said in text
    assert re.search(r"\n  (use another|Ask for)", text)


def test_what_is_not_known_is_not_taken_for_passed() -> None:
    found = checks(WORKLOADS["given"], instead=lambda image, machine: "")
    assert [each.outcome for each in found[:2]] == [Outcome.NOT_CHECKED] * 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Not_A_Name"}, "cannot be the name of a Deployment"),
        ({"namespace": "a/b"}, "cannot be the name of a namespace"),
        ({"model_name": "a b"}, "cannot be the name of a model"),
        ({"machine": get_instance_type("ml.c7g.xlarge")}, "--instance-type c7g.xlarge"),
        ({"model_data": "https://x/m.mar"}, "It takes s3://."),
        ({"model_data": "s3://b/m"}, "is no archive"),
        ({"uri": NEURON, "machine": get_instance_type("inf1.xlarge")}, "needs to know its model"),
        ({"uri": GRAVITON, "model_data": "s3://b/m.tar.gz"}, "It takes https:// or http://."),
        ({"uri": "a.example/b:1", "model_data": "s3://b/m.tar.gz"}, "mount the model yourself"),
    ],
)
def test_what_no_cluster_takes_is_a_usage_error(changes: dict[str, Any], said: str) -> None:
    uri = changes.pop("uri", LIST)
    with pytest.raises(UsageError) as error:
        Workload(**vars(workload()) | {"image": describe_image(uri, RELEASED)} | changes)
    assert said in str(error.value)


@pytest.mark.parametrize("text", ["1.5.", "four", "4 Gi", "-1", "1e3"])
def test_a_quantity_that_kubernetes_does_not_take_is_a_usage_error(text: str) -> None:
    asked = workload(resources=Resources(memory=text))
    with pytest.raises(UsageError, match="no quantity"):
        checks(asked, instead=lambda image, machine: "")


def test_a_limit_below_the_request_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--memory-limit 5Gi"):
        checks(workload(resources=Resources(memory="5Gi")), instead=lambda image, machine: "")


def test_nodes_may_read_models_from_s3_and_get_the_plugin_for_their_devices() -> None:
    config = cluster_config(resnet(region="us-gov-west-1"))
    (group,) = config["managedNodeGroups"]
    assert group["instanceType"] == "inf1.2xlarge"
    assert "arn:aws-us-gov:iam::aws:policy/AmazonS3ReadOnlyAccess" in group["iam"]["attachPolicyARNs"]
    assert needs_plugin(resnet())
    assert not needs_plugin(workload())
    assert "--install-neuron-plugin=false" in cluster_remarks(resnet())[0]
    assert cluster_remarks(workload()) == ("eksctl create cluster -f THIS-FILE",)


def test_kustomize_gives_the_base_the_image_of_the_plain_manifest() -> None:
    for asked in (WORKLOADS["own with a model"], WORKLOADS["walkthrough"]):
        files = {name: next(yaml.safe_load_all(text)) for name, text in kustomize(asked).items()}
        (transformer,) = files["kustomization.yaml"]["images"]
        suffix = f"@{transformer['digest']}" if "digest" in transformer else f":{transformer['newTag']}"
        text = yaml.safe_dump(files["base/deployment.yaml"]).replace(
            f"image: {transformer['name']}\n", f"image: {transformer['newName']}{suffix}\n"
        )
        plain = yaml.safe_load(to_yaml(manifests(asked)[:1]))
        assert yaml.safe_load(text) == plain
        assert files["base/kustomization.yaml"]["resources"] == ["deployment.yaml", "service.yaml"]


def test_yaml_has_no_anchors_and_remarks_are_comments_of_one_line() -> None:
    text = to_yaml(manifests(resnet()), ("a\nb: c",))
    assert text.startswith("# a b: c\n---\n")
    assert "&id" not in text
