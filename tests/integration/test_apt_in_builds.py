"""apt of a base inside builds: from a mirror that asks for a password, of which nothing is left or shown.

The mirror and its packages are made by the test; apt is Debian's, in a base made from the archive's packages.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.http_server import Server
from tests.integration.conftest import PROJECT, SmallProject
from tests.integration.test_credentials import TEMPLATE
from tests.leaks import contents, forms, watched_commands
from tests.vendors import Vendor, reachable_address, small_deb

LOGIN = ("apt-user", "apt/p@ss:%41-4711")
UNIT = "tool-1.0-cpu-py311-standin-eks-amd64"
CATALOG = """\
[groups]
default = ["*"]

[sources.vendor-apt]
kind = "apt"
url = "https://apt.vendor.test"
suite = "focal"
components = ["main"]
key = "https://apt.vendor.test/key.asc"

[bases.standin]
{base}

[images.tool]
title = "Tool"
framework = "tool"
versions = ["1.0"]
python = "3.11"
base = "standin"
accelerator = "cpu"
architectures = ["amd64"]
consumers = ["eks"]
template = "tool.Dockerfile.j2"
repository = "tool"
packages.all = ["six==1.17.0"]
apt = {{ source = "vendor-apt", packages = ["standin-tool=1.0"] }}
"""


@dataclass(frozen=True, kw_only=True)
class Closed:
    """A project that installs a vendor's package, which needs one of the mirror that asks for a password."""

    project: SmallProject
    mirror: Vendor
    requests: Server
    environment: dict[str, str]


@pytest.fixture
def closed(small: SmallProject, tmp_path: Path) -> Iterator[Closed]:
    real = (PROJECT / "images.toml").read_text()
    debian = re.search(r"^\[bases\.debian12\]\n(.*?)\n\n", real, re.M | re.S)
    assert debian
    base = debian[1].replace("packages = [", 'packages = [\n  "apt",')
    directory = small.directory
    (directory / "images.toml").write_text(CATALOG.format(base=base))
    (directory / "images.lock").unlink()
    shutil.copy(PROJECT / "dockerfiles" / "macros.j2", directory / "dockerfiles")
    (directory / "dockerfiles" / "tool.Dockerfile.j2").write_text(TEMPLATE)
    vendor, mirror = Vendor(), Vendor(login=LOGIN)
    for place, name, depends in ((vendor, "standin-tool", "standin-lib"), (mirror, "standin-lib", "")):
        deb, stanza = small_deb(name, "1.0", depends=depends)
        file = f"{name}_1.0_amd64.deb"
        place.apt({file: deb}, {file: stanza})
    address = reachable_address()
    with vendor.serving(address=address) as open_place, mirror.serving(address=address) as closed_place:
        netrc = tmp_path / "netrc"
        netrc.write_text(f'machine {address} login {LOGIN[0]} password "{LOGIN[1]}"\n')
        sources = tmp_path / "sources.list"
        sources.write_text(f"deb [trusted=yes] {closed_place.url}/apt focal main\n")
        yield Closed(
            project=small,
            mirror=mirror,
            requests=closed_place,
            environment={
                "MIRROR_VENDOR_APT": f"{open_place.url}/apt",
                "APT_SOURCES_LIST": str(sources),
                "NETRC": str(netrc),
            },
        )


def left_of(closed: Closed, *arguments: str) -> tuple[int, list[tuple[str, bytes]]]:
    """A command's exit code and all that it left and showed, by where."""
    with watched_commands() as commands:
        ran = closed.project.run(*arguments, environment=closed.environment)
    left = [("stdout and stderr", (ran.out + ran.err).encode()), *contents(closed.project.directory)]
    return ran.code, [*left, *(("a command line", command) for command in commands)]


def test_a_package_of_a_mirror_that_asks_for_a_password_is_installed(closed: Closed) -> None:
    locked = closed.project.run("lock", environment=closed.environment)
    assert locked.code == 0, locked.err
    code, left = left_of(closed, "release", "--no-cache")
    assert code == 0, left[0][1].decode()
    assert closed.requests.asked("/apt/pool/standin-lib_1.0_amd64.deb")[-1].authorization
    reference = f"{closed.project.registry}/tool:1.0-cpu-py311-standin-eks-amd64"
    shown = subprocess.run(
        ["docker", "run", "--rm", "--pull=always", "--quiet", reference, "cat", "/opt/standin-lib/version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stdout == "1.0\n", shown.stderr
    assert [name for name, content in left for form in forms(LOGIN) if form in content] == []


def test_what_a_mirror_refuses_is_told_without_the_login_of_its_url(closed: Closed) -> None:
    locked = closed.project.run("lock", environment=closed.environment)
    assert locked.code == 0, locked.err
    Path(closed.environment["NETRC"]).write_text("")
    sources = Path(closed.environment["APT_SOURCES_LIST"])
    login = ":".join(quote(word, safe="") for word in LOGIN)
    sources.write_text(sources.read_text().replace("http://", f"http://{login}@"))
    del closed.mirror.files["apt/pool/standin-lib_1.0_amd64.deb"]
    code, left = left_of(closed, "build", "--no-cache")
    assert code != 0
    logs = b"".join(content for name, content in left if name.endswith(f"{UNIT}.log"))
    assert re.search(rb"Failed to fetch http://[^@ ]*/pool/standin-lib_1.0_amd64.deb  404", logs)
    assert [name for name, content in left for form in forms(LOGIN) if form in content] == []
