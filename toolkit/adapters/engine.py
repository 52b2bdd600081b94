"""What set-up and doctor look at: sockets, files under /proc and /usr, the docker configuration.

The common look starts no process: an engine is asked over its socket, a plugin is a file.
"""

import http.client
import json
import os
import platform
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from toolkit.machine import places
from toolkit.machine.distributions import PROGRAMS
from toolkit.machine.facts import (
    Builder,
    Buildx,
    Disk,
    Emulator,
    Engine,
    Facts,
    Host,
    Registry,
    RegistryAnswer,
)
from toolkit.machine.readings import (
    ARCHITECTURES,
    lookup_credential,
    parse_builder,
    parse_emulator,
    parse_engine,
    parse_version,
)
from toolkit.machine.sources import Source, parse_sources
from toolkit.oci import Architecture

_TIMEOUT = 5.0
_DEFAULT_ENDPOINT = f"unix://{places.ENGINE_SOCKET}"
# Where Docker's and Debian's clients look for plugins, after the user's own directory.
# https://github.com/docker/cli/blob/master/cli-plugins/manager/manager_unix.go
_PLUGIN_DIRECTORIES = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_APT = Path("/etc/apt")


def observe(environment: Mapping[str, str], *, registry: str, project: Path) -> Facts:
    """One look at this machine. `registry` is HOST[:PORT], `project` the directory layouts are written to."""
    home = Path(environment.get("HOME") or "/")
    configuration = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    settings = _read_json(configuration / "config.json")
    endpoint = _endpoint(environment, configuration, settings)
    engine, trouble = _ask_engine(endpoint)
    host = _host()
    facts = Facts(
        host=host,
        programs=_programs(host),
        endpoint=endpoint,
        engine=engine,
        engine_trouble=trouble,
        is_engine_forbidden=_is_forbidden(endpoint),
        engine_settings=_read(Path(places.ENGINE_SETTINGS)),
        client=shutil.which("docker", path=environment.get("PATH")),
        buildx=_buildx(configuration, settings),
        has_binfmt=(Path(places.BINFMT) / "register").exists(),
        emulators=_emulators(),
        registry=ask_registry(registry),
        disks=_disks(engine, project),
        credential=lookup_credential(settings, registry),
        apt_sources=_apt_sources(),
    )
    return replace(facts, builder=_ask_builder()) if _leaves_open(facts) else facts


def ask_versions(facts: Facts) -> Facts:
    """`facts` with what only starting a program tells: Buildx's version."""
    if facts.buildx is None:
        return facts
    version = parse_version(_output(facts.buildx.path, "version"))
    return replace(facts, buildx=replace(facts.buildx, version=version))


def engine_answers(endpoint: str) -> bool:
    """Whether an engine answers at `unix://SOCKET`."""
    try:
        return _get(endpoint, "/_ping") == b"OK"
    except (OSError, http.client.HTTPException):
        return False


def registry_answers(address: str) -> bool:
    """Whether a registry answers at `http://HOST:PORT`."""
    answer = ask_registry(address.removeprefix("http://")).answer
    return answer in (RegistryAnswer.ANONYMOUS, RegistryAnswer.CREDENTIALS)


def ask_registry(address: str) -> Registry:
    """GET /v2/, over HTTP and past any proxy on this machine itself, else over HTTPS.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints
    """
    is_local = Registry(address=address, answer=RegistryAnswer.NOTHING).is_local
    proxies = urllib.request.ProxyHandler({}) if is_local else urllib.request.ProxyHandler()
    url = f"{'http' if is_local else 'https'}://{address}/v2/"
    try:
        with urllib.request.build_opener(proxies).open(url, timeout=_TIMEOUT) as response:
            status, headers = response.status, response.headers
    except urllib.error.HTTPError as error:
        status, headers = error.code, error.headers
    except urllib.error.URLError as error:
        return Registry(address=address, answer=RegistryAnswer.NOTHING, trouble=str(error.reason))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Registry(address=address, answer=RegistryAnswer.STRANGER, trouble=repr(error))
    is_registry = headers.get("Docker-Distribution-Api-Version", "").startswith("registry/2")
    if status == 200 and (is_registry or headers.get_content_type() == "application/json"):
        return Registry(address=address, answer=RegistryAnswer.ANONYMOUS)
    if status == 401 and (is_registry or "WWW-Authenticate" in headers):
        return Registry(address=address, answer=RegistryAnswer.CREDENTIALS)
    return Registry(address=address, answer=RegistryAnswer.STRANGER, trouble=f"GET /v2/ is HTTP {status}")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)


def _get(endpoint: str, path: str) -> bytes:
    connection = _UnixConnection(endpoint.removeprefix("unix://"))
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise ConnectionError(f"GET {path} is HTTP {response.status}")
        return body
    finally:
        connection.close()


def _endpoint(environment: Mapping[str, str], configuration: Path, settings: Mapping[str, Any]) -> str:
    """Where the docker client would look. https://docs.docker.com/engine/manage-resources/contexts/"""
    if environment.get("DOCKER_HOST"):
        return environment["DOCKER_HOST"]
    context = str(environment.get("DOCKER_CONTEXT") or settings.get("currentContext") or "default")
    if context == "default":
        return _DEFAULT_ENDPOINT
    stored = configuration / "contexts/meta" / sha256(context.encode()).hexdigest() / "meta.json"
    host = _read_json(stored).get("Endpoints", {}).get("docker", {}).get("Host")
    return str(host or _DEFAULT_ENDPOINT)


def _ask_engine(endpoint: str) -> tuple[Engine | None, str]:
    """The engine, or the reason why there is none. Only a far one needs the docker client to be asked."""
    try:
        if endpoint.startswith("unix://"):
            info = json.loads(_get(endpoint, "/info"))
        else:
            info = json.loads(_output("docker", "info", "--format", "{{json .}}"))
        if not info.get("ServerVersion"):
            return None, "; ".join(info.get("ServerErrors") or ["no engine behind it"])
    except FileNotFoundError:
        return None, "there is no such socket, so no engine was started"
    except PermissionError:
        return None, "this user may not use it: not in the group docker"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return None, str(error) or type(error).__name__
    return parse_engine(info), ""


def _is_forbidden(endpoint: str) -> bool:
    """Whether the engine's socket is there and this user may not use it."""
    path = endpoint.removeprefix("unix://")
    return endpoint.startswith("unix://") and os.path.exists(path) and not os.access(path, os.W_OK)


def _buildx(configuration: Path, settings: Mapping[str, Any]) -> Buildx | None:
    extra = settings.get("cliPluginsExtraDirs") or ()
    for directory in (configuration / "cli-plugins", *extra, *_PLUGIN_DIRECTORIES):
        path = Path(directory) / "docker-buildx"
        if os.access(path, os.X_OK):
            return Buildx(path=str(path))
    return None


def _leaves_open(facts: Facts) -> bool:
    """Whether only the builder can tell how images, or images of another platform, are built."""
    if facts.engine is None or facts.buildx is None:
        return False
    native = facts.engine.architecture
    has_all = all(known == native or facts.lookup_emulator(known) for known in Architecture)
    return not (facts.engine.has_image_store and has_all)


def _ask_builder() -> Builder | None:
    return parse_builder(_output("docker", "buildx", "inspect"))


def _output(*command: str) -> str:
    """Stdout of a program, empty when it is not there, fails or hangs."""
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout


def _host() -> Host:
    fields = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return Host(
        kernel=platform.system(),
        name=fields.get("PRETTY_NAME") or platform.system(),
        distribution=fields.get("ID", ""),
        release=fields.get("VERSION_ID", ""),
        codename=fields.get("VERSION_CODENAME", ""),
        architecture=ARCHITECTURES.get(platform.machine()),
        is_root=os.geteuid() == 0,
        has_apt=Path("/usr/bin/apt-get").exists(),
        # The test of sd_booted(3).
        has_systemd=Path("/run/systemd/system").is_dir(),
    )


def _programs(host: Host) -> frozenset[str]:
    foreign = [known.uname for known in Architecture if known is not host.architecture]
    return frozenset(
        program.name
        for program in PROGRAMS
        if all(Path(program.path.format(foreign=name)).exists() for name in foreign)
    )


def _emulators() -> tuple[Emulator, ...]:
    entries = sorted(Path(places.BINFMT).glob("*"))
    emulators = (parse_emulator(_read(entry) or "") for entry in entries)
    return tuple(emulator for emulator in emulators if emulator)


def _disks(engine: Engine | None, project: Path) -> tuple[Disk, ...]:
    """The engine's data directory may be in a virtual machine: then nothing is known of its disk."""
    wanted = {"project": project}
    if engine is None or Path(engine.root).exists():
        wanted["engine"] = Path(engine.root) if engine else Path(places.ENGINE_DATA[0])
    return tuple(_disk(purpose, path) for purpose, path in sorted(wanted.items()))


def _disk(purpose: str, path: Path) -> Disk:
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    return Disk(
        purpose=purpose, path=str(path), device=there.stat().st_dev, free=shutil.disk_usage(there).free
    )


def _apt_sources() -> tuple[Source, ...]:
    files = [_APT / "sources.list", *(_APT / "sources.list.d").glob("*")]
    return parse_sources({path.name: text for path in files if (text := _read(path)) is not None})


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _read_json(path: Path) -> dict[str, Any]:
    """Empty when there is no such file or no JSON object in it: the docker client says so itself."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
