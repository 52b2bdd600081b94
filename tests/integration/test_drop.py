"""What the rows of `drop` name is in no layer of a real build, and a row that fits nothing stops it."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import PROJECT, SmallProject
from tests.libraries import BIG, shared_object
from tests.vendors import Vendor, reachable_address
from toolkit.adapters.layout import OciLayout
from toolkit.layers.compression import decompressed
from toolkit.oci import Manifest

NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
UNIT = f"one-1.0-cpu-py39-debian11-sagemaker-{NATIVE}"
HEADERS = '{ path = "lean/include", reason = "no compiler" }'
CODE = '{ path = "lean/*.so", sections = [".payload"], reason = "code for nobody" }'
PACKAGES = "usr/local/lib/python3.9/dist-packages"


@pytest.fixture
def lean(small: SmallProject, tmp_path: Path) -> Iterator[SmallProject]:
    """The image `one` with the project's own template and a package that has more than it needs."""
    for name in ("macros.j2", "inference.Dockerfile.j2"):
        shutil.copy(PROJECT / "dockerfiles" / name, small.directory / "dockerfiles")
    shutil.copytree(PROJECT / "dockerfiles" / "environment", small.directory / "dockerfiles" / "environment")
    (small.directory / "dockerfiles" / "serving" / "serving").mkdir()
    (small.directory / "dockerfiles" / "serving" / "serving" / "__init__.py").write_text("")
    text = (small.directory / "images.toml").read_text()
    one, two = text.split("[images.two]")
    one = one.replace('template = "small.Dockerfile.j2"\n', "").replace("six==1.17.0", "lean==1.0")
    one += f"drop = [{HEADERS}, {CODE}]\n"
    (small.directory / "images.toml").write_text(f"{one}[images.two]{two}")
    vendor = Vendor()
    library = shared_object(tmp_path / "lib.so").read_bytes()
    files = {"lean/include/a.h": b"int a;", "lean/lib.so": library, "lean/more.txt": b"kept"}
    vendor.wheel("lean", "1.0", index="machine", files=files)
    with vendor.serving(address="0.0.0.0") as server:
        index = f"http://{reachable_address()}:{server.url.rpartition(':')[2]}/machine"
        environment = {"PIP_INDEX_URL": index, "UV_INSECURE_HOST": reachable_address(), "PIP_FIND_LINKS": ""}
        yield SmallProject(directory=small.directory, registry=small.registry, environment=environment)


def test_what_is_dropped_is_in_no_layer_and_a_label_tells(lean: SmallProject) -> None:
    assert lean.run("lock", UNIT).code == 0
    built = lean.run("build", UNIT)
    assert built.code == 0, built.err
    layout = OciLayout.open(lean.directory / ".cache" / "layouts" / UNIT)
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    files: dict[str, bytes] = {}
    for layer in manifest.layers[1:]:
        with layout.open_blob(layer) as blob:
            content = decompressed(blob)[1]
            whole = b"".join(iter(lambda: content.read(1 << 20), b""))  # noqa: B023
        with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
            files |= {each.name: read.read() for each in tar if (read := tar.extractfile(each))}
    assert f"{PACKAGES}/lean/more.txt" in files
    assert not [name for name in files if "include" in name]
    assert len(files[f"{PACKAGES}/lean/lib.so"]) < BIG
    assert "include" not in files[f"{PACKAGES}/lean-1.0.dist-info/RECORD"].decode()
    with layout.open_blob(manifest.config) as blob:
        labels = json.loads(blob.read())["config"]["Labels"]
    assert labels["io.multiarch-images.dropped"] == "lean/include, .payload of lean/*.so"


def test_a_row_that_fits_nothing_stops_the_build_and_is_named(lean: SmallProject) -> None:
    lean.catalog("lean/include", "lean/headers")
    assert lean.run("lock", UNIT).code == 0
    said = lean.run("build", UNIT).failed_with(5)
    assert "drop: lean/headers matches nothing that was installed" in said
    assert "likely cause: a row of `drop` names what the packages do not have" in said
