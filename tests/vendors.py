"""A vendor's places made by a test: a package index, files, a signed apt repository; with a login or without.

What is in them are small stand-ins: they show addresses, hashes, arguments and architecture, not what the
vendor's own binaries do.
"""

import base64
import gzip
import hashlib
import io
import socket
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.debs import make_deb
from tests.http_server import Received, Reply, Server, serving
from tests.openpgp import SigningKey


def make_wheel(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    tag: str = "py3-none-any",
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """A wheel whose module is `name`, besides other files by their path."""
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {each}" for each in requires]
    wheel = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n"
    content = {
        f"{name}.py": f"version = {version!r}\n".encode(),
        **(files or {}),
        f"{info}/METADATA": ("\n".join(metadata) + "\n").encode(),
        f"{info}/WHEEL": wheel.encode(),
    }
    record = "".join(f"{path},,\n" for path in (*content, f"{info}/RECORD"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, each in {**content, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), each)
    return buffer.getvalue()


@dataclass
class Vendor:
    """Files by path; `login` (user, password) is asked for with every request when it is there."""

    login: tuple[str, str] | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    key: SigningKey = field(default_factory=SigningKey)

    def wheel(
        self,
        name: str,
        version: str,
        *,
        index: str = "simple",
        tag: str = "py3-none-any",
        requires: Sequence[str] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> str:
        """Put a wheel into an index of PEP 503; its sha256."""
        content = make_wheel(name, version, tag=tag, requires=requires, files=files)
        page = f"{index}/{name.replace('_', '-')}/"
        filename = f"{name}-{version}-{tag}.whl"
        sha256 = hashlib.sha256(content).hexdigest()
        self.files[f"{page}{filename}"] = content
        link = f'<a href="{filename}#sha256={sha256}">{filename}</a>\n'.encode()
        self.files[page] = self.files.get(page, b"<!DOCTYPE html>\n") + link
        return sha256

    def apt(
        self,
        debs: Mapping[str, bytes],
        stanzas: Mapping[str, str],
        *,
        at: str = "apt",
        suite: str = "focal",
        architecture: str = "amd64",
        inline: bool = True,
    ) -> None:
        """A signed repository of `debs`, by file name, described by `stanzas`, by the same names."""
        packages = ""
        for filename, content in debs.items():
            self.files[f"{at}/pool/{filename}"] = content
            packages += (
                f"{stanzas[filename]}Filename: pool/{filename}\nSize: {len(content)}\n"
                f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n"
            )
        path = f"main/binary-{architecture}/Packages"
        # apt wants to know both, and fetches the small one.
        listed = {f"{path}.gz": gzip.compress(packages.encode(), mtime=0), path: packages.encode()}
        sums = "".join(
            f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}\n"
            for name, content in listed.items()
        )
        release = (
            f"Origin: Vendor\nSuite: {suite}\nCodename: {suite}\nDate: Wed, 01 Jan 2020 00:00:00 UTC\n"
            f"Architectures: {architecture}\nComponents: main\nSHA256:\n{sums}"
        )
        home = f"{at}/dists/{suite}"
        self.files[f"{home}/{path}.gz"] = listed[f"{path}.gz"]
        self.files[f"{at}/key.asc"] = self.key.public.encode()
        if inline:
            self.files[f"{home}/InRelease"] = self.key.inline(release)
        else:
            self.files[f"{home}/Release"] = release.encode()
            self.files[f"{home}/Release.gpg"] = self.key.detached(release.encode())

    def answer(self, request: Received) -> Reply:
        if self.login:
            wanted = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
            if request.authorization != wanted:
                return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="vendor"'})
        content = self.files.get(request.path.lstrip("/"))
        if content is None:
            return Reply(status=404)
        kind = "text/html" if request.path.endswith("/") else "application/octet-stream"
        return Reply(headers={"Content-Type": kind}, body=content)

    @contextmanager
    def serving(self, *, address: str = "127.0.0.1") -> Iterator[Server]:
        with serving(self.answer, address=address) as server:
            yield server


def small_deb(
    name: str, version: str, *, architecture: str = "amd64", depends: str = ""
) -> tuple[bytes, str]:
    """A .deb with one file, and what a Packages file says of it."""
    fields = f"Depends: {depends}\n" if depends else ""
    content = make_deb(
        name,
        # The directories too: dpkg makes none that no package has.
        {"/opt": None, f"/opt/{name}": None, f"/opt/{name}/version": f"{version}\n".encode()},
        version=version,
        architecture=architecture,
        fields=fields,
    )
    return content, f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n{fields}"


def reachable_address() -> str:
    """This machine's address that a container's network reaches; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
