"""What `update-ca-certificates` makes: the bundle, a link per certificate and OpenSSL's hash links."""

import base64
import hashlib
import posixpath
import re
from collections.abc import Iterator

from toolkit.rootfs.tree import Tree

_SOURCE = "/usr/share/ca-certificates"
_TARGET = "/etc/ssl/certs"
_CONFIG_HEAD = "# Certificates that /etc/ssl/certs is made of; see update-ca-certificates(8).\n"

# Universal DER tags of the string types that OpenSSL compares as UTF-8, with their encodings.
_STRINGS = {
    12: "utf-8",
    19: "ascii",
    20: "latin-1",
    22: "ascii",
    26: "ascii",
    28: "utf-32-be",
    30: "utf-16-be",
}


def write_certificates(tree: Tree) -> None:
    """Trust every certificate that the ca-certificates package brings, as its default does."""
    names = [
        f"{directory}/{name}"
        for directory in tree.children(_SOURCE)
        for name in tree.children(f"{_SOURCE}/{directory}")
        if name.endswith(".crt")
    ]
    tree.file("/etc/ca-certificates.conf", (_CONFIG_HEAD + "".join(f"{name}\n" for name in names)).encode())
    tree.directory("/usr/local/share/ca-certificates")
    bundle = bytearray()
    hashes: dict[str, int] = {}
    for name in names:
        content = tree.lookup_content(f"{_SOURCE}/{name}") or b""
        bundle += content if content.endswith(b"\n") else content + b"\n"
        link = posixpath.basename(name).removesuffix(".crt").translate(_LINK_NAMES) + ".pem"
        tree.link(f"{_TARGET}/{link}", f"{_SOURCE}/{name}")
        subject = subject_hash(content)
        number = hashes.get(subject, 0)
        hashes[subject] = number + 1
        tree.link(f"{_TARGET}/{subject}.{number}", link)
    tree.file(f"{_TARGET}/ca-certificates.crt", bytes(bundle))


_LINK_NAMES = str.maketrans({" ": "_", "(": "=", ")": "=", ",": "_"})


def subject_hash(pem: bytes) -> str:
    """The name under which OpenSSL looks a certificate up: `openssl x509 -hash`, 8 hex digits.

    SHA-1 of the subject's canonical encoding, its first four bytes read as little-endian:
    https://github.com/openssl/openssl/blob/master/crypto/x509/x_name.c (x509_name_canon).
    Raises ValueError when `pem` holds no certificate.
    """
    match = re.search(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", pem, re.DOTALL)
    if not match:
        raise ValueError("no PEM certificate")
    (_, certificate), *_ = _elements(base64.b64decode(match[1]))
    (_, to_be_signed), *_ = _elements(certificate)
    # An explicit version stands first since X.509 v3; then serial, algorithm, issuer, validity, subject.
    fields = [body for tag, body in _elements(to_be_signed) if tag != 0xA0]
    digest = hashlib.sha1(_canonical_name(fields[4]), usedforsecurity=False).digest()
    return digest[3::-1].hex()


def _canonical_name(name: bytes) -> bytes:
    """Every relative name with its strings in UTF-8, lower case and single spaces; no outer SEQUENCE."""
    return b"".join(
        _encode(0x31, b"".join(sorted(_canonical_attribute(body) for _, body in _elements(relative))))
        for _, relative in _elements(name)
    )


def _canonical_attribute(attribute: bytes) -> bytes:
    (_, kind), (tag, value) = _elements(attribute)
    if tag in _STRINGS:
        text = value.decode(_STRINGS[tag]).encode()
        # Only ASCII letters change case: bytes.lower() does just that.
        tag, value = 12, b" ".join(text.split()).lower()
    return _encode(0x30, _encode(0x06, kind) + _encode(tag, value))


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The DER elements of `content`, as tag and body."""
    offset = 0
    while offset < len(content):
        tag, length = content[offset], content[offset + 1]
        offset += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(content[offset : offset + octets], "big")
            offset += octets
        yield tag, content[offset : offset + length]
        offset += length


def _encode(tag: int, body: bytes) -> bytes:
    length = len(body)
    if length < 0x80:
        return bytes([tag, length]) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body
