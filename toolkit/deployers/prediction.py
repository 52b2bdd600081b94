"""Asking a model: where a question goes, and what an answer that is none means."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol
from urllib.parse import quote, urlsplit

import idna

from toolkit.errors import PredictionFailed, UsageError

_ENDPOINT = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
JSON = "application/json"
# What the serving runtime of one's own images takes (dockerfiles/serving/serving/codec.py), by suffix.
_CONTENT_TYPES = {".json": JSON, ".csv": "text/csv", ".npy": "application/x-npy"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """A body and its media types; `accept` is "" to leave the choice to the model."""

    body: bytes
    content_type: str
    accept: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`status` is HTTP's; of SageMaker that of the container, where it was the container that failed."""

    status: int
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class Asker(Protocol):
    """One place that answers. Raises PredictionFailed when it cannot be reached."""

    @property
    def name(self) -> str:
        """For messages: the URL, or the endpoint and its region."""
        ...

    def ask(self, question: Question) -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class HttpTarget:
    """An URL to post to; `is_tensorflow_serving` by its path."""

    url: str
    is_tensorflow_serving: bool


def http_target(text: str, model: str) -> HttpTarget | None:
    """From `http://HOST:PORT` alone: /invocations or, with the name of a model, TensorFlow Serving's path.

    A path that is given stays. None for a text that is no URL: the name of an endpoint.
    Raises UsageError for a URL without host and for a name that no endpoint can have.
    https://www.tensorflow.org/tfx/serving/api_rest#predict_api
    """
    if "://" not in text:
        if not _ENDPOINT.fullmatch(text):
            raise UsageError(
                f"{text!r} is neither an endpoint's name nor a URL",
                remedy="Write http://HOST:PORT, or the name of an endpoint of SageMaker.",
            )
        if model:
            raise UsageError(
                "--model names one of TensorFlow Serving", remedy="Give its URL, or drop --model."
            )
        return None
    try:
        parts = urlsplit(text)
        is_http = parts.scheme in ("http", "https") and _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is none, a name that IDNA has not
        is_http = False
    if not is_http or not text.isprintable() or " " in text:
        raise UsageError(f"{text!r} is not an http URL", remedy="Write it like http://localhost:8080.")
    path = parts.path.rstrip("/") or (
        f"/v1/models/{quote(model, safe='')}:predict" if model else "/invocations"
    )
    url = parts._replace(path=path).geturl()
    return HttpTarget(url=url, is_tensorflow_serving=path.startswith("/v1/models/"))


def _is_host(name: str) -> bool:
    """Raises ValueError for an international name that nobody can look up."""
    if not name.isascii():
        idna.encode(name.lower())
    elif name.startswith("xn--"):
        idna.decode(name)
    return bool(name)


def content_type_of(name: str) -> str:
    """By the suffix of a file; JSON for all others."""
    return _CONTENT_TYPES.get(PurePath(name).suffix.lower(), JSON)


def predict(asker: Asker, question: Question, *, is_tensorflow_serving: bool = False) -> Answer:
    """The answer. Raises PredictionFailed with the server's own words and, where it is known, the cure."""
    answer = asker.ask(question)
    if answer.status < 400:
        return answer
    said = answer.text.strip()[:2000] or "(no body)"
    cures = [row.cure for row in _CURES if row.is_met(answer, is_tensorflow_serving=is_tensorflow_serving)]
    raise PredictionFailed(f"{asker.name} answers {answer.status}: {said}", remedy="\n  ".join(cures[:1]))


@dataclass(frozen=True, kw_only=True)
class _Cure:
    status: int
    words: str
    cure: str
    serving: Sequence[bool] = (True, False)

    def is_met(self, answer: Answer, *, is_tensorflow_serving: bool) -> bool:
        return (
            self.status == answer.status
            and self.words in answer.text
            and is_tensorflow_serving in self.serving
        )


_CURES = (
    _Cure(
        status=404,
        words="Malformed request",
        serving=(False,),
        cure="This is TensorFlow Serving: name its model with --model NAME.",
    ),
    _Cure(
        status=404,
        words="Servable not found",
        cure="TensorFlow Serving has no model of this name: its MODEL_NAME or --model_name says which.",
    ),
    _Cure(
        status=404,
        words="",
        serving=(False,),
        cure="Nothing there takes this path; a SageMaker container takes /invocations.",
    ),
    _Cure(
        status=400,
        words="",
        serving=(True,),
        cure='TensorFlow Serving takes an object: {"instances": [...]}.',
    ),
    _Cure(status=406, words="", cure="Ask for another type: --accept application/json"),
    _Cure(status=413, words="", cure="Send fewer rows at a time."),
    _Cure(status=415, words="", cure="Say what the data is: --content-type text/csv"),
    _Cure(status=500, words="", cure="The model or its script failed: see the log of the container."),
    _Cure(status=503, words="", cure="The model is still loading: ask again in a moment."),
)
