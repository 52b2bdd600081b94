"""`toolkit deploy eks` as a user runs it: YAML without credentials, and kubectl where it is to be applied."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.conftest import PROJECT, Ran

IMAGE = (
    "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference-neuron:1.15.4-neuron-py37-ubuntu18.04"
)
WALKTHROUGH = (
    "eks-neuron-test",
    *("--image", IMAGE, "--region", "us-east-1", "--instance-type", "inf1.2xlarge"),
    *("--model-name", "resnet50_neuron", "--model-data", "s3://bucket/resnet50_neuron/"),
)
# Writes down how it was called; ends with what KUBECTL_ENDS says.
RECORDING = """#!/bin/sh
printf '%s\\n' "$@" >"$RECORDED.arguments"
cat >"$RECORDED.input"
[ -z "$KUBECTL_ENDS" ] || { echo 'error: You must be logged in to the server' >&2; exit "$KUBECTL_ENDS"; }
echo 'deployment.apps/eks-neuron-test serverside-applied'
"""


def deploy(directory: Path, *arguments: str, **environment: str) -> Ran:
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "deploy", "eks", *arguments],
        cwd=directory,
        env={"PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture
def recorded(tmp_path: Path) -> dict[str, str]:
    """An environment whose only kubectl is the one that writes down."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "kubectl").write_text(RECORDING)
    (programs / "kubectl").chmod(0o755)
    return {"PATH": f"{programs}:/usr/bin:/bin", "RECORDED": str(tmp_path / "recorded")}


def test_without_apply_the_yaml_is_printed_and_notes_go_to_people(
    tmp_path: Path, recorded: dict[str, str]
) -> None:
    done = deploy(tmp_path, *WALKTHROUGH, **recorded)
    assert done.code == 0, done.err
    assert [each["kind"] for each in yaml.safe_load_all(done.out)] == ["Deployment", "Service"]
    assert "note: TensorFlow Serving cannot use IAM roles for service accounts" in done.err
    assert not (tmp_path / "recorded.arguments").exists()


def test_with_cluster_adds_nodes_and_the_device_plugin(tmp_path: Path) -> None:
    done = deploy(tmp_path, *WALKTHROUGH, "--with-cluster")
    kinds = [each["kind"] for each in yaml.safe_load_all(done.out)]
    assert kinds == [
        *("ClusterConfig", "ClusterRole", "ServiceAccount", "ClusterRoleBinding", "DaemonSet"),
        *("Deployment", "Service"),
    ]


def test_apply_hands_the_same_to_kubectl_server_side(tmp_path: Path, recorded: dict[str, str]) -> None:
    done = deploy(tmp_path, *WALKTHROUGH, "--apply", **recorded)
    assert done.code == 0, done.err
    assert done.out == "deployment.apps/eks-neuron-test serverside-applied\n"
    arguments = (tmp_path / "recorded.arguments").read_text().split("\n")
    assert arguments == ["apply", "--server-side", "-f", "-", ""]
    printed = list(yaml.safe_load_all(deploy(tmp_path, *WALKTHROUGH).out))
    assert list(yaml.safe_load_all((tmp_path / "recorded.input").read_text())) == printed


def test_apply_never_hands_eksctls_cluster_to_kubectl(tmp_path: Path, recorded: dict[str, str]) -> None:
    assert deploy(tmp_path, *WALKTHROUGH, "--apply", "--with-cluster", **recorded).code == 0
    kinds = [each["kind"] for each in yaml.safe_load_all((tmp_path / "recorded.input").read_text())]
    assert "ClusterConfig" not in kinds
    assert "DaemonSet" in kinds


def test_what_kubectl_refuses_is_told_and_ends_with_8(tmp_path: Path, recorded: dict[str, str]) -> None:
    done = deploy(tmp_path, *WALKTHROUGH, "--apply", **recorded, KUBECTL_ENDS="1")
    assert "kubectl apply failed with 1: error: You must be logged in to the server" in done.failed_with(8)


def test_apply_without_kubectl_is_a_need_that_is_not_met(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    done = deploy(tmp_path, *WALKTHROUGH, "--apply", PATH=str(tmp_path / "nothing"))
    assert "there is no kubectl on PATH" in done.failed_with(1)


def test_what_does_not_fit_is_refused_before_kubectl_is_asked(
    tmp_path: Path, recorded: dict[str, str]
) -> None:
    done = deploy(tmp_path, *WALKTHROUGH, "--apply", "--instance-type", "c7g.xlarge", **recorded)
    assert "c7g.xlarge is arm64, but" in done.failed_with(8)
    assert not (tmp_path / "recorded.arguments").exists()


def test_kustomize_writes_a_base_and_a_transformer(tmp_path: Path) -> None:
    assert "Say where: --out DIRECTORY" in deploy(tmp_path, *WALKTHROUGH, "--kustomize").failed_with(2)
    assert deploy(tmp_path, *WALKTHROUGH, "--kustomize", "--out", "k8s").code == 0
    written = {str(path.relative_to(tmp_path / "k8s")) for path in (tmp_path / "k8s").rglob("*.yaml")}
    assert written == {
        *("kustomization.yaml", "base/kustomization.yaml", "base/deployment.yaml", "base/service.yaml"),
    }


def test_no_credentials_are_asked_for(tmp_path: Path) -> None:
    empty = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path), "AWS_PROFILE": "there-is-none"}
    assert deploy(tmp_path, *WALKTHROUGH, **empty).code == 0
    assert json.dumps(list(yaml.safe_load_all(deploy(tmp_path, *WALKTHROUGH).out))).count("us-east-1") >= 2
