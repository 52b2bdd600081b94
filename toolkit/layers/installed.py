"""Installed packages, read from the files that package managers leave in an image."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from enum import StrEnum


class PackageKind(StrEnum):
    """Who installed it."""

    PYTHON = "python"
    DEB = "deb"


@dataclass(frozen=True, kw_only=True, order=True, slots=True)
class Package:
    """One installed package, as its metadata names it."""

    kind: PackageKind
    name: str
    version: str

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "version": self.version, "kind": self.kind.value}


# https://packaging.python.org/specifications/recording-installed-packages/; what a package vendors
# (pip/_vendor, setuptools/_vendor) is not installed: nothing imports it by its name.
_PYTHON = re.compile(r"(?!.*/_vendor/).*(?:\.dist-info/METADATA|\.egg-info/PKG-INFO|\.egg-info)")
# dpkg-query reads the one file; images without dpkg (distroless) have a directory of such files.
_DEB = re.compile(r"/var/lib/dpkg/status(?:\.d/(?!.*\.md5sums)[^/]+)?")

_PYTHON_LIMIT = 1 << 16  # the headers stand first, before the description
_DEB_LIMIT = 1 << 24


def metadata_limit(path: str) -> int:
    """How many bytes of the file at `path` (absolute) name packages; 0 when it names none."""
    if path.endswith(("METADATA", "PKG-INFO", ".egg-info")) and _PYTHON.fullmatch(path):
        return _PYTHON_LIMIT
    if path.startswith("/var/lib/dpkg/") and _DEB.fullmatch(path):
        return _DEB_LIMIT
    return 0


def parse_packages(path: str, content: bytes) -> tuple[Package, ...]:
    """The packages that the metadata file at `path` names; what is not installed is left out."""
    text = content.decode("utf-8", "replace")
    if path.startswith("/var/lib/dpkg/"):
        return tuple(_deb_packages(text))
    headers = HeaderParser().parsestr(text)
    name, version = headers["Name"], headers["Version"]
    if not (name and version):
        return ()
    return (Package(kind=PackageKind.PYTHON, name=name.strip(), version=version.strip()),)


def _deb_packages(text: str) -> Iterator[Package]:
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(Package|Version|Status):[ \t]*(.*?)[ \t]*$", paragraph, re.MULTILINE))
        # distroless' files have no Status: what is listed there is installed.
        state = fields.get("Status", "installed").split()[-1:]
        if state == ["installed"] and {"Package", "Version"} <= fields.keys():
            yield Package(kind=PackageKind.DEB, name=fields["Package"], version=fields["Version"])
