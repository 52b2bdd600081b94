"""uv as a program: resolves requirements for a platform, and is itself provided to builds.

https://docs.astral.sh/uv/reference/cli/#uv-pip-compile
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from uv import find_uv_bin

from toolkit.adapters.uv_settings import project_text
from toolkit.catalog.model import Source
from toolkit.errors import NeedNotMet, UsageError
from toolkit.mirrors import Places
from toolkit.oci import Architecture
from toolkit.render import wheel_platform

# find_uv_bin asks sysconfig, which two threads must not fill at once:
# https://github.com/python/cpython/issues/92452
sysconfig.get_config_vars()


class ResolutionFailed(UsageError):
    """The requirements have no solution on the platform: the message says why and what exists."""


@dataclass(frozen=True, kw_only=True)
class UvResolver:
    """Asks the package indexes that this machine is set up with. `environment` is what uv sees."""

    places: Places
    environment: Mapping[str, str]

    def resolve(
        self,
        requirements: Sequence[str],
        *,
        python: str,
        architecture: Architecture,
        glibc: str,
        indexes: Sequence[Source] = (),
    ) -> tuple[str, ...]:
        """`name==version --hash=sha256:…` lines with the hashes of this platform's own wheels.

        `indexes` are vendors' places, asked before the machine's own index. Raises ResolutionFailed, or
        NeedNotMet when an index cannot be reached.
        """
        arguments = ["--python-version", python, "--python-platform", wheel_platform(architecture, glibc)]
        done = self._compile(requirements, indexes, arguments)
        if done.returncode:
            raise self._failure(done.stderr, requirements, architecture, indexes)
        return tuple(sorted(_requirement(package) for package in tomli.loads(done.stdout)["packages"]))

    def _compile(
        self, requirements: Sequence[str], indexes: Sequence[Source], arguments: Sequence[str]
    ) -> subprocess.CompletedProcess[str]:
        """Addresses, which may carry credentials, are in a file of this user alone, not in the command."""
        command = [find_uv_bin(), "pip", "compile", "--only-binary", ":all:", "--format", "pylock.toml"]
        with tempfile.TemporaryDirectory(prefix="toolkit-lock-") as directory:
            project = Path(directory) / "pyproject.toml"
            project.write_text(project_text(requirements, self.places, indexes))
            return subprocess.run(
                [*command, "--generate-hashes", "--no-header", "--quiet", *arguments, str(project)],
                capture_output=True,
                text=True,
                env=_own_environment(self.environment),
                # uv hears the [tool.uv] of the project it is in, whatever file it is given.
                cwd=directory,
                check=False,
            )

    def _failure(
        self,
        words: str,
        requirements: Sequence[str],
        architecture: Architecture,
        indexes: Sequence[Source],
    ) -> Exception:
        text = re.sub(
            r"^error: (No solution found when resolving dependencies cause: )?", "", " ".join(words.split())
        )
        if re.search(r"Failed to fetch|dns error|error sending request|Connection refused|certificate", text):
            # What uv says has the mirror's address in it, and this goes into images.lock.
            return NeedNotMet(
                "the package index breaks off while packages are resolved",
                remedy="Check the network, PIP_INDEX_URL and SSL_CERT_FILE, then run it again.",
            )
        wheels = [
            found
            for each in requirements
            if each.split("==")[0] in text
            for found in self.wheels(each, indexes)
        ]
        # uv hints at the platforms itself where only the platform is what does not fit.
        existing = (
            "" if "Wheels are available" in text or not wheels else f" Wheels: {', '.join(wheels[:12])}."
        )
        return ResolutionFailed(
            f"no solution for {architecture}: {text}{existing}",
            remedy="Choose a version with a wheel for this platform, or leave the architecture out.",
        )

    def wheels(self, requirement: str, indexes: Sequence[Source] = ()) -> tuple[str, ...]:
        """The platform part of every wheel that the indexes have for one pinned requirement."""
        done = self._compile([requirement], indexes, ["--universal", "--no-deps"])
        if done.returncode:
            return ()
        files = [
            _filename(wheel)
            for package in tomli.loads(done.stdout)["packages"]
            for wheel in package.get("wheels", ())
        ]
        return tuple(sorted({"-".join(name.removesuffix(".whl").split("-")[2:]) for name in files}))


def _requirement(package: dict[str, object]) -> str:
    """uv has already left only the wheels of the platform that was asked for."""
    wheels = package.get("wheels")
    if not isinstance(wheels, list) or not wheels:
        raise ResolutionFailed(
            f"{package['name']} {package['version']} has no wheel for this platform",
            remedy="Choose a version with one, or leave the architecture out.",
        )
    hashes = sorted({f"--hash=sha256:{wheel['hashes']['sha256']}" for wheel in wheels})
    return f"{package['name']}=={package['version']} {' '.join(hashes)}"


def _filename(wheel: dict[str, object]) -> str:
    name = str(wheel.get("name") or str(wheel.get("url") or wheel.get("path")).rpartition("/")[2])
    try:
        parse_wheel_filename(name)
    except InvalidWheelFilename:
        return ""
    return name


# Places are said in the project's own file; uv would hear these first.
_SAID_ELSEWHERE = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


def _own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in _SAID_ELSEWHERE}


@functools.cache
def configured_index() -> str:
    """The index that pip.conf names, "" when it names none; uv itself reads no pip.conf."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def ensure_uv(directory: Path, architecture: Architecture, environment: Mapping[str, str]) -> Path:
    """A directory that holds `uv` for Linux on `architecture`, the build platform's. Idempotent.

    The machine's own uv serves when it is of that kind; else the same version is fetched.
    Raises NeedNotMet when it cannot be had.
    """
    own = find_uv_bin()
    version = subprocess.run([own, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    home = directory / f"uv-{version}-{architecture}"
    if (home / "uv").exists():
        return home
    directory.mkdir(parents=True, exist_ok=True)
    # One for each caller: units that are built side by side ask at once.
    fresh = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=directory))
    fresh.chmod(0o755)
    uname = os.uname()
    if uname.sysname == "Linux" and uname.machine == architecture.uname:
        shutil.copy2(own, fresh / "uv")
    else:
        platform = f"{architecture.uname}-manylinux_2_28"
        command = [
            own,
            "pip",
            "install",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--python-platform",
            platform,
        ]
        done = subprocess.run(
            [*command, "--target", str(fresh / "wheel"), f"uv=={version}"],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        if done.returncode:
            raise NeedNotMet(
                f"uv {version} for {platform} cannot be fetched: {done.stderr.strip()[-300:]}",
                remedy="Check the network and PIP_INDEX_URL, then run it again.",
            )
        shutil.move(fresh / "wheel" / "bin" / "uv", fresh / "uv")
        shutil.rmtree(fresh / "wheel")
    try:
        fresh.rename(home)
    except OSError:  # another one was faster
        shutil.rmtree(fresh)
    return home
