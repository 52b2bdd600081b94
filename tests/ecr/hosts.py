"""ECR host names on this machine: a loopback address, /etc/hosts, a CA that signs, dockerd's trust.

Needs root, as port 443 does. Everything is taken back, also what a killed run left behind.
"""

import datetime
import fcntl
import os
import random
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = Path("/etc/hosts")
DOCKER_TRUST = Path("/etc/docker/certs.d")
_MARK = "# tests/ecr of process"
_OWNER = "owner"  # dockerd reads *.crt, *.cert and *.key only
_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """PEM files. `bundle` is what clients trust: the CA and what the system trusts."""

    ca: Path
    bundle: Path
    certificate: Path
    key: Path


def make_certificates(directory: Path, names: Sequence[str]) -> Certificates:
    """A CA of its own and a certificate for all `names`, good for a day."""
    directory.mkdir(exist_ok=True)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in of tests/ecr")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    ca = (
        _builder(ca_name, ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    certificate = (
        _builder(subject, ca_name, key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    made = Certificates(
        ca=directory / "ca.crt",
        bundle=directory / "bundle.crt",
        certificate=directory / "server.crt",
        key=directory / "server.key",
    )
    made.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    system = _SYSTEM_BUNDLE.read_bytes() if _SYSTEM_BUNDLE.exists() else b""
    made.bundle.write_bytes(system + made.ca.read_bytes())
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=2))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


@contextmanager
def names_of_this_machine(names: Sequence[str], ca: Path) -> Iterator[str]:
    """Lends `names` a loopback address of their own, with port 443 free, and dockerd's trust in `ca`."""
    if os.geteuid() != 0:
        raise AssertionError("the stand-in of ECR takes a line in /etc/hosts and port 443: run it as root")
    address = _free_address()
    trusted = [DOCKER_TRUST / name for name in names]
    _sweep_trust()
    _edit(add=f"{address} {' '.join(names)}")
    try:
        for directory in trusted:
            directory.mkdir(parents=True)
            (directory / _OWNER).write_text(str(os.getpid()))
            shutil.copy(ca, directory / "ca.crt")
        yield address
    finally:
        _edit(remove=address)
        for directory in trusted:
            shutil.rmtree(directory, ignore_errors=True)
        with suppress(OSError):  # where others have theirs it stays
            DOCKER_TRUST.rmdir()


def _free_address() -> str:
    while True:
        address = f"127.{random.randint(2, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"
        with socket.socket() as probe, suppress(OSError):
            probe.bind((address, 443))
            return address


def _edit(*, add: str = "", remove: str = "") -> None:
    """In place, as /etc/hosts may be a mount; lines of processes that have ended go too."""
    with HOSTS.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = [
            line
            for line in file.read().splitlines()
            if not (remove and line.startswith(f"{remove} ")) and not _is_left_over(line)
        ]
        if add:
            lines.append(f"{add} {_MARK} {os.getpid()}")
        file.seek(0)
        file.write("\n".join(lines) + "\n")
        file.truncate()


def _is_left_over(line: str) -> bool:
    _, mark, process = line.partition(_MARK)
    return bool(mark) and _has_ended(process)


def _sweep_trust() -> None:
    """Directories of processes that were killed; those of other people have no owner's file."""
    for owner in DOCKER_TRUST.glob(f"*/{_OWNER}"):
        with suppress(OSError):
            if _has_ended(owner.read_text()):
                shutil.rmtree(owner.parent)


def _has_ended(process: str) -> bool:
    return not Path(f"/proc/{process.strip()}").exists()
