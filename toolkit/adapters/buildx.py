"""Docker Buildx through python-on-whales: implements build.Builder."""

import collections
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from python_on_whales import DockerClient
from python_on_whales.exceptions import DockerException

from toolkit.adapters.children import ensure_not_stopping
from toolkit.adapters.context import link_or_copy, write_context
from toolkit.adapters.healing import loaded_base
from toolkit.adapters.packed import PackedLayers
from toolkit.adapters.packing import FAMILIES, pack
from toolkit.adapters.private import private_files
from toolkit.adapters.step_cache import cache_source, cache_target
from toolkit.adapters.wheels import locked_wheels
from toolkit.build import (
    HALF_A_BASE,
    Builder,
    BuildRequest,
    NodeLost,
    OnStage,
    explain_failure,
    lost_node,
    stage_of,
)
from toolkit.errors import NeedNotMet
from toolkit.render import media_family
from toolkit.units import BuildUnit

_KEPT_LINES = 200
_ENGINE_DOWN = ("Cannot connect to the Docker daemon", "error during connect")


@dataclass(frozen=True, kw_only=True)
class BuildxBuilder:
    """Builds with the engine at `host` ("" is the machine's own), or with the Buildx builder named `builder`.

    `answers` is asked when a build failed: whether the node of a fleet is still there, None for a builder
    that is no such node.
    `uv` is a directory with the build platform's uv in it, `find_links` are directories of wheels on this
    machine. `ca_bundle` and the texts that `secrets` has for a unit, by id, reach its build as secrets:
    they are in no layer, no history, no log and no command. `docker_config` is asked before each client
    starts for the directory that it takes in place of ~/.docker.
    """

    uv: Path
    ca_bundle: Path | None = None
    secrets: Callable[[BuildUnit], Mapping[str, str]] = lambda _: {}
    find_links: tuple[Path, ...] = ()
    builder: str | None = None
    host: str = ""
    answers: Callable[[], bool] | None = None
    docker_config: Callable[[], Path] | None = None

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        """Raises BuildFailed with the step, its last words and the likely cause."""
        exported = request.layout.with_name(f".{request.layout.name}.exported")
        for directory in (request.layout, exported):
            shutil.rmtree(directory, ignore_errors=True)
        request.layout.parent.mkdir(parents=True, exist_ok=True)
        request.log.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._export(request, exported, on_stage)
            on_stage("compressing layers")
            pack(
                exported,
                request.layout,
                epoch=epoch(request.rendered.created),
                family=FAMILIES[media_family(request.rendered.unit.consumer)],
                known=_packed_bases(request.base_layout),
            )
        finally:
            shutil.rmtree(exported, ignore_errors=True)

    def _export(self, request: BuildRequest, exported: Path, on_stage: OnStage) -> None:
        rendered = request.rendered
        tail: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        with (
            _context(rendered.dockerfile, rendered.context) as context,
            private_files(self.secrets(rendered.unit)) as secrets,
            request.log.open("w") as log,
        ):
            if self.find_links:
                wheels = locked_wheels(rendered.context["requirements.txt"].decode(), self.find_links)
                with_wheels(self.uv, wheels, context / "uv")

            def run() -> None:
                tail.clear()
                for line in self._run(request, context, secrets, exported):
                    text = line.rstrip("\n")
                    log.write(f"{text}\n")
                    log.flush()
                    tail.append(text)
                    if stage := stage_of(text):
                        on_stage(stage)

            try:
                try:
                    run()
                except DockerException:
                    # A BuildKit that is no engine's has a store that `docker load` does not reach.
                    is_engine = self.builder is None or bool(self.host)
                    is_half = any(HALF_A_BASE in line for line in tail)
                    if not (request.base_layout and is_engine and is_half):
                        raise
                    on_stage("loading the base, of which a build that was cut off left a part")
                    platform, room = rendered.unit.platform, request.layout.parent
                    with loaded_base(self._client(), request.base_layout, platform, room=room):
                        shutil.rmtree(exported, ignore_errors=True)
                        run()
            except DockerException as error:
                if self.answers is not None:
                    self._ensure_there(lost_node(tuple(tail)), self.answers)
                if any(sign in str(error) for sign in _ENGINE_DOWN):
                    raise NeedNotMet(
                        "the Docker engine does not answer: it is not running or died during the build",
                        remedy="Start it with `make setup`; `toolkit doctor` shows what is missing.",
                    ) from None
                raise explain_failure(rendered.unit.identifier, tuple(tail), request.log) from None

    def _ensure_there(self, sign: str, answers: Callable[[], bool]) -> None:
        """Raises NodeLost when the node went away, or another one has come up in its place since."""
        if sign or not answers():
            raise NodeLost(sign or "it does not answer any more") from None

    def _client(self) -> DockerClient:
        client = DockerClient(
            host=self.host or None, config=self.docker_config() if self.docker_config else None
        )
        ensure_not_stopping()
        return client

    def _run(
        self, request: BuildRequest, context: Path, private: Mapping[str, Path], exported: Path
    ) -> Iterator[str]:
        rendered = request.rendered
        contexts: dict[str, str | Path] = {"uv": context / "uv" if self.find_links else self.uv}
        if request.base_layout:
            contexts[rendered.base.source] = request.base_layout
        if request.downloads:
            contexts["downloads"] = request.downloads
        secrets = {**private, **({"ca-bundle": self.ca_bundle} if self.ca_bundle else {})}
        logs = self._client().buildx.build(
            context / "files",
            file=context / "Dockerfile",
            build_contexts=contexts,
            # BuildKit takes it as the time of the config and the history; `pack` does the files.
            # https://github.com/moby/buildkit/blob/master/docs/build-repro.md
            build_args={"SOURCE_DATE_EPOCH": str(epoch(rendered.created))},
            builder=self.builder,
            cache=not request.cold,
            cache_from=cache_source(request.step_cache) if request.step_cache and not request.cold else None,
            cache_to=cache_target(request.step_cache) if request.step_cache else None,
            labels={**rendered.labels, **_provenance_labels(request)},
            output=exporter(exported),
            platforms=[str(rendered.unit.platform)],
            progress="plain",
            # SageMaker refuses attestation indexes; elsewhere they come from the record.
            # https://github.com/aws/amazon-sagemaker-feedback/issues/180
            provenance=False,
            sbom=False,
            secrets=[f"id={name},src={path}" for name, path in sorted(secrets.items())],
            stream_logs=True,
        )
        # stream_logs makes it an iterator; the annotation has every possible answer.
        return cast(Iterator[str], logs)


_CONFORMS: type[Builder] = BuildxBuilder


def exporter(directory: Path) -> dict[str, str]:
    """Options of the `oci` exporter. Its fastest compression, as the way from BuildKit's store to the client
    takes longer for each byte than that; `pack` makes what is published. zstd is for OCI media types alone.
    A directory, as a tar costs half as much again on its way: it is sent in messages of 32 KiB.
    https://github.com/moby/buildkit#oci-tarball
    """
    return {
        "type": "oci",
        "dest": str(directory),
        "tar": "false",
        "oci-mediatypes": "true",
        "compression": "zstd",
        "compression-level": "1",
        # Else what an earlier export left in the cache is sent, plain or in the base's own form.
        "force-compression": "true",
    }


def _packed_bases(base_layout: str | None) -> PackedLayers:
    """Beside the base: they go when it goes. What a registry has is no base of ours."""
    if base_layout is None:
        return PackedLayers(None)
    path = base_layout.removeprefix("oci-layout://").rpartition("@")[0]
    return PackedLayers(Path(path).with_name("packed"))


def epoch(created: str) -> int:
    """Seconds since 1970 of an RFC 3339 time."""
    return int(datetime.fromisoformat(created).timestamp())


def _provenance_labels(request: BuildRequest) -> dict[str, str]:
    labels = {
        "org.opencontainers.image.revision": request.revision,
        "org.opencontainers.image.source": request.source,
    }
    return {name: value for name, value in labels.items() if value}


def with_wheels(uv: Path, wheels: Sequence[Path], directory: Path) -> Path:
    """uv's directory with these wheels beside it, where build settings say they are; there may be none."""
    pages = directory / "find-links"
    pages.mkdir(parents=True)
    for source in (*uv.iterdir(), *wheels):
        link_or_copy(source, (directory if source.parent == uv else pages) / source.name)
    return directory


@contextmanager
def _context(dockerfile: str, files: Mapping[str, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="toolkit-build-") as name:
        write_context(Path(name), dockerfile, files)
        yield Path(name)
