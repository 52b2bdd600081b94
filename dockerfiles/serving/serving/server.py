"""The process: logging, threads, uvicorn, and what the exit status says."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uvicorn

from serving.app import Service
from serving.errors import StartupError
from serving.handler import load_handler
from serving.settings import Settings

# SageMaker, like Kubernetes by default, sends SIGKILL 30 seconds after SIGTERM:
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
DRAIN_SECONDS = 25


class ModelServer(uvicorn.Server):
    """uvicorn that loads the model once it listens, and ends when that fails: `failure` says why.

    Not earlier, in a lifespan: an end asked for during uvicorn's own start skips its shutdown.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.failure: StartupError | None = None
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Kept, for the event loop itself holds tasks weakly.
        self._loading = asyncio.ensure_future(self._load())

    async def _load(self) -> None:
        try:
            await self._service.become_ready()
        except StartupError as error:
            self.failure = error
            self.should_exit = True


def run(environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM and drain.

    Returns:
        The exit status: 0 after SIGTERM, 1 when the settings are wrong or the model did not load.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = Settings.parse(environ)
    except StartupError as error:
        logging.critical("%s", error)
        return 1
    logging.getLogger().setLevel(settings.log_level)

    service = Service(
        load=partial(load_handler, settings),
        # One call of the model per CPU, as AWS's containers run one worker per CPU: the frameworks' own
        # threads already share the cores.
        executor=ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="model"),
        max_body=settings.max_body,
    )
    config = uvicorn.Config(
        service.app(),
        host="0.0.0.0",
        port=settings.port,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        # SageMaker asks for /ping every few seconds.
        access_log=settings.log_level <= logging.DEBUG,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = ModelServer(config, service)
    server.run()
    if server.failure is not None:
        logging.critical("%s", server.failure)
        return 1
    return 0
