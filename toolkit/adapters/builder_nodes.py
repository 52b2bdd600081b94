"""Builder nodes by the docker client: instances of Buildx made, looked at, removed; engines beside them."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from toolkit.adapters.children import ensure_not_stopping
from toolkit.adapters.locks import only_process
from toolkit.builders.instances import (
    Command,
    Instance,
    commands,
    instance_name,
    instances_of,
    is_running,
    parse_instance,
)
from toolkit.builders.placement import Fleet, NodeState
from toolkit.catalog.builder import CatalogBuilder, Node, NodeKind
from toolkit.errors import NeedNotMet
from toolkit.oci import Architecture

_SECONDS = 60.0
# What Buildx starts itself has its image fetched first.
_START_SECONDS = 300.0
_CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")
_THREADS = 16
# A node copies the file of its own name: BUILDARCH is what its BuildKit runs without an emulator.
# https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope
_QUESTION = "FROM scratch\nARG BUILDARCH\nCOPY ${BUILDARCH} /architecture\n"


@dataclass(frozen=True, kw_only=True)
class Address:
    """What a docker client is told to reach a node: an engine, or the name of a builder."""

    host: str
    builder: str


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What this user's toolkit made, in a file beside docker's own: it alone is ever removed.

    By builder the names of instances, and the architecture that each node said it has.
    """

    path: Path

    def read(self) -> dict[str, dict[str, dict[str, str]]]:
        try:
            found = json.loads(self.path.read_text())["builders"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, builder: str, *, made: Mapping[str, str], nodes: Mapping[str, str]) -> None:
        """`made` has the driver of each instance. Nothing made: the builder is forgotten."""
        known = self.read()
        known.pop(builder, None)
        if made or nodes:
            known[builder] = {"made": dict(made), "nodes": dict(nodes)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        fresh.write_text(json.dumps({"builders": known}, indent=2, sort_keys=True))
        fresh.replace(self.path)

    def made(self, builder: str) -> Mapping[str, str]:
        return self.read().get(builder, {}).get("made", {})

    def nodes(self, builder: str) -> Mapping[str, str]:
        return self.read().get(builder, {}).get("nodes", {})


@dataclass(frozen=True, kw_only=True)
class BuilderNodes:
    """`configuration` is docker's directory, `endpoint` tells what the docker client talks to by itself."""

    environment: Mapping[str, str]
    configuration: Path
    endpoint: Callable[[], str]

    @property
    def notes(self) -> Notes:
        return Notes(path=self.configuration / "multiarch-images" / "builders.json")

    def address(self, builder: CatalogBuilder, node: Node) -> Address:
        if name := instance_name(builder, node):
            return Address(host="", builder=name)
        # With a host of its own `default` is the engine there, whatever builder was chosen by `use`.
        return Address(host=node.endpoint or self.endpoint(), builder="default")

    def ensure(self, builder: CatalogBuilder) -> tuple[Fleet, tuple[Command, ...]]:
        """Make Buildx have what the catalog says, start what Buildx starts, and look at every node.

        Returns the commands that it took. Raises NeedNotMet when Buildx has a builder of that name which
        was not made by this, for certificates that are not there, and when a command fails.
        """
        with only_process(self.notes.path.parent):
            return self._ensure(builder)

    def _ensure(self, builder: CatalogBuilder) -> tuple[Fleet, tuple[Command, ...]]:
        wanted = {each.name: each for each in instances_of(builder, self._certificates)}
        made = dict(self.notes.made(builder.name))
        done: list[Command] = [self._remove(name) for name in sorted(made.keys() - wanted.keys())]
        for name, instance in wanted.items():
            found = self._lookup(name)
            if found and name not in made:
                raise NeedNotMet(
                    f"Buildx has a builder {name} already that this toolkit did not make",
                    remedy=f"Rename [builders.{builder.name}] in images.toml, or remove that one: "
                    f"docker buildx rm {name}",
                )
            made[name] = instance.driver
            # Before it is made: a run that is killed leaves nothing that nobody removes.
            self.notes.write(builder.name, made=made, nodes=self.notes.nodes(builder.name))
            for command in commands(instance, found):
                self._run(*command)
                done.append(command)
        fleet = self.look(builder)
        architectures = {
            **self.notes.nodes(builder.name),
            **{each.node.name: each.architecture.value for each in fleet.nodes if each.architecture},
        }
        names = {node.name for node in builder.nodes}
        self.notes.write(
            builder.name,
            made={name: driver for name, driver in made.items() if name in wanted},
            nodes={name: value for name, value in architectures.items() if name in names},
        )
        return fleet, tuple(done)

    def remembered(self, builder: CatalogBuilder) -> Fleet:
        """The nodes as they were when they were last asked; starts no program."""
        known = self.notes.nodes(builder.name)
        return Fleet(
            name=builder.name,
            nodes=tuple(
                NodeState(
                    node=node, architecture=Architecture(known[node.name]) if node.name in known else None
                )
                for node in builder.nodes
            ),
        )

    def look(self, builder: CatalogBuilder) -> Fleet:
        """Ask all nodes at once; changes nothing but that a node that Buildx starts is started."""
        with ThreadPoolExecutor(_THREADS) as pool:
            return Fleet(
                name=builder.name,
                nodes=tuple(pool.map(lambda node: self._ask(builder, node), builder.nodes)),
            )

    def answers(self, address: Address) -> bool:
        """Whether a node is there: cheap, for one that built a moment ago."""
        host = ("--host", address.host) if address.host else ()
        done = self._try(*host, "buildx", "inspect", address.builder)
        return done.returncode == 0 and is_running(done.stdout)

    def remove(self, name: str) -> tuple[Command, ...]:
        """Remove what was made for this builder, whether or not the catalog still has it."""
        with only_process(self.notes.path.parent):
            done = tuple(self._remove(each) for each in sorted(self.notes.made(name)))
            self.notes.write(name, made={}, nodes={})
        return done

    def _ask(self, builder: CatalogBuilder, node: Node) -> NodeState:
        address = self.address(builder, node)
        where = f"{node.endpoint or address.host or address.builder}"
        if node.kind is NodeKind.REMOTE:
            # A build would wait for twenty seconds for one that is not there.
            done = self._try("buildx", "inspect", address.builder)
            if done.returncode:
                return NodeState(node=node, trouble="was never made")
            if not is_running(done.stdout):
                return NodeState(node=node, trouble=f"nothing answers at {where}")
        with tempfile.TemporaryDirectory(prefix="toolkit-node-") as name:
            directory = Path(name)
            (directory / "Dockerfile").write_text(_QUESTION)
            for each in Architecture:
                (directory / each.value).write_text(each.value)
            host = ("--host", address.host) if address.host else ()
            done = self._try(
                *(*host, "buildx", "build", "--builder", address.builder, "--quiet"),
                *(f"--output=type=local,dest={directory / 'answer'}", name),
                seconds=_START_SECONDS if instance_name(builder, node) else _SECONDS,
            )
            if done.returncode:
                lines = done.stderr.strip().splitlines() or ["it said nothing"]
                return NodeState(node=node, trouble=f"{where}: {lines[-1].removeprefix('ERROR: ')}")
            answer = (directory / "answer" / "architecture").read_text()
        return NodeState(node=node, architecture=Architecture(answer))

    def _certificates(self, name: str) -> Path:
        directory = (self.configuration / name).absolute()
        if lacking := [each for each in _CERTIFICATES if not (directory / each).is_file()]:
            raise NeedNotMet(
                f"{directory} has no {', '.join(lacking)}",
                remedy="Put there what the owner of the node gave you: its CA, your certificate, your key.",
            )
        return directory

    def _lookup(self, name: str) -> Instance | None:
        done = self._try("buildx", "inspect", name)
        # A joint builder without any node that answers is one all the same.
        return parse_instance(done.stdout) if done.returncode == 0 else None

    def _remove(self, name: str) -> Command:
        command = ("rm", "--force", name)
        done = self._try("buildx", *command)
        if done.returncode and "no builder" not in done.stderr:
            raise _failed(command, done.stderr)
        return command

    def _run(self, *command: str) -> None:
        done = self._try("buildx", *command)
        if done.returncode:
            raise _failed(command, done.stderr)

    def _try(self, *arguments: str, seconds: float = _SECONDS) -> "subprocess.CompletedProcess[str]":
        ensure_not_stopping()
        # What chooses a builder or an engine for people would choose another than the one that is meant.
        ignored = {"BUILDX_BUILDER"} | ({"DOCKER_CONTEXT"} if "--host" in arguments else set())
        environment = {name: value for name, value in self.environment.items() if name not in ignored}
        try:
            return subprocess.run(
                ("docker", *arguments),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                env=environment,
                check=False,
            )
        except FileNotFoundError:
            raise NeedNotMet(
                "no docker program on PATH", remedy="make setup, or https://docs.docker.com/engine/install/"
            ) from None
        except subprocess.TimeoutExpired:
            words = f"no answer within {seconds:.0f} s"
            return subprocess.CompletedProcess(arguments, 1, stdout="", stderr=words)


def _failed(command: Command, words: str) -> NeedNotMet:
    return NeedNotMet(
        f"docker buildx {' '.join(command)} failed: {words.strip() or 'it said nothing'}",
        remedy="Mend the node's table in images.toml, or what it names, then: toolkit builder ensure",
    )
