"""A base image unpacked from packages: arm64 beside amd64, and beside what runs the packages' own scripts.

`python -m scripts.bench.bases DIR ARCHITECTURE` writes a project of that one base on that one architecture.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.measuring import PROJECT, TOOLKIT, BenchFailed, run, timed
from scripts.bench.rows import Contest, Row, Side, at_most, times_faster
from toolkit.adapters.bootstrap import Bootstrapper
from toolkit.catalog.model import Recipe
from toolkit.cli.project import read_project
from toolkit.cli.settings import Settings
from toolkit.cli.world import base_maker
from toolkit.lock import Lock, format_lock
from toolkit.oci import Architecture

_BASE = "debian12"  # its mirrors have every package that they list, for both architectures
_AMD64, _ARM64 = Architecture.AMD64, Architecture.ARM64


def one_base(directory: Path, architecture: Architecture) -> Path:
    """A project whose `toolkit bases` makes one base for one platform; packages are shared with this one."""
    text = (PROJECT / "images.toml").read_text()
    start = text.index(f"[bases.{_BASE}]")
    base = text[start : text.index("]\n\n", start) + 1]
    (directory / "dockerfiles" / "serving").mkdir(parents=True)
    (directory / ".cache").mkdir()
    packages = PROJECT / ".cache" / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    (directory / ".cache" / "packages").symlink_to(packages)
    (directory / "images.toml").write_text(
        f'[groups]\ndefault = ["*"]\n\n{base}\n\n'
        '[images.bench]\ntitle = "Bench"\nframework = "bench"\nversions = ["1.0"]\npython = "3.11"\n'
        f'base = "{_BASE}"\naccelerator = "cpu"\narchitectures = ["{architecture}"]\n'
        'consumers = ["sagemaker"]\nrepository = "bench"\n'
        'template = "bench.Dockerfile.j2"\npackages.all = ["six"]\n'
    )
    (directory / "dockerfiles" / "bench.Dockerfile.j2").write_text("FROM {{ base }}\n")
    locked = read_project(Settings(catalog=PROJECT / "images.toml", environment={})).lock
    lock = Lock(bases={_BASE: {architecture: locked.bases[_BASE][architecture]}}, units={})
    (directory / "images.lock").write_text(format_lock(lock))
    return directory


def _making(project: Path) -> Side:
    """The base made anew from packages that are there."""

    def forget() -> None:
        shutil.rmtree(project / ".cache" / "bases", ignore_errors=True)

    return Side(
        command=f"toolkit bases ({_BASE}, {project.name} alone)",
        measure=lambda: timed(lambda: run(*TOOLKIT, "bases", cwd=project)),
        before=forget,
    )


@contextmanager
def _projects(*architectures: Architecture) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        projects = [one_base(Path(name) / each, each) for each in architectures]
        for project in projects:
            run(*TOOLKIT, "bases", cwd=project)  # whatever is still to be fetched
        yield projects


@contextmanager
def _beside_amd64() -> Iterator[Contest]:
    with _projects(_ARM64, _AMD64) as (arm64, amd64):
        yield Contest(ours=_making(arm64), theirs=(_making(amd64),))


@contextmanager
def _beside_scripts() -> Iterator[Contest]:
    """mmdebstrap, whose packages are there too; only the suite's package lists it always fetches."""
    if os.geteuid():
        raise BenchFailed(
            "mmdebstrap runs the scripts of another architecture as root alone: sudo make bench"
        )
    with _projects(_ARM64) as (project,), tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        peer = _Mmdebstrap(Path(name))
        peer.fetch()
        yield Contest(
            ours=_making(project),
            theirs=(Side(command=peer.shown, measure=lambda: timed(peer.make)),),
        )


class _Mmdebstrap:
    """The program where the machine has it, else unpacked into `directory`: nothing is installed."""

    def __init__(self, directory: Path) -> None:
        settings = Settings(catalog=PROJECT / "images.toml", environment=dict(os.environ))
        base = read_project(settings).catalog.bases[_BASE]
        maker = base_maker(settings)
        assert isinstance(base.origin, Recipe)
        assert isinstance(maker, Bootstrapper)
        self._directory = directory
        self._suite = base.origin.suite
        self._packages = ",".join(base.origin.packages)
        self._source = f"deb [signed-by={maker.mirrors.keyring}] {maker.mirrors.main} {self._suite} main"
        self._archives = directory / "archives"
        self._archives.mkdir()
        self.shown = (
            f"mmdebstrap --variant=essential --architectures=arm64 --include=(the base's packages) "
            f"{self._suite} FILE.tar (its .debs put into var/cache/apt/archives by a hook)"
        )

    def fetch(self) -> None:
        """Get the .debs by unpacking them without scripts."""
        keep = f'cp "$1"/var/cache/apt/archives/*.deb {self._archives}'
        self._run("extract", "--include=?essential", f"--extract-hook={keep}")

    def make(self) -> None:
        put = f'mkdir -p "$1"/var/cache/apt/archives && cp {self._archives}/*.deb "$1"/var/cache/apt/archives'
        self._run("essential", f"--setup-hook={put}")

    def _run(self, variant: str, *options: str) -> None:
        run(
            *self._program(),
            "--mode=root",
            f"--variant={variant}",
            f"--architectures={_ARM64}",
            # The check wants another package, arch-test; without an emulator the scripts fail by themselves.
            "--skip=check/qemu,download/empty,extract/unlink,essential/unlink",
            f"--include={self._packages}",
            *options,
            self._suite,
            str(self._directory / "base.tar"),
            self._source,
        )

    def _program(self) -> tuple[str, ...]:
        if found := shutil.which("mmdebstrap"):
            return (found,)
        unpacked = self._directory / "usr" / "bin" / "mmdebstrap"
        if not unpacked.exists():
            try:
                run("apt-get", "download", "mmdebstrap", cwd=self._directory)
            except BenchFailed as error:
                raise BenchFailed(
                    f"{error}\nbring it: apt-get update && apt-get install mmdebstrap"
                ) from error
            (archive,) = self._directory.glob("mmdebstrap_*.deb")
            run("dpkg-deb", "--extract", str(archive), str(self._directory))
        return ("perl", str(unpacked))


_GIVEN = f"the base {_BASE} of images.toml as locked; the .debs are on this machine on both sides"

ROWS = (
    Row(
        name="base-arm64",
        title="arm64 base against the amd64 base",
        reach=at_most(1.2),
        ready=_beside_amd64,
        given=_GIVEN,
        pairs=5,
    ),
    Row(
        name="base-scripts",
        title="arm64 base against mmdebstrap with its scripts under QEMU",
        reach=times_faster(10),
        ready=_beside_scripts,
        given=_GIVEN,
        pairs=1,  # the peer takes more than a minute
    ),
)


if __name__ == "__main__":
    where, what = sys.argv[1:]
    one_base(Path(where), Architecture(what))
