"""Buildspecs of AWS CodeBuild, read as values. What is not known here is an error, never passed over.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build-buildspec.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

# In this order; a phase that a buildspec does not have succeeds.
PHASES = ("install", "pre_build", "build", "post_build")

# What CodeBuild says of others, https://github.com/aws/copilot-cli/pull/1673
_IDENTIFIER = re.compile(r"[A-Za-z0-9_]{1,127}")


class BuildspecInvalid(Exception):
    """What CodeBuild ends a build with before its first command: YAML_FILE_ERROR."""


class OnFailure(StrEnum):
    """What comes after a phase that failed: "" is what the transitions of phases say."""

    FOLLOW = ""
    ABORT = "ABORT"
    CONTINUE = "CONTINUE"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Commands, and those that are run after them whatever became of them."""

    commands: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    on_failure: OnFailure = OnFailure.FOLLOW


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Files to keep: patterns below `base`, which is itself a pattern."""

    files: tuple[str, ...]
    base: str = "."
    discard_paths: bool = False


@dataclass(frozen=True, kw_only=True)
class Node:
    """A build of a batch's graph. An empty `buildspec` is the batch's own."""

    identifier: str
    buildspec: str = ""
    type: str = ""
    image: str = ""
    compute_type: str = ""
    privileged: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    depend_on: tuple[str, ...] = ()
    ignore_failure: bool = False


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A build graph, in the order in which it is written."""

    nodes: tuple[Node, ...]
    fast_fail: bool = False


@dataclass(frozen=True, kw_only=True)
class Buildspec:
    """`artifacts` is the primary one, the secondary ones are by their identifiers."""

    variables: Mapping[str, str] = field(default_factory=dict)
    exported: tuple[str, ...] = ()
    phases: Mapping[str, Phase] = field(default_factory=dict)
    artifacts: Artifacts | None = None
    secondary: Mapping[str, Artifacts] = field(default_factory=dict)
    cache: tuple[str, ...] = ()
    batch: Batch | None = None


def read_buildspec(path: Path) -> Buildspec:
    """Raises BuildspecInvalid, also for a file that is not there."""
    if not path.is_file():
        raise BuildspecInvalid(f"there is no {path}")
    return parse_buildspec(path.read_text())


def parse_buildspec(text: str) -> Buildspec:
    """Raises BuildspecInvalid."""
    try:
        data = _table(yaml.safe_load(text), "version", "env", "phases", "artifacts", "cache", "batch")
    except yaml.YAMLError as error:
        raise BuildspecInvalid(f"it is no YAML: {error}") from error
    if str(data.get("version")) != "0.2":
        raise BuildspecInvalid(f"version {data.get('version')} is not 0.2")
    if "phases" not in data and "batch" not in data:
        raise BuildspecInvalid("it has neither phases nor a batch")
    env = _table(data.get("env", {}), "variables", "exported-variables")
    artifacts = data.get("artifacts")
    return Buildspec(
        variables=_texts(env.get("variables", {})),
        exported=tuple(env.get("exported-variables", ())),
        phases={name: _phase(phase) for name, phase in _table(data.get("phases", {}), *PHASES).items()},
        artifacts=_artifacts(artifacts, "secondary-artifacts") if artifacts else None,
        secondary={
            name: _artifacts(each) for name, each in (artifacts or {}).get("secondary-artifacts", {}).items()
        },
        cache=tuple(_table(data.get("cache", {}), "paths").get("paths", ())),
        batch=_batch(data["batch"]) if "batch" in data else None,
    )


def _phase(data: Any) -> Phase:
    table = _table(data, "commands", "finally", "on-failure")
    if not table.get("commands"):
        raise BuildspecInvalid("a phase has no commands")
    commands, always = table["commands"], table.get("finally", ())
    if wrong := [each for each in (*commands, *always) if not isinstance(each, str)]:
        raise BuildspecInvalid(f"{wrong[0]!r} is not a command: quote it")
    try:
        on_failure = OnFailure(table.get("on-failure", ""))
    except ValueError as error:
        raise BuildspecInvalid(f"on-failure: {error}") from error
    return Phase(commands=tuple(commands), always=tuple(always), on_failure=on_failure)


def _artifacts(data: Any, *more: str) -> Artifacts:
    table = _table(data, "files", "base-directory", "discard-paths", *more)
    if not table.get("files") and not table.get("secondary-artifacts"):
        raise BuildspecInvalid("artifacts have no files")
    return Artifacts(
        files=tuple(table.get("files", ())),
        base=table.get("base-directory", "."),
        discard_paths=_flag(table.get("discard-paths", False)),
    )


def _batch(data: Any) -> Batch:
    table = _table(data, "fast-fail", "build-graph")
    nodes = tuple(_node(each) for each in table.get("build-graph", ()))
    names = [each.identifier for each in nodes]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BuildspecInvalid(f"two builds are called {twice.pop()}")
    for node in nodes:
        if unknown := set(node.depend_on) - set(names):
            raise BuildspecInvalid(f"{node.identifier} depends on {unknown.pop()}, which is no build")
    _refuse_circles(nodes)
    return Batch(nodes=nodes, fast_fail=_flag(table.get("fast-fail", False)))


def _refuse_circles(nodes: tuple[Node, ...]) -> None:
    left = {node.identifier: set(node.depend_on) for node in nodes}
    while free := [name for name, waits in left.items() if not waits & left.keys()]:
        for name in free:
            del left[name]
    if left:
        raise BuildspecInvalid(f"{', '.join(left)} wait for each other")


def _node(data: Any) -> Node:
    table = _table(data, "identifier", "buildspec", "env", "depend-on", "ignore-failure")
    env = _table(table.get("env", {}), "type", "image", "compute-type", "privileged-mode", "variables")
    identifier = str(table.get("identifier", ""))
    if not _IDENTIFIER.fullmatch(identifier):
        raise BuildspecInvalid(f"{identifier!r} is not an identifier: letters, digits and underscores")
    return Node(
        identifier=identifier,
        buildspec=table.get("buildspec", ""),
        type=env.get("type", ""),
        image=env.get("image", ""),
        compute_type=env.get("compute-type", ""),
        privileged=_flag(env.get("privileged-mode", False)),
        variables=_texts(env.get("variables", {})),
        depend_on=tuple(table.get("depend-on", ())),
        ignore_failure=_flag(table.get("ignore-failure", False)),
    )


def _table(data: Any, *known: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise BuildspecInvalid(f"{data!r} stands where a table must")
    if unknown := set(data) - set(known):
        raise BuildspecInvalid(f"{sorted(map(str, unknown))[0]} is not one of {', '.join(known)}")
    return data


def _texts(data: Mapping[str, Any]) -> dict[str, str]:
    if reserved := [name for name in data if name.startswith("CODEBUILD_")]:
        raise BuildspecInvalid(f"{reserved[0]} is CodeBuild's own")
    return {name: str(value) for name, value in data.items()}


def _flag(value: object) -> bool:
    """YAML 1.1 reads `yes` and `no` as booleans."""
    if not isinstance(value, bool):
        raise BuildspecInvalid(f"{value!r} is neither true nor false")
    return value
