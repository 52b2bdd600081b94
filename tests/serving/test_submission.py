"""SAGEMAKER_SUBMIT_DIRECTORY=s3://…, against a real HTTP stand-in for S3."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import boto3
import pytest
from moto.server import ThreadedMotoServer

from toolkit.deployers.eks import FETCH

from .conftest import DOUBLE, Launcher

BUCKET = "submissions"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    endpoint: str

    def put(self, key: str, body: bytes) -> None:
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-west-2",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def environ(self, key: str) -> dict[str, str]:
        return {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "SAGEMAKER_REGION": "us-west-2",
            "SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{BUCKET}/{key}",
            "SAGEMAKER_PROGRAM": "inference.py",
        }


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    store = ObjectStore(endpoint=f"http://{host}:{port}")
    boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        region_name="us-west-2",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    ).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    yield store
    server.stop()


def archive(*members: tarfile.TarInfo) -> bytes:
    """A .tar.gz of these members, the regular files among them holding the doubling script."""
    content = DOUBLE.encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member in members:
            if member.isreg():
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                tar.addfile(member)
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    info.mode = 0o6777
    return info


SCRIPT = "inference.py"


def test_an_archive_in_s3_is_fetched_and_its_script_serves(launcher: Launcher, store: ObjectStore) -> None:
    store.put(
        "code/good.tar.gz", archive(member("./", tarfile.DIRTYPE), member("./lib/util.py"), member(SCRIPT))
    )
    server = launcher.start(**store.environ("code/good.tar.gz"))
    server.wait_for_ping(200)
    assert server.invoke("[4]").json() == [8]
    (script,) = launcher.tmp_dir.rglob(SCRIPT)
    assert script.stat().st_mode & 0o7111 == 0
    assert (script.parent / "lib" / "util.py").is_file()


def test_a_pod_fetches_its_model_by_the_same_code_before_it_serves(
    launcher: Launcher, store: ObjectStore
) -> None:
    """What `toolkit deploy eks --model-data` starts before the container."""
    store.put("model.tar.gz", archive(member("code/", tarfile.DIRTYPE), member(f"code/{SCRIPT}")))
    model = launcher.base_dir / "model"
    asked = ("-c", FETCH, f"s3://{BUCKET}/model.tar.gz", "us-west-2", str(model))
    fetching = launcher.start(*asked, **CREDENTIALS, AWS_ENDPOINT_URL_S3=store.endpoint)
    assert fetching.wait_for_exit() == 0, fetching.stderr
    server = launcher.start()
    server.wait_for_ping(200)
    assert server.invoke("[4]").json() == [8]


@pytest.mark.parametrize(
    "attack",
    [
        member("../escaped.py"),
        member("lib/../../escaped.py"),
        member("/tmp/serving-escaped.py"),
        member("link", tarfile.SYMTYPE, "/etc"),
        member("link", tarfile.SYMTYPE, "../.."),
        member("link", tarfile.LNKTYPE, "../../etc/passwd"),
        member("link", tarfile.SYMTYPE, SCRIPT),
        member("device", tarfile.CHRTYPE),
        member("device", tarfile.BLKTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.linkname}-{info.type.decode()}",
)
def test_an_archive_with_a_member_that_could_leave_is_refused(
    launcher: Launcher, store: ObjectStore, attack: tarfile.TarInfo
) -> None:
    store.put("bad.tar.gz", archive(attack, member("link/escaped.py"), member(SCRIPT)))
    server = launcher.start(**store.environ("bad.tar.gz"))
    assert server.wait_for_exit() == 1
    assert f"The archive's member {attack.name!r}" in server.stderr.splitlines()[-1]
    assert not list(launcher.tmp_dir.rglob("*.py"))


@pytest.mark.parametrize(
    "damage", [lambda body: b"not an archive", lambda body: body[: len(body) // 2], lambda body: b""]
)
def test_a_damaged_archive_is_named(
    launcher: Launcher, store: ObjectStore, damage: Callable[[bytes], bytes]
) -> None:
    store.put("damaged.tar.gz", damage(archive(member(SCRIPT))))
    server = launcher.start(**store.environ("damaged.tar.gz"))
    assert server.wait_for_exit() == 1
    assert f"s3://{BUCKET}/damaged.tar.gz is not a readable .tar.gz" in server.stderr


def test_a_missing_object_is_named_with_what_to_check(launcher: Launcher, store: ObjectStore) -> None:
    server = launcher.start(**store.environ("missing.tar.gz"))
    assert server.wait_for_exit() == 1
    last_line = server.stderr.splitlines()[-1]
    assert f"s3://{BUCKET}/missing.tar.gz could not be fetched" in last_line
    assert "s3:GetObject" in last_line


@pytest.mark.parametrize("uri", ["s3://bucket", "s3:///key.tar.gz", "s3://bucket/key.zip"])
def test_a_malformed_uri_is_named(launcher: Launcher, uri: str) -> None:
    server = launcher.start(SAGEMAKER_SUBMIT_DIRECTORY=uri)
    assert server.wait_for_exit() == 1
    assert f"SAGEMAKER_SUBMIT_DIRECTORY={uri} is not of the form" in server.stderr


def test_the_region_is_the_one_that_sagemaker_sets(launcher: Launcher, store: ObjectStore) -> None:
    store.put("region.tar.gz", archive(member(SCRIPT)))
    server = launcher.start(
        **{
            **store.environ("region.tar.gz"),
            "SAGEMAKER_REGION": "eu-west-3",
            "SAGEMAKER_CONTAINER_LOG_LEVEL": "DEBUG",
        }
    )
    server.wait_for_ping(200)
    assert "/eu-west-3/s3/aws4_request" in server.stderr
