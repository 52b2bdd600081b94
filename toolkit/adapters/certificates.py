"""Whom this machine trusts: the system's CAs, certifi's, and those of the bundle that the user names.

A named bundle adds. Programs that take one file and nothing else (uv here and in builds) get them all in
one file, so that a mirror behind a company's CA and a vendor's public host can be asked side by side.
"""

import ssl
from pathlib import Path

import httpx

from toolkit.errors import NeedNotMet

# Debian and Ubuntu, Fedora and Amazon Linux, openSUSE, Alpine and macOS. Not OpenSSL's own default:
# SSL_CERT_FILE replaces that, and a Python that was not the system's has another one.
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
# https://github.com/moby/buildkit/blob/master/session/secrets/secrets.go
_MOST_BYTES_OF_A_SECRET = 500 << 10


def trust(named: Path | None) -> ssl.SSLContext:
    """Raises NeedNotMet when the file that is named is no bundle of certificates."""
    context = httpx.create_ssl_context(trust_env=False)
    system = next((path for path in _SYSTEM if Path(path).is_file()), None)
    if system:
        context.load_verify_locations(cafile=system)
    if named:
        try:
            context.load_verify_locations(cafile=str(named))
        except (OSError, ssl.SSLError) as error:
            raise NeedNotMet(
                f"{named} cannot be read as a bundle of CA certificates: {error}",
                remedy="Name a PEM file: SSL_CERT_FILE=/path/to/bundle.pem",
            ) from error
    return context


def ensure_bundle(named: Path, directory: Path) -> Path:
    """One PEM file in `directory` of all that is trusted when `named` is. Raises NeedNotMet."""
    certificates = trust(named).get_ca_certs(binary_form=True)
    text = "".join(ssl.DER_cert_to_PEM_cert(each) for each in sorted(certificates))
    if len(text) > _MOST_BYTES_OF_A_SECRET:
        raise NeedNotMet(
            f"{named} and the system's certificates are {len(text) >> 10} KB, more than a build may be given",
            remedy="Name a bundle of your own CAs alone: those of the system are added to it.",
        )
    path = directory / "ca-bundle.pem"
    if not path.exists() or path.read_text() != text:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return path
