"""A second real Docker engine on this machine, as a builder node of its own.

Beside the engine of the machine and apart from it: own data, sockets, containerd, bridge and addresses. What
it needs of the packet filter are rules of its own subnet, put behind all others; dockerd itself keeps away
from the filter (`--iptables=false`), as two of them share its chains. The kernel's emulators serve both.

A process of its own (`python -m tests.engines DIRECTORY`) starts it and takes it away again: when the one
that asked for it ends, however it does so, the pipe between them closes. Then dockerd, its containerd and
whatever steps of builds still run are ended by their ids; mounts, rules, bridge and data are removed.
"""

import ctypes
import fcntl
import http.client
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Where the machine's own engine keeps its data: a file system on which overlayfs works.
_HOME = Path("/var/lib")
_PREFIX = "toolkit-test-engine-"
_LOCK = Path("/run/lock/toolkit-test-engines")
_START_SECONDS = 90.0
_STOP_SECONDS = 20.0
# https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, kw_only=True)
class TestEngine:
    """A running dockerd. `socket` is its API's, `pid` that of dockerd itself."""

    __test__ = False  # no test, whatever pytest makes of its name

    socket: Path
    pid: int

    @property
    def host(self) -> str:
        """What DOCKER_HOST takes."""
        return f"unix://{self.socket}"

    def kill(self) -> None:
        """End it as a machine ends that loses its power: nobody hears of it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


@contextmanager
def running_engine() -> Iterator[TestEngine]:
    """A second engine; nothing of it is left when the block is left, or when this process dies."""
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_HOME))
    warden = subprocess.Popen(
        [sys.executable, "-m", "tests.engines", str(directory)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C is for the tests, which close the pipe
    )
    assert warden.stdin and warden.stdout
    try:
        said = warden.stdout.readline().strip()
        if not said.isdigit():
            raise AssertionError(f"the second engine does not start: {said}{warden.stdout.read()}")
        yield TestEngine(socket=_socket(directory), pid=int(said))
    finally:
        warden.stdin.close()
        warden.wait()
        warden.stdout.close()


def _socket(directory: Path) -> Path:
    return directory / "docker.sock"


def _ward(directory: Path) -> None:
    """Run dockerd in `directory`, say its process id, and take all away when stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Orphans of a killed dockerd (containerd, steps of builds) become children of this process.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    bridge = f"tke{os.getpid()}"
    subnet = None
    try:
        subnet = _make_bridge(bridge)
        dockerd = _start(directory, bridge)
        _say(dockerd.pid)
        sys.stdin.read()
        dockerd.terminate()
        with suppress(subprocess.TimeoutExpired):
            dockerd.wait(_STOP_SECONDS)
    except (AssertionError, OSError, subprocess.CalledProcessError) as error:
        _say(error)
    finally:
        _end_descendants()
        for rule in _rules(bridge, subnet) if subnet else ():
            _quietly("iptables", "-w", "-t", rule[0], "-D", *rule[1:])
        _quietly("ip", "link", "delete", bridge)
        _unmount(directory)
        shutil.rmtree(directory, ignore_errors=True)


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _make_bridge(name: str) -> ipaddress.IPv4Network:
    """A bridge with a subnet that no route of this machine has; what leaves it is masqueraded."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two at once, each gets its own
        subnet = _free_subnet()
        _run("ip", "link", "add", name, "type", "bridge")
        _run("ip", "address", "add", f"{subnet[1]}/{subnet.prefixlen}", "dev", name)
        _run("ip", "link", "set", name, "up")
    for rule in _rules(name, subnet):
        _run("iptables", "-w", "-t", rule[0], "-A", *rule[1:])
    return subnet


def _free_subnet() -> ipaddress.IPv4Network:
    routes = json.loads(_run("ip", "-json", "-4", "route"))
    taken = [ipaddress.ip_network(route["dst"]) for route in routes if route["dst"] != "default"]
    candidates = ipaddress.ip_network("172.31.0.0/16").subnets(new_prefix=24)
    found = next((each for each in candidates if not any(each.overlaps(route) for route in taken)), None)
    assert found, "every subnet of 172.31.0.0/16 is in use"
    assert isinstance(found, ipaddress.IPv4Network)
    return found


def _rules(bridge: str, subnet: ipaddress.IPv4Network) -> Sequence[tuple[str, ...]]:
    """(table, rest of the command): what dockerd would have put for its bridge."""
    answers = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
    return (
        ("nat", "POSTROUTING", "-s", str(subnet), "!", "-o", bridge, "-j", "MASQUERADE"),
        ("filter", "FORWARD", "-i", bridge, "-j", "ACCEPT"),
        ("filter", "FORWARD", "-o", bridge, *answers, "-j", "ACCEPT"),
    )


def _start(directory: Path, bridge: str) -> "subprocess.Popen[bytes]":
    settings = directory / "daemon.json"
    # As set-up writes it for the machine's own engine: the image store that has the `oci` exporter.
    settings.write_text(
        json.dumps({"features": {"containerd-snapshotter": True}, "storage-driver": "overlayfs"})
    )
    log = directory / "dockerd.log"
    with log.open("wb") as out:
        dockerd = subprocess.Popen(
            [
                "dockerd", f"--config-file={settings}", f"--host=unix://{_socket(directory)}",
                f"--data-root={directory / 'data'}", f"--exec-root={directory / 'exec'}",
                f"--pidfile={directory / 'dockerd.pid'}", f"--bridge={bridge}",
                "--iptables=false", "--ip6tables=false",
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )  # fmt: skip
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(_socket(directory)):
        ended = dockerd.poll() is not None
        if ended or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
            raise AssertionError(f"dockerd {'ended' if ended else 'stays silent'}:\n{tail}")
        time.sleep(0.1)
    return dockerd


def _answers(path: Path) -> bool:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", "/_ping")
        return connection.getresponse().read() == b"OK"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end_descendants() -> None:
    """Until there is none left: what a process leaves behind when it is ended comes to this one."""
    deadline = time.monotonic() + _STOP_SECONDS
    while (children := _children()) and time.monotonic() < deadline:
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    return [int(pid) for pid in Path("/proc/thread-self/children").read_text().split()]


def _unmount(directory: Path) -> None:
    """Layers and network namespaces that steps of builds still had."""
    mounts = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    for path in sorted((each for each in mounts if each.startswith(f"{directory}/")), reverse=True):
        _quietly("umount", "--lazy", path)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout


def _quietly(*command: str) -> None:
    with suppress(OSError):
        subprocess.run(command, capture_output=True, check=False)


if __name__ == "__main__":
    _ward(Path(sys.argv[1]))
