"""A DOCKER_CONFIG of this run's own, with tokens that docker's own configuration does not have.

Docker clients read credentials from config.json alone, so that is where a token has to be for them: in
a directory that this user alone may enter, that is no argument, and that is gone when the run ends.
"""

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from toolkit.adapters.children import await_children
from toolkit.adapters.registry_credentials import Credentials, CredentialTrouble

_PREFIX = "run-"
_LOCK = ".lock"
# How many seconds a docker client may take to end its build.
_LAST_WORDS = 5.0


@dataclass(kw_only=True)
class DockerHome:
    """`hosts` get the credentials that `credentials` has for them; everything else is as in `source`.

    The directory comes to be when a docker client is about to start, and not before.
    """

    source: Path
    parent: Path
    hosts: Sequence[str]
    credentials: Credentials
    _directory: Path | None = None
    _held: int | None = None
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def directory(self) -> Path:
        """The directory, with tokens that have not ended: called before each docker client."""
        with self._writing:
            if self._directory is None:
                self._directory = self._make()
            entries = {host: entry for host in self.hosts if (entry := self._entry(host))}
            _write(self._directory / "config.json", _merged(self.source / "config.json", entries))
            return self._directory

    def remove(self) -> None:
        """Take the directory away; whatever a thread that still runs writes then fails."""
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _entry(self, host: str) -> dict[str, str] | None:
        try:
            credential = self.credentials.lookup_credential(host)
        except CredentialTrouble:
            return None  # what is public can be pulled without; a refusal names the host
        if credential is None:
            return None
        # As an Authorization header has it.
        return {"auth": credential.basic.removeprefix("Basic ")}

    def _make(self) -> Path:
        self.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(self.parent)
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self.parent))
        self._held = os.open(directory / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        flock(self._held, LOCK_EX | LOCK_NB)
        # Plugins, contexts and builders of docker are found beside config.json.
        if self.source.is_dir():
            for path in self.source.iterdir():
                if path.name != "config.json":
                    (directory / path.name).symlink_to(path.absolute())
        return directory


@contextmanager
def docker_home(
    source: Path, parent: Path, *, hosts: Sequence[str], credentials: Credentials
) -> Iterator[Callable[[], Path]]:
    """What gives the directory, which is removed when the block is left, by an interrupt too.

    What a killed run left goes with the next.
    """
    home = DockerHome(source=source, parent=parent, hosts=hosts, credentials=credentials)
    try:
        yield home.directory
    except KeyboardInterrupt:
        # A client that is still at work would make its directory again.
        await_children(_LAST_WORDS)
        raise
    finally:
        home.remove()


def _merged(path: Path, entries: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Docker's configuration with `entries` in it.

    A host of credHelpers that has no helper is looked up in `auths`, although there is a credsStore:
    https://github.com/docker/cli/blob/master/cli/config/configfile/file.go
    """
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError):
        config = {}
    config = config if isinstance(config, dict) else {}
    if not entries:
        return config
    helpers = {**(config.get("credHelpers") or {}), **dict.fromkeys(entries, "")}
    return {**config, "auths": {**(config.get("auths") or {}), **entries}, "credHelpers": helpers}


def _write(path: Path, config: dict[str, Any]) -> None:
    """Whole or not at all, readable by this user alone from its first byte on."""
    fresh = path.with_name(f".{path.name}.{threading.get_ident()}")
    with open(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        json.dump(config, file)
    fresh.replace(path)


def _sweep(parent: Path) -> None:
    """Remove the directories of runs that were killed: nobody holds their lock."""
    for directory in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError), (directory / _LOCK).open("rb") as lock:
            flock(lock, LOCK_EX | LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)
