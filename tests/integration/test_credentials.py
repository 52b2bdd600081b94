"""What opens the indexes and registries of a machine is in nothing that a release leaves or shows.

Real Buildx, two indexes that ask for a password, a registry that asks for one.
"""

import base64
import json
import shutil
from pathlib import Path
from urllib.parse import quote

from tests.integration.conftest import PROJECT, SmallProject
from tests.leaks import contents, forms, watched_commands
from tests.registry_process import PASSWORD, USERNAME, password_file, running_registry
from tests.vendors import Vendor, reachable_address

IN_URL = ("index-user", "url/p@ss word-4711")
IN_NETRC = ("vendor-user", "netrc-secret-4711")
LOGINS = (IN_URL, IN_NETRC, (USERNAME, PASSWORD))

CATALOG = """
[sources.vendor-pip]
kind = "index"
url = "https://pip.vendor.test/simple"
[images.locked]
title = "Locked"
framework = "locked"
versions = ["1.0"]
python = "3.9"
base = "debian11"
accelerator = "cpu"
architectures = ["amd64"]
consumers = ["sagemaker"]
template = "locked.Dockerfile.j2"
repository = "locked"
index.all = ["vendor-pip"]
packages.all = ["standin-vendor==1.0", "standin-own==2.0"]
"""

TEMPLATE = """\
{% from "macros.j2" import base_with_packages with context %}
{{ base_with_packages() -}}
COPY --chmod=0755 serve /usr/local/bin/serve
CMD ["serve"]
"""


SECRETS = tuple(form for login in LOGINS for form in forms(login))


def with_locked_image(small: SmallProject) -> Path:
    """The project's directory, with an image whose packages two indexes have."""
    project = small.directory
    (project / "images.toml").write_text((project / "images.toml").read_text() + CATALOG)
    shutil.copy(PROJECT / "dockerfiles" / "macros.j2", project / "dockerfiles")
    (project / "dockerfiles" / "locked.Dockerfile.j2").write_text(TEMPLATE)
    return project


def logged_in(url: str, login: tuple[str, str]) -> str:
    return url.replace("//", f"//{':'.join(quote(word, safe='') for word in login)}@") + "/simple"


def test_no_credential_is_in_an_image_a_lock_a_record_a_log_an_output_or_a_command(
    small: SmallProject, tmp_path: Path
) -> None:
    project = with_locked_image(small)
    own, vendor = Vendor(login=IN_URL), Vendor(login=IN_NETRC)
    own.wheel("standin_own", "2.0")
    vendor.wheel("standin_vendor", "1.0")
    temporary, data = tmp_path / "tmp", tmp_path / "closed-registry"
    temporary.mkdir()
    data.mkdir()
    address = reachable_address()
    with (
        own.serving(address=address) as index,
        vendor.serving(address=address) as other,
        running_registry(data, htpasswd=password_file(tmp_path)) as registry,
    ):
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {address} login {IN_NETRC[0]} password {IN_NETRC[1]}\n")
        docker = tmp_path / "docker"
        docker.mkdir()
        auth = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        (docker / "config.json").write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
        environment = {
            "UV_DEFAULT_INDEX": logged_in(index.url, IN_URL),
            "MIRROR_VENDOR_PIP": f"{other.url}/simple",
            "PIP_FIND_LINKS": "",
            "NETRC": str(netrc),
            "DOCKER_CONFIG": str(docker),
            "REGISTRY": registry,
            "TMPDIR": str(temporary),
        }
        with watched_commands() as commands:
            locked = small.run("lock", environment=environment)
            released = small.run("release", "locked-*", "--no-cache", environment=environment)
    assert locked.code == 0, locked.err
    assert released.code == 0, released.err
    # Both indexes were asked for their wheels by the lock and by the build.
    assert sum(request.path.endswith(".whl") for request in index.requests) >= 2
    assert sum(request.path.endswith(".whl") for request in other.requests) >= 2
    assert any(b"buildx build" in command for command in commands)

    left = [("stdout and stderr", (locked.out + locked.err + released.out + released.err).encode())]
    left += contents(project)
    left += contents(data / "data")
    left += contents(temporary)
    left += [("a command line", command) for command in commands]
    names = "".join(name for name, _ in left)
    for expected in ("images.lock", "dist/release.json", "dist/logs/locked-", "(unpacked)"):
        assert expected in names
    assert any(b"standin_vendor" in content for name, content in left if name.endswith("(unpacked)"))
    assert [name for name, content in left for secret in SECRETS if secret in content] == []
    assert not list(temporary.glob("toolkit-*"))


def test_a_password_that_is_refused_or_for_a_place_that_is_gone_is_not_shown(small: SmallProject) -> None:
    project = with_locked_image(small)
    own, vendor = Vendor(login=IN_URL), Vendor()
    own.wheel("standin_own", "2.0")
    vendor.wheel("standin_vendor", "1.0")
    address, wrong = reachable_address(), ("index-user", "wr/p@ss:4711")
    shown = []
    with own.serving(address=address) as index, vendor.serving(address=address) as other:
        right = {
            "UV_DEFAULT_INDEX": logged_in(index.url, IN_URL),
            "MIRROR_VENDOR_PIP": f"{other.url}/simple",
            "PIP_FIND_LINKS": "",
            "NETRC": "/dev/null",
        }
        refused = {**right, "UV_DEFAULT_INDEX": logged_in(index.url, wrong)}
        shown.append(small.run("lock", "locked-*", "--upgrade", environment=refused))
        locked = small.run("lock", environment=right)
        assert locked.code == 0, locked.err
        shown.append(small.run("build", "locked-*", "--no-cache", environment=refused))
    gone = {**right, "UV_DEFAULT_INDEX": logged_in("http://127.0.0.1:1", wrong)}
    for words in (["lock", "--upgrade"], ["plan"], ["build", "--no-cache"]):
        shown.append(small.run(words[0], "locked-*", *words[1:], environment=gone))
    assert [ran.code != 0 for ran in shown] == [True, True, False, False, True]
    left = [(f"output {number}", (ran.out + ran.err).encode()) for number, ran in enumerate(shown)]
    left += contents(project)
    secrets = (*forms(wrong), *forms(IN_URL))
    assert [name for name, content in left for form in secrets if form in content] == []
