"""What can go wrong: before serving (`StartupError`), or in one request (`RequestError` and its kinds)."""

from __future__ import annotations

from typing import ClassVar


class StartupError(Exception):
    """The model cannot be served; its message is the last line before the process exits with status 1."""


class RequestError(Exception):
    """One request cannot be answered: an HTTP status and a JSON body `{"error": message, **details}`."""

    status: ClassVar[int]

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details


class BadBody(RequestError):
    """The body is not what its content type says."""

    status = 400


class NotAcceptable(RequestError):
    """No content type that `Accept` allows can carry the answer."""

    status = 406


class BodyTooLarge(RequestError):
    """The body is longer than the limit."""

    status = 413


class UnsupportedContentType(RequestError):
    """The body has a content type nothing here reads."""

    status = 415


class ModelFault(RequestError):
    """The model, or one of the user's functions, failed."""

    status = 500


class NotReady(RequestError):
    """The model is still loading."""

    status = 503
