"""What a registry or the way to it answered → an error that finishes the sentence.

Nothing here quotes a header or the query of an address: both may carry credentials.
"""

import ipaddress
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from toolkit.errors import RegistryAbsent, RegistryTrouble, RegistryUnavailable
from toolkit.regions import parse_ecr_host

# Busy, late or broken for now. https://www.rfc-editor.org/rfc/rfc9110#section-15
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

# An upload session that another replica of the registry does not know: a new one helps.
_PASSING_CODES = frozenset({"BLOB_UPLOAD_UNKNOWN", "TOOMANYREQUESTS"})

# Each upload of a blob writes its link in the repository anew, and on a disk not in one step: a manifest that
# is put in that moment finds the link empty, so both are said. A blob that is not there is the second alone.
# https://github.com/distribution/distribution/blob/v2.8.3/registry/storage/ocimanifesthandler.go
_PASSING_PAIR = frozenset({"DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"})

# What answers without the registry's own words usually mean.
_LIKELY = {
    405: "a proxy or a web server that is no registry answers there",
    413: "a proxy before the registry limits the size of uploads (nginx: client_max_body_size)",
    415: "it does not take this media type",
    507: "its disk is full",
}

_WORDS = 500


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A registry's refusal in words: error codes of the specification and one line of text.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
    """

    status: int
    codes: frozenset[str]
    text: str
    retry_after: float | None = None

    @property
    def is_immutable_tag(self) -> bool:
        """ECR, Harbor, Artifact Registry and Quay agree on no code, but all say "immutab…".

        ECR: 400 TAG_INVALID "… cannot be overwritten because the tag is immutable" (moby/buildkit#3776).
        """
        return self.status in (400, 403, 409, 412) and "immutab" in self.text.lower()


def read_answer(response: httpx.Response, body: bytes) -> Answer:
    """`body` is the beginning of the response's."""
    codes: list[str] = []
    words: list[str] = []
    try:
        errors = json.loads(body)["errors"]
        for each in errors:
            codes.append(str(each.get("code", "")))
            detail = each.get("detail")
            words.append(f"{each.get('message') or each.get('code')}{f' ({detail})' if detail else ''}")
    except (ValueError, KeyError, TypeError, AttributeError):
        # Go's server says in plain text, with no type at all, that its port speaks TLS.
        plain = response.headers.get("content-type", "text/plain").startswith("text/plain")
        words = [body.decode(errors="replace")] if plain else []
    told = " ".join("; ".join(words).split())
    text = "".join(char for char in told if char.isprintable())[:_WORDS]
    return Answer(
        status=response.status_code,
        codes=frozenset(codes),
        text=text or _LIKELY.get(response.status_code) or response.reason_phrase,
        retry_after=_retry_after(response.headers),
    )


def refusal(answer: Answer, *, host: str, what: str, repository: str) -> RegistryTrouble:
    """`what` completes "HOST does not let …" or "HOST could not …", like "read pytorch-inference:1.12.1"."""
    told = f"{answer.status} {answer.text}".rstrip()
    # Go's text and number of ENOSPC, which a registry on a disk reports as an unknown error.
    if answer.status >= 500 and ("no space left" in answer.text or "'Err': 28" in answer.text):
        return RegistryTrouble(
            f"{host} could not {what}: its disk is full", remedy=f"Free space where {host} keeps its data."
        )
    if answer.status in _PASSING or answer.codes & _PASSING_CODES or answer.codes >= _PASSING_PAIR:
        busy = "has too many requests at the moment" if answer.status == 429 else "is in trouble"
        return RegistryUnavailable(
            f"{host} could not {what}: it {busy} ({told})",
            remedy="Run the same command again later: what is there already is not sent twice.",
            retry_after=answer.retry_after,
        )
    if answer.status in (401, 403) or "DENIED" in answer.codes:
        rights = "What AWS must allow: `toolkit ecr policy`. " if parse_ecr_host(host) else ""
        return RegistryTrouble(
            f"{host} does not let you {what}: {told}", remedy=f"{rights}Log in: {login_line(host)}"
        )
    if answer.status == 404 and (not answer.codes or "NAME_UNKNOWN" in answer.codes):
        return RegistryTrouble(
            f"{host} could not {what}: the repository {repository} does not exist there ({told})",
            remedy=create_line(host, repository),
        )
    return RegistryTrouble(
        f"{host} could not {what}: {told}", remedy=f"See what answers there: toolkit doctor --registry {host}"
    )


def no_registry(host: str, why: str) -> RegistryTrouble:
    return RegistryTrouble(
        f"{host} does not answer like a registry: {why}",
        remedy="Check host and port; a proxy or a login page may answer in its place.",
    )


def unreachable(error: httpx.HTTPError, *, host: str) -> RegistryTrouble:
    """A transport error by its likely cause. Only what may heal by itself is RegistryUnavailable."""
    causes = tuple(_causes(error))
    if _is_unverified(causes):
        return RegistryTrouble(
            f"{host}: its TLS certificate cannot be verified: {_certificate_fault(causes)}",
            remedy="Name the CA that signed it: SSL_CERT_FILE=/path/to/bundle.pem",
        )
    if "WRONG_VERSION_NUMBER" in str(error) or "record layer failure" in str(error):
        return RegistryTrouble(
            f"{host} speaks no TLS: it answers plain HTTP, which is used for localhost only",
            remedy="Check the port, or put TLS before the registry.",
        )
    if isinstance(error, httpx.ProxyError):
        return RegistryUnavailable(
            f"{host} cannot be reached through the proxy: {error}",
            remedy=f"Check HTTPS_PROXY, or add {host} to NO_PROXY.",
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return RegistryAbsent(
            f"{host} is not a name that this machine can resolve",
            remedy="Check the spelling, the network and NO_PROXY / HTTPS_PROXY.",
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return RegistryAbsent(
            f"{host} refuses connections: no registry is running there", remedy=_start_line(host)
        )
    if isinstance(error, httpx.TimeoutException):
        return RegistryUnavailable(
            f"{host} did not answer in time",
            remedy=f"Check the network and the proxy settings: toolkit doctor --registry {host}",
        )
    return RegistryUnavailable(
        f"{host}: the connection broke ({str(error) or type(error).__name__})", remedy=_start_line(host)
    )


def login_line(host: str) -> str:
    """What to type to log in to `host`."""
    if found := parse_ecr_host(host):
        token = f"aws ecr get-login-password --region {found.region}"
        return f"{token} | docker login --username AWS --password-stdin {host}"
    return "docker login" if host == "docker.io" else f"docker login {host}"


def create_line(host: str, repository: str) -> str:
    """How the repository comes to be: most registries make it on the first push, ECR does not."""
    if found := parse_ecr_host(host):
        line = f"aws ecr create-repository --region {found.region} --repository-name {repository}"
        return f"Create it: `toolkit ecr ensure`, where images.toml names this registry; else {line}"
    return f"Create {repository} in {host} first, or check the spelling."


def is_loopback(name: str) -> bool:
    """localhost, 127.0.0.0/8 and ::1, where Docker too speaks plain HTTP."""
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"


def _start_line(host: str) -> str:
    if is_loopback(httpx.URL(f"//{host}").host):
        return "Start it: make setup (and see: toolkit doctor)"
    return f"Check the network and the proxy settings: toolkit doctor --registry {host}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_unverified(causes: tuple[BaseException, ...]) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)


def _certificate_fault(causes: tuple[BaseException, ...]) -> str:
    faults = [cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)]
    return faults[-1].verify_message


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds, from seconds or an HTTP date.

    A date is compared with the answer's own, as this machine's clock may be an hour off.
    """
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None
