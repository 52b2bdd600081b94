"""Signs as a vendor of apt packages does, without gpg: an RSA key and its signatures as OpenPGP packets.

https://www.rfc-editor.org/rfc/rfc4880
"""

import base64
import hashlib
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

TIME = 1_700_000_000
_BINARY, _TEXT, _CERTIFICATION = 0x00, 0x01, 0x13
_MAY_SIGN = b"\x03"


@dataclass(frozen=True)
class SigningKey:
    """A key of a test's own."""

    private: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    @property
    def public(self) -> str:
        """What a vendor offers for download."""
        user = b"for tests <tests@vendor.test>"
        said = b"\x99" + struct.pack(">H", len(self._body)) + self._body
        said += b"\xb4" + struct.pack(">I", len(user)) + user
        packets = _packet(6, self._body) + _packet(13, user) + self._signature(said, _CERTIFICATION)
        return _armoured("PUBLIC KEY BLOCK", packets)

    def detached(self, content: bytes) -> bytes:
        """What Release.gpg holds for Release."""
        return _armoured("SIGNATURE", self._signature(content, _BINARY)).encode()

    def inline(self, text: str) -> bytes:
        """What InRelease holds. Lines must neither begin with a dash nor end with spaces."""
        lines = text.rstrip("\n").split("\n")
        signature = _armoured("SIGNATURE", self._signature("\r\n".join(lines).encode(), _TEXT))
        head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
        return (head + "\n".join(lines) + "\n" + signature).encode()

    @property
    def _body(self) -> bytes:
        numbers = self.private.public_key().public_numbers()
        return b"\x04" + struct.pack(">I", TIME) + b"\x01" + _integer(numbers.n) + _integer(numbers.e)

    def _signature(self, content: bytes, kind: int) -> bytes:
        fingerprint = hashlib.sha1(b"\x99" + struct.pack(">H", len(self._body)) + self._body).digest()
        hashed = _sub(2, struct.pack(">I", TIME)) + _sub(33, b"\x04" + fingerprint)
        hashed += _sub(27, _MAY_SIGN) if kind == _CERTIFICATION else b""
        head = bytes([4, kind, 1, 8]) + struct.pack(">H", len(hashed)) + hashed
        digest = hashlib.sha256(content + head + b"\x04\xff" + struct.pack(">I", len(head))).digest()
        signed = self.private.sign(digest, padding.PKCS1v15(), Prehashed(SHA256()))
        issuer = _sub(16, fingerprint[-8:])
        tail = struct.pack(">H", len(issuer)) + issuer + digest[:2] + _integer(int.from_bytes(signed))
        return _packet(2, head + tail)


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + struct.pack(">I", len(body)) + body


def _sub(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


def _integer(number: int) -> bytes:
    return struct.pack(">H", number.bit_length()) + number.to_bytes((number.bit_length() + 7) // 8)


def _armoured(what: str, content: bytes) -> str:
    lines = base64.encodebytes(content).decode()
    checksum = base64.b64encode(_crc24(content).to_bytes(3)).decode()
    return f"-----BEGIN PGP {what}-----\n\n{lines}={checksum}\n-----END PGP {what}-----\n"


def _crc24(content: bytes) -> int:
    crc = 0xB704CE
    for byte in content:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc & 0xFFFFFF
