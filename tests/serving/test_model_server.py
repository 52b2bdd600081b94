"""TensorFlow through a model server: a stand-in that speaks TensorFlow Serving's REST API doubles numbers."""

from __future__ import annotations

import io
import signal
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from tests.serving.conftest import Launcher

# https://www.tensorflow.org/tfx/serving/api_rest
STAND_IN = """
import json, pathlib, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

flags = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
versions = sorted(path for path in pathlib.Path(flags["model_base_path"]).iterdir() if path.name.isdecimal())
assert versions and (versions[-1] / "saved_model.pb").is_file(), versions
LOADED = "{state}"

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        assert self.path == f"/v1/models/{{flags['model_name']}}"
        self.answer(200, {{"model_version_status": [{{"version": versions[-1].name, "state": LOADED}}]}})

    def do_POST(self):
        assert self.path == f"/v1/models/{{flags['model_name']}}:predict"
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
        if len(rows[0]) != 2:
            self.answer(400, {{"error": "the model takes two columns"}})
        elif rows[0][0] < 0:
            self.answer(200, {{"predictions": [{{"sum": sum(row), "row": row}} for row in rows]}})
        else:
            self.answer(200, {{"predictions": [[2 * value for value in row] for row in rows]}})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

HTTPServer(("127.0.0.1", int(flags["rest_api_port"])), Handler).serve_forever()
"""


def served(
    launcher: Launcher, directory: Path, *, place: str = "1", state: str = "AVAILABLE"
) -> dict[str, str]:
    """A SavedModel's place, and the environment that an image for an accelerator has."""
    model = launcher.base_dir / "model" / place
    model.mkdir(parents=True, exist_ok=True)
    (model / "saved_model.pb").write_bytes(b"")
    program = directory / "tensorflow_model_server_stand_in"
    program.write_text(f"#!{sys.executable}\n{textwrap.dedent(STAND_IN.format(state=state))}")
    program.chmod(0o755)
    return {"SERVING_FRAMEWORK": "tensorflow-neuron", "SERVING_MODEL_SERVER": str(program)}


@pytest.mark.parametrize("place", ["1", "resnet/3", "."])
def test_requests_are_answered_by_the_model_server(launcher: Launcher, tmp_path: Path, place: str) -> None:
    server = launcher.start(**served(launcher, tmp_path, place=place))
    server.wait_for_ping(200)
    assert server.invoke("[[1, 2], [3, 4]]").json() == [[2.0, 4.0], [6.0, 8.0]]
    assert server.invoke("1,2\n", "text/csv", "text/csv").text.split() == ["2.0,4.0"]
    body = io.BytesIO()
    np.save(body, np.array([[5.0, 6.0]]))
    answer = server.invoke(body.getvalue(), "application/x-npy", "application/x-npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), [[10.0, 12.0]])


def test_several_outputs_are_rows_again_for_instances(launcher: Launcher, tmp_path: Path) -> None:
    server = launcher.start(**served(launcher, tmp_path))
    server.wait_for_ping(200)
    answer = server.invoke('{"instances": [[-1, 2], [-3, 4]]}').json()
    assert answer == {"predictions": [{"sum": 1.0, "row": [-1.0, 2.0]}, {"sum": 1.0, "row": [-3.0, 4.0]}]}


def test_an_error_of_the_model_server_is_500_with_its_words(launcher: Launcher, tmp_path: Path) -> None:
    server = launcher.start(**served(launcher, tmp_path))
    server.wait_for_ping(200)
    answer = server.invoke("[[1]]")
    assert answer.status_code == 500
    assert "the model takes two columns" in answer.json()["error"]


def test_a_model_that_the_model_server_cannot_load_ends_the_process(
    launcher: Launcher, tmp_path: Path
) -> None:
    server = launcher.start(**served(launcher, tmp_path, state="END"))
    assert server.wait_for_exit() == 1
    assert "The model server could not load the model" in server.stderr


def test_a_model_server_that_ends_at_its_start_ends_the_process(launcher: Launcher, tmp_path: Path) -> None:
    environment = served(launcher, tmp_path)
    Path(environment["SERVING_MODEL_SERVER"]).write_text("#!/bin/sh\nexit 3\n")
    server = launcher.start(**environment)
    assert server.wait_for_exit() == 1
    assert "The model server ended with status 3" in server.stderr


def test_an_image_without_a_model_server_says_so(launcher: Launcher, tmp_path: Path) -> None:
    environment = {**served(launcher, tmp_path), "SERVING_MODEL_SERVER": "/no/such"}
    server = launcher.start(**environment)
    assert server.wait_for_exit() == 1
    assert "SERVING_MODEL_SERVER=/no/such is not a program" in server.stderr


def test_the_model_server_ends_with_the_process(launcher: Launcher, tmp_path: Path) -> None:
    environment = served(launcher, tmp_path)
    program, noted = Path(environment["SERVING_MODEL_SERVER"]), tmp_path / "pid"
    note = f"import os; open({str(noted)!r}, 'w').write(str(os.getpid()))\nimport json,"
    program.write_text(program.read_text().replace("import json,", note))
    server = launcher.start(**environment)
    server.wait_for_ping(200)
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    deadline = time.monotonic() + 5
    while Path(f"/proc/{noted.read_text()}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{noted.read_text()}").exists()
