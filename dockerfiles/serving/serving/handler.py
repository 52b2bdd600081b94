"""One invocation, from body to body: the user's functions where there are some, the defaults elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving import codec
from serving.errors import BadBody, ModelFault, RequestError, StartupError
from serving.frameworks import Framework, get_framework
from serving.script import OutputFn, Script, load_script
from serving.settings import Settings
from serving.submission import get_code_dir

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Invocation:
    """A request's body and the two headers that matter, as they came."""

    body: bytes
    content_type: str | None
    accept: str | None


@dataclass(frozen=True)
class Answer:
    """A response's body and its content type."""

    body: bytes
    media_type: str


@dataclass(frozen=True)
class Handler:
    """A loaded model. Called from several threads at once."""

    framework: Framework
    script: Script
    model: Any

    def answer(self, invocation: Invocation) -> Answer:
        """Run the model on one request.

        Raises:
            RequestError: with the status of the answer.
        """
        if self.script.output_fn is not None:
            prediction, _ = self._predict(invocation)
            return _user_answer(self.script.output_fn, prediction, invocation.accept)
        # Before the prediction, for it is not worth making when nobody can read the answer.
        media_type = codec.negotiate(invocation.accept)
        prediction, instances = self._predict(invocation)
        with _blame("Writing the answer"):
            body = codec.encode(prediction, media_type, to_array=self.framework.array, instances=instances)
        return Answer(body, media_type)

    def _predict(self, invocation: Invocation) -> tuple[Any, bool]:
        """The prediction, and whether the data came as `{"instances": ...}`."""
        data, instances = self._read(invocation)
        if self.script.predict_fn is not None:
            with _blame("predict_fn"):
                return self.script.predict_fn(data, self.model), instances
        with _blame("The model"):
            return self.framework.predict(data, self.model), instances

    def _read(self, invocation: Invocation) -> tuple[Any, bool]:
        media_type = codec.media_type_of(invocation.content_type)
        if self.script.input_fn is not None:
            with _blame("input_fn"):
                try:
                    return self.script.input_fn(invocation.body, media_type), False
                except ValueError as error:
                    raise BadBody(f"input_fn refused the body: {error}", content_type=media_type) from error
        payload = codec.decode(invocation.body, media_type)
        try:
            return self.framework.tensor(payload.array), payload.instances
        except TypeError as error:
            raise BadBody(f"The model's framework has no such numbers: {error}") from error


def _user_answer(output_fn: OutputFn, prediction: Any, accept: str | None) -> Answer:
    wanted = accept if accept and accept != codec.ANY else codec.JSON
    with _blame("output_fn"):
        result = output_fn(prediction, wanted)
        body, media_type = result if isinstance(result, tuple) else (result, _one_type(wanted))
        if isinstance(body, str):
            return Answer(body.encode(), str(media_type))
        if isinstance(body, (bytes, bytearray)):
            return Answer(bytes(body), str(media_type))
        raise TypeError(f"it returned {type(body).__name__}, not bytes, str or (body, content type)")


def _one_type(accept: str) -> str:
    """The first type of an Accept header; JSON when that is a pattern, which no answer can be."""
    first = codec.media_type_of(accept.partition(",")[0])
    return codec.JSON if "*" in first else first


@contextmanager
def _blame(what: str) -> Iterator[None]:
    """Turn whatever the model or the user's code raises into the answer 500 and a traceback in the log."""
    try:
        yield
    except RequestError:
        raise
    # SystemExit too: a script's sys.exit() must not take the server along.
    except (Exception, SystemExit) as error:
        logger.exception("%s failed", what)
        raise ModelFault(f"{what} failed: {type(error).__name__}: {error}") from error


def load_handler(settings: Settings) -> Handler:
    """Fetch the script and load the model; takes seconds to minutes.

    Raises:
        StartupError: either cannot be done. A traceback that is the user's is in the log.
    """
    try:
        framework = get_framework(settings.framework)
        script = load_script(_code_dir(settings), settings.program)
        logger.info("loading the model in %s", settings.model_dir)
        if script.model_fn is not None:
            model = script.model_fn(str(settings.model_dir))
        else:
            model = framework.load(settings.model_dir)
    except StartupError:
        raise
    except (Exception, SystemExit) as error:
        logger.exception("the model did not load")
        raise StartupError(f"The model did not load: {type(error).__name__}: {error}") from error
    return Handler(framework, script, model)


def _code_dir(settings: Settings) -> Path:
    if settings.submit_directory is None:
        return settings.model_dir / "code"
    return get_code_dir(settings.submit_directory, region=settings.region)
