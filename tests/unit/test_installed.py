import pytest

from toolkit.layers.installed import Package, PackageKind, metadata_limit, parse_packages

SITE = "/usr/lib/python3.9/site-packages"
STATUS = """Package: libc6
Status: install ok installed
Architecture: arm64
Version: 2.31-13+deb11u13
Description: GNU C Library
 Package: not a field

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: never
Status: unknown ok not-installed

Package: half
Status: install ok half-installed
Version: 2
"""


def deb(name: str, version: str) -> Package:
    return Package(kind=PackageKind.DEB, name=name, version=version)


def python(name: str, version: str) -> Package:
    return Package(kind=PackageKind.PYTHON, name=name, version=version)


@pytest.mark.parametrize(
    "path",
    [
        f"{SITE}/torch-1.12.1.dist-info/METADATA",
        f"{SITE}/old-1.0.egg-info/PKG-INFO",
        f"{SITE}/distutils-1.0.egg-info",
        "/var/lib/dpkg/status",
        "/var/lib/dpkg/status.d/base",
    ],
)
def test_metadata_files_are_recognised(path: str) -> None:
    assert metadata_limit(path) > 0


@pytest.mark.parametrize(
    "path",
    [
        f"{SITE}/torch-1.12.1.dist-info/RECORD",
        f"{SITE}/setuptools/_vendor/packaging-24.dist-info/METADATA",
        f"{SITE}/METADATA",
        "/var/lib/dpkg/status-old",
        "/var/lib/dpkg/status.d/base.md5sums",
        "/home/var/lib/dpkg/status",
    ],
)
def test_other_files_and_vendored_packages_are_not(path: str) -> None:
    assert metadata_limit(path) == 0


def test_a_python_package_is_named_by_the_headers_of_its_metadata() -> None:
    content = b"Metadata-Version: 2.1\nName: torch\nVersion: 1.12.1\n\nName: a trap in the description\n"
    assert parse_packages(f"{SITE}/x.dist-info/METADATA", content) == (python("torch", "1.12.1"),)


def test_metadata_without_a_name_or_version_names_nothing() -> None:
    assert parse_packages(f"{SITE}/x.dist-info/METADATA", b"\xff\xfe\0") == ()


def test_only_installed_debian_packages_are_listed() -> None:
    assert parse_packages("/var/lib/dpkg/status", STATUS.encode()) == (deb("libc6", "2.31-13+deb11u13"),)


def test_a_distroless_file_needs_no_status() -> None:
    content = b"Package: base-files\nVersion: 11.1\n"
    assert parse_packages("/var/lib/dpkg/status.d/base", content) == (deb("base-files", "11.1"),)
