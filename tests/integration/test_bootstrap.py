"""Bases made from the machine's own mirror, for both architectures, without running any of the target."""

import base64
import json
import subprocess
import tarfile
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.http_server import Received, Reply, serving
from tests.leaks import contents, forms
from toolkit.adapters.apt import Archive
from toolkit.adapters.bootstrap import Bootstrapper, lookup_base
from toolkit.adapters.certificates import trust
from toolkit.bases import BuiltBase, LockedPackage, Mirrors, Packages
from toolkit.catalog.model import Base, Recipe
from toolkit.errors import LockInvalid, NeedNotMet
from toolkit.machine.mirrors import debian_mirrors
from toolkit.machine.sources import parse_sources
from toolkit.oci import Architecture, Digest, ImageConfig, Index, Manifest, parse_manifest

BOTH = (Architecture.AMD64, Architecture.ARM64)
MACHINES = {Architecture.AMD64: 62, Architecture.ARM64: 183}
RECIPE = Recipe(
    suite="bullseye",
    packages=(
        *("base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "debianutils"),
        *("libc-bin", "libc6", "libgomp1", "libpython3-stdlib", "login", "netbase", "passwd"),
        *("python3-minimal", "tzdata"),
    ),
)
BASE = Base(name="debian11", python="3.9", glibc="2.31", origin=RECIPE, line=1)


@dataclass(frozen=True, kw_only=True)
class Site:
    """One bootstrap of both architectures, and what made it."""

    maker: Bootstrapper
    built: BuiltBase

    @property
    def locked(self) -> dict[Architecture, Packages]:
        return {architecture: platform.packages for architecture, platform in self.built.platforms.items()}


def mirrors_of_this_machine() -> Mirrors:
    etc = Path("/etc/apt")
    paths = [etc / "sources.list", *(etc / "sources.list.d").glob("*")]
    files = {str(path): path.read_text() for path in paths if path.is_file()}
    release = Path("/etc/os-release").read_text().splitlines()
    codename = next(line.partition("=")[2] for line in release if line.startswith("VERSION_CODENAME="))
    return debian_mirrors(parse_sources(files), codename)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("site")
    maker = Bootstrapper(mirrors=mirrors_of_this_machine(), bases=root / "bases", cache=root / "cache")
    return Site(maker=maker, built=maker.ensure_base(BASE, BOTH))


def blob(built: BuiltBase, digest: Digest) -> Path:
    return built.layout / "blobs" / "sha256" / digest.hex


def manifest_of(built: BuiltBase, architecture: Architecture) -> Manifest:
    manifest = parse_manifest(blob(built, built.platforms[architecture].manifest).read_bytes())
    assert isinstance(manifest, Manifest)
    return manifest


@pytest.fixture(scope="module")
def root(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The arm64 base, unpacked."""
    directory = tmp_path_factory.mktemp("root")
    (layer,) = manifest_of(site.built, Architecture.ARM64).layers
    with tarfile.open(blob(site.built, layer.digest)) as archive:
        archive.extractall(directory, filter="tar")
    return directory


def test_the_layout_holds_one_index_of_both_platforms(site: Site) -> None:
    (entry,) = json.loads((site.built.layout / "index.json").read_text())["manifests"]
    index = parse_manifest(blob(site.built, Digest(entry["digest"])).read_bytes())
    assert isinstance(index, Index)
    assert index.digest == site.built.index
    assert [str(platform) for platform in index.platforms] == ["linux/amd64", "linux/arm64"]
    for descriptor, architecture in zip(index.manifests, BOTH, strict=True):
        assert descriptor.digest == site.built.platforms[architecture].manifest
        manifest = manifest_of(site.built, architecture)
        config = ImageConfig.parse(blob(site.built, manifest.config.digest).read_bytes())
        assert config.platform == architecture.platform
        assert config.diff_ids == tuple(layer.digest for layer in manifest.layers)


def test_every_blob_is_named_by_its_content(site: Site) -> None:
    blobs = list((site.built.layout / "blobs" / "sha256").iterdir())
    assert len(blobs) == 7
    assert all(Digest.of(path.read_bytes()).hex == path.name for path in blobs)


@pytest.mark.parametrize("architecture", BOTH)
def test_every_program_and_library_is_of_its_platforms_machine(
    site: Site, architecture: Architecture
) -> None:
    machines = []
    (layer,) = manifest_of(site.built, architecture).layers
    with tarfile.open(blob(site.built, layer.digest)) as archive:
        for entry in archive:
            reader = archive.extractfile(entry) if entry.isreg() else None
            head = reader.read(20) if reader else b""
            if head.startswith(b"\x7fELF"):
                machines.append(int.from_bytes(head[18:20], "little"))
    assert len(machines) > 100
    assert set(machines) == {MACHINES[architecture]}


def test_the_same_packages_give_the_same_bytes_in_another_place_without_a_mirror(
    site: Site, tmp_path: Path
) -> None:
    nowhere = Mirrors(
        main="http://mirror.example/debian", security="http://mirror.example/sec", keyring=tmp_path
    )
    maker = Bootstrapper(mirrors=nowhere, bases=tmp_path / "bases", cache=site.maker.cache)
    again = maker.ensure_base(BASE, BOTH, locked=site.locked)
    assert again.layout != site.built.layout
    assert again.index == site.built.index
    assert again.drift == ()
    assert [path.name for path in (tmp_path / "bases").iterdir()] == [again.layout.parent.name]


def test_a_base_that_is_there_is_found_in_under_five_milliseconds(site: Site) -> None:
    locked = site.locked
    seconds = timeit.repeat(
        lambda: lookup_base(site.maker.bases, BASE, BOTH, locked=locked), number=1, repeat=20
    )
    assert min(seconds) < 0.005
    assert lookup_base(site.maker.bases, BASE, BOTH, locked=locked) == site.built
    assert site.maker.ensure_base(BASE, BOTH, locked=site.locked) == site.built


def test_an_abandoned_attempt_is_cleared_away_and_never_taken_for_a_base(site: Site, tmp_path: Path) -> None:
    home = site.built.layout.parent.name
    abandoned = tmp_path / f".{home}-half"
    (abandoned / "layout").mkdir(parents=True)
    assert lookup_base(tmp_path, BASE, BOTH, locked=site.locked) is None
    maker = replace(site.maker, bases=tmp_path)
    assert maker.ensure_base(BASE, BOTH, locked=site.locked).index == site.built.index
    assert not abandoned.exists()


def test_a_lock_that_the_mirror_has_left_behind_gives_todays_versions_and_the_drift(
    site: Site, tmp_path: Path
) -> None:
    def moved(package: LockedPackage) -> LockedPackage:
        return replace(package, version="0.1", sha256="0" * 64) if package.name == "netbase" else package

    locked = {architecture: tuple(map(moved, packages)) for architecture, packages in site.locked.items()}
    built = replace(site.maker, bases=tmp_path).ensure_base(BASE, BOTH, locked=locked)
    assert [(line.architecture, line.name, line.locked) for line in built.drift] == [
        (Architecture.AMD64, "netbase", "0.1"),
        (Architecture.ARM64, "netbase", "0.1"),
    ]
    assert built.index == site.built.index
    assert lookup_base(tmp_path, BASE, BOTH, locked=locked) == built


def test_a_lock_without_a_package_of_the_recipe_is_refused(site: Site, tmp_path: Path) -> None:
    base = replace(BASE, origin=replace(RECIPE, packages=(*RECIPE.packages, "sed-extra")))
    with pytest.raises(LockInvalid, match="sed-extra is not locked"):
        replace(site.maker, bases=tmp_path).ensure_base(base, BOTH, locked=site.locked)


def test_a_package_that_the_suite_lacks_is_named(site: Site, tmp_path: Path) -> None:
    base = replace(BASE, origin=Recipe(suite="bullseye", packages=("libc6", "no-such-package")))
    with pytest.raises(NeedNotMet, match="no-such-package") as caught:
        replace(site.maker, bases=tmp_path).ensure_base(base, (Architecture.ARM64,))
    assert "images.toml" in caught.value.remedy


def test_a_mirror_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    away = "http://127.0.0.1:9/debian"
    mirrors = replace(mirrors_of_this_machine(), main=away, security=away)
    maker = Bootstrapper(mirrors=mirrors, bases=tmp_path / "bases", cache=tmp_path / "cache")
    with pytest.raises(NeedNotMet, match=r"package lists of bullseye cannot be fetched: .*127\.0\.0\.1:9"):
        maker.ensure_base(BASE, BOTH)


LOGIN = ("apt-user", "apt/p@ss:%41-4711")


@contextmanager
def closed_mirror(login: tuple[str, str]) -> Iterator[Mirrors]:
    """This machine's mirror behind one that asks for LOGIN, as one names it with `login` in its URL."""
    real = mirrors_of_this_machine()
    wanted = "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()
    with httpx.Client(verify=trust(None), follow_redirects=True, timeout=60) as client:

        def answer(request: Received) -> Reply:
            if request.authorization != wanted:
                return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="mirror"'})
            archive, _, path = request.path.removeprefix("/").partition("/")
            place = {"main": real.main, "security": real.security}[archive]
            found = client.get(f"{place.rstrip('/')}/{path}")
            return Reply(status=found.status_code, body=found.content)

        with serving(answer) as server:
            said = ":".join(quote(word, safe="") for word in login)
            url = server.url.replace("//", f"//{said}@")
            yield replace(real, main=f"{url}/main", security=f"{url}/security")


def test_a_mirror_that_asks_for_a_password_gets_it_and_no_file_has_it(tmp_path: Path) -> None:
    with closed_mirror(LOGIN) as mirrors:
        archive = Archive(suite="bookworm", mirrors=mirrors, directory=tmp_path)
        archive.update([Architecture.ARM64])
        found = archive.fetch(["netbase"], Architecture.ARM64)
    assert "netbase" in found.files
    left = dict(contents(tmp_path))
    assert any(name.endswith("suite.sources") for name in left)
    assert [name for name, content in left.items() for form in forms(LOGIN) if form in content] == []


def test_a_mirror_that_refuses_a_password_is_named_without_it(tmp_path: Path) -> None:
    with closed_mirror(("apt-user", "no/p@ss:4711")) as mirrors:
        archive = Archive(suite="bookworm", mirrors=mirrors, directory=tmp_path)
        with pytest.raises(NeedNotMet, match=r"package lists of bookworm cannot be fetched: .*401") as caught:
            archive.update([Architecture.ARM64])
    assert "4711" not in f"{caught.value.message} {caught.value.remedy}"


def test_users_names_and_zones_are_configured(root: Path) -> None:
    etc = root / "etc"
    assert (etc / "passwd").read_text().startswith("root:x:0:0:root:/root:/bin/bash\n")
    assert "shadow:x:42:\n" in (etc / "group").read_text()
    assert "hosts:" in (etc / "nsswitch.conf").read_text()
    assert (etc / "timezone").read_text() == "Etc/UTC\n"
    assert (root / "usr/bin/python3").readlink() == Path("python3.9")
    assert (root / "bin/sh").readlink() == Path("dash")
    assert not any((root / "dev").iterdir())
    assert not (etc / "machine-id").exists()


def test_every_certificate_can_be_found_by_its_hash(root: Path) -> None:
    certificates = list((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    links = list((root / "etc/ssl/certs").glob("*.[0-9]"))
    bundle = (root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert len(certificates) == len(links) == bundle.count("BEGIN CERTIFICATE") > 100


def test_ldconfig_reads_the_loader_cache(root: Path) -> None:
    cache = root / "etc/ld.so.cache"
    told = subprocess.run(
        ["/sbin/ldconfig", "-p", "-C", str(cache)], capture_output=True, text=True, check=True
    ).stdout
    assert "libgomp.so.1 (libc6,AArch64) => /usr/lib/aarch64-linux-gnu/libgomp.so.1" in told


def test_dpkg_finds_every_package_whole(site: Site, root: Path) -> None:
    admin = f"--admindir={root / 'var/lib/dpkg'}"
    audit = subprocess.run(["dpkg", admin, "--audit"], capture_output=True, text=True, check=True)
    listed = subprocess.run(
        ["dpkg-query", admin, "--show", "--showformat=${Package}=${Version} ${db:Status-Abbrev}\n"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    packages = site.built.platforms[Architecture.ARM64].packages
    assert audit.stdout == ""
    assert listed == [f"{package.pinned} ii " for package in packages]
