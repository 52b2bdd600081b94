"""`toolkit predict` against the real serving runtime, and a server of TensorFlow Serving's shape."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.http_server import Received, Reply, serving
from tests.serving.conftest import Launcher, Server


def predict(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "toolkit", "predict", *arguments]
    return subprocess.run(command, check=False, capture_output=True, input=stdin, timeout=60)


def url(server: Server) -> str:
    return str(server.client.base_url)


def test_json_is_asked_and_the_answer_alone_is_on_stdout(double: Server) -> None:
    asked = predict(url(double), "--data", "[[1, 2]]")
    assert (asked.returncode, json.loads(asked.stdout), asked.stderr) == (0, [[2, 4]], b"")


def test_a_file_is_sent_as_what_its_suffix_says(double: Server, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("1,2\n3,4\n")
    asked = predict(url(double), "--file", str(rows), "--accept", "text/csv")
    assert asked.stdout == b"2.0,4.0\n6.0,8.0\n"
    array = tmp_path / "rows.npy"
    np.save(array, np.ones((2, 2), dtype=np.float32))
    asked = predict(url(double), "--file", str(array), "--accept", "application/json")
    assert json.loads(asked.stdout) == [[2, 2], [2, 2]]


def test_stdin_is_sent_with_the_type_that_is_given(double: Server) -> None:
    asked = predict(url(double), "--file", "-", "--content-type", "text/csv", stdin=b"1,2\n")
    assert json.loads(asked.stdout) == [[2, 4]]


@pytest.mark.parametrize(
    ("arguments", "status", "cure"),
    [
        (("--data", "<x/>", "--content-type", "application/xml"), "415", "--content-type"),
        (("--data", "[1,"), "400", ""),
        (("--data", "[[1]]", "--accept", "image/png"), "406", "--accept"),
    ],
)
def test_the_servers_error_is_told_with_its_words(
    arguments: tuple[str, ...], status: str, cure: str, double: Server
) -> None:
    asked = predict(url(double), *arguments)
    assert (asked.returncode, asked.stdout) == (8, b"")
    said = asked.stderr.decode()
    assert f"answers {status}" in said
    assert cure in said
    assert "Traceback" not in said


def test_a_model_that_loads_is_told(launcher: Launcher) -> None:
    launcher.write_script("import time\ndef model_fn(model_dir):\n    time.sleep(30)\n")
    server = launcher.start()
    server.wait_for_ping(503)
    asked = predict(url(server), "--data", "[[1]]")
    assert asked.returncode == 8
    assert b"still loading" in asked.stderr


def test_where_nothing_listens_the_way_to_start_it_is_told() -> None:
    asked = predict("http://127.0.0.1:9", "--data", "1")
    assert asked.returncode == 8
    assert b"docker run" in asked.stderr


def test_an_answer_that_takes_too_long_is_told(launcher: Launcher) -> None:
    slow = "import time\ndef model_fn(model_dir):\n    return lambda array: time.sleep(20)\n"
    asked = predict(url(launcher.start_ready(slow)), "--data", "[[1]]", "--timeout", "0.5")
    assert asked.returncode == 8
    assert b"--timeout" in asked.stderr


def tensorflow_serving(request: Received) -> Reply:
    """What its REST port says, for one model: https://www.tensorflow.org/tfx/serving/api_rest"""
    found = re.fullmatch(r"/v1/models/(\w+):predict", request.path)
    if not found:
        return Reply(
            status=404, body=json.dumps({"error": f"Malformed request: POST {request.path}"}).encode()
        )
    if found[1] != "half_plus_two":
        return Reply(status=404, body=json.dumps({"error": "Servable not found for request"}).encode())
    asked = json.loads(request.body)
    if not isinstance(asked, dict):
        return Reply(status=400, body=b'{"error": "Request body should be a JSON object"}')
    answer = {"predictions": [value / 2 + 2 for value in asked["instances"]]}
    return Reply(headers={"Content-Type": "application/json"}, body=json.dumps(answer).encode())


def test_tensorflow_serving_is_asked_by_the_name_of_its_model() -> None:
    with serving(tensorflow_serving) as server:
        asked = predict(server.url, "--model", "half_plus_two", "--data", '{"instances": [1, 2, 5]}')
        assert json.loads(asked.stdout) == {"predictions": [2.5, 3, 4.5]}
        for arguments, cure in (
            ((server.url, "--data", "[1]"), b"--model NAME"),
            ((server.url, "--model", "other", "--data", "[1]"), b"no model of this name"),
            ((server.url, "--model", "half_plus_two", "--data", "[1]"), b'{"instances": [...]}'),
        ):
            failed = predict(*arguments)
            assert failed.returncode == 8
            assert cure in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("http://h",), b"nothing to ask"),
        (("http://h", "--data", "1", "--file", "-"), b"both say"),
        (("http://h", "--file", "nowhere.json"), b"no file"),
        (("http://h", "--data", "1", "--variant", "v"), b"--variant"),
        (("host:8080", "--data", "1"), b"neither an endpoint's name nor a URL"),
    ],
)
def test_what_makes_no_sense_is_told(arguments: tuple[str, ...], said: bytes) -> None:
    asked = predict(*arguments)
    assert asked.returncode == 2
    assert said in asked.stderr
