"""A build that is killed while BuildKit copies the layer of its base into the engine harms no later one."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.images import OCI, FakeImage, Item, Layer, layer, listed
from tests.projects import AMD64, ARM64, rendered, unit
from toolkit.adapters.buildx import BuildxBuilder
from toolkit.adapters.layout import OciLayout
from toolkit.build import BuildRequest
from toolkit.errors import BuildFailed
from toolkit.oci import Manifest, MediaType
from toolkit.render import RenderedUnit

LOADING = "loading the base, of which a build that was cut off left a part"
# Long enough in the copy to be killed there, and soon compressed.
ZEROS = bytes(160 << 20)


def small_image(identifier: str) -> RenderedUnit:
    """A real unit, of whose Dockerfile one step is left."""
    whole = rendered(unit(identifier))
    return replace(whole, dockerfile=f"FROM {whole.base.source}\nCOPY requirements.txt /opt/\n")


def fresh_base(layout: Path, wanted: RenderedUnit) -> tuple[str, Layer]:
    """What Buildx takes as the context, and the layer, of a base that no engine has seen."""
    made = layer(Item("opt/zeros", os.urandom(64) + ZEROS), media_type=MediaType.OCI_LAYER)
    platform = wanted.unit.platform
    opened = listed(
        layout,
        {platform: FakeImage(layers=[made], platform=platform, types=OCI)},
        media_type=MediaType.OCI_INDEX,
    )
    return f"oci-layout://{layout}@{opened.index.manifests[0].digest}", made


def kill_a_build_in_the_copy(wanted: RenderedUnit, base: str, directory: Path) -> None:
    """SIGKILL to Buildx in the moment in which it tells that a part of the layer is copied."""
    directory.mkdir()
    (directory / "Dockerfile").write_text(f"FROM {wanted.base.source}\nCOPY Dockerfile /opt/\n")
    with subprocess.Popen(
        [
            "docker", "buildx", "build", "--progress=plain", f"--platform={wanted.unit.platform}",
            f"--build-context={wanted.base.source}={base}", "--output=type=cacheonly", str(directory),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as buildx:  # fmt: skip
        assert buildx.stderr
        next(line for line in buildx.stderr if " sha256:" in line and "MB / " in line)
        os.killpg(buildx.pid, 9)


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


@pytest.mark.parametrize("identifier", [AMD64, ARM64])
def test_after_a_build_was_killed_in_the_copy_of_its_base_the_next_one_ends_right(
    identifier: str, builder: BuildxBuilder, tmp_path: Path
) -> None:
    wanted = small_image(identifier)
    base, layer_of_base = fresh_base(tmp_path / "base", wanted)
    kill_a_build_in_the_copy(wanted, base, tmp_path / "killed")
    healed, stages = build(builder, wanted, base, tmp_path / "healed")
    assert stages.count(LOADING) == 1
    with OciLayout.open(tmp_path / "healed").open_blob(healed.config) as config:
        assert json.loads(config.read())["rootfs"]["diff_ids"][0] == layer_of_base.diff_id
    again, stages = build(builder, wanted, base, tmp_path / "again")
    assert LOADING not in stages
    assert again.digest == healed.digest
    names = subprocess.run(
        ["docker", "image", "ls", "--quiet", "toolkit-base"], capture_output=True, check=True
    )
    assert names.stdout == b""


def test_a_base_that_the_engine_does_not_take_anew_is_the_error_that_the_build_had(
    builder: BuildxBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = small_image(AMD64)
    base, _ = fresh_base(tmp_path / "base", wanted)
    kill_a_build_in_the_copy(wanted, base, tmp_path / "killed")
    # As an engine that is of another mind about the archive answers.
    monkeypatch.setattr("toolkit.adapters.healing.write_archive", lambda *at: at[-1].write_bytes(b"no tar"))
    with pytest.raises(BuildFailed, match="likely cause: an earlier build was cut off") as failed:
        build(builder, wanted, base, tmp_path / "image")
    assert "unsupported offset" in failed.value.message
    assert "docker buildx use default" in failed.value.remedy
