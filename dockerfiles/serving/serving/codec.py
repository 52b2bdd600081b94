"""Bodies to arrays and predictions to bodies: JSON, CSV and NPY."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import numpy.lib.format

from serving.errors import BadBody, NotAcceptable, UnsupportedContentType

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
ANY = "*/*"

_REAL = "biuf"
_NUMBERS = _REAL + "c"
_TEXT = "U"
"""Kinds of NumPy types: https://numpy.org/doc/stable/reference/generated/numpy.dtype.kind.html"""

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
else:
    # NumPy 1.17, which MXNet of Inferentia needs, has no numpy.typing.
    Array = np.ndarray
ToArray = Callable[[Any], Any]
"""Turns a framework's tensor into an array and leaves every other value as it is."""


@dataclass(frozen=True)
class Payload:
    """A decoded body: its numbers, and whether they came as `{"instances": ...}`, which asks for
    `{"predictions": ...}` (https://www.tensorflow.org/tfx/serving/api_rest#predict_api)."""

    array: Array
    instances: bool = False


def media_type_of(header: str | None) -> str:
    """The media type in a Content-Type header, without parameters; JSON when it is missing or `*/*`."""
    media_type = (header or "").partition(";")[0].strip().lower()
    return JSON if media_type in ("", ANY) else media_type


def negotiate(accept: str | None) -> str:
    """The media type of the answer: the best of an Accept header's ranges that can be written.

    Raises:
        NotAcceptable: none of them can.
    """
    ranges = [_media_range(text) for text in (accept or ANY).split(",")]
    for media_range, quality in sorted(ranges, key=lambda row: -row[1]):
        for media_type in _ENCODERS:
            if quality > 0 and fnmatchcase(media_type, media_range):
                return media_type
    raise NotAcceptable(f"Accept {accept!r} allows none of the types of answer.", allowed=list(_ENCODERS))


def _media_range(text: str) -> tuple[str, float]:
    media_range, _, parameters = text.partition(";")
    quality = re.search(r"\bq=([01](?:\.\d{0,3})?)", parameters)
    return media_range.strip().lower() or ANY, float(quality.group(1)) if quality else 1.0


def decode(body: bytes, media_type: str) -> Payload:
    """The numbers of a body: float32 from JSON and CSV, the array's own type from NPY.

    Raises:
        UnsupportedContentType: the media type is not one of the three.
        BadBody: the body is not that, or holds no numbers.
    """
    decoder = _DECODERS.get(media_type)
    if decoder is None:
        raise UnsupportedContentType(
            f"Content-Type {media_type!r} is not supported.", content_type=media_type, allowed=list(_DECODERS)
        )
    try:
        payload = decoder(body)
    # The parsers see nothing but the client's bytes, and not all of what they raise is a ValueError: brackets
    # nest deeper than the stack, an NPY header announces more than there is memory or is no Python literal
    # (tokenize.TokenError).
    except Exception as error:
        raise BadBody(f"The body is not {media_type}: {error}", content_type=media_type) from error
    if payload.array.dtype.kind not in _NUMBERS:
        raise BadBody(f"The body holds {payload.array.dtype.name}, not numbers.", content_type=media_type)
    return payload


def _from_json(body: bytes) -> Payload:
    value = json.loads(body)
    if not isinstance(value, dict):
        return Payload(_numbers(value))
    if len(value) != 1 or not value.keys() <= {"instances", "inputs"}:
        raise ValueError(f'an object has one key, "instances" or "inputs", not {sorted(value)}')
    (key, rows), *_ = value.items()
    return Payload(_numbers(rows), instances=key == "instances")


def _numbers(value: Any) -> Array:
    if not isinstance(value, list) or not value:
        raise ValueError("a list of numbers, or of such lists, was expected")
    # float32 refuses ragged lists, but reads "1" and null as numbers: what they are of themselves tells.
    array = np.asarray(value, dtype=np.float32)
    natural = np.asarray(value)
    return array if natural.dtype.kind in _REAL else natural


def _from_csv(body: bytes) -> Payload:
    text = body.decode("utf-8-sig")
    if not text.strip():
        raise ValueError("there are no rows")
    rows = np.loadtxt(io.StringIO(text), dtype=np.float32, delimiter=",", comments=None, ndmin=2)
    return Payload(rows)


def _from_npy(body: bytes) -> Payload:
    # Not numpy.load: that opens ZIP archives and pickles too.
    array = numpy.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
    return Payload(array.astype(array.dtype.newbyteorder("="), copy=False))


_DECODERS: dict[str, Callable[[bytes], Payload]] = {JSON: _from_json, CSV: _from_csv, NPY: _from_npy}


def encode(prediction: Any, media_type: str, *, to_array: ToArray, instances: bool) -> bytes:
    """A prediction as a body: an array or tensor, or (JSON only) lists, tuples and dicts of them.

    Raises:
        NotAcceptable: the media type cannot carry a prediction of this shape.
        TypeError, ValueError: a part of the prediction is not numbers or text.
    """
    return _ENCODERS[media_type](prediction, to_array, instances)


def _to_json(prediction: Any, to_array: ToArray, instances: bool) -> bytes:
    def plain(value: Any) -> Any:
        array = np.asarray(to_array(value))
        if array.dtype.kind not in _REAL + _TEXT:
            raise TypeError(f"a {type(value).__name__} cannot be written as JSON")
        return array.tolist()

    if not instances:
        return json.dumps(prediction, default=plain).encode()
    if isinstance(prediction, Mapping):
        prediction = _rows({str(name): plain(value) for name, value in prediction.items()})
    return json.dumps({"predictions": prediction}, default=plain).encode()


def _rows(columns: dict[str, Any]) -> Any:
    """Several named outputs, one object per instance, as TensorFlow Serving writes them;
    left as they are when they are not columns of one length."""
    lengths = {len(column) if isinstance(column, list) else None for column in columns.values()}
    if len(lengths) != 1 or None in lengths:
        return columns
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def _single_array(prediction: Any, to_array: ToArray, media_type: str) -> Array:
    if isinstance(prediction, Mapping) and len(prediction) == 1:
        (prediction,) = prediction.values()
    if isinstance(prediction, (Mapping, tuple)):
        raise NotAcceptable(
            f"The model has {len(prediction)} outputs and {media_type} carries one.", allowed=[JSON]
        )
    array = np.asarray(to_array(prediction))
    if array.dtype.kind not in _NUMBERS:
        raise NotAcceptable(
            f"The answer is {array.dtype.name}, and {media_type} carries numbers here.", allowed=[JSON]
        )
    return array


def _to_csv(prediction: Any, to_array: ToArray, _instances: bool) -> bytes:
    array = _single_array(prediction, to_array, CSV)
    if array.ndim > 2:
        raise NotAcceptable(
            f"The answer has {array.ndim} dimensions and {CSV} carries two.", allowed=[JSON, NPY]
        )
    text = io.StringIO()
    np.savetxt(text, np.atleast_1d(array), delimiter=",", fmt="%s")
    return text.getvalue().encode()


def _to_npy(prediction: Any, to_array: ToArray, _instances: bool) -> bytes:
    body = io.BytesIO()
    np.save(body, _single_array(prediction, to_array, NPY), allow_pickle=False)
    return body.getvalue()


_ENCODERS: dict[str, Callable[[Any, ToArray, bool], bytes]] = {JSON: _to_json, CSV: _to_csv, NPY: _to_npy}
