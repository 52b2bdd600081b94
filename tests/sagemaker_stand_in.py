"""A stand-in for SageMaker whose endpoints are real: each variant is our serving runtime as a process.

moto answers where it is right (models, package groups, S3). Endpoints are answered here, for moto refuses
every Graviton type and has neither UpdateEndpoint nor Inference Recommender; ECR's images and CloudWatch's
lines are here too. Requests are held to botocore's model, so that nothing passes that AWS would refuse.
"""

import itertools
import json
import os
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import boto3
import httpx
from moto.server import ThreadedMotoServer

from tests.aws_models import faults
from tests.deployments import REGION
from tests.http_server import Received, Reply, serving
from tests.registry_process import free_port
from toolkit.oci import Architecture, Descriptor, Digest, MediaType, make_manifest

RUNTIME = Path(__file__).parents[1] / "dockerfiles" / "serving"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
ACCOUNT = "123456789012"
_MOTOS = frozenset(
    {
        "CreateModel",
        "DescribeModel",
        "DeleteModel",
        "CreateModelPackageGroup",
        "DescribeModelPackageGroup",
    }
)
_TIME = 1763712000


class Refused(Exception):
    """What AWS answers with a code and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(kw_only=True)
class Container:
    """One variant: the runtime over an /opt/ml of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ping", trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass(kw_only=True)
class Endpoint:
    config: str
    weights: dict[str, float]
    containers: dict[str, Container]
    reason: str = ""
    # A configuration that is on its way, and what runs for it.
    next: "Endpoint | None" = None


@dataclass
class StandIn:
    """`operations` are SageMaker's that were asked for, in order, without those that only look."""

    work: Path
    moto: str
    url: str = ""
    operations: list[str] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    ended: dict[str, list[Path]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to talk to it."""
        urls = {"AWS_ENDPOINT_URL": self.url, "AWS_ENDPOINT_URL_S3": self.moto}
        return {**CREDENTIALS, **urls, "AWS_REGION": REGION}

    def push(
        self, tag: str, architecture: Architecture, media_type: MediaType = MediaType.DOCKER_MANIFEST
    ) -> str:
        """An image in ECR; its URI."""
        config = json.dumps({"os": "linux", "architecture": architecture.value}).encode()
        self.blobs[Digest.of(config)] = config
        manifest = make_manifest(Descriptor.of(config, MediaType.DOCKER_CONFIG), (), media_type)
        self.images[tag] = manifest.raw
        return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/pytorch-inference:{tag}"

    def answer(self, request: Received) -> Reply:
        service, _, operation = request.headers.get("x-amz-target", "").partition(".")
        if request.path.startswith("/blobs/"):
            return Reply(body=self.blobs[request.path.removeprefix("/blobs/")])
        if request.path.endswith("/invocations"):
            return self._invoke(request)
        if service == "SageMaker" and operation in _MOTOS:
            self._note(operation)
            return self._of_moto(request)
        body = json.loads(request.body or b"{}")
        name = {"SageMaker": "sagemaker", "Logs_20140328": "logs"}.get(service, "ecr")
        try:
            if wrong := faults(name, operation, body):
                raise Refused("ValidationException", "; ".join(wrong))
            self._note(operation if name == "sagemaker" else "")
            found = self._operations[operation](body)
        except Refused as refused:
            error = {"__type": refused.code, "message": str(refused)}
            return Reply(status=400, body=json.dumps(error).encode())
        return Reply(body=json.dumps(found).encode())

    def _note(self, operation: str) -> None:
        if operation and not operation.startswith(("Describe", "List")):
            self.operations.append(operation)

    def _of_moto(self, request: Received) -> Reply:
        asked = urllib.request.Request(
            f"{self.moto}{request.path}",
            method=request.method,
            data=request.body or None,
            headers={k: v for k, v in request.headers.items() if k != "content-length"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as answered:
                return Reply(status=answered.status, headers=_kept(answered.headers), body=answered.read())
        except urllib.error.HTTPError as error:
            return Reply(status=error.code, headers=_kept(error.headers), body=error.read())

    @property
    def _operations(self) -> Mapping[str, Callable[[dict[str, Any]], Mapping[str, Any]]]:
        return {
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": self._describe_config,
            "DeleteEndpointConfig": lambda body: (self.configs.pop(body["EndpointConfigName"]), {})[1],
            "CreateEndpoint": self._create,
            "UpdateEndpoint": self._update,
            "UpdateEndpointWeightsAndCapacities": self._move,
            "DescribeEndpoint": self._describe,
            "DeleteEndpoint": self._delete,
            "ListModelMetadata": lambda body: {"ModelMetadataSummaries": [METADATA]},
            "CreateModelPackage": self._create_package,
            "CreateInferenceRecommendationsJob": self._create_job,
            "DescribeInferenceRecommendationsJob": self._describe_job,
            "BatchGetImage": self._image,
            "GetDownloadUrlForLayer": lambda body: {
                "downloadUrl": f"{self.url}/blobs/{body['layerDigest']}",
                "layerDigest": body["layerDigest"],
            },
            "DescribeLogStreams": self._streams,
            "GetLogEvents": self._events,
        }

    def _create_config(self, body: dict[str, Any]) -> Mapping[str, Any]:
        self.configs[body["EndpointConfigName"]] = body
        return {"EndpointConfigArn": _arn("endpoint-config", body["EndpointConfigName"])}

    def _describe_config(self, body: dict[str, Any]) -> Mapping[str, Any]:
        name = body["EndpointConfigName"]
        if name not in self.configs:
            raise Refused("ValidationException", f'Could not find endpoint configuration "{name}".')
        return {
            **self.configs[name],
            "EndpointConfigArn": _arn("endpoint-config", name),
            "CreationTime": _TIME,
        }

    def _create(self, body: dict[str, Any]) -> Mapping[str, Any]:
        name = body["EndpointName"]
        self.endpoints[name] = self._start(body["EndpointConfigName"])
        return {"EndpointArn": _arn("endpoint", name)}

    def _update(self, body: dict[str, Any]) -> Mapping[str, Any]:
        self._get(body["EndpointName"]).next = self._start(body["EndpointConfigName"])
        return {"EndpointArn": _arn("endpoint", body["EndpointName"])}

    def _move(self, body: dict[str, Any]) -> Mapping[str, Any]:
        for each in body["DesiredWeightsAndCapacities"]:
            self._get(body["EndpointName"]).weights[each["VariantName"]] = each["DesiredWeight"]
        return {"EndpointArn": _arn("endpoint", body["EndpointName"])}

    def _delete(self, body: dict[str, Any]) -> Mapping[str, Any]:
        self._end(body["EndpointName"], self.endpoints.pop(body["EndpointName"]))
        return {}

    def _end(self, name: str, endpoint: Endpoint) -> None:
        for container in endpoint.containers.values():
            container.end()
            self.ended.setdefault(name, []).append(container.log)

    def _get(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise Refused("ValidationException", f'Could not find endpoint "{name}".')
        return self.endpoints[name]

    def _describe(self, body: dict[str, Any]) -> Mapping[str, Any]:
        name = body["EndpointName"]
        found = self._get(name)
        status = self._settle(name, found)
        if status == "InService":
            found = self.endpoints[name]
        return {
            "EndpointName": name,
            "EndpointArn": _arn("endpoint", name),
            "EndpointConfigName": (found.next or found).config,
            "EndpointStatus": status,
            "CreationTime": _TIME,
            "LastModifiedTime": _TIME,
            **({"FailureReason": found.reason} if found.reason else {}),
            "ProductionVariants": [
                {"VariantName": variant, "DesiredWeight": weight, "CurrentInstanceCount": 1}
                for variant, weight in found.weights.items()
            ],
        }

    def _settle(self, name: str, found: Endpoint) -> str:
        """As SageMaker does it: a new fleet takes over once it is ready, and one that ends is given up."""
        fleet = found.next or found
        if any(container.has_ended() for container in fleet.containers.values()):
            why = "The container for production variant did not pass the ping health check."
            if found.next:
                self._end(name, fleet)
                found.next, found.reason = None, why
                return "InService"
            found.reason = why
            return "Failed"
        if not all(container.is_ready() for container in fleet.containers.values()):
            return "Updating" if found.next else "Creating"
        if found.next:
            self._end(name, found)
            self.endpoints[name] = found.next
        return "InService"

    def _start(self, config: str) -> Endpoint:
        variants = self.configs[config]["ProductionVariants"]
        return Endpoint(
            config=config,
            weights={each["VariantName"]: each["InitialVariantWeight"] for each in variants},
            containers={each["VariantName"]: self._container(each["ModelName"]) for each in variants},
        )

    def _container(self, model: str) -> Container:
        """The model's archive unpacked, its environment set, as SageMaker starts `serve`."""
        container = self._client("sagemaker").describe_model(ModelName=model)["PrimaryContainer"]
        home = self.work / f"container-{next(self._numbers)}"
        (home / "ml/model").mkdir(parents=True)
        bucket, _, key = container["ModelDataUrl"].removeprefix("s3://").partition("/")
        archive = home / "model.tar.gz"
        self._client("s3").download_file(bucket, key, str(archive))
        with tarfile.open(archive) as packed:
            packed.extractall(home / "ml/model", filter="data")
        port, log = free_port(), home / "log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-B", "-m", "serving"],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(RUNTIME),
                    "TMPDIR": str(home),
                    **CREDENTIALS,
                    "AWS_ENDPOINT_URL_S3": self.moto,
                    **{
                        k: v.replace("/opt/ml", str(home / "ml")) for k, v in container["Environment"].items()
                    },
                    "SAGEMAKER_BASE_DIR": str(home / "ml"),
                    "SAGEMAKER_BIND_TO_PORT": str(port),
                },
                stderr=stderr,
            )
        return Container(process=process, url=f"http://127.0.0.1:{port}", log=log)

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.moto,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def _invoke(self, request: Received) -> Reply:
        """To the variant that is asked for, or the heaviest; a container's error is a ModelError."""
        found = self._get(request.path.split("/")[2])
        heaviest = max(found.weights, key=lambda name: found.weights[name])
        container = found.containers[request.headers.get("x-amzn-sagemaker-target-variant", heaviest)]
        headers = {
            name: request.headers[name] for name in ("content-type", "accept") if name in request.headers
        }
        answer = httpx.post(
            f"{container.url}/invocations", content=request.body, headers=headers, trust_env=False
        )
        if answer.status_code == httpx.codes.OK:
            return Reply(headers={"Content-Type": answer.headers["content-type"]}, body=answer.content)
        error = {
            "Message": f"Received an error ({answer.status_code}) from primary",
            "OriginalStatusCode": answer.status_code,
            "OriginalMessage": answer.text,
            "LogStreamArn": _arn("log", "demo"),
        }
        headers = {"x-amzn-errortype": "ModelError", "Content-Type": "application/json"}
        return Reply(status=424, headers=headers, body=json.dumps(error).encode())

    def _image(self, body: dict[str, Any]) -> Mapping[str, Any]:
        (asked,) = body["imageIds"]
        raw = self.images.get(asked.get("imageTag", ""))
        if raw is None:
            return {"images": [], "failures": [{"imageId": asked, "failureCode": "ImageNotFound"}]}
        kind = json.loads(raw)["mediaType"]
        return {"images": [{"imageManifest": raw.decode(), "imageManifestMediaType": kind}]}

    def _streams(self, body: dict[str, Any]) -> Mapping[str, Any]:
        name = body["logGroupName"].rpartition("/")[2]
        living = (
            [each.log for each in self.endpoints[name].containers.values()] if name in self.endpoints else []
        )
        return {"logStreams": [{"logStreamName": str(log)} for log in (*living, *self.ended.get(name, ()))]}

    def _events(self, body: dict[str, Any]) -> Mapping[str, Any]:
        lines = Path(body["logStreamName"]).read_text().splitlines()[-body["limit"] :]
        return {"events": [{"timestamp": number, "message": line} for number, line in enumerate(lines)]}

    def _create_package(self, body: dict[str, Any]) -> Mapping[str, Any]:
        arn = _arn("model-package", f"{body['ModelPackageGroupName']}/{len(self.packages) + 1}")
        self.packages[arn] = body
        return {"ModelPackageArn": arn}

    def _create_job(self, body: dict[str, Any]) -> Mapping[str, Any]:
        if body["InputConfig"]["ModelPackageVersionArn"] not in self.packages:
            raise Refused("ValidationException", "no such model package")
        self.jobs[body["JobName"]] = {**body, "looks": 0}
        return {"JobArn": _arn("inference-recommendations-job", body["JobName"])}

    def _describe_job(self, body: dict[str, Any]) -> Mapping[str, Any]:
        """In progress at the first look; then a price for each type, a fifth less on Graviton."""
        job = self.jobs.get(body["JobName"])
        if job is None:
            raise Refused("ResourceNotFound", f"Could not find job {body['JobName']}.")
        job["looks"] += 1
        types = [each["InstanceType"] for each in job["InputConfig"]["EndpointConfigurations"]]
        return {
            **{name: job[name] for name in ("JobName", "JobType", "RoleArn", "InputConfig")},
            "JobArn": _arn("inference-recommendations-job", job["JobName"]),
            "CreationTime": _TIME,
            "LastModifiedTime": _TIME,
            "Status": "COMPLETED" if job["looks"] > 1 else "IN_PROGRESS",
            "InferenceRecommendations": [_recommendation(name) for name in types],
        }


def _recommendation(instance_type: str) -> dict[str, Any]:
    price = 8e-6 if "g." in instance_type else 1e-5
    return {
        "Metrics": {
            "CostPerHour": 0.2,
            "CostPerInference": price,
            "MaxInvocations": 648,
            "ModelLatency": 41,
        },
        "EndpointConfiguration": {
            "EndpointName": "e",
            "VariantName": "v",
            "InstanceType": instance_type,
            "InitialInstanceCount": 1,
        },
        "ModelConfiguration": {},
    }


METADATA = {
    "Model": "resnet50",
    "Framework": "PYTORCH",
    "FrameworkVersion": "1.7",
    "Domain": "COMPUTER_VISION",
    "Task": "IMAGE_CLASSIFICATION",
}


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def _kept(headers: Message) -> dict[str, str]:
    own = ("content-length", "connection", "date", "server", "transfer-encoding")
    return {name: value for name, value in headers.items() if name.lower() not in own}


@contextmanager
def running(work: Path) -> Iterator[StandIn]:
    """Until the block ends; with an empty bucket `models`."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    host, port = moto.get_host_and_port()
    stand_in = StandIn(work=work, moto=f"http://{host}:{port}")
    try:
        stand_in._client("s3").create_bucket(
            Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        with serving(stand_in.answer) as server:
            stand_in.url = server.url
            yield stand_in
    finally:
        for name, endpoint in stand_in.endpoints.items():
            stand_in._end(name, endpoint)
        moto.stop()
