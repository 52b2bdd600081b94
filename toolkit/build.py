"""Rendered unit → OCI layout on disk. The Builder Protocol and the values that pass through it."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toolkit.errors import BuildFailed
from toolkit.render import RenderedUnit


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What a builder needs to know.

    `base_layout` is what Buildx takes as the context of a bootstrapped base (`oci-layout://…@DIGEST`),
    None when FROM names an image of a registry;
    `layout` is the directory to make, `log` the file that gets Buildx's plain progress.
    `downloads` is the directory that becomes the named context `downloads`, None for units without any.
    `revision` and `source` become labels. `cold` builds without any cached step. `step_cache` is the
    reference under which a registry keeps the steps of earlier builds, to be read and written; "" for none.
    """

    rendered: RenderedUnit
    base_layout: str | None
    layout: Path
    log: Path
    revision: str
    source: str
    downloads: Path | None = None
    cold: bool = False
    step_cache: str = ""


OnStage = Callable[[str], None]


class NodeLost(BuildFailed):
    """The machine that built went away; the unit may well be built on another one."""


class Builder(Protocol):
    """Buildx, or whatever else turns a Dockerfile into a layout."""

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        """Leave one image in `request.layout`. Raises BuildFailed, or NeedNotMet without an engine."""
        ...


@dataclass(frozen=True)
class Cause:
    """A line that Buildx prints, what it means and what mends it."""

    pattern: str
    meaning: str
    remedy: str


# What Buildx prints when containerd has a part of a base's layer: adapters/healing says why and mends it.
HALF_A_BASE = "failed to copy: unsupported offset"

CAUSES = (
    Cause(
        r"no space left on device",
        "the disk is full",
        "Free some: `make clean`, `docker buildx prune`; `toolkit doctor` shows what is needed.",
    ),
    Cause(
        # Builders load the base into the engine and build once more; this is for what that did not mend.
        HALF_A_BASE,
        "an earlier build was cut off while it handed the base to the engine, which did not take it anew",
        "Build with the engine's own builder: `docker buildx use default`; or complete what `ctr -n moby "
        "content active` names from the base's layout in .cache/bases: "
        "`ctr -n moby content ingest --expected-digest DIGEST layer-DIGEST <BLOB`, or wait a day.",
    ),
    Cause(
        r"failed to resolve source metadata",
        "the base image cannot be read from its registry",
        "Check its reference in images.toml and that its registry answers; a private one needs a login.",
    ),
    Cause(
        r"Hash mismatch for|THESE PACKAGES DO NOT MATCH THE HASHES",
        "a package is not the one that was locked",
        "If its new content is right, lock again: toolkit lock --upgrade; else ask who runs the mirror.",
    ),
    Cause(
        r"drop: .* matches nothing",
        "a row of `drop` names what the packages do not have",
        "Take the row out of images.toml, or say for which version or architecture it is.",
    ),
    Cause(
        r"no wheels with a matching|has no usable wheels|no matching distribution",
        "a package has no wheel for this platform",
        "Choose a version that has one; `toolkit lock` lists the wheels that exist.",
    ),
    Cause(
        r"invalid peer certificate|UnknownIssuer|certificate verify failed",
        "the package index shows a certificate that the build does not trust",
        "Name your CA bundle: SSL_CERT_FILE=/path/to/ca.pem make release",
    ),
    Cause(
        r"Failed to fetch|Could not connect|dns error|Temporary failure|i/o timeout|Connection refused",
        "a download failed",
        "Check the network and the mirror settings (PIP_INDEX_URL, SSL_CERT_FILE), then run it again.",
    ),
    Cause(
        r'exec: "/bin/sh": stat /bin/sh',
        "the base has no shell",
        "Add dash and coreutils to the packages of the base in images.toml, then: toolkit lock",
    ),
    Cause(
        r"exec format error",
        "a program of another architecture was run",
        "Register the emulator: `make setup`; `toolkit doctor` shows the platforms.",
    ),
)

# How Buildx ends when its BuildKit goes away or was not there. What a step says is no such line.
_LOST = re.compile(
    r"ERROR: .*(code = Unavailable|error reading from server|Cannot connect to the Docker daemon"
    r"|error during connect)"
)
_ERROR = re.compile(r"ERROR: .*")


def lost_node(lines: Sequence[str]) -> str:
    """The last error of a build that its node did not end; "" for one that failed by itself."""
    last = _first(_ERROR, lines[::-1])
    return last[0].removeprefix("ERROR: ") if last and _LOST.match(last[0]) else ""


_STEP = re.compile(r"^#(\d+) \[([^\]]+)\] ?(.*)$")
_OPTIONS = re.compile(r"(?<=^RUN )(?:--\S+ +)+|(?<=^COPY )(?:--\S+ +)+")
# What a RUN sets up before its own command: of no interest to who waits for it.
_PREAMBLE = re.compile(
    r"(?<=RUN )(?:if [^;]+; then [^;]+; fi; +)+(?:made=\S+ -d \S+ && trap '[^']+' EXIT && +)?"
)
_STAGE_WIDTH = 60
_EXPORT = re.compile(r"^#\d+ (exporting [a-z]+(?: [a-z]+)*|sending tarball)\b")


def stage_of(line: str) -> str | None:
    """What a line of Buildx's plain progress says about where the build is, if it says anything."""
    if step := _STEP.match(line):
        text = f"{step[2]} {_PREAMBLE.sub('', _OPTIONS.sub('', step[3]))}".strip()
        return text[:_STAGE_WIDTH] if not step[2].startswith(("internal", "context ")) else None
    if export := _EXPORT.match(line):
        return export[1].strip()
    return None


_FAILED_STEP = re.compile(r"^ > \[([^\]]+)\]")
_STEP_ERROR = re.compile(r"^#(?P<number>\d+) ERROR: (?P<what>.+)$")
_LAST_ERROR = re.compile(r"^ERROR: (?:failed to solve: )?(?P<what>.+)$")
_SPOKEN = re.compile(r"^#(?P<number>\d+) \d+\.\d+ (?P<words>.*\S)\s*$")
_PROCESS = re.compile(r'^process ".*" did not complete successfully: ')
_SHOWN_WORDS = 8


def explain_failure(identifier: str, lines: Sequence[str], log: Path) -> BuildFailed:
    """The error for a build whose log ended with `lines`: the step, its last words, the likely cause."""
    step = _first(_FAILED_STEP, lines)
    error = _first(_STEP_ERROR, lines)
    last = _first(_LAST_ERROR, lines[::-1])
    said = [found for line in lines if (found := _SPOKEN.match(line))]
    words = [found["words"] for found in said if error and found["number"] == error["number"]]
    # The command itself is in the log and the Dockerfile; here it would hide what went wrong.
    reason = _PROCESS.sub("", (last or error or {"what": "the builder ended without a word"})["what"])
    evidence = "\n".join([*words, reason])
    cause = next((known for known in CAUSES if re.search(known.pattern, evidence, re.IGNORECASE)), None)
    where = f" in step [{step[1]}]" if step else ""
    meaning = f"; likely cause: {cause.meaning}" if cause else ""
    tail = "".join(f"\n    | {each}" for each in words[-_SHOWN_WORDS:])
    return BuildFailed(
        f"{identifier} failed to build{where}: {reason}{meaning}{tail}",
        remedy=f"{cause.remedy if cause else 'Mend the step and run it again.'}\n  The whole log: {log}",
    )


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> re.Match[str] | None:
    return next((found for line in lines if (found := pattern.match(line))), None)
