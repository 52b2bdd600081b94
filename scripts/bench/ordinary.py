"""The Dockerfile that one would write without this project: apt and pip run in the image of the target.

Its base is made by `toolkit bases` from the packages of debian11 and what apt itself takes, as no registry
with Debian's own image can be asked from every machine.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.measuring import TOOLKIT, run
from toolkit.adapters.bootstrap import Bootstrapper
from toolkit.cli.settings import Settings
from toolkit.cli.supplies import ca_bundle
from toolkit.cli.world import base_maker

_PACKAGES = (
    "adduser", "apt", "base-files", "base-passwd", "bash", "bsdutils", "ca-certificates", "coreutils",
    "dash", "debconf", "debian-archive-keyring", "debianutils", "diffutils", "dpkg", "findutils",
    "gpgv", "grep", "gzip", "hostname", "init-system-helpers", "libc-bin", "libc6", "libgomp1",
    "libpython3-stdlib", "libstdc++6", "login", "mawk", "mount", "ncurses-base", "ncurses-bin",
    "netbase", "openssl", "passwd", "perl-base", "python3-distutils", "python3-minimal", "sed",
    "sysvinit-utils", "tar", "tzdata", "util-linux",
)  # fmt: skip

_CATALOG = f"""\
[groups]
default = ["*"]

[bases.ordinary11]
python = "3.9"
glibc = "2.31"
suite = "bullseye"
packages = {list(_PACKAGES)}

[images.ordinary]
title = "Ordinary"
framework = "ordinary"
versions = ["1.0"]
python = "3.9"
base = "ordinary11"
accelerator = "cpu"
architectures = ["amd64", "arm64"]
consumers = ["sagemaker"]
repository = "ordinary"
packages.all = ["six"]
"""


@contextmanager
def ordinary_project(project: Path) -> Iterator[Path]:
    """A project whose base `ordinary11` has apt; its packages and tools are shared with `project`."""
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        directory = Path(name)
        (directory / "images.toml").write_text(_CATALOG)
        (directory / "dockerfiles").symlink_to(project / "dockerfiles")
        (directory / ".cache").mkdir()
        for shared in ("packages", "tools"):
            (directory / ".cache" / shared).symlink_to(project / ".cache" / shared)
        run(*TOOLKIT, "lock", "*", cwd=directory)
        run(*TOOLKIT, "bases", cwd=directory)
        yield directory


def ordinary_dockerfile() -> str:
    return """\
FROM ordinary
RUN --mount=type=secret,id=ca-bundle,mode=0444 --mount=type=secret,id=apt-sources,mode=0444 \\
    set -- --option=Dir::Etc::SourceList=/run/secrets/apt-sources --option=Dir::Etc::SourceParts=/dev/null \\
      --option=APT::Sandbox::User=root; \\
    if [ -s /run/secrets/ca-bundle ]; then \\
      set -- "$@" --option=Acquire::https::CAInfo=/run/secrets/ca-bundle; fi; \\
    export DEBIAN_FRONTEND=noninteractive \\
    && apt-get "$@" update \\
    && apt-get "$@" install --yes --no-install-recommends python3-pip \\
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/*
COPY requirements.txt /tmp/requirements.txt
RUN --mount=type=secret,id=ca-bundle,mode=0444 \\
    if [ -s /run/secrets/ca-bundle ]; then export PIP_CERT=/run/secrets/ca-bundle; fi; \\
    pip3 install --no-cache-dir --no-deps --require-hashes --only-binary :all: \\
      --requirement /tmp/requirements.txt
ENV LANG=C.UTF-8 PYTHONUNBUFFERED=1
COPY serving /opt/serving/serving
COPY --chmod=0755 serve /usr/local/bin/serve
ENV SERVING_FRAMEWORK=pytorch
EXPOSE 8080
CMD ["serve"]
"""


@contextmanager
def ordinary_secrets(settings: Settings) -> Iterator[Mapping[str, Path]]:
    """This machine's own mirror and trust, which no layer keeps."""
    maker = base_maker(settings)
    assert isinstance(maker, Bootstrapper)
    mirrors = maker.mirrors
    bundle = ca_bundle(settings)
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-secrets-") as name:
        sources = Path(name) / "apt-sources"
        sources.write_text(
            f"deb {mirrors.main} bullseye main\ndeb {mirrors.main} bullseye-updates main\n"
            f"deb {mirrors.security} bullseye-security main\n"
        )
        yield {"apt-sources": sources, **({"ca-bundle": bundle} if bundle else {})}
