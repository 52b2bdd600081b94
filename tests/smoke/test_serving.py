"""Every released image, started on its own platform, answers SageMaker's contract with right numbers."""

import io
import subprocess

import httpx
import numpy as np

from tests.smoke.conftest import Endpoint, pull
from tests.smoke.models import Array, reference
from toolkit.oci import Architecture
from toolkit.record import PublishedImage

INPUTS: Array = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


def npy(array: Array) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def post(endpoint: Endpoint, body: bytes | str, content_type: str, accept: str) -> httpx.Response:
    return endpoint.http.post(
        "/invocations", content=body, headers={"Content-Type": content_type, "Accept": accept}
    )


def assert_close(answer: object) -> None:
    np.testing.assert_allclose(np.asarray(answer, dtype=np.float32), reference(INPUTS), rtol=1e-4, atol=1e-5)


def test_ping_is_200_only_once_the_model_is_loaded(image: PublishedImage, endpoint: Endpoint) -> None:
    assert endpoint.statuses[-1] == 200
    assert set(endpoint.statuses[:-1]) <= {0, 503}, "before the model was there /ping said something else"
    assert endpoint.http.get("/ping").status_code == 200


def test_json_in_and_out_gives_the_reference_numbers(image: PublishedImage, endpoint: Endpoint) -> None:
    body = httpx.Response(200, json=INPUTS.tolist()).content
    answer = post(endpoint, body, "application/json", "application/json")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert_close(answer.json())


def test_instances_are_answered_with_predictions(image: PublishedImage, endpoint: Endpoint) -> None:
    answer = endpoint.http.post("/invocations", json={"instances": INPUTS.tolist()})
    assert answer.status_code == 200, answer.text
    assert_close(answer.json()["predictions"])


def test_csv_in_and_out_gives_the_reference_numbers(image: PublishedImage, endpoint: Endpoint) -> None:
    body = "\n".join(",".join(str(value) for value in row) for row in INPUTS.tolist())
    answer = post(endpoint, body, "text/csv", "text/csv")
    assert answer.status_code == 200, answer.text
    assert_close([[float(cell) for cell in line.split(",")] for line in answer.text.split()])


def test_npy_in_and_out_gives_the_reference_numbers(image: PublishedImage, endpoint: Endpoint) -> None:
    answer = post(endpoint, npy(INPUTS), "application/x-npy", "application/x-npy")
    assert answer.status_code == 200, answer.text
    assert_close(np.load(io.BytesIO(answer.content), allow_pickle=False))


def test_a_wrong_content_type_is_415(image: PublishedImage, endpoint: Endpoint) -> None:
    answer = post(endpoint, b"<x/>", "application/xml", "application/json")
    assert answer.status_code == 415
    assert "application/xml" in answer.json()["error"]


def test_a_bad_body_is_400(image: PublishedImage, endpoint: Endpoint) -> None:
    answer = post(endpoint, b"[1, 2", "application/json", "application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_model_error_is_500_with_a_json_message(image: PublishedImage, endpoint: Endpoint) -> None:
    answer = endpoint.http.post("/invocations", json=[[1.0, 2.0]])  # the model takes four columns
    assert answer.status_code == 500
    assert answer.json()["error"]


def test_the_container_runs_programs_of_its_label(image: PublishedImage, endpoint: Endpoint) -> None:
    """Not what the label says, but what the kernel (or the emulator) runs in it."""
    code, out = endpoint.container.exec(["python3", "-c", "import platform; print(platform.machine())"])
    assert code == 0
    assert out.decode().strip() == Architecture(image.architecture).uname


def test_sigterm_ends_it_cleanly(image: PublishedImage, endpoint: Endpoint) -> None:
    """Last of the image's tests: `docker stop` sends SIGTERM, and nothing has to be killed."""
    wrapped = endpoint.container.get_wrapped_container()
    wrapped.stop(timeout=60)
    wrapped.reload()
    assert wrapped.attrs["State"]["ExitCode"] == 0, endpoint.logs()[-2000:]


def test_inspect_of_the_pulled_image_says_what_the_record_says(image: PublishedImage) -> None:
    shown = "{{.Os}}/{{.Architecture}} {{json .Config.Cmd}}"
    said = subprocess.run(
        ["docker", "image", "inspect", "--format", shown, pull(image)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert said == f'linux/{image.architecture} ["serve"]'
