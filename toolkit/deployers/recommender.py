"""SageMaker Inference Recommender: a benchmark of one model on the instance types that can run its images.

https://docs.aws.amazon.com/sagemaker/latest/dg/inference-recommender.html
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from toolkit.deployers.calls import Call, fingerprint
from toolkit.deployers.image import DeployableImage
from toolkit.deployers.sagemaker import SERVICE, Deployment, Variant, container_environment
from toolkit.errors import DeploymentRefused, UsageError
from toolkit.hardware import AcceleratorKind

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import ProductionVariantInstanceTypeType
    from mypy_boto3_sagemaker.type_defs import (
        CreateInferenceRecommendationsJobRequestTypeDef,
        CreateModelPackageGroupInputTypeDef,
        CreateModelPackageInputTypeDef,
        ModelPackageContainerDefinitionTypeDef,
        RecommendationJobInputConfigTypeDef,
        RecommendationJobStoppingConditionsTypeDef,
    )

_DATA = Path(__file__).parents[1] / "data" / "inference_recommender.json"

# What toolkit.resolve and the catalog call it → what the service does.
_FRAMEWORKS = {
    "tensorflow": "TENSORFLOW",
    "pytorch": "PYTORCH",
    "huggingface-pytorch": "PYTORCH",
    "huggingface-tensorflow": "TENSORFLOW",
    "xgboost": "XGBOOST",
    "scikit-learn": "SAGEMAKER-SCIKIT-LEARN",
    "sklearn": "SAGEMAKER-SCIKIT-LEARN",
}
# Jobs are called NAME-arm64-neuronx-1a2b3c4d, and have 64 characters.
_NAME = re.compile(r"(?=.{1,40}$)[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_VERSION = re.compile(r"(?=.{3,10}$)[0-9]\.[A-Za-z0-9.-]+")
MOST_TYPES = 10


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What the service takes, by its documentation; `payload_bytes` is the most that one sample may have."""

    frameworks: tuple[str, ...]
    domains: tuple[str, ...]
    tasks: tuple[str, ...]
    payload_bytes: int


@cache
def vocabulary() -> Vocabulary:
    data = json.loads(_DATA.read_text(encoding="utf-8"))
    names = {name: tuple(data[name]) for name in ("frameworks", "domains", "tasks")}
    return Vocabulary(**names, payload_bytes=data["payload_bytes"])


def get_framework(image: DeployableImage, given: str = "") -> str:
    """The service's name of the image's framework. Raises DeploymentRefused, with those it knows."""
    known = vocabulary().frameworks
    found = given.upper() or _FRAMEWORKS.get(image.framework, "")
    if found in known:
        return found
    what = given or image.framework or f"whatever {image.uri} serves"
    raise DeploymentRefused(
        f"Inference Recommender does not know {what}",
        remedy=f"It knows {', '.join(known)}: if the image serves one of them, say --model-framework NAME.",
    )


@dataclass(frozen=True, kw_only=True)
class Load:
    """The load of an Advanced job: users that grow by `spawn_rate` a minute, for `seconds`. A test ends
    when the 95th percentile of latency passes `latency_ms`, or `invocations` a minute are reached."""

    users: int = 1
    spawn_rate: int = 1
    seconds: int = 120
    latency_ms: int | None = None
    invocations: int | None = None


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """`of` has image and candidates as variants; `payload` is an archive of sample bodies in S3.

    `framework` and `version` are the service's; `nearest` is "" until it was picked from its metadata;
    `inputs` maps the name of each input to its shape. Without `load` the job is a Default one.
    """

    of: Deployment
    payload: str
    content_types: tuple[str, ...]
    response_types: tuple[str, ...]
    framework: str
    version: str
    domain: str
    task: str
    nearest: str = ""
    inputs: Mapping[str, Sequence[int]]
    load: Load | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what the API would not take."""
        if not _NAME.fullmatch(self.of.name):
            raise UsageError(
                f"{self.of.name!r} is no name for jobs",
                remedy="Write letters, digits and hyphens, 40 at most.",
            )
        if not _VERSION.fullmatch(self.version):
            raise UsageError(
                f"the version of the framework is {self.version!r}", remedy="Give it: --model-version 1.12.1"
            )
        for subject in self.subjects:
            if len(subject.variants) > MOST_TYPES:
                names = " ".join(each.machine.name for each in subject.variants)
                raise UsageError(
                    f"a job takes {MOST_TYPES} instance types, these are {len(subject.variants)}: {names}",
                    remedy="Name fewer with --instance-type.",
                )

    @property
    def subjects(self) -> "tuple[Subject, ...]":
        """One for each image: its variants get one versioned model package and one job."""
        by_image: dict[str, list[Variant]] = {}
        for variant in self.of.variants:
            by_image.setdefault(variant.image.uri, []).append(variant)
        return tuple(Subject(variants=tuple(variants)) for variants in by_image.values())


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An image and the instance types to try it on."""

    variants: tuple[Variant, ...]

    @property
    def image(self) -> DeployableImage:
        return self.variants[0].image

    @property
    def label(self) -> str:
        """`arm64`, `amd64-gpu`"""
        machine = self.variants[0].machine
        kind = machine.accelerator.kind
        return f"{machine.architecture}" + ("" if kind is AcceleratorKind.NONE else f"-{kind}")

    @property
    def types(self) -> "list[ProductionVariantInstanceTypeType]":
        """The checks have found each in this enumeration, or do not know of it yet."""
        return [cast("ProductionVariantInstanceTypeType", each.machine.name) for each in self.variants]


def group(benchmark: Benchmark) -> Call:
    request: CreateModelPackageGroupInputTypeDef = {"ModelPackageGroupName": benchmark.of.name}
    return Call(service=SERVICE, operation="CreateModelPackageGroup", request=request)


def package(benchmark: Benchmark, subject: Subject) -> Call:
    """A version of the group for the subject's image, with all that Inference Recommender wants to know."""
    container: ModelPackageContainerDefinitionTypeDef = {
        "Image": subject.image.uri,
        "ModelDataUrl": benchmark.of.model_data,
        "Environment": container_environment(benchmark.of),
        "Framework": benchmark.framework,
        "FrameworkVersion": benchmark.version,
        "ModelInput": {"DataInputConfig": json.dumps({k: list(v) for k, v in benchmark.inputs.items()})},
    }
    if benchmark.nearest:
        container["NearestModelName"] = benchmark.nearest
    request: CreateModelPackageInputTypeDef = {
        "ModelPackageGroupName": benchmark.of.name,
        "ModelPackageDescription": f"{subject.label}: {subject.image.uri}",
        "Domain": benchmark.domain,
        "Task": benchmark.task,
        "SamplePayloadUrl": benchmark.payload,
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedRealtimeInferenceInstanceTypes": subject.types,
            "SupportedContentTypes": list(benchmark.content_types),
            "SupportedResponseMIMETypes": list(benchmark.response_types),
        },
    }
    return Call(service=SERVICE, operation="CreateModelPackage", request=request)


def job_name(benchmark: Benchmark, subject: Subject) -> str:
    """The same for the same benchmark, so that a second run follows the first in place of paying again.

    What the service's metadata decide (`nearest`) does not change it.
    """
    content = [
        subject.image.uri,
        subject.types,
        benchmark.of.model_data,
        container_environment(benchmark.of),
        benchmark.payload,
        benchmark.content_types,
        [benchmark.framework, benchmark.version, benchmark.domain, benchmark.task],
        repr(benchmark.load),
    ]
    return f"{benchmark.of.name}-{subject.label}-{fingerprint(content)}"


def job(benchmark: Benchmark, subject: Subject, package_arn: str) -> Call:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateInferenceRecommendationsJob.html"""
    request: CreateInferenceRecommendationsJobRequestTypeDef = {
        "JobName": job_name(benchmark, subject),
        "JobType": "Advanced" if benchmark.load else "Default",
        "RoleArn": benchmark.of.role,
        "InputConfig": _input(benchmark, subject, package_arn),
    }
    if stops := _stops(benchmark.load):
        request["StoppingConditions"] = stops
    return Call(service=SERVICE, operation="CreateInferenceRecommendationsJob", request=request)


def _input(benchmark: Benchmark, subject: Subject, package_arn: str) -> "RecommendationJobInputConfigTypeDef":
    config: RecommendationJobInputConfigTypeDef = {
        "ModelPackageVersionArn": package_arn,
        "EndpointConfigurations": [{"InstanceType": name} for name in subject.types],
    }
    if load := benchmark.load:
        count = len(subject.types)
        config["ResourceLimit"] = {"MaxNumberOfTests": count, "MaxParallelOfTests": min(count, 3)}
        config["TrafficPattern"] = {
            "TrafficType": "PHASES",
            "Phases": [
                {
                    "InitialNumberOfUsers": load.users,
                    "SpawnRate": load.spawn_rate,
                    "DurationInSeconds": load.seconds,
                }
            ],
        }
    return config


def _stops(load: Load | None) -> "RecommendationJobStoppingConditionsTypeDef":
    stops: RecommendationJobStoppingConditionsTypeDef = {}
    if load and load.latency_ms:
        stops["ModelLatencyThresholds"] = [{"Percentile": "P95", "ValueInMilliseconds": load.latency_ms}]
    if load and load.invocations:
        stops["MaxInvocations"] = load.invocations
    return stops


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """One row of ListModelMetadata: a model that the service has benchmarked itself."""

    name: str
    framework: str
    version: str
    domain: str
    task: str


def nearest_model(benchmark: Benchmark, rows: Sequence[ModelMetadata]) -> ModelMetadata | None:
    """The benchmarked model that is most like this one: of its domain, best of its task and framework too,
    then of the nearest version. None when there is none of the domain."""

    def distance(row: ModelMetadata) -> tuple[bool, bool, list[int], str]:
        is_other_task, is_other_framework = row.task != benchmark.task, row.framework != benchmark.framework
        gap = zip(_numbers(row.version), _numbers(benchmark.version), strict=False)
        return is_other_task, is_other_framework, [abs(a - b) for a, b in gap], row.name

    return min((row for row in rows if row.domain == benchmark.domain), key=distance, default=None)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def get_named_model(name: str, rows: Sequence[ModelMetadata]) -> ModelMetadata:
    """Raises DeploymentRefused, with those there are, for a model that the service has not benchmarked."""
    found = next((row for row in rows if row.name == name), None)
    if found is None:
        names = ", ".join(sorted({row.name for row in rows}))
        raise DeploymentRefused(
            f"Inference Recommender has not benchmarked {name!r}", remedy=f"It has: {names}."
        )
    return found


def document(benchmark: Benchmark, uploads: Sequence[Call]) -> dict[str, Any]:
    """Every request that would be sent; what only an answer will tell stands in angle brackets."""
    answer = "<ModelPackageArn of the answer to CreateModelPackage>"
    calls = [Call(service=SERVICE, operation="ListModelMetadata", request={}), *uploads, group(benchmark)]
    for subject in benchmark.subjects:
        calls += [package(benchmark, subject), job(benchmark, subject, answer)]
    shown = [call.to_json() for call in calls]
    if not benchmark.nearest:
        for call in shown:
            if call["operation"] == "CreateModelPackage":
                container = call["request"]["InferenceSpecification"]["Containers"][0]
                container["NearestModelName"] = "<the nearest of the answer to ListModelMetadata>"
    return {"benchmark": benchmark.of.name, "region": benchmark.of.region, "calls": shown}
