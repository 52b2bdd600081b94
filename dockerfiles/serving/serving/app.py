"""The two routes of the contract."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from typing import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.errors import BodyTooLarge, NotReady, RequestError
from serving.handler import Handler, Invocation

logger = logging.getLogger(__name__)


class Service:
    """Answers while the model still loads, and then with the model.

    Args:
        load: makes the handler, or raises StartupError.
        executor: runs `load` and every call of the model, so that the event loop answers `/ping` during the
            longest prediction.
        max_body: bytes that a request's body may have.
    """

    def __init__(self, *, load: Callable[[], Handler], executor: Executor, max_body: int) -> None:
        self._load = load
        self._executor = executor
        self._max_body = max_body
        self._handler: Handler | None = None

    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/ping", self._ping), Route("/invocations", self._invocations, methods=["POST"])],
            exception_handlers={
                RequestError: _request_error,
                HTTPException: _http_error,
                ClientDisconnect: _nobody_there,
            },
        )

    async def become_ready(self) -> None:
        """Load the model.

        Raises:
            StartupError: it does not load.
        """
        self._handler = await asyncio.get_running_loop().run_in_executor(self._executor, self._load)
        logger.info("ready")

    async def _ping(self, _request: Request) -> Response:
        self._ready_handler()
        return JSONResponse({"status": "ready"})

    async def _invocations(self, request: Request) -> Response:
        handler = self._ready_handler()
        invocation = Invocation(
            body=await self._body(request),
            content_type=request.headers.get("content-type"),
            accept=request.headers.get("accept"),
        )
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._executor, handler.answer, invocation)
        return Response(answer.body, headers={"content-type": answer.media_type})

    def _ready_handler(self) -> Handler:
        if self._handler is None:
            raise NotReady("The model is still loading.", status="loading")
        return self._handler

    async def _body(self, request: Request) -> bytes:
        """The body. One that is too large is read to its end and dropped, for a client that is still
        sending when the connection closes sees a reset and not the answer."""
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size <= self._max_body:
                chunks.append(chunk)
            else:
                chunks.clear()
        if size > self._max_body:
            raise BodyTooLarge(
                f"The body has {size} bytes, {self._max_body} are allowed. Send fewer rows at a time, or use "
                "batch transform with a larger MaxPayloadInMB.",
                limit=self._max_body,
            )
        return b"".join(chunks)


async def _request_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return JSONResponse({"error": str(error), **error.details}, status_code=error.status)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"error": error.detail, "allowed": ["GET /ping", "POST /invocations"]}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def _nobody_there(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)
