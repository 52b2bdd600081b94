"""From the first /ping to the exit status."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from .conftest import DOUBLE, RUNTIME, Launcher

WAITING_MODEL = """
import time
from pathlib import Path

def model_fn(model_dir):
    while not (Path(model_dir) / "go").exists():
        time.sleep(0.02)
    return lambda array: array * 2
"""

WAITING_PREDICTION = """
import time
from pathlib import Path

def model_fn(model_dir):
    def model(array):
        (Path(model_dir) / "called").touch()
        while not (Path(model_dir) / "go").exists():
            time.sleep(0.02)
        return array * 2
    return model
"""


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ping_is_503_until_the_model_is_loaded_and_then_200(launcher: Launcher) -> None:
    launcher.write_script(WAITING_MODEL)
    server = launcher.start()
    server.wait_for_ping(503)
    assert server.client.get("/ping").json() == {"error": "The model is still loading.", "status": "loading"}
    early = server.invoke("[1]", "application/json")
    assert (early.status_code, early.json()["status"]) == (503, "loading")
    (launcher.base_dir / "model" / "go").touch()
    server.wait_for_ping(200)
    assert server.client.get("/ping").json() == {"status": "ready"}


def test_ping_answers_during_a_long_prediction(launcher: Launcher) -> None:
    server = launcher.start_ready(WAITING_PREDICTION)
    model_dir = launcher.base_dir / "model"
    with ThreadPoolExecutor(1) as pool:
        prediction = pool.submit(server.invoke, "[1]", "application/json")
        wait_for(model_dir / "called")
        assert server.client.get("/ping", timeout=2).status_code == 200
        (model_dir / "go").touch()
        assert prediction.result().json() == [2]


def test_sigterm_finishes_what_is_in_flight_refuses_what_is_new_and_exits_with_0(launcher: Launcher) -> None:
    server = launcher.start_ready(WAITING_PREDICTION)
    model_dir = launcher.base_dir / "model"
    with ThreadPoolExecutor(1) as pool:
        prediction = pool.submit(server.invoke, "[1]", "application/json")
        wait_for(model_dir / "called")
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while _is_answered(server.client.base_url):
            assert time.monotonic() < deadline
        assert server.process.poll() is None
        (model_dir / "go").touch()
        assert prediction.result().json() == [2]
    assert server.wait_for_exit() == 0


def _is_answered(base_url: httpx.URL) -> bool:
    try:
        return httpx.get(base_url.join("/ping"), trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


SHORTER_DRAIN = """
import serving.server
assert serving.server.DRAIN_SECONDS < 30, "SageMaker sends SIGKILL after 30 seconds"
serving.server.DRAIN_SECONDS = 1
from serving.__main__ import main
main()
"""


def test_a_prediction_that_never_ends_does_not_hold_the_drain_beyond_its_bound(launcher: Launcher) -> None:
    launcher.write_script(WAITING_PREDICTION)
    server = launcher.start("-c", SHORTER_DRAIN)
    server.wait_for_ping(200)
    with ThreadPoolExecutor(1) as pool:
        prediction = pool.submit(server.invoke, "[1]", "application/json")
        wait_for(launcher.base_dir / "model" / "called")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert prediction.result().status_code == 500
    assert "Cancel 1 running task(s)" in server.stderr


def test_sigterm_while_the_model_loads_exits_at_once_with_0(launcher: Launcher) -> None:
    launcher.write_script(WAITING_MODEL)
    server = launcher.start()
    server.wait_for_ping(503)
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("def model_fn(model_dir):\n    raise OSError('no weights')\n", "did not load: OSError: no weights"),
        ("def model_fn(model_dir):\n    raise SystemExit(0)\n", "did not load: SystemExit: 0"),
        ("import missing_module\n", "No module named 'missing_module'"),
        ("def model_fn(model_dir:\n", "SyntaxError"),
        ("", "Nothing says how to load"),
    ],
)
def test_a_model_that_does_not_load_ends_the_process_with_the_cause(
    launcher: Launcher, script: str, cause: str
) -> None:
    launcher.write_script(script)
    server = launcher.start()
    assert server.wait_for_exit() == 1
    assert cause in server.stderr.splitlines()[-1]
    assert server.ping() is None


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("SAGEMAKER_PROGRAM", "other.py", "SAGEMAKER_PROGRAM=other.py is not in"),
        ("SAGEMAKER_PROGRAM", "notes.txt", "SAGEMAKER_PROGRAM=notes.txt is not a Python file"),
        ("SAGEMAKER_SUBMIT_DIRECTORY", "/no/such", "SAGEMAKER_SUBMIT_DIRECTORY=/no/such is neither"),
        ("SAGEMAKER_BIND_TO_PORT", "http", "SAGEMAKER_BIND_TO_PORT='http' is not a whole number"),
        ("SAGEMAKER_BIND_TO_PORT", "70000", "from 1 to 65535"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud", "SAGEMAKER_CONTAINER_LOG_LEVEL='loud' is neither"),
        ("SERVING_FRAMEWORK", "onnx", "SERVING_FRAMEWORK='onnx' is not one of mxnet, mxnet-eia, "),
    ],
)
def test_a_wrong_setting_ends_the_process_and_is_named(
    launcher: Launcher, name: str, value: str, cause: str
) -> None:
    launcher.write_script("some notes", "notes.txt")
    launcher.write_script(DOUBLE)
    server = launcher.start(**{name: value})
    assert server.wait_for_exit() == 1
    assert cause in server.stderr
    assert "Traceback" not in server.stderr


def test_the_program_is_found_in_the_submit_directory(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "triple.py").write_text(
        "def model_fn(d):\n    return lambda array: array * 3\n"
    )
    server = launcher.start(
        SAGEMAKER_PROGRAM="triple.py", SAGEMAKER_SUBMIT_DIRECTORY=str(tmp_path / "elsewhere")
    )
    server.wait_for_ping(200)
    assert server.invoke("[1]").json() == [3]


def test_empty_variables_count_as_not_set(launcher: Launcher) -> None:
    server = launcher.start_ready(SAGEMAKER_PROGRAM="", SAGEMAKER_SUBMIT_DIRECTORY="", SAGEMAKER_REGION="")
    assert server.invoke("[1]").json() == [2]


@pytest.mark.parametrize(
    ("level", "logged"), [("10", True), ("debug", True), ("20", False), ("WARNING", False)]
)
def test_the_log_level_is_a_number_or_a_name(launcher: Launcher, level: str, logged: bool) -> None:
    server = launcher.start_ready(SAGEMAKER_CONTAINER_LOG_LEVEL=level)
    server.invoke("[1]")
    assert ("POST /invocations" in server.stderr) is logged


def test_a_taken_port_ends_the_process_and_is_named(launcher: Launcher) -> None:
    first = launcher.start_ready()
    second = launcher.start(SAGEMAKER_BIND_TO_PORT=str(first.client.base_url.port))
    assert second.wait_for_exit() != 0
    assert "address already in use" in second.stderr


def test_nothing_is_written_outside_the_temporary_directory(launcher: Launcher) -> None:
    launcher.write_script("VALUE = 1\n", "neighbour.py")
    launcher.start_ready("import neighbour\n" + DOUBLE)
    written = sorted(str(path.relative_to(launcher.base_dir)) for path in launcher.base_dir.rglob("*"))
    assert written == ["model", "model/code", "model/code/inference.py", "model/code/neighbour.py"]


def test_the_executable_is_one_that_sagemaker_can_start() -> None:
    executable = RUNTIME / "serve"
    assert executable.stat().st_mode & 0o777 == 0o755
    assert executable.read_text().startswith("#!/usr/bin/python3 -B\n")
