"""Deployments for tests, with everything that is not said as it fits."""

from dataclasses import replace

from toolkit.deployers.image import DeployableImage, describe_image
from toolkit.deployers.recommender import Benchmark, ModelMetadata
from toolkit.deployers.sagemaker import Deployment, Variant
from toolkit.hardware import get_instance_type

REGION = "us-west-2"
AWS = "763104351884.dkr.ecr.us-west-2.amazonaws.com"
AMD64 = describe_image(f"{AWS}/pytorch-inference:1.12.1-cpu-py38-ubuntu20.04-sagemaker", None)
ARM64 = describe_image(f"{AWS}/pytorch-inference-graviton:1.12.1-cpu-py38-ubuntu20.04-sagemaker", None)
ROLE = "arn:aws:iam::123456789012:role/serving"
MODEL = "s3://models/demo/model.tar.gz"


def variant(
    instance_type: str = "ml.c7g.xlarge", weight: float = 1.0, image: DeployableImage = ARM64
) -> Variant:
    return Variant(image=image, machine=get_instance_type(instance_type), weight=weight)


def deployment(*variants: Variant, **changes: object) -> Deployment:
    made = Deployment(
        name="demo",
        region=REGION,
        role=ROLE,
        model_data=MODEL,
        variants=variants or (variant(),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def instead(_image: DeployableImage, instance_type: str) -> str:
    return f"Use another on {instance_type}."


BOTH = (
    variant("ml.c7i.xlarge", image=AMD64),
    variant("ml.m7i.xlarge", image=AMD64),
    variant("ml.c7g.xlarge"),
)
PACKAGE_ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/resnet/1"


def benchmark(**changes: object) -> Benchmark:
    made = Benchmark(
        of=deployment(*BOTH, name="resnet"),
        payload="s3://models/payload.tar.gz",
        content_types=("application/json",),
        response_types=("text/csv",),
        framework="PYTORCH",
        version="1.12.1",
        domain="COMPUTER_VISION",
        task="IMAGE_CLASSIFICATION",
        inputs={"input0": [1, 3, 224, 224]},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def metadata(name: str, **changes: str) -> ModelMetadata:
    made = ModelMetadata(
        name=name, framework="PYTORCH", version="1.7", domain="COMPUTER_VISION", task="IMAGE_CLASSIFICATION"
    )
    return replace(made, **changes)
