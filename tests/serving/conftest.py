"""The real server in a process of its own, spoken to over real HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

RUNTIME = Path(__file__).parents[2] / "dockerfiles" / "serving"
SECONDS = 30.0

DOUBLE = "def model_fn(model_dir):\n    return lambda array: array * 2\n"
"""A script whose model doubles every number."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A started runtime; `stderr` is what it has logged so far."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    log: Path

    @property
    def stderr(self) -> str:
        return self.log.read_text()

    def ping(self) -> int | None:
        """The status of `/ping`, None while nothing listens."""
        try:
            return self.client.get("/ping").status_code
        except httpx.ConnectError:
            return None

    def wait_for_ping(self, status: int) -> None:
        deadline = time.monotonic() + SECONDS
        while self.ping() != status:
            assert self.process.poll() is None, self.stderr
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.02)

    def wait_for_exit(self) -> int:
        return self.process.wait(SECONDS)

    def invoke(
        self, body: bytes | str, content_type: str | None = None, accept: str | None = None
    ) -> httpx.Response:
        headers = {"content-type": content_type, "accept": accept}
        return self.client.post(
            "/invocations", content=body, headers={name: value for name, value in headers.items() if value}
        )


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Starts servers over one /opt/ml stand-in, `base_dir`."""

    base_dir: Path
    tmp_dir: Path
    started: list[Server]

    def write_script(self, text: str, name: str = "inference.py") -> None:
        code_dir = self.base_dir / "model" / "code"
        code_dir.mkdir(exist_ok=True)
        (code_dir / name).write_text(text)

    def start(self, *arguments: str, **environ: str) -> Server:
        """A server that may not listen yet, started as `python -m serving` or with other arguments."""
        port = _free_port()
        log = self.tmp_dir / f"stderr-{port}"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-B", *(arguments or ("-m", "serving"))],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(RUNTIME),
                    "TMPDIR": str(self.tmp_dir),
                    "SAGEMAKER_BASE_DIR": str(self.base_dir),
                    "SAGEMAKER_BIND_TO_PORT": str(port),
                    **environ,
                },
                stderr=stderr,
            )
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS, trust_env=False)
        server = Server(process=process, client=client, log=log)
        self.started.append(server)
        return server

    def start_ready(self, script: str = DOUBLE, **environ: str) -> Server:
        """A server with this `inference.py` whose model is loaded."""
        self.write_script(script)
        server = self.start(**environ)
        server.wait_for_ping(200)
        return server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _launcher(directory: Path) -> Iterator[Launcher]:
    (directory / "ml" / "model").mkdir(parents=True)
    (directory / "tmp").mkdir()
    launcher = Launcher(base_dir=directory / "ml", tmp_dir=directory / "tmp", started=[])
    yield launcher
    for server in launcher.started:
        server.client.close()
        server.process.kill()
        server.process.wait()


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    yield from _launcher(tmp_path)


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server, shared by a module's tests, whose model doubles."""
    for launcher in _launcher(tmp_path_factory.mktemp("double")):
        yield launcher.start_ready()
