"""Builds from the first step: against Buildx with the same files, against emulation, and what they weigh."""

import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.bench.measuring import PROJECT, TOOLKIT, BenchFailed, run, timed
from scripts.bench.ordinary import ordinary_dockerfile, ordinary_project, ordinary_secrets
from scripts.bench.rows import Contest, Row, Side, at_most, times_faster
from toolkit.adapters.buildx import BuildxBuilder, exporter, with_wheels
from toolkit.adapters.context import write_context
from toolkit.adapters.layout import OciLayout
from toolkit.adapters.wheels import locked_wheels
from toolkit.cli.project import Project, identities, lookup_bases, read_project, renderer
from toolkit.cli.settings import Settings
from toolkit.cli.supplies import build_secrets, ca_bundle, places
from toolkit.cli.world import building_tools
from toolkit.layers.compression import decompressed
from toolkit.oci import Manifest
from toolkit.render import RenderedUnit
from toolkit.selection import Selection, select
from toolkit.units import expand

REGISTRY = os.environ.get("REGISTRY", "localhost:5000")
TENSORFLOW = "tensorflow-2.21.0-cpu-py313-debian13-sagemaker-{}"
PYTORCH_ARM64 = "pytorch-1.12.1-cpu-py39-debian11-sagemaker-arm64"
# The compression that the toolkit's own is compared with, in Buildx's words.
GZIP_6 = "compression=gzip,compression-level=6,force-compression=true"
"""`docker` refuses rewrite-timestamp in the image exporter of its own driver, so peers go without."""
# BuildKit mounts an empty cache into a step that is to run without cache.
_COLD = "base in BuildKit's store; every step runs again and fetches its packages again"


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A copy of this project with layouts, scans and records of its own."""

    directory: Path
    project: Project

    @classmethod
    @contextmanager
    def made(cls) -> Iterator["Ground"]:
        with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
            directory = Path(name)
            for file in ("images.toml", "images.lock"):
                shutil.copy(PROJECT / file, directory)
            shutil.copytree(PROJECT / "dockerfiles", directory / "dockerfiles")
            (directory / ".cache").mkdir()
            for shared in ("bases", "packages", "tools"):
                (PROJECT / ".cache" / shared).mkdir(parents=True, exist_ok=True)
                (directory / ".cache" / shared).symlink_to(PROJECT / ".cache" / shared)
            settings = Settings(catalog=directory / "images.toml", environment=dict(os.environ))
            yield cls(directory=directory, project=read_project(settings))

    def rendered(self, *patterns: str, without_drops: bool = False) -> tuple[RenderedUnit, ...]:
        catalog = self.project.catalog
        if without_drops:
            catalog = replace(catalog, images=tuple(replace(each, drops=()) for each in catalog.images))
        chosen = select(expand(catalog), Selection(patterns=patterns), catalog)
        return tuple(
            map(renderer(self.project, identities(self.project, lookup_bases(self.project))), chosen)
        )

    def layout(self, identifier: str) -> Path:
        return self.directory / ".cache" / "layouts" / identifier

    def forget(self) -> None:
        """What was built and verified here is as if it had never been."""
        for name in (".cache/layouts", ".cache/scans", "dist"):
            shutil.rmtree(self.directory / name, ignore_errors=True)

    def toolkit(self, *words: str) -> None:
        run(*TOOLKIT, *words, cwd=self.directory)


@contextmanager
def secrets_of(ground: Ground, rendered: RenderedUnit) -> Iterator[Mapping[str, Path]]:
    """The secrets that a build of the unit mounts, in files of this user alone."""
    settings = ground.project.settings
    texts = build_secrets(settings, places(settings), rendered.unit)
    bundle = ca_bundle(settings)
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-secrets-") as name:
        for key, text in texts.items():
            (Path(name) / key).write_text(text)
        named = {key: Path(name) / key for key in texts}
        yield {**named, **({"ca-bundle": bundle} if bundle else {})}


def contexts_of(ground: Ground, rendered: RenderedUnit, directory: Path) -> dict[str, str]:
    """What the unit's Dockerfile mounts; `directory` gets what one of these contexts may be made of."""
    builder = building_tools(ground.project.settings).builder
    assert isinstance(builder, BuildxBuilder)
    uv = builder.uv
    if builder.find_links:
        wheels = locked_wheels(rendered.context["requirements.txt"].decode(), builder.find_links)
        uv = with_wheels(builder.uv, wheels, directory / "uv")
    base = lookup_bases(ground.project)[rendered.unit.base.name]
    return {"uv": str(uv), rendered.base.source: base.build_context}


def weigh(layout: Path) -> tuple[int, int]:
    """Bytes of an image's layers in a layout: compressed, and unpacked as tar."""
    source = OciLayout.open(layout)
    manifest = source.get_manifest("")
    if not isinstance(manifest, Manifest):
        raise BenchFailed(f"{layout} holds no single image")
    unpacked = 0
    for layer in manifest.layers:
        with source.open_blob(layer) as blob:
            content = decompressed(blob)[1]
            while piece := content.read(1 << 20):
                unpacked += len(piece)
    return sum(layer.size for layer in manifest.layers), unpacked


# --- the default group, from the first step to the registry


def _target(
    rendered: RenderedUnit,
    context: Path,
    contexts: Mapping[str, str],
    secrets: Mapping[str, Path],
    output: str,
) -> dict[str, object]:
    return {
        "context": str(context / "files"),
        "dockerfile": str(context / "Dockerfile"),
        "contexts": contexts,
        "args": {"SOURCE_DATE_EPOCH": "1790000000"},
        "platforms": [str(rendered.unit.platform)],
        "secret": [f"id={key},src={path}" for key, path in sorted(secrets.items())],
        "output": [output],
        "attest": ["type=provenance,disabled=true"],
    }


@contextmanager
def against_bake(pattern: str) -> Iterator[Contest]:
    with Ground.made() as ground, ExitStack() as stack:
        units = ground.rendered(pattern)
        ground.toolkit("build", pattern)  # bases, packed too
        rendered = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="toolkit-bench-")))
        contexts, secrets = {}, {}
        for each in units:
            name = each.unit.identifier
            write_context(rendered / name, each.dockerfile, each.context)
            contexts[name] = contexts_of(ground, each, rendered / name)
            secrets[name] = stack.enter_context(secrets_of(ground, each))
        number = {"ours": 0, "theirs": 0}
        pushed: list[str] = []
        durations: list[Sequence[str]] = []

        def prepare_ours() -> None:
            ground.forget()
            number["ours"] += 1

        bake = ("docker", "buildx", "bake", "--file", str(rendered / "bake.json"), "--no-cache")

        def write_targets(output: Callable[[str], str]) -> None:
            targets = {}
            for each in units:
                name = each.unit.identifier
                targets[name.replace(".", "_")] = _target(
                    each, rendered / name, contexts[name], secrets[name], output(name)
                )
            text = json.dumps({"group": {"default": {"targets": list(targets)}}, "target": targets})
            (rendered / "bake.json").write_text(text)

        def prepare_theirs() -> None:
            number["theirs"] += 1
            prefix = f"{REGISTRY}/bench-cold-theirs-{os.getpid()}-{number['theirs']}"
            pushed.extend(f"{prefix}/{each.unit.identifier}" for each in units)
            write_targets(
                lambda name: f"type=image,name={prefix}/{name},push=true,registry.insecure=true,{GZIP_6}"
            )

        def what_both_do() -> str:
            """How long the toolkit's part would not be shorter than, were there none."""
            write_targets(lambda _: "type=cacheonly")
            steps = timed(lambda: run(*bake))
            options = exporter(rendered / "out")
            write_targets(
                lambda name: ",".join(f"{key}={value}" for key, value in {**options, "dest": name}.items())
            )
            out = timed(lambda: run(*bake, cwd=rendered / "out"))
            return (
                f"running the steps of the Dockerfiles alone, as both must, takes {steps:.0f} s; with the "
                f"layers made and handed over by Buildx, and nothing done with them, {out:.0f} s"
            )

        def release() -> None:
            prefix = f"{REGISTRY}/bench-cold-ours-{os.getpid()}-{number['ours']}"
            ground.toolkit("release", pattern, "--no-cache", "--registry", prefix)
            durations.append(_stages(ground))

        (rendered / "out").mkdir()
        try:
            yield Contest(
                ours=Side(
                    command="toolkit release --no-cache --registry HOST/EMPTY",
                    measure=lambda: timed(release),
                    before=prepare_ours,
                ),
                theirs=(
                    Side(
                        command=f"docker buildx bake --no-cache (each unit's target pushes, {GZIP_6})",
                        measure=lambda: timed(lambda: run(*bake)),
                        before=prepare_theirs,
                    ),
                ),
                bound=what_both_do,
                notes=lambda: durations[-1] if durations else (),
            )
        finally:
            for image in pushed:
                with suppress(BenchFailed):
                    run("docker", "image", "rm", image)


def _stages(ground: Ground) -> Sequence[str]:
    record = json.loads((ground.directory / "dist" / "release.json").read_text())
    return [
        f"{image['identifier']}: "
        + ", ".join(f"{step} {seconds:.1f} s" for step, seconds in image["durations"].items())
        + f"; {image['size'] / 1e6:.0f} MB, {image['unpacked_size'] / 1e6:.0f} unpacked"
        for image in record["images"]
        if image["durations"]
    ]


# --- the two platforms of one image


@contextmanager
def two_platforms(name_of: str) -> Iterator[Contest]:
    """`name_of` is an identifier with {} for the architecture."""
    with Ground.made() as ground:
        names = {each: name_of.format(each) for each in ("amd64", "arm64")}
        gigabytes = {}
        for each, name in names.items():
            ground.toolkit("build", name)
            gigabytes[each] = weigh(ground.layout(name))[1] / 1e9

        def build(architecture: str) -> float:
            name = names[architecture]
            return timed(lambda: ground.toolkit("build", "--no-cache", name)) / gigabytes[architecture]

        def side(architecture: str) -> Side:
            return Side(
                command=f"toolkit build --no-cache {names[architecture]}",
                measure=lambda: build(architecture),
                before=ground.forget,
            )

        yield Contest(
            ours=side("arm64"),
            theirs=(side("amd64"),),
            notes=lambda: [
                ", ".join(f"{names[each]}: {size:.2f} GB unpacked" for each, size in gigabytes.items())
            ],
        )


# --- arm64 on amd64: natively, and as an ordinary Dockerfile does it


@contextmanager
def _against_emulation() -> Iterator[Contest]:
    with Ground.made() as ground, ordinary_project(PROJECT) as ordinary, ExitStack() as stack:
        ground.toolkit("build", PYTORCH_ARM64)
        (rendered,) = ground.rendered(PYTORCH_ARM64)
        context, out = ordinary / "context", ordinary / "out"
        write_context(context, ordinary_dockerfile(), rendered.context)
        secrets = stack.enter_context(ordinary_secrets(ground.project.settings))
        base = lookup_bases(read_project(Settings(catalog=ordinary / "images.toml", environment={})))
        words = (
            "docker", "buildx", "build", "--no-cache", "--provenance=false", "--platform", "linux/arm64",
            "--build-context", f"ordinary={base['ordinary11'].build_context}",
            *(word for key, path in secrets.items() for word in ("--secret", f"id={key},src={path}")),
            "--file", str(context / "Dockerfile"),
            "--output", f"type=oci,tar=false,dest={out},{GZIP_6}", str(context / "files"),
        )  # fmt: skip

        def sizes() -> Sequence[str]:
            pairs = {"ours": ground.layout(PYTORCH_ARM64), "theirs": out}
            return [
                f"{whose}: {packed / 1e6:.0f} MB compressed, {unpacked / 1e6:.0f} MB unpacked"
                for whose, (packed, unpacked) in ((whose, weigh(path)) for whose, path in pairs.items())
            ]

        yield Contest(
            ours=Side(
                command=f"toolkit build --no-cache {PYTORCH_ARM64}",
                measure=lambda: timed(lambda: ground.toolkit("build", "--no-cache", PYTORCH_ARM64)),
                before=ground.forget,
            ),
            theirs=(
                Side(
                    command="docker buildx build --no-cache --platform linux/arm64 of the Dockerfile of "
                    f"scripts/bench/ordinary.py, {GZIP_6}",
                    measure=lambda: timed(lambda: run(*words)),
                    before=lambda: shutil.rmtree(out, ignore_errors=True),
                ),
            ),
            notes=sizes,
        )


# --- what images weigh


@contextmanager
def sizes(pattern: str) -> Iterator[Contest]:
    """Layers of what `pattern` selects, against those of the same files without `drop`, packed by Buildx."""
    with Ground.made() as ground, tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        ground.toolkit("build", pattern)
        plain = ground.rendered(pattern, without_drops=True)
        ours = {each.unit.identifier: weigh(ground.layout(each.unit.identifier)) for each in plain}
        theirs: dict[str, tuple[int, int]] = {}

        def build_plain() -> float:
            for each in plain:
                theirs[each.unit.identifier] = _plain(ground, each, Path(name) / each.unit.identifier)
            return sum(packed for packed, _ in theirs.values()) / 1e6

        yield Contest(
            ours=Side(
                command=f"toolkit build {pattern}",
                measure=lambda: sum(packed for packed, _ in ours.values()) / 1e6,
            ),
            theirs=(
                Side(
                    command=f"docker buildx build of each unit's Dockerfile without its drop, {GZIP_6}",
                    measure=build_plain,
                ),
            ),
            notes=lambda: [
                f"{each}: {ours[each][0] / 1e6:.0f} MB compressed, {ours[each][1] / 1e6:.0f} unpacked; plain "
                f"{theirs[each][0] / 1e6:.0f} and {theirs[each][1] / 1e6:.0f}"
                for each in theirs
            ],
        )


def _plain(ground: Ground, rendered: RenderedUnit, directory: Path) -> tuple[int, int]:
    write_context(directory, rendered.dockerfile, rendered.context)
    contexts = contexts_of(ground, rendered, directory)
    out = directory / "out"
    with secrets_of(ground, rendered) as secrets:
        run(
            "docker", "buildx", "build", "--provenance=false", "--platform", str(rendered.unit.platform),
            *(word for key, value in contexts.items() for word in ("--build-context", f"{key}={value}")),
            *(word for key, path in secrets.items() for word in ("--secret", f"id={key},src={path}")),
            "--file", str(directory / "Dockerfile"),
            "--output", f"type=oci,tar=false,dest={out},{GZIP_6}", str(directory / "files"),
        )  # fmt: skip
    weight = weigh(out)
    shutil.rmtree(out)
    return weight


ROWS = (
    Row(
        name="build-cold",
        title="cold release of the default group, verified",
        reach=at_most(0.8),
        ready=functools.partial(against_bake, "default"),
        given=f"the default group, {_COLD}",
    ),
    Row(
        name="build-arm64",
        title="arm64 image built on amd64",
        reach=times_faster(6),
        ready=_against_emulation,
        given=f"{PYTORCH_ARM64}: {_COLD}; the ordinary Dockerfile runs apt and pip in the arm64 image",
        pairs=2,
    ),
    Row(
        name="build-platforms",
        title="arm64 build against amd64, both cold, by unpacked GB",
        reach=at_most(1.1),
        ready=functools.partial(two_platforms, TENSORFLOW),
        given=f"TensorFlow 2.21.0, {_COLD}",
        unit="s/GB",
    ),
    Row(
        name="image-sizes",
        title="compressed layers of the default group",
        reach=at_most(1.0),
        ready=functools.partial(sizes, "default"),
        given="nothing that can be asked here tells the sizes of AWS's images: the peer is the plain file",
        pairs=1,
        unit="MB",
    ),
)
