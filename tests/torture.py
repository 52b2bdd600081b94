"""Releases that are killed, disturbed and raced, and what must be true of them afterwards.

`Yard` has an old release in a registry and its sources changed. Each `kill` lets a release of the new ones
die at one point, goes on with it and holds what came of it against a release that nobody killed, while a
watcher pulls the lists all the time.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.faults import Asked, Decide, Fault, Faults, faulty
from tests.projects import BASES, ROOT, TEMPLATES, lock_of
from tests.registry_process import running_registry
from toolkit.catalog import parse_catalog
from toolkit.cli.project import read_project
from toolkit.cli.settings import Settings
from toolkit.lock import format_lock
from toolkit.oci import MANIFEST_TYPES
from toolkit.units import expand

_IMAGE = """
[images.{name}]
title = "{name}"
framework = "{name}"
versions = ["1.0"]
python = "3.9"
base = "debian11"
accelerator = "cpu"
architectures = ["amd64", "arm64"]
consumers = ["{consumer}"]
template = "small.Dockerfile.j2"
repository = "{name}"
packages.all = ["six==1.17.0"]
"""
CATALOG = f"""
[groups]
default = ["*"]
{BASES}{_IMAGE.format(name="one", consumer="sagemaker")}{_IMAGE.format(name="two", consumer="eks")}"""
TEMPLATE = 'FROM {{ base }}\nCOPY --chmod=0755 serve /usr/local/bin/serve\nENV NUMBER=%d\nCMD ["serve"]\n'
LISTS = {"one": "1.0-cpu-py39-debian11-sagemaker", "two": "1.0-cpu-py39-debian11-eks"}

_ACCEPT = {"Accept": ", ".join(MANIFEST_TYPES)}
_TIMEOUT = 120


class Broken(AssertionError):
    """Something was lost or published wrongly."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A catalog with two images of two platforms, in a directory of its own."""

    directory: Path
    prepared: Path

    @classmethod
    def make(cls, directory: Path, prepared: Path) -> "Project":
        (directory / "dockerfiles" / "serving").mkdir(parents=True)
        prepared.mkdir(exist_ok=True)
        (directory / "images.toml").write_text(CATALOG)
        (directory / "dockerfiles" / "serving" / "serve").write_text("#!/bin/sh\nexec sleep 1000\n")
        project = cls(directory=directory, prepared=prepared)
        project.change(0)
        catalog = parse_catalog(CATALOG, templates=[*TEMPLATES, "small.Dockerfile.j2"])
        lock = directory / "images.lock"
        lock.write_text(format_lock(lock_of(expand(catalog))))
        read = read_project(Settings(catalog=directory / "images.toml", environment={}))
        lock.write_text(format_lock(lock_of(read.units, sources=read.sources)))
        return project

    def change(self, number: int) -> None:
        """Every image is another one for each number."""
        (self.directory / "dockerfiles" / "small.Dockerfile.j2").write_text(TEMPLATE % number)

    def start(self, registry: str, *arguments: str, clock_off: float = 0) -> "subprocess.Popen[str]":
        """`clock_off` are the seconds that the machine's clock is wrong by."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.without_engine", "release", "--registry", registry, *arguments],
            cwd=self.directory,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PREPARED": str(self.prepared),
                "CLOCK_OFF": str(clock_off),
                # Compiled once for all runs, wherever this process keeps its own or keeps none.
                "PYTHONDONTWRITEBYTECODE": "",
                "PYTHONPYCACHEPREFIX": str(self.prepared / "bytecode"),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, registry: str, *arguments: str, clock_off: float = 0) -> tuple[int, str]:
        """Exit code, and what a person reads."""
        process = self.start(registry, *arguments, clock_off=clock_off)
        try:
            words = process.communicate(timeout=_TIMEOUT)[1]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, words

    @property
    def journals(self) -> list[Path]:
        return sorted((self.directory / "dist" / "journal").glob("*.jsonl"))

    def record(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.directory / "dist" / "release.json").read_text())
        return read


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a release left behind, without what no two releases have in common: times and the id."""

    tags: Mapping[str, Mapping[str, str]]
    images: Any
    tables: Mapping[str, str]

    @classmethod
    def of(cls, project: Project, registry: str) -> "Result":
        record, dist = project.record(), project.directory / "dist"
        return cls(
            tags={name: tags_of(registry, name) for name in LISTS},
            images=[_lasting(each) for each in record["images"]],
            tables={path.name: _timeless(path.read_text()) for path in sorted(dist.glob("uris.*"))},
        )


def _lasting(image: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in image.items() if key not in ("created", "durations")}


_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\dZ)?")


def _timeless(text: str) -> str:
    return _TIME.sub("TIME", _ID.sub("ID", text))


def tags_of(registry: str, repository: str) -> dict[str, str]:
    with httpx.Client(base_url=f"http://{registry}/v2/{repository}", trust_env=False, timeout=30) as client:
        tags = client.get("/tags/list").json().get("tags") or []
        heads = {tag: client.head(f"/manifests/{tag}", headers=_ACCEPT) for tag in sorted(tags)}
    return {tag: head.headers["docker-content-digest"] for tag, head in heads.items()}


@dataclass
class Watcher:
    """Pulls the lists as long as the block lasts. `allowed` are the digests by repository."""

    registry: str
    allowed: Mapping[str, frozenset[str]]
    pulls: int = 0
    wrong: list[str] = field(default_factory=list)
    _whole: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator["Watcher"]:
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join(30)

    def _watch(self) -> None:
        with httpx.Client(base_url=f"http://{self.registry}/v2", trust_env=False, timeout=30) as client:
            while not self._over.wait(0.02):
                for repository, tag in LISTS.items():
                    self.pull(client, repository, tag)

    def pull(self, client: httpx.Client, repository: str, tag: str) -> None:
        """As docker does it for each platform: the list, its images, and that their blobs are there."""
        answer = _patiently(lambda: client.get(f"/{repository}/manifests/{tag}", headers=_ACCEPT))
        digest = answer.headers.get("docker-content-digest", str(answer.status_code))
        if digest not in self.allowed[repository]:
            self.wrong.append(f"{repository}:{tag} is {digest}")
            return
        self.pulls += 1
        if digest in self._whole:
            return
        self._whole.add(digest)
        for child in answer.json()["manifests"]:
            path = f"/{repository}/manifests/{child['digest']}"
            image = _patiently(lambda path=path: client.get(path, headers=_ACCEPT))  # type: ignore[misc]
            blobs = [image.json()["config"], *image.json()["layers"]] if image.status_code == 200 else []
            paths = [f"/{repository}/blobs/{blob['digest']}" for blob in blobs]
            heads = [_patiently(lambda path=path: client.head(path)).status_code for path in paths]  # type: ignore[misc]
            if not blobs or set(heads) != {200}:
                answers = [image.status_code, *heads]
                self.wrong.append(
                    f"{repository}:{tag} lists {child['digest']}, which is not whole: {answers}"
                )


def _patiently(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """As docker, which asks again after a 5xx: docker-registry writes a tag's file in place, and who reads
    it in that moment is told 500 for nothing that a release does."""
    for _ in range(20):
        answer = ask()
        if answer.status_code < 500:
            break
        time.sleep(0.05)
    return answer


@dataclass
class Tally:
    """What `make torture` prints."""

    kills: int = 0
    survived: int = 0
    disturbed: int = 0
    undisturbed: int = 0
    faults: int = 0
    races: int = 0
    losers: int = 0
    sent: int = 0
    twice: int = 0
    most_twice: int = 0
    pulls: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __add__(self, other: "Tally") -> "Tally":
        mine, theirs = vars(self), vars(other)
        summed = {name: mine[name] + theirs[name] for name in mine}
        return Tally(**summed | {"most_twice": max(self.most_twice, other.most_twice)})

    def count_bytes(self, faults: Faults) -> None:
        self.sent += faults.arrived
        self.twice += faults.twice
        self.most_twice = max(self.most_twice, faults.twice)


@dataclass
class Point:
    """Where a release is killed: `kind` "before" or "after" the registry sees request `number`, "event" when
    its journal has so many lines, "time" after so many milliseconds."""

    kind: str
    number: int

    def __str__(self) -> str:
        unit = {"before": "request", "after": "answer", "event": "journal line", "time": "ms"}[self.kind]
        return f"{unit} {self.number}"


class Yard:
    """An old release in a real registry, behind a proxy, and all that is needed to put it back there."""

    def __init__(self, directory: Path, registry: str, faults: Faults) -> None:
        self.registry = registry
        self.faults = faults
        self._directory = directory
        self._data = directory / "registry" / "data"
        self.project = Project.make(directory / "project", directory / "prepared")
        self._release()
        self.old = Result.of(self.project, registry)
        self._keep()
        self.project.change(1)
        started = time.monotonic()
        self._release()
        self.seconds = time.monotonic() - started
        self.requests = len(faults.asked)
        self.first_names = faults.names()
        lines = self.project.journals[-1].read_text().splitlines()
        self.events = len(lines)
        # The journal has so many lines when the first piece of the large blob has arrived.
        self.piece_event = next(n for n, line in enumerate(lines, 1) if re.search('"offset":[1-9]', line))
        self.new = Result.of(self.project, registry)
        if self.old.tags == self.new.tags:
            raise Broken("the new release is the old one")

    @classmethod
    @contextmanager
    def open(cls, directory: Path) -> Iterator["Yard"]:
        home = directory / "registry"
        home.mkdir(parents=True)
        with running_registry(home) as registry, faulty(registry) as faults:
            yield cls(directory, registry, faults)

    @property
    def allowed(self) -> dict[str, frozenset[str]]:
        return {
            name: frozenset({self.old.tags[name][tag], self.new.tags[name][tag]})
            for name, tag in LISTS.items()
        }

    def _release(self, *arguments: str) -> None:
        self.quiet()
        code, words = self.project.run(self.faults.host, *arguments)
        if code:
            raise Broken(f"release {' '.join(arguments)} ended with {code}:\n{words}")

    def quiet(self) -> None:
        """No faults from here on; counts begin at nothing."""
        self.faults.decide = lambda asked: None
        self.faults.after = lambda asked, status: None
        self.faults.asked.clear()
        self.faults.stored.clear()
        self.faults.arrived = 0

    def _keep(self) -> None:
        shutil.copytree(self._data, self._directory / "kept-data")
        shutil.copytree(self.project.directory / "dist", self._directory / "kept-dist")

    def restore(self) -> None:
        """The old release, in the registry and on disk; nothing of a new one."""
        # Uploads that a killed client left open may still be written to for a moment.
        shutil.rmtree(self._data, ignore_errors=True)
        shutil.rmtree(self._data, ignore_errors=True)
        shutil.copytree(self._directory / "kept-data", self._data, dirs_exist_ok=True)
        shutil.rmtree(self.project.directory / "dist")
        shutil.copytree(self._directory / "kept-dist", self.project.directory / "dist")
        shutil.rmtree(self.project.directory / ".cache" / "layouts", ignore_errors=True)

    def kill(self, point: Point, tally: Tally) -> None:
        """One release killed at `point` and gone on with. Raises Broken."""
        self.restore()
        self.quiet()
        watcher = Watcher(self.registry, self.allowed)
        with watcher.watching():
            killed = self.killed(point)
            begun = [path.stem for path in self.project.journals]
            self.faults.decide, self.faults.after = lambda asked: None, lambda asked, status: None
            code, words = self.project.run(self.faults.host, "--resume")
        tally.kills += killed
        tally.pulls += watcher.pulls
        tally.wrong += [f"{point}: {each}" for each in watcher.wrong]
        tally.count_bytes(self.faults)
        if code:
            raise Broken(f"killed at {point}, --resume ended with {code}:\n{words}")
        self.compare(point)
        release = self.project.record()["release"]
        # The old release's journal is the first.
        if len(begun) > 1 and begun[-1] != release:
            raise Broken(f"killed at {point}, release {begun[-1]} went on as {release}")
        kept = artifact(self.registry, "newest")
        if kept != artifact(self.registry, release) or kept["release"] != release:
            raise Broken(f"killed at {point}, the registry's record is not that of {release}")
        tally.survived += killed

    def compare(self, what: object) -> None:
        result = Result.of(self.project, self.registry)
        for name in ("tags", "images", "tables"):
            if getattr(result, name) != getattr(self.new, name):
                raise Broken(f"{what}: {name} are not those of a release that nobody killed")

    def killed(self, point: Point) -> bool:
        """False when the release was over before its time."""
        process_id: list[int] = []
        lock = threading.Lock()

        def kill() -> None:
            with lock:
                if process_id:
                    os.killpg(process_id[0], signal.SIGKILL)

        def decide(asked: Asked) -> Fault | None:
            if asked.number != point.number:
                return None
            kill()
            return Fault.RESET

        def after(asked: Asked, status: int) -> None:
            if asked.number == point.number:
                kill()

        if point.kind == "before":
            self.faults.decide = decide
        if point.kind == "after":
            self.faults.after = after
        with lock:
            process = self.project.start(self.faults.host)
            process_id.append(process.pid)
        started = time.monotonic()
        while process.poll() is None:
            if point.kind == "time" and (time.monotonic() - started) * 1000 >= point.number:
                kill()
            if point.kind == "event" and self._lines() >= point.number:
                kill()
            time.sleep(0.0005)
        assert process.stderr
        process.stderr.close()
        if process.returncode not in (0, -signal.SIGKILL):
            raise Broken(f"before {point} the release ended with {process.returncode}")
        return process.returncode != 0

    def _lines(self) -> int:
        journals = self.project.journals
        return journals[-1].read_bytes().count(b"\n") if len(journals) > 1 else 0

    def disturb(self, decide: Decide, tally: Tally, what: str) -> None:
        """One release through faults. Raises Broken."""
        self.restore()
        self.quiet()
        watcher = Watcher(self.registry, self.allowed)
        before = sum(self.faults.done.values())
        with watcher.watching():
            self.faults.decide = decide
            code, words = self.project.run(self.faults.host)
        tally.disturbed += 1
        tally.faults += sum(self.faults.done.values()) - before
        tally.pulls += watcher.pulls
        tally.wrong += [f"{what}: {each}" for each in watcher.wrong]
        tally.count_bytes(self.faults)
        if code:
            raise Broken(f"{what}: the release ended with {code}:\n{words}")
        self.compare(what)
        tally.undisturbed += 1

    def race(self, tally: Tally, number: int) -> None:
        """Two releases of other images to the same tags, from two projects at once. Raises Broken."""
        self.restore()
        self.quiet()
        rivals = []
        for rival in (1, 2):
            directory = self._directory / f"rival-{number}-{rival}"
            shutil.copytree(self.project.directory, directory, ignore=shutil.ignore_patterns("layouts"))
            project = Project(directory=directory, prepared=self.project.prepared)
            project.change(100 + rival)
            rivals.append(project)
        seen = Watcher(self.registry, {name: _Any() for name in LISTS})
        with seen.watching():
            running = [rival.start(self.faults.host) for rival in rivals]
            ends = [(process.communicate(timeout=_TIMEOUT)[1], process.returncode) for process in running]
        tally.races += 1
        tally.pulls += seen.pulls
        tally.wrong += [f"race {number}: {each}" for each in seen.wrong]
        codes = [code for _, code in ends]
        tally.losers += codes.count(7)
        if not set(codes) <= {0, 7} or (codes == [7, 7] and not self._mixed()):
            raise Broken(f"race {number} ended with {codes}:\n" + "\n".join(words for words, _ in ends))
        for words, code in ends:
            if code == 7 and not re.search("someone else|Someone else", words):
                raise Broken(f"race {number}: the loser was not told:\n{words}")
        for project in rivals:
            shutil.rmtree(project.directory)

    def _mixed(self) -> bool:
        """Whether each of the two won one of the lists."""
        tags = {name: tags_of(self.registry, name)[tag] for name, tag in LISTS.items()}
        return all(tags[name] != self.old.tags[name][tag] for name, tag in LISTS.items())


class _Any(frozenset[str]):
    """Any digest: whose it is does not matter, that it is whole does."""

    def __contains__(self, digest: object) -> bool:
        return str(digest).startswith("sha256:")


def artifact(registry: str, tag: str) -> Any:
    """The release record that the registry has under a tag."""
    with httpx.Client(base_url=f"http://{registry}/v2/releases", trust_env=False, timeout=30) as client:
        manifest = client.get(f"/manifests/{tag}", headers=_ACCEPT)
        if manifest.status_code != 200:
            raise Broken(f"releases:{tag} is not there")
        return client.get(f"/blobs/{manifest.json()['layers'][0]['digest']}").json()


def systematic(yard: Yard) -> list[Point]:
    """Every request from both sides and every line of the journal, spread so that any beginning of the list
    has points from the whole release."""
    points = [Point("event", number) for number in range(1, yard.events + 1)]
    for number in range(1, yard.requests + 1):
        points += [Point("before", number), Point("after", number)]
    order = sorted(range(len(points)), key=lambda index: (index * 0.6180339887498949) % 1)
    return [points[index] for index in order]


Step = Callable[[], None]


def attempt(step: Step, tally: Tally) -> None:
    """Note what broke and go on."""
    try:
        step()
    except (Broken, subprocess.TimeoutExpired) as error:
        tally.failed.append(re.sub(r"\s+\n", "\n", str(error)))
