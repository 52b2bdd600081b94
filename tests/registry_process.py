"""A real registry, Debian's docker-registry, on a free port with its data in a directory of the test."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

_PROGRAM = "docker-registry"
_START_SECONDS = 20.0

# The account that `password_file` makes. The line is bcrypt's of the password, cost 4.
USERNAME = "tester"
PASSWORD = "open-sesame-1"
_HTPASSWD = "tester:$2b$04$Rf45TycfMCgfcXAHiK.bGe2dALRFu.r8VJJnlp0iOmJ8C0iBV8tae\n"


def password_file(directory: Path) -> Path:
    """An htpasswd file with the one account."""
    path = directory / "htpasswd"
    path.write_text(_HTPASSWD)
    return path


@contextmanager
def running_registry(
    directory: Path, *, htpasswd: Path | None = None, tls: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """Yields HOST:PORT; the registry ends with the block. `tls` is a certificate and its key."""
    program = shutil.which(_PROGRAM)
    if program is None:
        raise AssertionError(f"{_PROGRAM} is not on this machine; run: make setup")
    port = free_port()
    config = directory / "config.yml"
    # JSON is YAML. https://distribution.github.io/distribution/about/configuration/
    config.write_text(json.dumps(_configuration(directory / "data", port, htpasswd, tls)))
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        _wait_until_up(process, f"{'https' if tls else 'http'}://127.0.0.1:{port}/v2/", directory)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _configuration(
    data: Path, port: int, htpasswd: Path | None, tls: tuple[Path, Path] | None
) -> dict[str, object]:
    # Without its own name in them, addresses of uploads lead through whatever stands before it.
    http: dict[str, object] = {"addr": f"127.0.0.1:{port}", "relativeurls": True}
    if tls:
        http["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    auth = {"auth": {"htpasswd": {"realm": "test", "path": str(htpasswd)}}} if htpasswd else {}
    return {
        "version": "0.1",
        "log": {"accesslog": {"disabled": False}, "level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
        "http": http,
        **auth,
    }


def _wait_until_up(process: subprocess.Popen[bytes], url: str, directory: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client(trust_env=False, verify=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.get(url)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
    raise AssertionError(f"{_PROGRAM} does not start:\n{(directory / 'registry.log').read_text()}")
