"""The real hands and eyes on a real machine: temporary files, short processes, sockets of the test's own."""

import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath

import pytest

from toolkit.adapters.debian import LocalSystem
from toolkit.adapters.engine import ask_registry, observe
from toolkit.machine.facts import RegistryAnswer
from toolkit.machine.needs import needs
from toolkit.machine.system import Process


@contextmanager
def serving(status: int, headers: dict[str, str]) -> Iterator[str]:
    """HOST:PORT of a server that answers every GET with `status`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "headers", "answer"),
    [
        (200, {"Docker-Distribution-Api-Version": "registry/2.0"}, RegistryAnswer.ANONYMOUS),
        (200, {"Content-Type": "application/json"}, RegistryAnswer.ANONYMOUS),
        (401, {"WWW-Authenticate": "Bearer realm=x"}, RegistryAnswer.CREDENTIALS),
        (200, {"Content-Type": "text/html"}, RegistryAnswer.STRANGER),
        (404, {}, RegistryAnswer.STRANGER),
    ],
)
def test_a_registry_is_told_from_other_servers(
    status: int, headers: dict[str, str], answer: RegistryAnswer
) -> None:
    with serving(status, headers) as address:
        assert ask_registry(address).answer is answer


def test_a_port_where_nothing_listens_is_nothing() -> None:
    with serving(200, {}) as address:
        pass
    assert ask_registry(address).answer is RegistryAnswer.NOTHING


def test_files_are_replaced_whole_with_their_mode(tmp_path: Path) -> None:
    system, path = LocalSystem(), PurePosixPath(tmp_path / "new/file")
    assert system.read(path) is None
    system.write(path, "one", mode=0o600)
    system.write(path, "two", mode=0o600)
    assert (system.read(path), Path(path).stat().st_mode & 0o777) == ("two", 0o600)
    assert system.names(path.parent) == {"file"}
    system.remove(path.parent)
    system.remove(path.parent)
    assert not system.exists(path.parent)
    assert system.names(path.parent) == frozenset()


def test_a_daemon_lives_in_its_own_session_and_is_stopped_by_its_identity(tmp_path: Path) -> None:
    system, command = LocalSystem(), ("sleep", "77.125")
    process = system.start(command, PurePosixPath(tmp_path / "logs/sleep.log"))
    try:
        assert system.is_running(process)
        assert os.getsid(process.pid) == process.pid
        assert system.lookup_process(command) == process
        impostor = Process(pid=process.pid, started=process.started + 1, boot=process.boot)
        system.stop(impostor)
        assert system.is_running(process)
    finally:
        system.stop(process)
    assert not system.is_running(process)
    assert system.lookup_process(command) is None


def test_a_daemon_is_known_by_its_command_line_as_soon_as_it_is_started(tmp_path: Path) -> None:
    # The kernel needs milliseconds to set up that many words; sleep adds them up.
    system, command = LocalSystem(), ("sleep", "77.25", *("0" for _ in range(100_000)))
    process = system.start(command, PurePosixPath(tmp_path / "sleep.log"))
    try:
        # All that lookup_process goes by; its way through /proc takes as long as the kernel may.
        assert system.read(PurePosixPath("/proc", str(process.pid), "cmdline"))
        assert system.lookup_process(command) == process
    finally:
        system.stop(process)


def test_a_program_that_is_not_there_is_an_outcome(tmp_path: Path) -> None:
    outcome = LocalSystem().run((str(tmp_path / "none"),))
    assert outcome.code == 127
    assert "No such file" in outcome.errors


def test_only_what_is_mounted_below_is_listed() -> None:
    system = LocalSystem()
    assert PurePosixPath("/proc") in system.mounts(PurePosixPath("/proc"))
    assert system.mounts(PurePosixPath("/etc/hostname/none")) == ()


def test_the_common_look_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen", refuse)
    facts = observe(os.environ, registry="localhost:5000", project=tmp_path)
    assert [need for need in needs(facts) if not need.is_met and need.name != "free disk"] == []


def test_an_engine_that_is_down_is_a_fact_with_its_reason(tmp_path: Path) -> None:
    environment = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "HOME": str(tmp_path)}
    facts = observe(environment, registry="localhost:5000", project=tmp_path)
    assert facts.engine is None
    assert "no such socket" in facts.engine_trouble


def test_a_context_of_the_docker_client_is_followed(tmp_path: Path) -> None:
    # The directory is the sha256 of the context's name: docker/cli cli/context/store.
    meta = tmp_path / "contexts/meta" / sha256(b"desktop").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text('{"Endpoints": {"docker": {"Host": "unix:///desktop.sock"}}}')
    (tmp_path / "config.json").write_text('{"currentContext": "desktop"}')
    facts = observe({"DOCKER_CONFIG": str(tmp_path)}, registry="localhost:5000", project=tmp_path)
    assert facts.endpoint == "unix:///desktop.sock"
