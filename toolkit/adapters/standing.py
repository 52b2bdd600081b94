"""What a release is made from, as bytes on disk, and where it is kept what the last one saw.

Read before anything else is loaded: see toolkit.standing for what may be imported here.
"""

import hashlib
import os
import sys
import time
from collections.abc import Mapping

import toolkit
from toolkit.standing import Asked, Standing, loads

# Of one project: for each way that a release is asked for, one small file.
_DIRECTORY = os.path.join(".cache", "standing")
_KEPT = 50

# What the environment may say about how registries and builders are reached, besides REGISTRY.
_VARIABLES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "DOCKER_CONFIG"),
    *("HOME", "NETRC", "BUILDER"),
)


class Sources:
    """`digest` is of everything that a release is made from; `changed` when something of it was last touched,
    in seconds of the clock: a file that was changed and changed back is still seen."""

    __slots__ = ("changed", "digest")

    def __init__(self, *, digest: str, changed: float) -> None:
        self.digest = digest
        self.changed = changed


class _Look:
    """Adds up what is found: each text with its length before it, so that no two looks come out alike."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.changed = 0.0

    def add(self, *texts: bytes | str) -> None:
        for text in texts:
            content = text if isinstance(text, bytes) else os.fsencode(text)
            self._hash.update(b"%d\n" % len(content))
            self._hash.update(content)

    def add_file(self, path: str, name: str) -> None:
        """Its bytes, or that it is not there."""
        try:
            with open(path, "rb", buffering=0) as file:
                self.changed = max(self.changed, os.fstat(file.fileno()).st_ctime)
                self.add(name, "file", file.read())
        except (FileNotFoundError, NotADirectoryError):
            self.add(name, "none")

    def add_status(self, entry: "os.DirEntry[str]") -> None:
        """Of what is large or never changes: when it was written, and which file it is."""
        seen = entry.stat()
        numbers = (seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_ino, seen.st_mode)
        self.add(entry.name, repr(numbers))
        self.changed = max(self.changed, seen.st_ctime)

    def add_tree(self, directory: str, *, contents: bool) -> None:
        """Everything below it: bytes where `contents`, else when it was written."""
        try:
            with os.scandir(directory) as found:
                entries = sorted(found, key=_name)
        except FileNotFoundError:
            self.add(directory, "none")
            return
        self.changed = max(self.changed, os.stat(directory).st_ctime)
        for entry in entries:
            if entry.name == "__pycache__":
                continue
            if entry.is_dir():
                self.add(entry.name, "directory")
                self.add_tree(entry.path, contents=contents)
                self.add("end")
            elif contents:
                self.add_file(entry.path, entry.name)
            else:
                self.add_status(entry)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def _name(entry: "os.DirEntry[str]") -> str:
    return entry.name


def look_at_sources(catalog: str, environment: Mapping[str, str]) -> Sources:
    """All that goes into what a release does, but for what the registry has: catalog, lock, templates and
    runtime, bases that are there, journals, the toolkit itself, the packages beside it, the day.

    `catalog` is the real path of images.toml. Raises OSError.
    """
    project = os.path.dirname(catalog)
    look = _Look()
    look.add(sys.version, toolkit.__version__, time.strftime("%Y-%m-%d", time.gmtime()))
    for name in (*_VARIABLES, *sorted(each for each in environment if each.lower().endswith("_proxy"))):
        look.add(name, environment.get(name, ""))
    look.add_file(catalog, catalog)
    look.add_file(os.path.splitext(catalog)[0] + ".lock", "lock")
    look.add_tree(os.path.join(project, "dockerfiles"), contents=True)
    bases = os.path.join(project, ".cache", "bases")
    for name in sorted(os.listdir(bases)) if os.path.isdir(bases) else ():
        look.add_file(os.path.join(bases, name, "base.json"), name)
    look.add_tree(os.path.join(project, "dist", "journal"), contents=False)
    look.add_tree(os.path.dirname(toolkit.__file__), contents=False)
    for path in filter(os.path.isdir, sys.path):
        # Names of packages have their versions in them.
        if packages := sorted(each for each in os.listdir(path) if each.endswith(".dist-info")):
            look.add(path, *packages)
    return Sources(digest=look.digest, changed=look.changed)


def digest_of_files(project: str, files: tuple[str, ...]) -> str:
    """Of what a release leaves. Raises OSError."""
    look = _Look()
    for name in files:
        look.add_file(os.path.join(project, name), name)
    return look.digest


def _path(asked: Asked, catalog: str) -> str:
    name = hashlib.sha256(os.fsencode(f"{asked.text}\n{catalog}")).hexdigest()[:32]
    return os.path.join(os.path.dirname(catalog), _DIRECTORY, name)


def lookup_standing(asked: Asked, catalog: str) -> Standing | None:
    """What was kept, None without it. Raises OSError."""
    try:
        with open(_path(asked, catalog), encoding="ascii") as file:
            return loads(file.read())
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def keep_standing(asked: Asked, catalog: str, standing: Standing) -> None:
    """Whole or not there. Raises OSError."""
    path = _path(asked, catalog)
    directory = os.path.dirname(path)
    os.makedirs(directory, exist_ok=True)
    fresh = f"{path}.{os.getpid()}"
    with open(fresh, "w", encoding="ascii") as file:
        file.write(standing.dumps())
    os.replace(fresh, path)
    with os.scandir(directory) as found:
        by_age = sorted(found, key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in by_age[_KEPT:]:
        os.unlink(entry.path)
