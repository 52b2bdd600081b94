"""SageMaker's endpoints and what belongs to them: ECR's images, uploads to S3, logs."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from botocore import xform_name
from botocore.exceptions import ClientError

from toolkit.adapters.aws import Aws, is_missing, told
from toolkit.deployers.calls import Call
from toolkit.deployers.rollout import Endpoint, Endpoints, LiveVariant
from toolkit.deployers.sagemaker_checks import Cloud, RemoteImage
from toolkit.errors import DeploymentFailed
from toolkit.oci import MANIFEST_TYPES, Digest, ImageConfig, Manifest, Reference, parse_manifest
from toolkit.record import account_and_region

_USUAL = frozenset(
    ("EndpointConfigName", "EndpointConfigArn", "ProductionVariants", "CreationTime", "ResponseMetadata")
)
_STREAMS = 3


class SageMaker:
    """Endpoints over boto3; `pause` waits."""

    def __init__(self, aws: Aws, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._aws = aws
        self.pause = pause

    def lookup_endpoint(self, name: str) -> Endpoint | None:
        client = self._aws.sagemaker
        with told(f"DescribeEndpoint {name}"):
            try:
                found = client.describe_endpoint(EndpointName=name)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        config = found["EndpointConfigName"]
        configured = self._configuration(config)
        return Endpoint(
            arn=found["EndpointArn"],
            status=found["EndpointStatus"],
            config=config,
            reason=found.get("FailureReason", ""),
            variants=tuple(_live(each) for each in found.get("ProductionVariants", ())),
            configured=tuple(configured.get("ProductionVariants", ())),
            settings=tuple(sorted(configured.keys() - _USUAL)),
        )

    def _configuration(self, name: str) -> Mapping[str, Any]:
        """Empty when it was deleted, which AWS allows though it warns of it."""
        with told(f"DescribeEndpointConfig {name}"):
            try:
                return dict(self._aws.sagemaker.describe_endpoint_config(EndpointConfigName=name))
            except ClientError as error:
                if is_missing(error):
                    return {}
                raise

    def is_there(self, call: Call) -> bool:
        return is_there(self._aws, call)

    def send(self, call: Call) -> None:
        send_call(self._aws, call)

    def last_log_lines(self, endpoint: str, count: int) -> tuple[str, ...]:
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        logs = self._aws.logs
        try:
            streams = logs.describe_log_streams(
                logGroupName=group, orderBy="LastEventTime", descending=True, limit=_STREAMS
            )["logStreams"]
            events = [
                event
                for stream in streams
                for event in logs.get_log_events(
                    logGroupName=group,
                    logStreamName=stream["logStreamName"],
                    limit=count,
                    startFromHead=False,
                )["events"]
            ]
        except ClientError as error:
            # The failure that they would explain is told in any case.
            return (f"(CloudWatch gives no log: {error})",)
        ordered = sorted(events, key=lambda event: event.get("timestamp", 0))
        return tuple(event.get("message", "").rstrip() for event in ordered)[-count:]


def is_there(aws: Aws, call: Call) -> bool:
    """Whether what `call` would make is there already."""
    client, request = aws.sagemaker, call.request
    look: Mapping[str, Callable[[], object]] = {
        "CreateModelPackageGroup": lambda: client.describe_model_package_group(
            ModelPackageGroupName=request["ModelPackageGroupName"]
        ),
        "CreateModel": lambda: client.describe_model(ModelName=request["ModelName"]),
        "CreateEndpointConfig": lambda: client.describe_endpoint_config(
            EndpointConfigName=request["EndpointConfigName"]
        ),
        "PutObject": lambda: aws.s3.head_object(Bucket=request["Bucket"], Key=request["Key"]),
    }
    with told(f"looking for what {call.operation} makes"):
        try:
            look[call.operation]()
        except ClientError as error:
            if is_missing(error):
                return False
            raise
    return True


def send_call(aws: Aws, call: Call) -> Mapping[str, Any]:
    """Send one request of `sagemaker`, or an upload to `s3`; the service's answer."""
    with told(call.operation):
        if call.file is not None:
            with call.file.open("rb") as body:
                return dict(
                    aws.s3.put_object(Bucket=call.request["Bucket"], Key=call.request["Key"], Body=body)
                )
        answer: Mapping[str, Any] = getattr(aws.sagemaker, xform_name(call.operation))(**call.request)
        return answer


def _live(variant: Mapping[str, Any]) -> LiveVariant:
    states = [each["Status"] for each in variant.get("VariantStatus", ())]
    return LiveVariant(
        name=variant["VariantName"],
        weight=variant.get("DesiredWeight", 0.0),
        count=variant.get("CurrentInstanceCount", 0),
        state=", ".join(states),
    )


class AwsCloud:
    """Images of ECR in one region, one's own and those of AWS's accounts, and objects of S3."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def lookup_image(self, reference: Reference) -> RemoteImage | None:
        account, _ = account_and_region(reference.registry)
        with told(f"BatchGetImage {reference}"):
            try:
                found = self._aws.ecr.batch_get_image(
                    registryId=account,
                    repositoryName=reference.repository,
                    imageIds=[
                        {"imageDigest": reference.digest} if reference.digest else {"imageTag": reference.tag}
                    ],
                    acceptedMediaTypes=[each.value for each in MANIFEST_TYPES],
                )
            except self._aws.ecr.exceptions.RepositoryNotFoundException:
                return None
        for failure in found.get("failures", ()):
            if failure.get("failureCode") not in ("ImageNotFound", "ImageTagDoesNotMatchDigest"):
                raise DeploymentFailed(f"{reference}: {failure.get('failureReason')}")
        if not found.get("images"):
            return None
        (image, *_) = found["images"]
        media_type = image.get("imageManifestMediaType", "")
        try:
            manifest = parse_manifest(image["imageManifest"].encode(), media_type)
        except ValueError as error:
            raise DeploymentFailed(f"{reference}: {error}") from error
        if not isinstance(manifest, Manifest):
            return RemoteImage(media_type=manifest.media_type, platform=None)
        config = self._config(reference, account, manifest.config.digest)
        return RemoteImage(media_type=manifest.media_type, platform=config.platform)

    def has_object(self, uri: str) -> bool | None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        with told(f"HeadObject {uri}"):
            try:
                self._aws.s3.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if is_missing(error):
                    return False
                # A HEAD has no body, so no code but the status.
                if error.response["Error"].get("Code") in ("403", "AccessDenied"):
                    return None
                raise
        return True

    def _config(self, reference: Reference, account: str, digest: Digest) -> ImageConfig:
        """A blob like a layer. Raises DeploymentFailed for other bytes than asked for."""
        with told(f"GetDownloadUrlForLayer {reference}"):
            url = self._aws.ecr.get_download_url_for_layer(
                registryId=account, repositoryName=reference.repository, layerDigest=digest
            )["downloadUrl"]
        try:
            raw = httpx.get(url, timeout=30).raise_for_status().content
            if Digest.of(raw) != digest:
                raise ValueError(f"the blob is {Digest.of(raw)}")
            return ImageConfig.parse(raw)
        except (httpx.HTTPError, ValueError) as error:
            raise DeploymentFailed(
                f"{reference}: its configuration {digest} cannot be read: {error}"
            ) from error


def _conforms(aws: Aws) -> tuple[Endpoints, Cloud]:
    return SageMaker(aws), AwsCloud(aws)
