"""model_fn, input_fn, predict_fn and output_fn."""

from __future__ import annotations

import pytest

from .conftest import DOUBLE, Launcher

EVERY_FUNCTION = """
import json
from pathlib import Path

import neighbour

def model_fn(model_dir):
    return int((Path(model_dir) / "weight.txt").read_text())

def input_fn(body, content_type):
    if content_type != "text/plain":
        raise ValueError("send text/plain, not " + content_type)
    return body.decode()

def predict_fn(data, model):
    return neighbour.repeat(data, model)

def output_fn(prediction, accept):
    return prediction, "text/plain; charset=utf-8"
"""


def test_the_users_four_functions_replace_the_defaults(launcher: Launcher) -> None:
    (launcher.base_dir / "model" / "weight.txt").write_text("3")
    launcher.write_script("def repeat(text, times):\n    return text * times\n", "neighbour.py")
    server = launcher.start_ready(EVERY_FUNCTION)
    response = server.invoke("ab", "text/plain; charset=utf-8", "image/png")
    assert (response.status_code, response.text) == (200, "ababab")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_value_error_of_input_fn_is_400(launcher: Launcher) -> None:
    (launcher.base_dir / "model" / "weight.txt").write_text("3")
    launcher.write_script("", "neighbour.py")
    server = launcher.start_ready(EVERY_FUNCTION)
    response = server.invoke("[1]", "application/json")
    assert response.status_code == 400
    assert response.json()["error"] == "input_fn refused the body: send text/plain, not application/json"


@pytest.mark.parametrize(
    ("function", "blamed"),
    [
        ("def input_fn(body, content_type):\n    return {}['rows']\n", "input_fn failed: KeyError: 'rows'"),
        ("def predict_fn(data, model):\n    return 1 / 0\n", "predict_fn failed: ZeroDivisionError"),
        ("def predict_fn(data, model):\n    raise SystemExit(0)\n", "predict_fn failed: SystemExit: 0"),
        ("def predict_fn(data, model):\n    raise StopIteration\n", "predict_fn failed: StopIteration"),
        ("def predict_fn(data, model):\n    return object()\n", "Writing the answer failed: TypeError"),
        (
            "def output_fn(prediction, accept):\n    return 5\n",
            "output_fn failed: TypeError: it returned int",
        ),
    ],
)
def test_a_failing_function_is_500_and_the_server_goes_on(
    launcher: Launcher, function: str, blamed: str
) -> None:
    server = launcher.start_ready(DOUBLE + function)
    response = server.invoke("[1]", "application/json")
    assert response.status_code == 500
    assert response.json()["error"].startswith(blamed)
    assert "Traceback" in server.stderr
    assert server.ping() == 200


def test_a_model_error_is_500_with_its_message(launcher: Launcher) -> None:
    server = launcher.start_ready(
        "def model(array):\n    raise RuntimeError('wrong shape')\n\n"
        "def model_fn(model_dir):\n    return model\n"
    )
    response = server.invoke("[1]", "application/json")
    assert (response.status_code, response.json()) == (
        500,
        {"error": "The model failed: RuntimeError: wrong shape"},
    )


def test_only_predict_fn_replaced_keeps_the_default_reading_and_writing(launcher: Launcher) -> None:
    server = launcher.start_ready(DOUBLE + "def predict_fn(data, model):\n    return model(data) + 1\n")
    assert server.invoke("1,2\n", "text/csv", "text/csv").text == "3.0,5.0\n"
    assert server.invoke('{"instances": [1]}', "application/json").json() == {"predictions": [3]}


@pytest.mark.parametrize(
    ("accept", "given", "answered"),
    [
        ("*/*", "application/json", "application/json"),
        ("text/plain", "text/plain", "text/plain"),
        ("text/plain;q=0.5, */*", "text/plain;q=0.5, */*", "text/plain"),
    ],
)
def test_output_fn_gets_the_accept_header_and_its_answer_that_type(
    launcher: Launcher, accept: str, given: str, answered: str
) -> None:
    server = launcher.start_ready(DOUBLE + "def output_fn(prediction, accept):\n    return accept.encode()\n")
    response = server.invoke("[1]", "application/json", accept)
    assert (response.text, response.headers["content-type"]) == (given, answered)
