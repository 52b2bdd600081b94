"""`toolkit lock` against a vendor's places that the test makes: real uv, gpgv and HTTP."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.integration.conftest import SmallProject
from tests.vendors import Vendor, small_deb
from toolkit.lock import Lock, LockedUnit, parse_lock

LINES = """
[sources.pip]
kind = "index"
url = "https://pip.vendor.test/simple"
{packages}
[sources.apt]
kind = "apt"
url = "https://apt.vendor.test"
suite = "focal"
components = ["main"]
key = "https://apt.vendor.test/key.asc"
[sources.bucket]
kind = "objects"
url = "https://vendor-files.s3.amazonaws.com"
[images.neuron]
title = "Neuron"
framework = "neuron"
versions = ["1.0"]
python = "3.9"
base = "debian11"
accelerator = "neuron"
architectures = ["amd64"]
consumers = ["sagemaker", "eks"]
template = "small.Dockerfile.j2"
repository = "neuron"
sdk = {{ version = "2.5.0", floor = "2.4.0", source = "https://vendor.test" }}
index.all = ["pip"]
packages.all = ["torch-neuron=={{version}}"]
apt = {{ source = "apt", packages = ["tools=2.*"] }}
downloads = [{{ source = "bucket", path = "v1/model+x.bin", install = "file", to = "/opt/model.bin" }}]
"""
KEY = "https://apt.vendor.test/key.asc"
UNIT = "neuron-1.0-neuron-py39-sdk2.5.0-debian11-sagemaker-amd64"


def pins(row: LockedUnit) -> list[str]:
    return [line.split(" ")[0] for line in row.requirements]


@dataclass
class Locked:
    """A small project, a vendor whose places answer on this machine, and how to lock."""

    project: SmallProject
    vendor: Vendor
    environment: dict[str, str]

    def lock(self, *arguments: str, **environment: str) -> str:
        """stderr of a run that went well."""
        done = self.project.run("lock", *arguments, environment={**self.environment, **environment})
        assert done.code == 0, done.err
        return done.err

    def fails(self, code: int, *arguments: str) -> str:
        return self.project.run("lock", *arguments, environment=self.environment).failed_with(code)

    @property
    def read(self) -> Lock:
        return parse_lock(self.text)

    @property
    def text(self) -> str:
        return (self.project.directory / "images.lock").read_text()


@pytest.fixture
def locked(small: SmallProject, request: pytest.FixtureRequest) -> Iterator[Locked]:
    packages = getattr(request, "param", "")
    catalog = small.directory / "images.toml"
    catalog.write_text(catalog.read_text() + LINES.format(packages=packages))
    vendor = Vendor(login=("lab", "s3cr3t"))
    vendor.wheel("torch_neuron", "1.0", requires=["numpy"])
    vendor.wheel("numpy", "9.9")
    vendor.wheel("six", "1.17.0", index="machine")
    vendor.wheel("numpy", "1.0", index="machine")
    debs = {
        "tools_1.9_amd64.deb": small_deb("tools", "1.9"),
        "tools_2.10_amd64.deb": small_deb("tools", "2.10", depends="runtime (>= 3), libc6"),
        "tools_2.9_amd64.deb": small_deb("tools", "2.9"),
        "runtime_3.1_amd64.deb": small_deb("runtime", "3.1"),
        "runtime_2.0_amd64.deb": small_deb("runtime", "2.0"),
    }
    vendor.apt({name: each[0] for name, each in debs.items()}, {name: each[1] for name, each in debs.items()})
    vendor.files["s3/vendor-files/v1/model%2Bx.bin"] = b"the model"
    with vendor.serving() as server:
        at = server.url.replace("//", "//lab:s3cr3t@")
        yield Locked(
            small,
            vendor,
            {
                "UV_DEFAULT_INDEX": f"{at}/machine",
                "PIP_FIND_LINKS": "",
                "MIRROR_PIP": f"{at}/simple",
                "MIRROR_APT": f"{at}/apt",
                "AWS_ENDPOINT_URL_S3": f"{at}/s3",
            },
        )


def test_a_unit_of_a_vendor_is_locked_with_packages_debs_and_files_under_the_vendor_s_addresses(
    locked: Locked,
) -> None:
    told = locked.lock()
    assert "2 packages, 3 downloads locked" in told
    row = locked.read.units[UNIT]
    assert pins(row) == ["numpy==9.9", "torch-neuron==1.0"]
    assert [each.path for each in row.downloads] == [
        "debs/runtime_3.1_amd64.deb",
        "debs/tools_2.10_amd64.deb",
        "files/model+x.bin",
    ]
    assert [each.url for each in row.downloads] == [
        "https://apt.vendor.test/pool/runtime_3.1_amd64.deb",
        "https://apt.vendor.test/pool/tools_2.10_amd64.deb",
        "https://vendor-files.s3.amazonaws.com/v1/model%2Bx.bin",
    ]
    assert row.downloads[2].sha256 == hashlib.sha256(b"the model").hexdigest()
    assert locked.read.keys.keys() == {KEY}
    # Nothing of this machine: neither where its places are nor what opens them.
    for word in ("127.0.0.1", "lab:", "s3cr3t"):
        assert word not in locked.text + told
    assert locked.project.run("lock", "--check", environment=locked.environment).code == 0


@pytest.mark.parametrize("locked", ['packages = ["torch-neuron"]'], indirect=True)
def test_an_index_that_is_there_for_some_packages_is_asked_for_no_others(locked: Locked) -> None:
    locked.lock()
    row = locked.read.units[UNIT]
    assert pins(row) == ["numpy==1.0", "torch-neuron==1.0"]


def test_consumers_of_one_image_share_their_sets_and_a_second_run_changes_nothing(locked: Locked) -> None:
    locked.lock()
    text, units = locked.text, locked.read.units
    assert units[UNIT].requirements is units[UNIT.replace("sagemaker", "eks")].requirements
    assert "nothing moved" in locked.lock()
    assert locked.text == text


def test_an_upgrade_tells_what_moved(locked: Locked) -> None:
    locked.lock()
    locked.vendor.wheel("numpy", "9.10")
    locked.vendor.files["s3/vendor-files/v1/model%2Bx.bin"] = b"another model"
    assert "nothing moved" in locked.lock()
    told = locked.lock("--upgrade", "neuron-*")
    assert "numpy 9.9 -> 9.10" in told
    old, new = (hashlib.sha256(each).hexdigest()[:12] for each in (b"the model", b"another model"))
    assert f"files/model+x.bin {old} -> {new}" in told
    assert "nothing moved" in locked.lock("--upgrade", "neuron-*")


@pytest.mark.parametrize("inline", [True, False], ids=["InRelease", "Release.gpg"])
def test_an_index_of_packages_that_another_key_signed_is_not_believed(locked: Locked, inline: bool) -> None:
    other = Vendor()
    content, stanza = small_deb("tools", "2.99")
    other.apt({"tools_2.99_amd64.deb": content}, {"tools_2.99_amd64.deb": stanza}, inline=inline)
    locked.vendor.files = {
        path: content for path, content in locked.vendor.files.items() if "/dists/" not in path
    } | {path: content for path, content in other.files.items() if "key.asc" not in path}
    told = locked.lock()
    assert (
        "unlocked: source apt: its Release is not signed by the key at https://apt.vendor.test/key.asc"
        in told
    )
    assert not locked.read.units[UNIT].downloads


def test_a_detached_signature_is_as_good_and_a_changed_index_is_not(locked: Locked) -> None:
    vendor = locked.vendor
    content, stanza = small_deb("tools", "2.50")
    for path in [path for path in vendor.files if "/dists/" in path]:
        del vendor.files[path]
    vendor.apt({"tools_2.50_amd64.deb": content}, {"tools_2.50_amd64.deb": stanza}, inline=False)
    locked.lock()
    assert locked.read.units[UNIT].downloads[0].name == "tools_2.50_amd64.deb"
    vendor.files["apt/dists/focal/main/binary-amd64/Packages.gz"] += b"x"
    told = locked.lock("--upgrade", "neuron-*")
    assert "stays as it is: source apt: main/binary-amd64/Packages.gz is not the file" in told
    assert locked.read.units[UNIT].downloads[0].name == "tools_2.50_amd64.deb"


def test_a_signing_key_that_changed_is_refused_until_it_is_accepted(locked: Locked) -> None:
    locked.lock()
    before = locked.read.keys
    other = Vendor()
    content, stanza = small_deb("tools", "2.60")
    other.apt({"tools_2.60_amd64.deb": content}, {"tools_2.60_amd64.deb": stanza})
    locked.vendor.files |= other.files
    locked.project.catalog('packages = ["tools=2.*"]', 'packages = ["tools"]')
    assert "its signing key has sha256" in locked.lock()
    told = locked.lock("--upgrade", "neuron-*")
    assert (
        f"signing key https://apt.vendor.test/key.asc: sha256 {before['https://apt.vendor.test/key.asc']}"
        in told
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tools=2.*", "tools=3.*", "source apt has no tools=3.*: it has 1.9, 2.9, 2.10"),
        ("tools=2.*", "tolls", "source apt has no package tolls"),
        ("v1/model+x.bin", "v2/model.bin", "vendor-files.s3.amazonaws.com does not have /v2/model.bin"),
        ("torch-neuron=={version}", "torch-neuron==7", "no solution for amd64"),
    ],
)
def test_what_the_vendor_does_not_have_is_a_fault_with_the_line_of_the_catalog(
    locked: Locked, old: str, new: str, said: str
) -> None:
    locked.project.catalog(old, new)
    told = locked.fails(2)
    assert said in told
    assert f": {UNIT}: " in told
    assert "images.toml:" in told


def test_places_that_are_not_there_cost_seconds_and_leave_their_rows_unlocked(locked: Locked) -> None:
    versions = ", ".join(f'"1.{minor}"' for minor in range(10))
    tail = '\npython = "3.9"\nbase = "debian11"\naccelerator = "neuron"'
    locked.project.catalog(f'versions = ["1.0"]{tail}', f"versions = [{versions}]{tail}")
    gone = "http://127.0.0.1:9/simple"
    started = time.monotonic()
    told = locked.lock(MIRROR_PIP=gone)
    assert time.monotonic() - started < 20
    assert "and 16 more: unlocked: pip.vendor.test cannot be reached: it refuses connections" in told
    checked = locked.project.run("lock", "--check")
    assert (checked.code, "2 images locked" in checked.err + checked.out) == (0, False)
    assert locked.project.run("lock", "--check", "--complete").code == 2
