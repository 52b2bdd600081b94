"""Packages of a suite, resolved and fetched by the machine's apt with settings of its own.

Nothing of the machine is changed and root is not needed; its proxies and other apt settings hold.
"""

import hashlib
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from toolkit.adapters.private import private_files
from toolkit.bases import LockedPackage, Mirrors, Packages
from toolkit.errors import NeedNotMet
from toolkit.mirrors import apt_with_logins
from toolkit.oci import Architecture

# `'URI' FILE SIZE SHA256:HEX`; FILE is NAME_VERSION_ARCH.deb with the version's colon escaped.
_URI = re.compile(
    r"'(?P<uri>[^']+)' (?P<file>\S+)_(?P<architecture>\w+)\.deb \d+ SHA256:(?P<sha256>[0-9a-f]{64})"
)
# How often an update that is listed but not there is replaced by what the mirror does have.
_ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What `fetch` brought: packages sorted by name, the file of each by name, and remarks for a person."""

    packages: Packages
    files: Mapping[str, Path]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A suite with its updates. `directory` keeps apt's lists and the .debs of every architecture.

    Only one process at a time may work in `directory`.
    """

    suite: str
    mirrors: Mirrors
    directory: Path

    def lookup_fetched(self, packages: Packages) -> Fetched | None:
        """The locked packages when every one is on disk with the right content, else None."""
        files = {package.name: self._file(package) for package in packages}
        if not packages or not all(_holds(files[package.name], package.sha256) for package in packages):
            return None
        return Fetched(packages=packages, files=files)

    def update(self, architectures: Sequence[Architecture]) -> None:
        """Fetch the signed package lists. Raises NeedNotMet when the mirror does not give them."""
        root = self._root
        for name in ("lists/partial", "archives/partial", "none/partial"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "status").touch()
        sources, _ = _sources(self.suite, self.mirrors, architectures)
        (root / "suite.sources").write_text(sources)
        (root / "apt.conf").write_text(_settings(root))
        done = self._apt("update", "--quiet", "--option=APT::Update::Error-Mode=any")
        if done.returncode:
            raise NeedNotMet(
                f"the package lists of {self.suite} cannot be fetched: {_last_words(done.stderr)}",
                remedy="Check that `apt-get update` works on this machine and that its mirror has the suite.",
            )

    def fetch(self, names: Sequence[str], architecture: Architecture, *, preferred: Packages = ()) -> Fetched:
        """Resolve `names` with all they depend on and download it; `update` comes first.

        `preferred` versions are taken where the mirror still has them. Raises NeedNotMet when a name
        is unknown, dependencies do not fit, or downloads fail.
        """
        pins = [_pin(package.name, package.version, 1001) for package in preferred]
        gone: dict[str, str] = {}
        for _ in range(_ROUNDS):
            packages = self._resolve(names, architecture, pins)
            files = {package.name: self._file(package) for package in packages}
            absent = [package for package in packages if not _holds(files[package.name], package.sha256)]
            if absent:
                done = self._install(names, architecture, "--download-only")
                absent = [package for package in absent if not _holds(files[package.name], package.sha256)]
            if not absent:
                return Fetched(packages=packages, files=files, remarks=_remarks(gone, packages))
            # A mirror may list what it no longer has (seen: bullseye-security after its support ended).
            # Only its own "404" counts: a cut connection must not lead to older packages.
            if not re.search(r"\b404\b", done.stderr):
                raise NeedNotMet(
                    f"packages of {self.suite} cannot be fetched: {_last_words(done.stderr)}",
                    remedy="Check the network and the mirror, then run it again: what was fetched is kept.",
                )
            gone |= {package.name: package.version for package in absent}
            pins += [_pin(package.name, package.version, -1) for package in absent]
        raise NeedNotMet(
            f"the mirror lists packages of {self.suite} that it does not have: {', '.join(sorted(gone))}",
            remedy="Give the machine a complete mirror in /etc/apt/sources.list.d.",
        )

    @property
    def _root(self) -> Path:
        return self.directory / self.suite

    def _file(self, package: LockedPackage) -> Path:
        version = package.version.replace(":", "%3a")
        return self._root / "archives" / f"{package.name}_{version}_{package.architecture}.deb"

    def _resolve(self, names: Sequence[str], architecture: Architecture, pins: list[str]) -> Packages:
        (self._root / "preferences").write_text("\n".join(pins))
        # apt prints no URI of what is in its cache: look with an empty one.
        empty = f"--option=Dir::Cache::Archives={self._root / 'none'}"
        done = self._install(names, architecture, "--print-uris", empty)
        if done.returncode and pins:
            # What is left of the preferred versions may not fit together.
            held = [pin for pin in pins if "Pin-Priority: -1" in pin]
            if held != pins:
                return self._resolve(names, architecture, held)
        if done.returncode:
            raise NeedNotMet(
                f"the base's packages for {architecture} cannot be resolved in {self.suite}: "
                f"{_last_words(done.stderr)}",
                remedy="Check the names under `packages` of this base in images.toml.",
            )
        found = []
        for match in map(_URI.fullmatch, done.stdout.splitlines()):
            if match:
                name, _, version = match["file"].partition("_")
                found.append(
                    LockedPackage(
                        name=name,
                        version=unquote(version),
                        architecture=match["architecture"],
                        sha256=match["sha256"],
                    )
                )
        return tuple(sorted(found))

    def _install(
        self, names: Sequence[str], architecture: Architecture, *options: str
    ) -> subprocess.CompletedProcess[str]:
        return self._apt(
            f"--option=APT::Architecture={architecture}",
            f"--option=APT::Architectures={architecture}",
            "install",
            "--quiet=2",
            "--yes",
            *options,
            *names,
        )

    def _apt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # In C, so that what apt says can be read.
        command = ["env", "LC_ALL=C", "apt-get", f"--config-file={self._root / 'apt.conf'}", *arguments]
        _, logins = _sources(self.suite, self.mirrors, ())
        try:
            with private_files({"auth.conf": logins}) as files:
                command += [f"--option=Dir::Etc::netrc={path}" for path in files.values()]
                return subprocess.run(
                    command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
                )
        except FileNotFoundError as error:
            raise NeedNotMet(
                "there is no apt-get, which fetches the packages of bases",
                remedy="Build on Debian or Ubuntu, or give the base a `reference` in images.toml.",
            ) from error


def _sources(suite: str, mirrors: Mirrors, architectures: Sequence[Architecture]) -> tuple[str, str]:
    """The suite as sources(5), and the logins of its mirrors, which apt would show from there."""
    common = (
        "Components: main\n"
        f"Architectures: {' '.join(sorted(architectures))}\n"
        "Languages: none\n"
        "Targets: Packages\n"
        f"Signed-By: {mirrors.keyring}\n"
        # A suite whose support ended is never signed anew; what it lists is compared with the lock.
        "Check-Valid-Until: no\n"
    )
    return apt_with_logins(
        f"Types: deb\nURIs: {mirrors.main}\nSuites: {suite} {suite}-updates\n{common}\n"
        f"Types: deb\nURIs: {mirrors.security}\nSuites: {suite}-security\n{common}",
        lambda _: None,
    )


def _settings(root: Path) -> str:
    """Read after the machine's own settings, whose hooks and pins are left out.

    https://manpages.debian.org/bookworm/apt/apt.conf.5.en.html
    """
    return f"""\
#clear APT::Update;
#clear DPkg;
APT::Default-Release "";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "";
Acquire::ForceHash "SHA256";
Acquire::Retries "3";
Dir::Cache "{root}";
Dir::Cache::Archives "{root}/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Etc::Preferences "{root}/preferences";
Dir::Etc::PreferencesParts "/dev/null";
Dir::Etc::SourceList "{root}/suite.sources";
Dir::Etc::SourceParts "/dev/null";
Dir::State "{root}";
Dir::State::Lists "{root}/lists";
Dir::State::status "{root}/status";
"""


def _pin(name: str, version: str, priority: int) -> str:
    """Above 1000 a version is taken even if others are newer, below 0 never.

    https://manpages.debian.org/bookworm/apt/apt_preferences.5.en.html
    """
    return f"Package: {name}\nPin: version {version}\nPin-Priority: {priority}\n"


def _remarks(gone: Mapping[str, str], packages: Packages) -> tuple[str, ...]:
    """One line for all the versions that the mirror lists but does not have."""
    versions = {package.name: package.version for package in packages}
    lines = [f"{name} {versions.get(name, '(none)')} for {gone[name]}" for name in sorted(gone)]
    return (f"the mirror lists newer packages that it does not have: {', '.join(lines)}",) if lines else ()


def _holds(file: Path, sha256: str) -> bool:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _last_words(text: str) -> str:
    errors = [line.removeprefix("E: ") for line in text.splitlines() if line.startswith("E: ")]
    return "; ".join(errors[:3]) or text.strip().rpartition("\n")[2] or "apt-get said nothing"
