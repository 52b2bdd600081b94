"""TensorFlow where only a model server knows the accelerator: it runs beside, and is asked over loopback.

Elastic Inference and Inferentia come as builds of TensorFlow Serving, started as AWS's images start them.
https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from serving.codec import Array
from serving.errors import StartupError
from serving.saved_model import find_model

PROGRAM = "SERVING_MODEL_SERVER"
# Asks for SIGKILL when the runtime ends, which leaves without a word, and becomes the program of its
# arguments: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
ENDS_WITH_ITS_PARENT = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
NAME = "model"
HOST = "127.0.0.1"
# A compiled model of a gigabyte takes minutes to be brought to its device.
LOADED_WITHIN = 1200.0
ANSWERED_WITHIN = 300.0


class ModelServer:
    """A running model server that has one model."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self._port = port

    def wait_until_available(self, seconds: float) -> None:
        """Raises StartupError when it ends, reports a fault of the model, or takes longer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise StartupError(
                    f"The model server ended with status {self.process.returncode}; its own words are above."
                )
            state = self._state()
            if state == "AVAILABLE":
                return
            if state == "END":
                raise StartupError("The model server could not load the model; its own words are above.")
            time.sleep(0.1)
        raise StartupError(f"The model server did not load the model within {seconds:.0f} s.")

    def _state(self) -> str:
        """What it says of the model; "" while it does not listen yet."""
        try:
            status, answer = self._ask("GET", f"/v1/models/{NAME}")
        except (OSError, HTTPException):
            return ""
        versions = answer.get("model_version_status", []) if status == 200 else []
        return str(versions[0].get("state", "")) if versions else ""

    def predict(self, rows: Array) -> Any:
        """Raises RuntimeError with the server's words, or OSError when it is gone."""
        body = json.dumps({"instances": rows.tolist()})
        status, answer = self._ask("POST", f"/v1/models/{NAME}:predict", body)
        if status != 200:
            raise RuntimeError(str(answer.get("error", f"the model server answered {status}")))
        return answer["predictions"]

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, dict[str, Any]]:
        connection = HTTPConnection(HOST, self._port, timeout=ANSWERED_WITHIN)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


def load(model_dir: Path) -> ModelServer:
    program = os.environ.get(PROGRAM)
    if not program or not os.access(program, os.X_OK):
        raise StartupError(f"{PROGRAM}={program or ''} is not a program. The image's template sets it.")
    rest, grpc = _free_port(), _free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", ENDS_WITH_ITS_PARENT, program),
            f"--port={grpc}",
            f"--rest_api_port={rest}",
            f"--rest_api_timeout_in_ms={int(ANSWERED_WITHIN * 1000)}",
            f"--model_name={NAME}",
            f"--model_base_path={_versions(find_model(model_dir))}",
        ],
    )
    server = ModelServer(process, rest)
    server.wait_until_available(LOADED_WITHIN)
    return server


def _versions(path: Path) -> Path:
    """A directory whose numbered subdirectories are versions; the server takes the highest."""
    if path.name.isdecimal():
        return path.parent
    directory = Path(tempfile.mkdtemp(prefix="serving-model-"))
    (directory / "1").symlink_to(path)
    return directory


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def tensor(array: Array) -> Array:
    return array


def predict(data: Any, model: Any) -> Any:
    """An array, or where the model has several outputs its rows: one object of names per instance."""
    predictions = model.predict(data)
    if predictions and isinstance(predictions[0], dict):
        return {name: np.asarray([row[name] for row in predictions]) for name in predictions[0]}
    return np.asarray(predictions)


def array(value: Any) -> Any:
    return value
