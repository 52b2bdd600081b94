"""A build that is killed while BuildKit copies the layer of its base into the engine harms no later one."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.images import OCI, FakeImage, Item, Layer, layer, listed
from tests.projects import AMD64, ARM64, rendered, unit
from toolkit.adapters.buildx import BuildxBuilder
from toolkit.adapters.layout import OciLayout
from toolkit.build import HALF_A_BASE, BuildRequest
from toolkit.errors import BuildFailed
from toolkit.oci import Manifest, MediaType
from toolkit.render import RenderedUnit

LOADING = "loading the base, of which a build that was cut off left a part"


def small_image(identifier: str) -> RenderedUnit:
    """A real unit, of whose Dockerfile one step is left."""
    whole = rendered(unit(identifier))
    return replace(whole, dockerfile=f"FROM {whole.base.source}\nCOPY requirements.txt /opt/\n")


def fresh_base(layout: Path, wanted: RenderedUnit, zeros: int) -> tuple[str, Layer]:
    """What Buildx takes as the context, and the layer, of a base that no engine has seen."""
    made = layer(Item("opt/zeros", os.urandom(64) + bytes(zeros)), media_type=MediaType.OCI_LAYER)
    platform = wanted.unit.platform
    opened = listed(
        layout,
        {platform: FakeImage(layers=[made], platform=platform, types=OCI)},
        media_type=MediaType.OCI_INDEX,
    )
    return f"oci-layout://{layout}@{opened.index.manifests[0].digest}", made


def build_plainly(wanted: RenderedUnit, base: str, directory: Path) -> "subprocess.Popen[str]":
    """Buildx as anybody may call it, its words on stderr."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "Dockerfile").write_text(f"FROM {wanted.base.source}\nCOPY Dockerfile /opt/\n")
    return subprocess.Popen(
        [
            "docker", "buildx", "build", "--progress=plain", f"--platform={wanted.unit.platform}",
            f"--build-context={wanted.base.source}={base}", "--output=type=cacheonly", str(directory),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip


def half_copied_base(root: Path, wanted: RenderedUnit) -> tuple[str, Layer]:
    """A base of which the engine has a part: Buildx was killed as it told that a part is copied.

    A fast machine may have copied all of it by then, so what counts is how the engine answers afterwards;
    until it does, the next base is twice as large.
    """
    for zeros in (160 << 20, 320 << 20, 640 << 20, 1280 << 20):
        base, made = fresh_base(root / f"base-{zeros}", wanted, zeros)
        with build_plainly(wanted, base, root / "plain") as buildx:
            assert buildx.stderr
            next((line for line in buildx.stderr if " sha256:" in line and "MB / " in line), "")
            with suppress(ProcessLookupError):  # it came to its end meanwhile
                os.killpg(buildx.pid, signal.SIGKILL)
        with build_plainly(wanted, base, root / "plain") as buildx:
            assert buildx.stderr
            if HALF_A_BASE in buildx.stderr.read():
                return base, made
    raise AssertionError("the engine copies 1.3 GB faster than Buildx can be killed")


@pytest.fixture
def builder(tmp_path: Path) -> BuildxBuilder:
    for name in ("uv", "wheels"):
        (tmp_path / name).mkdir()
    return BuildxBuilder(uv=tmp_path / "uv", find_links=(tmp_path / "wheels",))


def build(
    builder: BuildxBuilder, wanted: RenderedUnit, base: str, layout: Path
) -> tuple[Manifest, list[str]]:
    """The image, and the stages that a person was shown."""
    stages: list[str] = []
    request = BuildRequest(
        rendered=wanted,
        base_layout=base,
        layout=layout,
        log=layout.with_suffix(".log"),
        revision="",
        source="",
    )
    builder.build(request, on_stage=stages.append)
    manifest = OciLayout.open(layout).get_manifest("")
    assert isinstance(manifest, Manifest)
    return manifest, stages


@dataclass(frozen=True, kw_only=True)
class Mended:
    """What was built on a base of which the engine had a part, and the stages that a person was shown."""

    base: str
    layer_of_base: Layer
    manifest: Manifest
    stages: list[str]


def build_on_a_part(builder: BuildxBuilder, wanted: RenderedUnit, root: Path) -> Mended:
    """In a layout `image`. Once more where containerd's garbage collection, which comes when it likes to, has
    taken the part away before the build: there was nothing to mend then."""
    for number in range(4):
        base, layer_of_base = half_copied_base(root / str(number), wanted)
        manifest, stages = build(builder, wanted, base, root / "image")
        if LOADING in stages:
            return Mended(base=base, layer_of_base=layer_of_base, manifest=manifest, stages=stages)
    raise AssertionError("of four bases none was loaded that the engine had a part of")


@pytest.mark.parametrize("identifier", [AMD64, ARM64])
def test_after_a_build_was_killed_in_the_copy_of_its_base_the_next_one_ends_right(
    identifier: str, builder: BuildxBuilder, tmp_path: Path
) -> None:
    wanted = small_image(identifier)
    mended = build_on_a_part(builder, wanted, tmp_path)
    assert mended.stages.count(LOADING) == 1
    with OciLayout.open(tmp_path / "image").open_blob(mended.manifest.config) as config:
        assert json.loads(config.read())["rootfs"]["diff_ids"][0] == mended.layer_of_base.diff_id
    again, stages = build(builder, wanted, mended.base, tmp_path / "again")
    assert LOADING not in stages
    assert again.digest == mended.manifest.digest
    names = subprocess.run(
        ["docker", "image", "ls", "--quiet", "toolkit-base"], capture_output=True, check=True
    )
    assert names.stdout == b""


def test_a_base_that_the_engine_does_not_take_anew_is_the_error_that_the_build_had(
    builder: BuildxBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = small_image(AMD64)
    # As an engine that is of another mind about the archive answers.
    monkeypatch.setattr("toolkit.adapters.healing.write_archive", lambda *at: at[-1].write_bytes(b"no tar"))
    with pytest.raises(BuildFailed, match="likely cause: an earlier build was cut off") as failed:
        build_on_a_part(builder, wanted, tmp_path)
    assert HALF_A_BASE in failed.value.message
    assert "docker buildx use default" in failed.value.remedy
