"""`toolkit tables --format sagemaker-config`, read by the SDK's own `retrieve`."""

import json
import subprocess

from tests.projects import ROOT
from tests.records import record
from tests.unit.test_tables_sagemaker import in_ecr
from toolkit.hardware import Use, get_instance_type, instance_type_names
from toolkit.record import PublishedImage
from toolkit.tables.sagemaker import left_out, to_config

READER = """
import json, logging, sys
logging.disable(logging.CRITICAL)
from sagemaker import image_uris
asked, released = json.load(sys.stdin)
theirs = image_uris.config_for_framework
image_uris.config_for_framework = lambda name: released.get(name) or theirs(name)
print(json.dumps([image_uris.retrieve(**each) for each in asked]))
"""


def ecr_image(version: str, python: str, architecture: str, **changes: str) -> PublishedImage:
    accelerator = changes.get("accelerator", "cpu")
    short = python.replace(".", "")
    name = f"{changes.get('framework', 'pytorch')}-{version}-{accelerator}-py{short}"
    tag = f"{version}-{accelerator}-py{short}-debian11-sagemaker-{architecture}"
    return in_ecr(f"{name}-{architecture}", version=version, python=python, tag=tag, **changes)


IMAGES = (
    *(ecr_image("1.12.1", python, arch) for python in ("3.8", "3.9") for arch in ("amd64", "arm64")),
    ecr_image("2.9.1", "3.9", "amd64", framework="tensorflow", repository="ml/tensorflow"),
    ecr_image("2.9.1", "3.9", "arm64", framework="tensorflow", repository="ml/tensorflow"),
    ecr_image("2.10.0", "3.11", "amd64"),
    ecr_image("1.13.1", "3.10", "amd64", accelerator="neuron"),
    ecr_image("2.9.0", "3.12", "amd64", accelerator="neuronx"),
    ecr_image("1.9.1", "3.9", "amd64", framework="mxnet", repository="mxnet-inference"),
)  # fmt: skip
MACHINES = {"amd64": "ml.c5.xlarge", "arm64": "ml.c7g.xlarge"}
INFERENTIA = {"neuron": "ml.inf1.xlarge", "neuronx": "ml.inf2.xlarge"}


def question(image: PublishedImage, version: str) -> dict[str, str]:
    tool = {"inference_tool": "neuronx"} if image.accelerator == "neuronx" else {}
    return {
        "framework": image.framework,
        "region": image.region,
        "version": version,
        "py_version": f"py{image.python.replace('.', '')}",
        "instance_type": INFERENTIA.get(image.accelerator, MACHINES[image.architecture]),
        "image_scope": "inference",
    } | tool


def test_the_sdk_answers_with_the_tag_of_every_released_image() -> None:
    subprocess.run(["scripts/venv.sh", ".venv-sdk", "locks/sdk.txt"], cwd=ROOT, check=True)
    released = record(*IMAGES)
    assert left_out(released) == ()
    versions = [
        (image, version) for image in IMAGES for version in (image.version, image.version.rpartition(".")[0])
    ]
    asked = [question(image, version) for image, version in versions]
    ran = subprocess.run(
        [".venv-sdk/bin/python", "-c", READER],
        cwd=ROOT,
        check=True,
        input=json.dumps([asked, json.loads(to_config(released))]),
        capture_output=True,
        text=True,
    )
    expected = [f"{image.registry}/{image.repository}:{image.tag}" for image, _ in versions]
    assert json.loads(ran.stdout) == expected


def test_the_machines_that_are_asked_for_are_endpoint_types() -> None:
    for name in (*MACHINES.values(), *INFERENTIA.values()):
        assert name in instance_type_names()
        assert Use.ENDPOINT in get_instance_type(name).uses
