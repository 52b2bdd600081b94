"""Rendered unit → OCI layout on disk. The Builder Protocol and the values that pass through it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toolkit.errors import BuildFailed
from toolkit.render import RenderedUnit


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What a builder needs to know.

    `base_layout` is the OCI layout of a bootstrapped base, None when FROM names a registry's image;
    `layout` is the directory to make, `log` the file that gets Buildx's plain progress.
    `revision` and `source` become labels. `cold` builds without any cached step.
    """

    rendered: RenderedUnit
    base_layout: str | None
    layout: Path
    log: Path
    revision: str
    source: str
    cold: bool = False


OnStage = Callable[[str], None]


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


CAUSES = (
    Cause(
        r"no space left on device",
        "the disk is full",
        "Free some: `make clean`, `docker buildx prune`; `toolkit doctor` shows what is needed.",
    ),
    Cause(
        r"Hash mismatch for|THESE PACKAGES DO NOT MATCH THE HASHES",
        "a package is not the one that was locked",
        "If its new content is right, lock again: toolkit lock --upgrade; else ask who runs the mirror.",
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
        r"exec format error",
        "a program of another architecture was run",
        "Register the emulator: `make setup`; `toolkit doctor` shows the platforms.",
    ),
)

_STEP = re.compile(r"^#(\d+) \[([^\]]+)\] ?(.*)$")
_EXPORT = re.compile(r"^#\d+ (exporting [a-z ]+|sending tarball|rewriting layers.*?)(?: sha256.*)?$")


def stage_of(line: str) -> str | None:
    """What a line of Buildx's plain progress says about where the build is, if it says anything."""
    if step := _STEP.match(line):
        return f"{step[2]} {step[3]}".strip() if not step[2].startswith("internal") else None
    if export := _EXPORT.match(line):
        return export[1]
    return None


def explain_failure(identifier: str, lines: tuple[str, ...], log: Path) -> BuildFailed:
    """The error for a build whose log ended with `lines`: the step, its last words, the likely cause."""
    errors = [line for line in lines if re.match(r"^(ERROR|#\d+ ERROR|error):?", line)]
    step = next((found[2] for line in reversed(lines) if (found := _STEP.match(line))), "")
    spoken = [
        found[1] for line in lines if (found := re.match(r"^#\d+ \d+\.\d+ (.+)$", line)) and found[1].strip()
    ]
    text = "\n".join(lines)
    cause = next((known for known in CAUSES if re.search(known.pattern, text, re.IGNORECASE)), None)
    what = re.sub(r"^(#\d+ )?ERROR:? ", "", errors[-1]) if errors else "the builder ended without a word"
    tail = "".join(f"\n    | {line}" for line in spoken[-5:])
    where = f" in step [{step}]" if step else ""
    meaning = f"; likely cause: {cause.meaning}" if cause else ""
    return BuildFailed(
        f"{identifier} failed to build{where}{meaning}: {what}{tail}",
        remedy=f"{cause.remedy if cause else 'Mend the step and run it again.'} The whole log: {log}",
    )
