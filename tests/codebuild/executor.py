"""One build, run as CodeBuild runs it: phases and their failures, environment, artifacts, cache.

Commands run in /bin/sh, one after another; a variable that one exports and a directory that it changes to
are there for the next, in all phases. https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.codebuild.buildspec import PHASES, Artifacts, Buildspec, OnFailure, Phase

REGION = "us-west-2"
ACCOUNT = "123456789012"

# Run before a command: where the last one left off. After it: where this one does.
_WRAPPER = """\
state=$1 succeeding=$2
if [ -f "$state/environment" ]; then . "$state/environment"; fi
export CODEBUILD_BUILD_SUCCEEDING="$succeeding"
cd "$(cat "$state/directory")"
trap 'code=$?; export -p >"$state/environment"; pwd >"$state/directory"; exit $code' EXIT
set --
. "$state/command"
"""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where builds run. `environment` is what the image brings, like the address of its engine; `cache` is
    the project's, None for none."""

    environment: Mapping[str, str]
    cache: Path | None = None
    timeout: float = 600


@dataclass(frozen=True, kw_only=True)
class Result:
    """`phases` are those that were tried, by name, and whether they succeeded; `exported` what the buildspec
    exports; `log` is what its commands printed. `artifacts` is where these were uploaded to."""

    identifier: str
    phases: Mapping[str, bool]
    exported: Mapping[str, str]
    artifacts: Path
    log: Path

    @property
    def succeeded(self) -> bool:
        return all(self.phases.values())


@dataclass(kw_only=True)
class Build:
    """One build. `source` is a git repository, cloned anew; `home` an empty directory that is this build's.

    `variables` are those of the start of the build, then of the project: they go before the buildspec's.
    """

    spec: Buildspec
    source: Path
    home: Path
    machine: Machine
    variables: Mapping[str, str] = field(default_factory=dict)
    project: str = "images"
    identifier: str = ""
    image: str = ""

    def run(self) -> Result:
        for directory in (self._state, self.home / "artifacts"):
            directory.mkdir(parents=True)
        subprocess.run(
            ["git", "clone", "--quiet", str(self.source), str(self._checkout)], check=True, timeout=120
        )
        (self._state / "directory").write_text(f"{self._checkout}\n")
        self._fixed = self._environment()
        self._restore_cache()
        phases: dict[str, bool] = {}
        self._run_phases(phases)
        phases["upload_artifacts"] = self._upload()
        self._save_cache()
        return Result(
            identifier=self.identifier,
            phases=phases,
            exported=self._exported(),
            artifacts=self.home / "artifacts",
            log=self.home / "log",
        )

    def _run_phases(self, phases: dict[str, bool]) -> None:
        """`post_build` is run although `build` failed; otherwise a phase that failed is the last one.

        https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
        """
        for name in PHASES:
            phase = self.spec.phases.get(name, Phase())
            phases[name] = self._run_phase(phase, all(phases.values()))
            if phases[name] or phase.on_failure is OnFailure.CONTINUE:
                continue
            if name != "build" or phase.on_failure is OnFailure.ABORT:
                return

    def _run_phase(self, phase: Phase, succeeding: bool) -> bool:
        """The first command that fails is the last, but for those of `finally`, which all are run."""
        done = all(self._command(command, succeeding) for command in phase.commands)
        for command in phase.always:
            if not self._command(command, succeeding and done):
                return False
        return done

    def _command(self, command: str, succeeding: bool) -> bool:
        (self._state / "command").write_text(f"{command}\n")
        with (self.home / "log").open("ab") as log:
            log.write(f"[Container] Running command {command}\n".encode())
            log.flush()
            done = subprocess.run(
                ["/bin/sh", "-c", _WRAPPER, "sh", str(self._state), "1" if succeeding else "0"],
                env=self._fixed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=self.machine.timeout,
                check=False,
            )
            log.write(f"[Container] exit code {done.returncode}\n".encode())
        return done.returncode == 0

    @property
    def _state(self) -> Path:
        return self.home / "state"

    @property
    def _checkout(self) -> Path:
        return self.home / "src"

    def _environment(self) -> dict[str, str]:
        """Of a variable that is set in several places the start of the build decides, then the project, then
        the buildspec. https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html"""
        number = uuid.uuid4()
        commit = subprocess.run(
            ["git", "-C", str(self._checkout), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        build_id = f"{self.project}:{number}"
        own = {
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "CODEBUILD_BUILD_ARN": f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/{build_id}",
            "CODEBUILD_BUILD_ID": build_id,
            "CODEBUILD_BUILD_IMAGE": self.image,
            "CODEBUILD_BUILD_NUMBER": "1",
            "CODEBUILD_INITIATOR": "tests",
            "CODEBUILD_LOG_PATH": str(number),
            "CODEBUILD_RESOLVED_SOURCE_VERSION": commit,
            "CODEBUILD_SOURCE_REPO_URL": str(self.source),
            "CODEBUILD_SOURCE_VERSION": "refs/heads/main",
            "CODEBUILD_SRC_DIR": str(self._checkout),
            "CODEBUILD_START_TIME": str(int(time.time() * 1000)),
        }
        in_batch = {"CODEBUILD_BATCH_BUILD_IDENTIFIER": self.identifier} if self.identifier else {}
        # Of this machine only what its shell cannot do without.
        machine = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {
            **machine,
            **self.machine.environment,
            **self.spec.variables,
            **self.variables,
            **own,
            **in_batch,
        }

    def _exported(self) -> dict[str, str]:
        """As the last command left them."""
        names = self.spec.exported
        script = '. "$0"; for name; do eval "printf \'%s\\\\0\' \\"\\$$name\\""; done'
        saved = self._state / "environment"
        if not names or not saved.exists():
            return {}
        done = subprocess.run(
            ["/bin/sh", "-c", script, str(saved), *names], capture_output=True, text=True, check=True
        )
        return dict(zip(names, done.stdout.split("\0")[:-1], strict=True))

    def _upload(self) -> bool:
        """Whatever became of the phases; it fails when nothing matches."""
        there = True
        for name, artifacts in (("", self.spec.artifacts), *self.spec.secondary.items()):
            if artifacts and artifacts.files:
                there &= self._upload_one(self.home / "artifacts" / name, artifacts)
        return there

    def _upload_one(self, to: Path, artifacts: Artifacts) -> bool:
        found = 0
        for base in (
            sorted(self._checkout.glob(artifacts.base)) if artifacts.base != "." else [self._checkout]
        ):
            for path in _matching(base, artifacts.files):
                target = to / (path.name if artifacts.discard_paths else path.relative_to(base))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                found += 1
        return found > 0

    def _restore_cache(self) -> None:
        if self.machine.cache and self.machine.cache.is_dir():
            _lay_over(self.machine.cache, _matching(self.machine.cache, self.spec.cache), self._checkout)

    def _save_cache(self) -> None:
        if self.machine.cache:
            _lay_over(self._checkout, _matching(self._checkout, self.spec.cache), self.machine.cache)


def _matching(base: Path, patterns: Sequence[str]) -> Iterator[Path]:
    """Files, each once. `**/*` is everything below, as `**` alone matches directories only."""
    seen: set[Path] = set()
    for pattern in patterns:
        for path in sorted(base.glob(pattern)):
            if path.is_file() and path not in seen:
                seen.add(path)
                yield path


def _lay_over(base: Path, files: Iterator[Path], to: Path) -> None:
    for path in files:
        target = to / path.relative_to(base)
        if _is_copy(path, target):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
        shutil.copy2(path, fresh)
        fresh.replace(target)


def _is_copy(path: Path, target: Path) -> bool:
    there, wanted = target.stat() if target.exists() else None, path.stat()
    return there is not None and (there.st_size, there.st_mtime_ns) == (wanted.st_size, wanted.st_mtime_ns)
