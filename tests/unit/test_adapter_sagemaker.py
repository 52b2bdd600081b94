"""SageMaker, ECR, S3 and CloudWatch through boto3, whose own models hold each request and answer."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import NoCredentialsError
from botocore.stub import Stubber

from tests.deployments import AMD64, ARM64, MODEL, REGION, deployment, variant
from toolkit.adapters.aws import Aws, told
from toolkit.adapters.sagemaker import AwsCloud, SageMaker, send_call
from toolkit.deployers.calls import Call
from toolkit.deployers.rollout import Endpoint, LiveVariant, roll_out
from toolkit.deployers.sagemaker import create_endpoint, move_traffic, removal, requests, update_endpoint
from toolkit.deployers.sagemaker_checks import RemoteImage
from toolkit.errors import DeploymentFailed, NeedNotMet
from toolkit.oci import MANIFEST_TYPES, Descriptor, Digest, MediaType, Platform, make_manifest

ARN = "arn:aws:sagemaker:us-west-2:123456789012:endpoint/demo"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
DIGEST = "sha256:" + "1" * 64


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    """For all tests: boto3 takes a third of a second to read the model of a service."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        made = Aws(REGION, ca_bundle=None)
        # Credentials are found when a client is made.
        assert made.sagemaker and made.ecr and made.s3 and made.logs
        yield made


@pytest.fixture
def sagemaker(aws: Aws) -> Iterator[Stubber]:
    with Stubber(aws.sagemaker) as stub:
        yield stub
        stub.assert_no_pending_responses()


def missing(stub: Stubber, method: str) -> None:
    stub.add_client_error(method, "ValidationException", "Could not find it.")


def described(stub: Stubber, config: str, status: str = "InService") -> None:
    stub.add_response(
        "describe_endpoint",
        {
            "EndpointName": "demo",
            "EndpointArn": ARN,
            "EndpointConfigName": config,
            "EndpointStatus": status,
            "CreationTime": NOW,
            "LastModifiedTime": NOW,
            "FailureReason": "none",
            "ProductionVariants": [
                {
                    "VariantName": "ml-c7g-xlarge",
                    "DesiredWeight": 1.0,
                    "CurrentInstanceCount": 2,
                    "VariantStatus": [{"Status": "Baking"}],
                }
            ],
        },
        {"EndpointName": "demo"},
    )
    stub.add_response(
        "describe_endpoint_config",
        {
            "EndpointConfigName": config,
            "EndpointConfigArn": ARN,
            "CreationTime": NOW,
            "KmsKeyId": "key",
            "ProductionVariants": requests(deployment()).config["ProductionVariants"],
        },
        {"EndpointConfigName": config},
    )


def test_an_endpoint_is_read_with_its_configuration(aws: Aws, sagemaker: Stubber) -> None:
    described(sagemaker, "demo-1")
    found = SageMaker(aws).lookup_endpoint("demo")
    assert found == Endpoint(
        arn=ARN,
        status="InService",
        config="demo-1",
        reason="none",
        variants=(LiveVariant(name="ml-c7g-xlarge", weight=1, count=2, state="Baking"),),
        configured=tuple(requests(deployment()).config["ProductionVariants"]),
        settings=("KmsKeyId",),
    )


def test_an_endpoint_that_is_not_there_is_none(aws: Aws, sagemaker: Stubber) -> None:
    missing(sagemaker, "describe_endpoint")
    assert SageMaker(aws).lookup_endpoint("demo") is None


def test_what_aws_refuses_is_told_with_its_code(aws: Aws, sagemaker: Stubber) -> None:
    sagemaker.add_client_error("describe_endpoint", "AccessDeniedException", "no sagemaker:DescribeEndpoint")
    with pytest.raises(DeploymentFailed, match="AccessDeniedException: no sagemaker:DescribeEndpoint"):
        SageMaker(aws).lookup_endpoint("demo")


ARNS = {"CreateModel": "ModelArn", "CreateEndpointConfig": "EndpointConfigArn"}
SPLIT = deployment(variant("ml.c5.xlarge", 90, AMD64), variant("ml.c7g.xlarge", 10))


@pytest.mark.parametrize(
    "call",
    [
        *requests(SPLIT).preparation,
        create_endpoint(SPLIT, "c"),
        update_endpoint(SPLIT, "c"),
        move_traffic(SPLIT),
        *(removal(each) for each in (*requests(SPLIT).preparation, create_endpoint(SPLIT, "c"))),
    ],
    ids=lambda call: call.operation,
)
def test_every_call_is_sent_as_it_is_printed(call: Call, aws: Aws, sagemaker: Stubber) -> None:
    method = "".join(f"_{each.lower()}" if each.isupper() else each for each in call.operation).lstrip("_")
    answer = {} if call.operation.startswith("Delete") else {ARNS.get(call.operation, "EndpointArn"): ARN}
    sagemaker.add_response(method, answer, dict(call.request))
    assert send_call(aws, call) == answer


def test_models_and_configurations_are_looked_for_before_they_are_made(aws: Aws, sagemaker: Stubber) -> None:
    model, config = requests(deployment()).preparation
    missing(sagemaker, "describe_model")
    missing(sagemaker, "describe_endpoint_config")
    assert not SageMaker(aws).is_there(model)
    assert not SageMaker(aws).is_there(config)


def test_a_whole_rollout_against_stubs(aws: Aws, sagemaker: Stubber) -> None:
    wanted = requests(deployment())
    model, config = wanted.preparation
    missing(sagemaker, "describe_endpoint")
    missing(sagemaker, "describe_model")
    sagemaker.add_response("create_model", {"ModelArn": ARN}, dict(model.request))
    missing(sagemaker, "describe_endpoint_config")
    sagemaker.add_response("create_endpoint_config", {"EndpointConfigArn": ARN}, dict(config.request))
    name = wanted.config["EndpointConfigName"]
    sagemaker.add_response(
        "create_endpoint", {"EndpointArn": ARN}, {"EndpointName": "demo", "EndpointConfigName": name}
    )
    described(sagemaker, name, "Creating")
    described(sagemaker, name)
    waits: list[float] = []
    service = SageMaker(aws, pause=waits.append)
    assert roll_out(deployment(), (), service, lambda event: None, patience=60).arn == ARN
    assert len(waits) == 1


def test_an_upload_is_one_put_of_the_file(aws: Aws, tmp_path: Path) -> None:
    file = tmp_path / "model.tar.gz"
    file.write_bytes(b"packed")
    call = Call(service="s3", operation="PutObject", request={"Bucket": "models", "Key": "k"}, file=file)
    with Stubber(aws.s3) as stub:
        stub.add_client_error("head_object", "404", "Not Found")
        assert not SageMaker(aws).is_there(call)
        stub.add_response("put_object", {"ETag": "e"})
        assert send_call(aws, call) == {"ETag": "e"}
        stub.add_response("head_object", {}, {"Bucket": "models", "Key": "k"})
        assert SageMaker(aws).is_there(call)
        stub.assert_no_pending_responses()


def test_the_newest_log_lines_come_last(aws: Aws) -> None:
    with Stubber(aws.logs) as stub:
        stub.add_response("describe_log_streams", {"logStreams": [{"logStreamName": n} for n in ("a", "b")]})
        for stream, stamps in (("a", (5, 7)), ("b", (6,))):
            events = [{"timestamp": stamp, "message": f"{stream}{stamp}\n"} for stamp in stamps]
            stub.add_response("get_log_events", {"events": events})
        assert SageMaker(aws).last_log_lines("demo", 2) == ("b6", "a7")


def test_a_log_that_cannot_be_had_hides_no_failure(aws: Aws) -> None:
    with Stubber(aws.logs) as stub:
        stub.add_client_error("describe_log_streams", "ResourceNotFoundException", "no group")
        (line,) = SageMaker(aws).last_log_lines("demo", 2)
        assert "no group" in line


CONFIG = b'{"os": "linux", "architecture": "arm64", "variant": "v8"}'
MANIFEST = make_manifest(
    Descriptor.of(CONFIG, MediaType.DOCKER_CONFIG), (), MediaType.DOCKER_MANIFEST
).raw.decode()
REPOSITORY = {"registryId": "763104351884", "repositoryName": "pytorch-inference-graviton"}


@pytest.fixture
def ecr(aws: Aws) -> Iterator[Stubber]:
    with Stubber(aws.ecr) as stub:
        yield stub
        stub.assert_no_pending_responses()


def held(stub: Stubber, manifest: str, media_type: str) -> None:
    stub.add_response(
        "batch_get_image",
        {"images": [{"imageManifest": manifest, "imageManifestMediaType": media_type}]},
        {
            **REPOSITORY,
            "imageIds": [{"imageTag": ARM64.reference.tag}],
            "acceptedMediaTypes": [each.value for each in MANIFEST_TYPES],
        },
    )


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    def get(url: str, *, timeout: float) -> httpx.Response:
        assert url == "https://blobs.example/config"
        return httpx.Response(200, content=content, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)


@pytest.mark.parametrize(("content", "is_right"), [(CONFIG, True), (b"{}", False)])
def test_an_images_platform_is_read_from_its_configuration_against_its_digest(
    content: bytes, is_right: bool, aws: Aws, ecr: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(ecr, MANIFEST, MediaType.DOCKER_MANIFEST)
    ecr.add_response(
        "get_download_url_for_layer",
        {"downloadUrl": "https://blobs.example/config", "layerDigest": Digest.of(CONFIG)},
        {**REPOSITORY, "layerDigest": Digest.of(CONFIG)},
    )
    serve(monkeypatch, content)
    if not is_right:
        with pytest.raises(DeploymentFailed, match="cannot be read"):
            AwsCloud(aws).lookup_image(ARM64.reference)
        return
    found = AwsCloud(aws).lookup_image(ARM64.reference)
    assert found == RemoteImage(
        media_type=MediaType.DOCKER_MANIFEST, platform=Platform("linux", "arm64", "v8")
    )


def test_a_manifest_list_has_no_platform(aws: Aws, ecr: Stubber) -> None:
    held(ecr, '{"schemaVersion": 2, "manifests": []}', MediaType.DOCKER_LIST)
    found = AwsCloud(aws).lookup_image(ARM64.reference)
    assert found == RemoteImage(media_type=MediaType.DOCKER_LIST, platform=None)


def test_an_image_or_repository_that_is_not_there_is_none(aws: Aws, ecr: Stubber) -> None:
    failure = {"imageId": {"imageTag": "x"}, "failureCode": "ImageNotFound", "failureReason": "none"}
    ecr.add_response("batch_get_image", {"images": [], "failures": [failure]})
    assert AwsCloud(aws).lookup_image(ARM64.reference) is None
    ecr.add_client_error("batch_get_image", "RepositoryNotFoundException", "no such repository")
    assert AwsCloud(aws).lookup_image(ARM64.reference) is None


def test_an_image_that_ecr_cannot_give_is_told(aws: Aws, ecr: Stubber) -> None:
    failure = {
        "imageId": {"imageTag": "x"},
        "failureCode": "InvalidImageDigest",
        "failureReason": "bad digest",
    }
    ecr.add_response("batch_get_image", {"images": [], "failures": [failure]})
    with pytest.raises(DeploymentFailed, match="bad digest"):
        AwsCloud(aws).lookup_image(ARM64.reference)


@pytest.mark.parametrize(("code", "expected"), [("404", False), ("403", None)])
def test_an_object_is_missing_or_may_not_be_looked_for(code: str, expected: bool | None, aws: Aws) -> None:
    with Stubber(aws.s3) as stub:
        stub.add_client_error("head_object", code, "")
        assert AwsCloud(aws).has_object(MODEL) is expected
        stub.add_response("head_object", {}, {"Bucket": "models", "Key": "demo/model.tar.gz"})
        assert AwsCloud(aws).has_object(MODEL) is True


def test_missing_credentials_are_a_need_with_the_ways_to_log_in() -> None:
    with pytest.raises(NeedNotMet, match="aws sso login"), told("CreateModel"):
        raise NoCredentialsError
