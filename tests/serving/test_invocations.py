"""POST /invocations with the default functions: JSON, CSV and NPY in and out."""

from __future__ import annotations

import io

import httpx
import numpy as np
import pytest

from .conftest import Launcher, Server

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
SIX_MEGABYTES = 6 * 1024 * 1024


def npy(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    body = io.BytesIO()
    np.save(body, array)
    return body.getvalue()


ROWS = np.array([[1, 2.5], [3, 4]], dtype=np.float32)
SPELLINGS = {JSON: b"[[1, 2.5], [3, 4]]", CSV: b"1,2.5\n3,4\n", NPY: npy(ROWS)}


def rows_of(response: httpx.Response) -> list[list[float]]:
    body, content_type = response.content, response.headers["content-type"]
    if content_type == NPY:
        return np.load(io.BytesIO(body), allow_pickle=False).tolist()  # type: ignore[no-any-return]
    if content_type == CSV:
        return [[float(cell) for cell in line.split(",")] for line in body.decode().splitlines()]
    assert content_type == JSON
    return response.json()  # type: ignore[no-any-return]


@pytest.mark.parametrize("accept", [JSON, CSV, NPY])
@pytest.mark.parametrize("content_type", [JSON, CSV, NPY])
def test_every_type_of_body_can_be_answered_in_every_type(
    double: Server, content_type: str, accept: str
) -> None:
    response = double.invoke(SPELLINGS[content_type], content_type, accept)
    assert (response.status_code, response.headers["content-type"]) == (200, accept)
    assert rows_of(response) == [[2, 5], [6, 8]]


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", CSV),
        ("text/html, text/csv;q=0.5, */*;q=0.1", CSV),
        ("text/csv;q=0.2, application/x-npy", NPY),
        ("application/json;q=0, text/csv", CSV),
        ("TEXT/CSV; charset=utf-8", CSV),
    ],
)
def test_the_best_type_that_accept_allows_is_answered(
    double: Server, accept: str | None, answered: str
) -> None:
    double.client.headers.pop("accept", None)
    assert double.invoke("[[1]]", JSON, accept).headers["content-type"] == answered


@pytest.mark.parametrize("content_type", [None, "*/*", "application/json; charset=utf-8", "Application/JSON"])
def test_a_body_without_a_content_type_is_json_and_parameters_are_ignored(
    double: Server, content_type: str | None
) -> None:
    assert double.invoke("[1, 2]", content_type).json() == [2, 4]


def test_instances_are_answered_with_predictions(double: Server) -> None:
    assert double.invoke('{"instances": [[1], [2]]}', JSON).json() == {"predictions": [[2], [4]]}


def test_inputs_are_answered_with_the_plain_list(double: Server) -> None:
    assert double.invoke('{"inputs": [[1], [2]]}', JSON).json() == [[2], [4]]


def test_an_npy_body_keeps_its_own_number_type(double: Server) -> None:
    answer = double.invoke(npy(np.array([2**40], dtype=np.int64)), NPY, NPY)
    array = np.load(io.BytesIO(answer.content))
    assert (array.dtype, array.tolist()) == (np.int64, [2**41])


def test_an_npy_body_of_the_other_byte_order_is_read(double: Server) -> None:
    assert double.invoke(npy(np.array([1.5], dtype=">f8")), NPY).json() == [3]


def test_a_wrong_content_type_is_415_and_says_which_are_right(double: Server) -> None:
    response = double.invoke("<rows/>", "text/xml")
    assert response.status_code == 415
    assert response.json() == {
        "error": "Content-Type 'text/xml' is not supported.",
        "content_type": "text/xml",
        "allowed": [JSON, CSV, NPY],
    }


def test_an_accept_that_allows_nothing_is_406_and_says_what_there_is(double: Server) -> None:
    response = double.invoke("[1]", JSON, "image/png")
    assert response.status_code == 406
    assert response.json()["allowed"] == [JSON, CSV, NPY]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b""),
        (JSON, b"[1, 2"),
        (JSON, b"[[1, 2], [3]]"),
        (JSON, b'["1", "2"]'),
        (JSON, b"[null]"),
        (JSON, b"[]"),
        (JSON, b"5"),
        (JSON, b'"abc"'),
        (JSON, b"\xff\xfe\x00"),
        (JSON, b"[" * 100_000),
        (JSON, b"[1" + b"0" * 400 + b"]"),
        (JSON, b'{"rows": [1]}'),
        (JSON, b'{"instances": [1], "signature_name": "other"}'),
        (JSON, b'{"instances": [{"a": 1}]}'),
        (CSV, b""),
        (CSV, b"\n \n"),
        (CSV, b"a,b\n1,2\n"),
        (CSV, b"1,2\n3\n"),
        (CSV, b"1,,2\n"),
        (CSV, b"\xff\xfe"),
        (NPY, b""),
        (NPY, b"not npy"),
        (NPY, npy(np.array(["text"]))),
        (NPY, npy(np.zeros(1000))[:-1]),
        (NPY, npy(np.zeros(1)).replace(b"(1,), ", b"(10**9,), ")),
    ],
)
def test_a_bad_body_is_400_with_the_reason(double: Server, content_type: str, body: bytes) -> None:
    response = double.invoke(body, content_type)
    assert response.status_code == 400, response.text
    assert response.json()["error"]
    assert response.json()["content_type"] == content_type


@pytest.mark.parametrize("length", [b"9" * 13, b"9" * 12 + b"\0", b"9" * 12 + b"'", b"9" * 12 + b"("])
def test_an_npy_header_that_lies_or_cannot_be_read_is_400(double: Server, length: bytes) -> None:
    body = npy(np.zeros(1)).replace(b"'shape': (1,), }" + b" " * 12, b"'shape': (" + length + b",), }")
    response = double.invoke(body, NPY)
    assert response.status_code == 400, response.text


def test_a_pickle_in_an_npy_body_is_not_opened(double: Server) -> None:
    objects = np.empty(1, dtype=object)
    objects[0] = {"any": "object"}
    response = double.invoke(npy(objects), NPY)
    assert response.status_code == 400
    assert "allow_pickle" in response.json()["error"]


def test_a_body_of_six_megabytes_is_served(double: Server) -> None:
    body = npy(np.zeros((SIX_MEGABYTES - 128) // 4, dtype=np.float32))
    assert len(body) == SIX_MEGABYTES
    assert len(double.invoke(body, NPY, NPY).content) == SIX_MEGABYTES


def test_a_body_above_six_megabytes_is_413_and_says_the_limit(double: Server) -> None:
    response = double.invoke(b" " * (SIX_MEGABYTES + 1), JSON)
    assert response.status_code == 413
    assert response.json()["limit"] == SIX_MEGABYTES


def test_the_limit_is_what_batch_transform_announces(launcher: Launcher) -> None:
    server = launcher.start_ready(SAGEMAKER_MAX_PAYLOAD_IN_MB="7")
    assert server.invoke(b"[1]" + b" " * SIX_MEGABYTES, JSON).json() == [2]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/invocations", 405), ("GET", "/", 404), ("POST", "/ping", 405)]
)
def test_any_other_request_is_refused_as_json_with_what_there_is(
    double: Server, method: str, path: str, status: int
) -> None:
    response = double.client.request(method, path)
    assert response.status_code == status
    assert response.json()["allowed"] == ["GET /ping", "POST /invocations"]


NAMED = """
import numpy as np

def model_fn(model_dir):
    return lambda array: {"sum": array.sum(axis=1), "twice": array * 2}
"""


def test_several_named_outputs_are_a_json_object(launcher: Launcher) -> None:
    server = launcher.start_ready(NAMED)
    assert server.invoke("[[1, 2], [3, 4]]", JSON).json() == {"sum": [3, 7], "twice": [[2, 4], [6, 8]]}
    rows = server.invoke('{"instances": [[1, 2], [3, 4]]}', JSON).json()
    assert rows == {"predictions": [{"sum": 3, "twice": [2, 4]}, {"sum": 7, "twice": [6, 8]}]}
    refused = server.invoke("[[1, 2]]", JSON, CSV)
    assert (refused.status_code, refused.json()["allowed"]) == (406, [JSON])


def test_three_dimensions_are_not_acceptable_as_csv(double: Server) -> None:
    response = double.invoke("[[[1]]]", JSON, CSV)
    assert (response.status_code, response.json()["allowed"]) == (406, [JSON, NPY])


def test_one_dimension_is_one_csv_row_per_number(double: Server) -> None:
    assert double.invoke("[1, 0.05]", JSON, CSV).text == "2.0\n0.1\n"
