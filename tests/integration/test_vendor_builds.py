"""Images of vendors' own places, built for real from stand-ins that the test makes and serves.

The vendors cannot be reached from where tests run, nor can Ubuntu's images: the rows' own base and Python
are substituted, which the test prints. What is proved are URLs, checksums, arguments and architecture,
through the settings that a user with a private mirror makes; of the vendors' binaries nothing is.
"""

import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.images import elf
from tests.integration.conftest import PROJECT, SmallProject
from tests.vendors import Vendor, make_wheel, reachable_address, small_deb
from toolkit.catalog import parse_catalog
from toolkit.catalog.model import Accelerator, Install, SourceKind
from toolkit.units import BuildUnit, expand

REAL = (PROJECT / "images.toml").read_text()
PYTHON = "3.11"
# What a requirement without one version gets.
CHOSEN = {"graphviz": "0.8.4", "numpy": "1.23.5", "protobuf": "3.20.3", "requests": "2.32.0"}
ROWS = {
    "mxnet-inference-neuron": "a wheel by URL, .debs and a vendor's index",
    "tensorflow-inference-neuron": "a model server from .debs",
    "pytorch-inference-neuronx": "the jammy suite, and a list for Kubernetes",
    "tensorflow-inference-eia": "two archives",
    "pytorch-inference-eia": "a wheel of one Python by URL and an archive",
}


def substituted() -> tuple[str, list[str]]:
    """The real sources and rows on a Debian 12 with apt, and in words what is not as in the row."""
    debian = re.search(r"^\[bases\.debian12\]\n(.*?)\n\n", REAL, re.M | re.S)
    assert debian
    base = debian[1].replace("packages = [", 'packages = [\n  "apt",')
    sources = re.findall(r"^\[sources\.[^\]]+\]\n.*?\n(?=\n)", REAL, re.M | re.S)
    rows, words = [], []
    for name, proves in ROWS.items():
        row = re.search(rf"^\[images\.{re.escape(name)}\]\n.*?(?=\n\n|\Z)", REAL, re.M | re.S)
        assert row
        own = re.findall(r'^(?:python|base) = "(.*)"$', row[0], re.M)
        words.append(
            f"{name}: Python {own[0]} of {own[1]} is substituted by {PYTHON} of Debian 12; proves {proves}"
        )
        text = re.sub(r'^python = ".*"$', f'python = "{PYTHON}"', row[0], flags=re.M)
        text = re.sub(r'^base = ".*"$', 'base = "standin"', text, flags=re.M)
        rows.append(text.replace("-cp38-cp38-", "-cp311-cp311-"))
    groups = '[groups]\ndefault = ["*"]\n'
    return "\n\n".join([groups, *sources, f"[bases.standin]\n{base}", *rows]) + "\n", words


def archive(files: dict[str, bytes]) -> bytes:
    """A .tar.gz with everything in one directory, as vendors pack it, and no bit to start anything."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(f"top/{path}")
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def bucket_path(url: str, path: str) -> str:
    """Where an endpoint that answers like S3 has an object of a bucket's own host."""
    return f"s3/{url.removeprefix('https://').partition('.')[0]}/{path}"


def fill(vendor: Vendor, units: tuple[BuildUnit, ...]) -> None:
    """A stand-in of everything that the rows name, amd64 where it is a program."""
    program = elf("amd64")
    wheels: set[tuple[str, str, str]] = set()
    debs: dict[str, set[tuple[str, str]]] = {}
    for unit in units:
        asked = [Requirement(text) for text in unit.requirements]
        for each in asked:
            pins = [clause.version for clause in each.specifier if clause.operator == "=="]
            version = pins[0] if pins else CHOSEN[each.name]
            wheels.add(("neuron" if unit.indexes else "machine", each.name, version))
        for download in unit.downloads:
            inside = {"lib/libvendor.so": program, "bin/health_check": program}
            inside["amazonei_tensorflow_model_server"] = program
            content = archive(inside)
            if download.install is Install.WHEEL:
                name, version, tag = download.filename.removesuffix(".whl").split("-", 2)
                content = make_wheel(name, version, tag=tag, files={f"{name}_lib/lib.so": program})
            vendor.files[bucket_path(download.source.url, download.path)] = content
        if unit.apt:
            named = (package.partition("=") for package in unit.apt.packages)
            debs.setdefault(unit.apt.source.suite, set()).update(
                (name, version) for name, _, version in named
            )
    for line in (PROJECT / "dockerfiles" / "serving" / "requirements.in").read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            wheels.add(("machine", pin.name, next(iter(pin.specifier)).version))
    for index, name, version in sorted(wheels):
        vendor.wheel(name.replace("-", "_"), version, index=index)
    for suite, packages in debs.items():
        made = {f"{name}_{version}_amd64.deb": small_deb(name, version) for name, version in sorted(packages)}
        vendor.apt(
            {name: deb for name, (deb, _) in made.items()},
            {name: stanza for name, (_, stanza) in made.items()},
            suite=suite,
        )
    vendor.files["apt/GPG-PUB-KEY-AMAZON-AWS-NEURON.PUB"] = vendor.key.public.encode()


@dataclass(frozen=True, kw_only=True)
class Site:
    """A project with the real rows and templates, and the places where its sources are answered."""

    project: SmallProject
    vendor: Vendor
    units: tuple[BuildUnit, ...]
    environment: dict[str, str]

    def run(self, *arguments: str) -> str:
        done = self.project.run(*arguments, environment=self.environment)
        assert done.code == 0, done.err
        return done.err


@pytest.fixture
def site(small: SmallProject, capsys: pytest.CaptureFixture[str]) -> Iterator[Site]:
    text, words = substituted()
    with capsys.disabled():
        sys.stdout.write("".join(f"\nSTAND-IN {each}" for each in words) + "\n")
    (small.directory / "images.toml").write_text(text)
    (small.directory / "images.lock").unlink()
    shutil.rmtree(small.directory / "dockerfiles")
    shutil.copytree(PROJECT / "dockerfiles", small.directory / "dockerfiles")
    units = expand(parse_catalog(text))
    vendor = Vendor()
    fill(vendor, units)
    with vendor.serving(address="0.0.0.0") as server:
        port = server.url.rpartition(":")[2]
        here = f"http://{reachable_address()}:{port}"
        kinds = {source.name: source.kind for unit in units for source in unit.sources}
        mirrors = {
            f"MIRROR_{name.upper().replace('-', '_')}": f"{here}/apt"
            if kind is SourceKind.APT
            else f"{here}/neuron"
            for name, kind in kinds.items()
            if kind is not SourceKind.OBJECTS
        }
        environment = {
            **mirrors,
            "PIP_INDEX_URL": f"{here}/machine",
            "UV_INSECURE_HOST": reachable_address(),
            "AWS_ENDPOINT_URL_S3": f"{here}/s3",
            "PIP_FIND_LINKS": "",
        }
        yield Site(project=small, vendor=vendor, units=units, environment=environment)


def inside(site: Site, unit: BuildUnit) -> dict[str, Any]:
    """What a started container of the published image has: facts by name."""
    program = (
        "import importlib.metadata as m, json, os, subprocess; "
        "server = os.environ.get('SERVING_MODEL_SERVER', ''); "
        "print(json.dumps({'loader': os.environ['SERVING_FRAMEWORK'], 'server': server, "
        "'server starts': os.access(server, os.X_OK), "
        "'packages': sorted(d.metadata['Name'] + '==' + d.version for d in m.distributions()), "
        "'debs': subprocess.run(['dpkg-query', '-W'], capture_output=True, text=True).stdout}))"
    )
    reference = f"{site.project.registry}/{unit.repository}:{unit.arch_tag}"
    done = subprocess.run(
        ["docker", "run", "--rm", "--pull=always", "--quiet", reference, "python3", "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def test_rows_of_vendors_are_locked_built_and_published_from_a_private_mirror(site: Site) -> None:
    site.run("lock")
    lock = (site.project.directory / "images.lock").read_text()
    assert "unlocked" not in lock
    assert reachable_address() not in lock
    for unit in site.units:
        for download in unit.downloads:
            assert download.url in lock
    site.run("release", "--allow-eol")
    for unit in site.units:
        facts = inside(site, unit)
        assert facts["loader"] == f"{unit.image.framework}-{unit.image.accelerator}"
        assert bool(facts["server"]) == (unit.image.framework == "tensorflow")
        if unit.image.accelerator is Accelerator.EIA:
            assert facts["server starts"] == bool(facts["server"])
        wanted = {text.partition("[")[0] for text in unit.requirements if "==" in text and "[" not in text}
        normal = {package.replace("_", "-") for package in facts["packages"]}
        assert {text.replace("_", "-") for text in wanted} <= normal
        for package in unit.apt.packages if unit.apt else ():
            assert package.replace("=", "\t") in facts["debs"]


def test_a_file_that_is_not_the_locked_one_is_refused(site: Site) -> None:
    site.run("lock", "pytorch-*-eia-*")
    unit = next(unit for unit in site.units if "pytorch-1.5.1-eia" in unit.identifier)
    download = unit.downloads[0]
    site.vendor.files[bucket_path(download.source.url, download.path)] += b"?"
    # `lock` has fetched it to tell its hash, and what is fetched is kept.
    shutil.rmtree(site.project.directory / ".cache" / "downloads")
    failed = site.project.run("build", unit.identifier, "--allow-eol", environment=site.environment)
    assert failed.code != 0
    assert download.filename in failed.err
    assert "sha256" in failed.err


def test_a_vendors_program_of_another_architecture_is_found(site: Site) -> None:
    unit = next(unit for unit in site.units if "tensorflow-2.3.0-eia" in unit.identifier)
    download = unit.downloads[0]
    lying = archive({"bin/health_check": elf("arm64"), "lib/libvendor.so": elf("amd64")})
    site.vendor.files[bucket_path(download.source.url, download.path)] = lying
    site.run("lock", unit.identifier)
    failed = site.project.run("build", unit.identifier, "--allow-eol", environment=site.environment)
    assert "/opt/ei_tools/bin/health_check" in failed.failed_with(4)
