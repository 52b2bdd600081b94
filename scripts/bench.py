"""`make bench`: the toolkit timed against what one would type instead.

Each row is a ratio of two commands timed in turn in this run: the median of the pairs, with the spread.
What was run stands below the table; dist/bench.json has the same for programs.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from scripts.bench_scale import LARGE, SMALL, Growth, against_bake, growth
from scripts.measuring import PROJECT, TOOLKIT, Row, measured, output, row, run, timed
from toolkit.adapters.layout import LayoutWriter
from toolkit.cli.project import read_project
from toolkit.cli.settings import Settings
from toolkit.cli.world import images_of, lookup_bases, registry_at
from toolkit.lock import Lock, LockedUnit, format_lock, inputs_digest
from toolkit.oci import Manifest
from toolkit.record import ReleaseRecord


def many_images(directory: Path, count: int) -> Path:
    """A project of `count` images on two platforms that build in a moment, on the catalog's first base."""
    catalog = (PROJECT / "images.toml").read_text()
    base = catalog[catalog.index("\n[bases.") : catalog.index("\n[images.")]
    images = "".join(
        f'[images.bench-{n}]\ntitle = "Bench {n}"\nframework = "bench{n}"\nversions = ["1.0"]\n'
        f'python = "3.9"\nbase = "debian11"\naccelerator = "cpu"\narchitectures = ["amd64", "arm64"]\n'
        f'consumers = ["sagemaker"]\ntemplate = "bench.Dockerfile.j2"\nrepository = "bench-{n}"\n'
        f'packages.all = ["six"]\n'
        for n in range(count)
    )
    (directory / "dockerfiles" / "serving").mkdir(parents=True)
    (directory / "images.toml").write_text(f'[groups]\ndefault = ["*"]\n{base}{images}')
    (directory / "dockerfiles" / "bench.Dockerfile.j2").write_text(
        "FROM {{ base }}\nCOPY --chmod=0755 serve /usr/local/bin/serve\n"
        'ENV NAME={{ identifier }}\nCMD ["serve"]\n'
    )
    (directory / "dockerfiles" / "serving" / "serve").write_text("#!/bin/sh\nexec sleep 1000\n")
    shutil.copy(PROJECT / "images.lock", directory / "images.lock")
    (directory / ".cache").mkdir()
    for shared in ("bases", "packages", "tools"):
        (directory / ".cache" / shared).symlink_to(PROJECT / ".cache" / shared)
    settings = Settings(catalog=directory / "images.toml", environment={})
    project = read_project(settings)
    units = {
        unit.identifier: LockedUnit(inputs=inputs_digest(unit, ()), created="2026-11-21T00:00:00Z")
        for unit in project.units
    }
    settings.lock.write_text(format_lock(Lock(bases=project.lock.bases, units=units)))
    return directory


def bake_file(directory: Path, registry: str) -> Path:
    """The same rendered files as targets of `docker buildx bake`, two platforms each."""
    run(*TOOLKIT, "render", "*", "--out", "rendered", cwd=directory)
    project = read_project(Settings(catalog=directory / "images.toml", environment={}))
    base = lookup_bases(project)["debian11"].build_context
    targets = {}
    for path in sorted((directory / "rendered").glob("*-amd64")):
        name = path.name.removesuffix("-amd64").replace(".", "_")
        targets[name] = {
            "context": str(path / "files"),
            "dockerfile": str(path / "Dockerfile"),
            "contexts": {"debian:bullseye": base},
            "platforms": ["linux/amd64", "linux/arm64"],
            "output": [f"type=image,name={registry}/{name},push=true,registry.insecure=true"],
            "attest": ["type=provenance,disabled=true"],
        }
    file = directory / "bake.json"
    file.write_text(json.dumps({"group": {"default": {"targets": list(targets)}}, "target": targets}))
    return file


def nothing_to_do(registry: str, pairs: int, count: int = 20) -> Row:
    """A release of unchanged images against a fully cached bake that pushes."""
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        directory = many_images(Path(name), count)
        ours = (*TOOLKIT, "release", "--registry", f"{registry}/bench-toolkit")
        peer = ("docker", "buildx", "bake", "--file", str(bake_file(directory, f"{registry}/bench-bake")))
        for command in (ours, peer):
            run(*command, cwd=directory)
        timings = [
            (timed(lambda: run(*ours, cwd=directory)), timed(lambda: run(*peer, cwd=directory)))
            for _ in range(pairs)
        ]
    return row(
        f"release, {count} unchanged images × 2", timings, "toolkit release", "docker buildx bake --push"
    )


def verification(pairs: int) -> Row:
    """The layers of the largest released image: proof of every ELF file against listing the tar."""
    settings = Settings(catalog=PROJECT / "images.toml", environment=dict(os.environ))
    record = ReleaseRecord.loads((PROJECT / "dist" / "release.json").read_bytes())
    image = max(record.images, key=lambda each: each.size)
    source = images_of(registry_at(settings, image.registry), image.repository)
    manifest = source.get_manifest(image.digest)
    if not isinstance(manifest, Manifest):
        sys.exit(f"{image.pinned} is no single image")
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        layout = Path(name)
        writer = LayoutWriter(layout)
        for descriptor in (manifest.config, *manifest.layers):
            with source.open_blob(descriptor) as blob:
                writer.add_blob(blob.read(), descriptor.media_type)
        writer.finish([writer.add_manifest(manifest)])
        ours = (*TOOLKIT, "verify", str(layout))
        files = " ".join(str(layout / "blobs" / "sha256" / layer.digest.hex) for layer in manifest.layers)
        peer = ("sh", "-c", f"for layer in {files}; do gzip -dc $layer | tar -t >/dev/null; done")
        timings = [(timed(lambda: run(*ours)), timed(lambda: run(*peer))) for _ in range(pairs)]
    what = "gzip -dc LAYER | tar -t, each layer"
    return row(f"verify {image.image_id} {image.architecture}", timings, "toolkit verify LAYOUT", what)


ASKED = ("pytorch", "us-west-2", "1.12.1", "ml.c6g.4xlarge")
CALLS = """
import sys, time
from {module} import retrieve
framework, region, version, machine = {asked}
started = time.perf_counter()
for _ in range({calls}):
    retrieve(framework, region, version=version, instance_type=machine, image_scope="inference")
sys.stdout.write(str((time.perf_counter() - started) * 10_000 / {calls}))
"""


def resolver(pairs: int) -> tuple[Row, ...]:
    """A URI from `toolkit uri` against the SDK: a fresh process, its memory, and calls in one process."""
    run("scripts/venv.sh", ".venv-sdk", "locks/sdk.txt")
    sdk = str(PROJECT / ".venv-sdk" / "bin" / "python")
    framework, region, version, machine = ASKED
    options = ("--version", version, "--instance-type", machine, "--region", region, "--source", "aws")
    ours = (*TOOLKIT, "uri", framework, *options)
    peer = (sdk, "-c", CALLS.format(module="sagemaker.image_uris", asked=ASKED, calls=1))
    fresh = [(measured(*ours), measured(*peer)) for _ in range(pairs)]
    many = [
        (
            float(
                output(
                    sys.executable, "-c", CALLS.format(module="toolkit.resolve", asked=ASKED, calls=20_000)
                )
            ),
            float(output(sdk, "-c", CALLS.format(module="sagemaker.image_uris", asked=ASKED, calls=40))),
        )
        for _ in range(pairs)
    ]
    seconds = [(ours_.wall, peer_.wall) for ours_, peer_ in fresh]
    memory = [(ours_.memory, peer_.memory) for ours_, peer_ in fresh]
    process = ("toolkit uri", "sagemaker.image_uris.retrieve in a fresh process")
    called = ("toolkit.resolve.retrieve", "sagemaker.image_uris.retrieve")
    return (
        row("a URI, fresh process", seconds, *process),
        replace(row("a URI, resident memory", memory, *process), unit="MB"),
        row("a URI, 10,000 calls in one process", many, *called),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    registry = os.environ.get("REGISTRY", "localhost:5000")
    if not (PROJECT / "dist" / "release.json").exists():
        run(*TOOLKIT, "release")
    rows = [
        nothing_to_do(registry, arguments.pairs),
        verification(arguments.pairs),
        *resolver(arguments.pairs),
        *against_bake(arguments.pairs),
    ]
    scale = growth(arguments.pairs)
    print(f"{'':<44} {'toolkit':>10} {'peer':>10} {'ratio':>9}")
    for each in rows:
        print(each.line())
    for each in rows:
        print(f"  {each.name}: `{each.our_command}` against `{each.peer_command}`")
    print(f"\n{'':<44} {f'{SMALL:,} units':>12} {f'{LARGE:,} units':>12} {'ratio':>5}")
    for growing in scale:
        print(growing.line())
    results: tuple[Row | Growth, ...] = (*rows, *scale)
    document = json.dumps([asdict(each) for each in results], indent=2)
    (PROJECT / "dist" / "bench.json").write_text(f"{document}\n")


if __name__ == "__main__":
    main()
