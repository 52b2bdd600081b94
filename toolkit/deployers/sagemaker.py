"""A real-time endpoint of SageMaker: what is wanted, and the requests that make it.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from toolkit.deployers.calls import Call, fingerprint
from toolkit.deployers.image import DeployableImage
from toolkit.errors import UsageError
from toolkit.hardware import InstanceType

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import (
        ProductionVariantAcceleratorTypeType,
        ProductionVariantInstanceTypeType,
    )
    from mypy_boto3_sagemaker.type_defs import (
        CreateEndpointConfigInputTypeDef,
        CreateEndpointInputTypeDef,
        CreateModelInputTypeDef,
        DesiredWeightAndCapacityTypeDef,
        ProductionVariantTypeDef,
        UpdateEndpointInputTypeDef,
        UpdateEndpointWeightsAndCapacitiesInputTypeDef,
    )

SERVICE = "sagemaker"
# Names of models and configurations end in `-` and eight digits, and have 63 characters at most.
_NAME = re.compile(r"(?=.{1,54}$)[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_ARCHIVE = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^\s]+\.tar\.gz")
_ROLE = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")


@dataclass(frozen=True, kw_only=True)
class Script:
    """User code: `directory` is an archive in S3, or a directory of the container where it will lie."""

    program: str
    directory: str


# Where SageMaker unpacks code/ of the model archive; AWS's serving toolkit looks nowhere else.
# https://github.com/aws/sagemaker-inference-toolkit/blob/master/src/sagemaker_inference/environment.py
CODE_DIR = "/opt/ml/model/code"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One image on one instance type, with its share of the traffic: weight over the sum of weights."""

    image: DeployableImage
    machine: InstanceType
    weight: float = 1.0

    @property
    def name(self) -> str:
        """The same on every update, so that SageMaker can keep the count that auto-scaling has set."""
        return self.machine.name.replace(".", "-")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What an endpoint is to be. `count` is the number of instances of each variant: None for one at first
    and for what is running on an update. `log_level` is a number of Python's logging."""

    name: str
    region: str
    role: str
    model_data: str
    variants: tuple[Variant, ...]
    script: Script | None = None
    count: int | None = None
    accelerator_type: str = ""
    log_level: int = 20
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def role_partition(self) -> str:
        found = _ROLE.fullmatch(self.role)
        return found["partition"] if found else ""

    def __post_init__(self) -> None:
        """Raises UsageError for a name, role or archive that SageMaker's API would not take."""
        for value, pattern, what, example in (
            (self.name, _NAME, "a name of an endpoint", "letters, digits and hyphens, 54 at most"),
            (self.role, _ROLE, "the ARN of a role", "arn:aws:iam::123456789012:role/NAME"),
            (self.model_data, _ARCHIVE, "an archive in S3", "s3://BUCKET/KEY.tar.gz"),
        ):
            if not pattern.fullmatch(value):
                raise UsageError(f"{value!r} is not {what}", remedy=f"Write it like this: {example}.")
        if (
            self.script
            and self.script.directory != CODE_DIR
            and not _ARCHIVE.fullmatch(self.script.directory)
        ):
            raise UsageError(
                f"{self.script.directory!r} is not an archive in S3",
                remedy="Write it like this: s3://BUCKET/KEY.tar.gz.",
            )
        names = [variant.machine.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise UsageError(f"an instance type is there twice: {', '.join(names)}", remedy="Name each once.")
        if not sum(variant.weight for variant in self.variants) > 0:
            raise UsageError("no variant has any traffic", remedy="Give one a weight: ml.c7g.xlarge=100")


def container_environment(deployment: Deployment) -> dict[str, str]:
    """The variables that SageMaker's containers read, ours and AWS's; one's own come last and win."""
    script = (
        {
            "SAGEMAKER_PROGRAM": deployment.script.program,
            "SAGEMAKER_SUBMIT_DIRECTORY": deployment.script.directory,
        }
        if deployment.script
        else {}
    )
    return {
        **script,
        "SAGEMAKER_CONTAINER_LOG_LEVEL": str(deployment.log_level),
        "SAGEMAKER_REGION": deployment.region,
        **deployment.environment,
    }


@dataclass(frozen=True, kw_only=True)
class Requests:
    """What makes the endpoint's models and configuration. Names follow from content, so the same
    deployment asks for the same again."""

    models: "tuple[CreateModelInputTypeDef, ...]"
    config: "CreateEndpointConfigInputTypeDef"

    @property
    def preparation(self) -> tuple[Call, ...]:
        """Before the endpoint itself is touched."""
        models = tuple(Call(service=SERVICE, operation="CreateModel", request=each) for each in self.models)
        return (*models, Call(service=SERVICE, operation="CreateEndpointConfig", request=self.config))


def requests(deployment: Deployment) -> Requests:
    """CreateModel for each image, and CreateEndpointConfig over all variants."""
    models: dict[str, CreateModelInputTypeDef] = {}
    variants = []
    for variant in deployment.variants:
        model = _model(deployment, variant.image)
        models[model["ModelName"]] = model
        variants.append(_variant(deployment, variant, model["ModelName"]))
    config: CreateEndpointConfigInputTypeDef = {
        "EndpointConfigName": f"{deployment.name}-{fingerprint(variants)}",
        "ProductionVariants": variants,
    }
    return Requests(models=tuple(models.values()), config=config)


def _model(deployment: Deployment, image: DeployableImage) -> "CreateModelInputTypeDef":
    content: CreateModelInputTypeDef = {
        "ModelName": "",
        "PrimaryContainer": {
            "Image": image.uri,
            "ModelDataUrl": deployment.model_data,
            "Environment": container_environment(deployment),
        },
        "ExecutionRoleArn": deployment.role,
    }
    return content | {"ModelName": f"{deployment.name}-{fingerprint(content)}"}


def _variant(deployment: Deployment, variant: Variant, model: str) -> "ProductionVariantTypeDef":
    request: ProductionVariantTypeDef = {
        "VariantName": variant.name,
        "ModelName": model,
        # The check of the instance type has found it in this enumeration, or does not know of it yet.
        "InstanceType": cast("ProductionVariantInstanceTypeType", variant.machine.name),
        "InitialInstanceCount": deployment.count or 1,
        "InitialVariantWeight": variant.weight,
    }
    if deployment.accelerator_type:
        request["AcceleratorType"] = cast("ProductionVariantAcceleratorTypeType", deployment.accelerator_type)
    return request


def create_endpoint(deployment: Deployment, config: str) -> Call:
    request: CreateEndpointInputTypeDef = {"EndpointName": deployment.name, "EndpointConfigName": config}
    return Call(service=SERVICE, operation="CreateEndpoint", request=request)


def update_endpoint(deployment: Deployment, config: str) -> Call:
    """Blue/green: SageMaker starts the new fleet, moves the traffic, then ends the old one.

    Unless a count was asked for, a variant that stays keeps the number of instances that it has now.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html
    """
    request: UpdateEndpointInputTypeDef = {"EndpointName": deployment.name, "EndpointConfigName": config}
    if deployment.count is None:
        request["RetainAllVariantProperties"] = True
        request["ExcludeRetainedVariantProperties"] = [{"VariantPropertyType": "DesiredWeight"}]
    return Call(service=SERVICE, operation="UpdateEndpoint", request=request)


def move_traffic(deployment: Deployment) -> Call:
    """No new instances: only the shares of the variants that are there, and their count if one was given."""
    variants: list[DesiredWeightAndCapacityTypeDef] = []
    for variant in deployment.variants:
        wanted: DesiredWeightAndCapacityTypeDef = {
            "VariantName": variant.name,
            "DesiredWeight": variant.weight,
        }
        if deployment.count is not None:
            wanted["DesiredInstanceCount"] = deployment.count
        variants.append(wanted)
    request: UpdateEndpointWeightsAndCapacitiesInputTypeDef = {
        "EndpointName": deployment.name,
        "DesiredWeightsAndCapacities": variants,
    }
    return Call(service=SERVICE, operation="UpdateEndpointWeightsAndCapacities", request=request)


def removal(call: Call) -> Call:
    """What takes back a Create call."""
    what = call.operation.removeprefix("Create")
    return Call(
        service=SERVICE, operation=f"Delete{what}", request={f"{what}Name": call.request[f"{what}Name"]}
    )


def document(deployment: Deployment, uploads: Sequence[Call]) -> dict[str, Any]:
    """Every request for an endpoint that is not there, and what is sent instead for one that is."""
    wanted = requests(deployment)
    config = wanted.config["EndpointConfigName"]
    calls = (*uploads, *wanted.preparation, create_endpoint(deployment, config))
    return {
        "endpoint": deployment.name,
        "region": deployment.region,
        "calls": [each.to_json() for each in calls],
        "instead": [
            {
                "of": "CreateEndpoint",
                "when": "the endpoint is there",
                "call": update_endpoint(deployment, config).to_json(),
            },
            {
                "of": "all calls",
                "when": "it is there and only weights or counts differ",
                "call": move_traffic(deployment).to_json(),
            },
        ],
    }
