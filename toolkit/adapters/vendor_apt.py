"""Vendors' apt repositories, read without apt: what their signed index has, by sha256.

gpgv, which apt itself brings, judges the signature; without it nothing of a repository is believed.
"""

import base64
import gzip
import hashlib
import lzma
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from toolkit.adapters.fetching import Fetcher, FileAbsent
from toolkit.aptindex import Offer, choose, signed_sums, stanzas
from toolkit.catalog.model import AptPackages, Source
from toolkit.errors import NeedNotMet
from toolkit.lock import Folder, LockedDownload
from toolkit.oci import Architecture

_PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    "": bytes,
}


class SignatureInvalid(NeedNotMet):
    """What a repository says is not signed by its vendor's key, or nothing here can tell."""


class VendorApt:
    """Reads each repository once. `keys` has the sha256 in hex that a signing key must have, by its URL;
    a key that is not in it is taken as it comes, and is in `keys_seen` afterwards."""

    def __init__(self, fetcher: Fetcher, *, keys: Mapping[str, str]) -> None:
        self._fetcher = fetcher
        self._keys = keys
        self._offers: dict[tuple[Source, Architecture], tuple[Offer, ...]] = {}
        self.keys_seen: dict[str, str] = {}

    def find(self, apt: AptPackages, architecture: Architecture) -> tuple[LockedDownload, ...]:
        """The .debs of the packages and of what they need of the same repository.

        Raises SourceUnreachable, SignatureInvalid, or UsageError for a package that is not there.
        """
        source = apt.source
        if (source, architecture) not in self._offers:
            self._offers[source, architecture] = self._read(source, architecture)
        chosen = choose(self._offers[source, architecture], apt.packages, f"source {source.name}")
        return tuple(
            LockedDownload(
                folder=Folder.DEBS,
                name=offer.file.rpartition("/")[2],
                sha256=offer.sha256,
                url=f"{source.url.rstrip('/')}/{offer.file}",
            )
            for offer in chosen
        )

    def _read(self, source: Source, architecture: Architecture) -> tuple[Offer, ...]:
        home = f"{source.url.rstrip('/')}/dists/{source.suite}"
        sums = signed_sums(self._signed_release(source, home))
        offers = []
        for component in source.components:
            path = f"{component}/binary-{architecture}/Packages"
            ending = next((each for each in _PACKED if f"{path}{each}" in sums), None)
            if ending is None:
                raise FileAbsent(
                    f"source {source.name} has no packages of component {component} for {architecture}",
                    remedy="Mend suite or components of the source in images.toml.",
                )
            content = self._fetcher.get(f"{home}/{path}{ending}")
            if hashlib.sha256(content).hexdigest() != sums[f"{path}{ending}"]:
                raise SignatureInvalid(
                    f"source {source.name}: {path}{ending} is not the file that its signed Release lists",
                    remedy="The repository or its mirror is being updated, or is not what it should be: "
                    "try again later.",
                )
            try:
                offers += [Offer.of(each) for each in stanzas(_PACKED[ending](content).decode())]
            except (KeyError, OSError, lzma.LZMAError, UnicodeDecodeError) as error:
                raise SignatureInvalid(
                    f"source {source.name}: {path}{ending} cannot be read: {error}",
                    remedy="Ask the vendor; nothing of it can be locked.",
                ) from error
        return tuple(offers)

    def _signed_release(self, source: Source, home: str) -> str:
        key = self._key(source)
        try:
            return _verified(source, key, self._fetcher.get(f"{home}/InRelease"), None)
        except FileAbsent:
            release = self._fetcher.get(f"{home}/Release")
            return _verified(source, key, release, self._fetcher.get(f"{home}/Release.gpg"))

    def _key(self, source: Source) -> bytes:
        key = self._fetcher.get(source.key)
        found = hashlib.sha256(key).hexdigest()
        if self._keys.get(source.key, found) != found:
            raise SignatureInvalid(
                f"source {source.name}: its signing key has sha256 {found}, images.lock says "
                f"{self._keys[source.key]}",
                remedy="If the vendor changed its key, accept it: toolkit lock --upgrade",
            )
        self.keys_seen[source.key] = found
        return key


def _verified(source: Source, key: bytes, content: bytes, signature: bytes | None) -> str:
    """The text that is signed. Raises SignatureInvalid."""
    with tempfile.TemporaryDirectory(prefix="toolkit-gpgv-") as name:
        directory = Path(name)
        (directory / "key").write_bytes(_binary(key))
        (directory / "content").write_bytes(content)
        command = ["gpgv", "--keyring", str(directory / "key")]
        if signature is None:
            command += ["--output", str(directory / "signed"), str(directory / "content")]
        else:
            (directory / "signature").write_bytes(signature)
            command += [str(directory / "signature"), str(directory / "content")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        except FileNotFoundError:
            raise SignatureInvalid(
                "there is no gpgv, which judges the signatures of apt repositories",
                remedy="Install it (Debian: apt-get install gpgv), then lock again.",
            ) from None
        if done.returncode:
            said = "; ".join(line.removeprefix("gpgv: ") for line in done.stderr.splitlines()[-2:])
            raise SignatureInvalid(
                f"source {source.name}: its Release is not signed by the key at {source.key} ({said})",
                remedy="Ask the vendor whether the key changed, and mend `key` of the source in images.toml.",
            )
        return (directory / ("content" if signature else "signed")).read_text()


def _binary(key: bytes) -> bytes:
    """A key as gpgv takes it: ASCII armour off. https://www.rfc-editor.org/rfc/rfc9580#section-6.2"""
    begin = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
    if begin not in key:
        return key
    blocks = []
    for block in key.split(begin)[1:]:
        body = block.partition(b"-----END")[0].replace(b"\r", b"")
        lines = body.partition(b"\n\n")[2].splitlines()
        blocks.append(base64.b64decode(b"".join(line for line in lines if not line.startswith(b"="))))
    return b"".join(blocks)
