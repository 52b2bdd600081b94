"""Real docker clients and boto3 against the stand-in of Amazon ECR: it behaves as ECR is known to."""

import base64
import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_ecr import ECRClient
from mypy_boto3_ecr.type_defs import ReplicationConfigurationTypeDef

from tests.ecr.hosts import DOCKER_TRUST, HOSTS
from tests.ecr.stand_in import StandIn, running
from tests.ecr.state import Behaviour
from toolkit.adapters.registry import HttpRegistry
from toolkit.adapters.retry import Retry, RetryingRegistry
from toolkit.artifacts import push_artifact
from toolkit.errors import RegistryTrouble

REPOSITORY = "ml/small"


@pytest.fixture(autouse=True)
def _as_strict_as_ecr(ecr: StandIn) -> None:
    ecr.state.behaviour = Behaviour()


@pytest.fixture
def api(ecr: StandIn) -> ECRClient:
    return ecr.api()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    directory = tmp_path / "docker"
    directory.mkdir()
    return directory


def docker(config: Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "--config", str(config), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def log_in(ecr: StandIn, api: ECRClient, config: Path) -> subprocess.CompletedProcess[str]:
    token = api.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    return docker(config, "login", "--username", user, "--password-stdin", ecr.host, text=password)


def image(config: Path, directory: Path, name: str, content: str) -> None:
    """An image with one file, in the engine under `name`."""
    (directory / "file").write_text(content)
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    built = docker(config, "build", "--quiet", "--provenance=false", "--tag", name, str(directory))
    assert built.returncode == 0, built.stderr


def test_docker_logs_in_pushes_pulls_and_meets_immutable_tags(
    ecr: StandIn, api: ECRClient, config: Path, tmp_path: Path
) -> None:
    name = f"{ecr.host}/{REPOSITORY}:1-sagemaker-amd64"
    moving = f"{ecr.host}/{REPOSITORY}:1-sagemaker"
    image(config, tmp_path, name, "one")
    try:
        assert "no basic auth credentials" in docker(config, "push", name).stderr
        assert log_in(ecr, api, config).returncode == 0
        assert "404 Not Found" in docker(config, "push", name).stderr
        api.create_repository(
            repositoryName=REPOSITORY,
            imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "*-sagemaker"}],
        )
        pushed = docker(config, "push", name)
        assert pushed.returncode == 0, pushed.stderr
        (kept,) = api.describe_images(repositoryName=REPOSITORY)["imageDetails"]
        assert kept["imageTags"] == ["1-sagemaker-amd64"]
        assert f"digest: {kept['imageDigest']}" in pushed.stdout

        docker(config, "tag", name, moving)
        assert docker(config, "push", moving).returncode == 0
        image(config, tmp_path, name, "two")
        refused = docker(config, "push", name)
        assert "400 Bad Request" in refused.stderr
        docker(config, "tag", name, moving)
        assert docker(config, "push", moving).returncode == 0

        docker(config, "image", "rm", "--force", name, moving)
        pulled = docker(config, "pull", f"{ecr.host}/{REPOSITORY}@{kept['imageDigest']}")
        assert pulled.returncode == 0, pulled.stderr
        by_tag = {
            tag: each["imageDigest"]
            for each in api.describe_images(repositoryName=REPOSITORY)["imageDetails"]
            for tag in each.get("imageTags", ())
        }
        assert by_tag["1-sagemaker-amd64"] == kept["imageDigest"] != by_tag["1-sagemaker"]
    finally:
        left = docker(config, "image", "ls", "--quiet", f"{ecr.host}/{REPOSITORY}").stdout.split()
        docker(config, "image", "rm", "--force", name, moving, *left)


def test_a_token_ends_and_docker_is_told(ecr: StandIn, api: ECRClient, config: Path, tmp_path: Path) -> None:
    ecr.behaviour.token_seconds = 2.0
    assert log_in(ecr, api, config).returncode == 0
    time.sleep(2.1)
    pulled = docker(config, "pull", f"{ecr.host}/{REPOSITORY}:none")
    assert "403 Forbidden" in pulled.stderr


def test_what_moto_does_not_do_right_is_answered_right_or_not_at_all(api: ECRClient, ecr: StandIn) -> None:
    for wrong in (
        lambda: api.put_image(repositoryName=REPOSITORY, imageManifest="{}"),
        lambda: api.create_pull_through_cache_rule(ecrRepositoryPrefix="up", upstreamRegistryUrl="y.example"),
    ):
        with pytest.raises(ClientError, match="the stand-in has no"):
            wrong()
    with pytest.raises(ClientError, match="exclusion filters"):
        api.create_repository(repositoryName="odd", imageTagMutability="IMMUTABLE_WITH_EXCLUSION")
    nameless = {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 3}
    policy = json.dumps(
        {"rules": [{"rulePriority": 1, "selection": nameless, "action": {"type": "expire"}}]}, indent=4
    )
    api.create_repository(repositoryName="policies")
    with pytest.raises(ClientError, match="LifecyclePolicyText"):
        api.put_lifecycle_policy(repositoryName="policies", lifecyclePolicyText=policy)
    own: ReplicationConfigurationTypeDef = {
        "rules": [{"destinations": [{"region": "us-west-2", "registryId": ecr.account}]}]
    }
    with pytest.raises(ClientError, match="same as the source registry"):
        api.put_replication_configuration(replicationConfiguration=own)


def test_the_machine_is_left_as_it_was(tmp_path: Path) -> None:
    left = DOCKER_TRUST / "killed.example"
    left.mkdir(parents=True)
    (left / "owner").write_text("99999999")
    with running(tmp_path, regions=("cn-north-1",)) as stand_in:
        host = stand_in.host
        assert host.endswith(".dkr.ecr.cn-north-1.amazonaws.com.cn")
        assert host in HOSTS.read_text()
        assert (DOCKER_TRUST / host / "ca.crt").exists()
        assert f" {os.getpid()}" in HOSTS.read_text()
    assert host not in HOSTS.read_text()
    assert not (DOCKER_TRUST / host).exists()
    assert not left.exists()


def test_the_rate_of_puts_is_kept_and_the_toolkit_waits_and_ends_right(
    ecr: StandIn, api: ECRClient, config: Path
) -> None:
    assert log_in(ecr, api, config).returncode == 0
    api.create_repository(repositoryName="rates")
    # Of four at once a slow machine too sends the second within the two seconds of the first.
    ecr.behaviour.puts_per_second = 0.5
    told: list[Retry] = []
    http = HttpRegistry(ecr.host, docker_config=config, ca_bundle=ecr.certificates.ca)
    registry = RetryingRegistry(http, on_retry=told.append)

    def put(number: int) -> None:
        push_artifact(
            str(number).encode(), artifact_type="x/y", registry=registry, repository="rates", tag=f"t{number}"
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(4)))
    http.close()
    assert len(api.describe_images(repositoryName="rates")["imageDetails"]) == 4
    # All put the same config: the registry may find its link half written, which is tried again too.
    words = [each.error.message for each in told if "blob unknown" not in each.error.message]
    assert words
    assert all("has too many requests" in each for each in words)


def test_a_repository_that_is_not_there_is_an_error_at_once(
    ecr: StandIn, api: ECRClient, config: Path
) -> None:
    assert log_in(ecr, api, config).returncode == 0
    told: list[Retry] = []
    http = HttpRegistry(ecr.host, docker_config=config, ca_bundle=ecr.certificates.ca)
    registry = RetryingRegistry(http, on_retry=told.append)
    with pytest.raises(RegistryTrouble, match="the repository nowhere does not exist there") as caught:
        push_artifact(b"x", artifact_type="x/y", registry=registry, repository="nowhere", tag="t")
    http.close()
    assert "`toolkit ecr ensure`" in caught.value.remedy
    assert not told

    ecr.behaviour.needs_repositories = False
    registry = RetryingRegistry(HttpRegistry(ecr.host, docker_config=config, ca_bundle=ecr.certificates.ca))
    push_artifact(b"x", artifact_type="x/y", registry=registry, repository="nowhere", tag="t")
