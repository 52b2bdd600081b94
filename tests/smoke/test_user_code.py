"""User code from an object store, in the released images: what SageMaker's SDK sets, a real S3 API."""

import io
import tarfile
from collections.abc import Iterator
from typing import Final

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from testcontainers.core.container import DockerContainer

from tests.registry_process import free_port
from tests.smoke.conftest import READY_WITHIN, Endpoint, pull
from tests.smoke.deployed import container_of
from tests.smoke.models import Array
from toolkit.deployers.sagemaker import Script
from toolkit.record import PublishedImage

# A model of its own and all four functions; `scale.csv` lies beside it in the archive.
SCRIPT = """
import json, os
import numpy

def model_fn(model_dir):
    return numpy.loadtxt(os.path.join(os.path.dirname(__file__), "scale.csv"))

def input_fn(body, content_type):
    return numpy.array(json.loads(body)["rows"])

def predict_fn(data, model):
    return data * model

def output_fn(prediction, accept):
    return json.dumps({"scaled": prediction.tolist()})
"""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
REGION: Final = "us-west-2"


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """An S3 API on this machine's loopback with the archive in it; moto's state is the process's, so once."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in (("entry.py", SCRIPT), ("scale.csv", "3.0\n")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket="smoke-code", CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_object(Bucket="smoke-code", Key="team/sourcedir.tar.gz", Body=archive.getvalue())
    yield url
    server.stop()


def test_a_script_from_s3_takes_over_on_the_port_that_was_asked_for(
    image: PublishedImage, object_store: str
) -> None:
    port = free_port()
    # The host's network, so that the container reaches the store on loopback.
    container = DockerContainer(
        pull(image), command="serve", platform=f"linux/{image.architecture}", network_mode="host"
    )
    script = Script(program="entry.py", directory="s3://smoke-code/team/sourcedir.tar.gz")
    named, set_by_deployer = container_of(image, script)
    assert named == image.uri
    environment = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL_S3": object_store,
        "SAGEMAKER_BIND_TO_PORT": str(port),
        **set_by_deployer,
    }
    for name, value in environment.items():
        container.with_env(name, value)
    rows: Array = np.arange(6, dtype=np.float32).reshape(2, 3)
    with container:
        endpoint = Endpoint(container, f"http://127.0.0.1:{port}")
        endpoint.wait_until_ready(READY_WITHIN)
        answer = endpoint.http.post("/invocations", json={"rows": rows.tolist()})
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"scaled": (rows * 3).tolist()}
