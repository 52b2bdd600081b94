"""What Authorization a request to a registry carries: none, Basic, or a Bearer token.

https://distribution.github.io/distribution/spec/auth/token/, …/oauth/
"""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from toolkit.adapters.registry_credentials import Credential, CredentialTrouble
from toolkit.adapters.registry_errors import is_loopback, login_line, read_answer, refusal
from toolkit.errors import RegistryTrouble

# What a request wants to do, like ("repository:pytorch-inference:pull,push",).
Scopes = tuple[str, ...]

# The specification's default for a token that does not say how long it lives; also its minimum.
_TOKEN_SECONDS = 60.0

# A token is renewed when a tenth of its life is left, so that it does not end on the way.
_USABLE = 0.9

_CHALLENGE = re.compile(
    r'(?P<scheme>[A-Za-z]+)\s+(?P<fields>\w+=(?:"[^"]*"|[^\s,"]+)(?:\s*,\s*\w+=(?:"[^"]*"|[^\s,"]+))*)'
)
_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,"]+))')


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """One `SCHEME key="value", …` of a WWW-Authenticate header; scheme and keys in lower case."""

    scheme: str
    fields: Mapping[str, str]


def parse_challenges(headers: Sequence[str]) -> tuple[Challenge, ...]:
    return tuple(
        Challenge(
            scheme=found["scheme"].lower(),
            fields={key.lower(): quoted or bare for key, quoted, bare in _FIELD.findall(found["fields"])},
        )
        for header in headers
        for found in _CHALLENGE.finditer(header)
    )


@dataclass(frozen=True, kw_only=True)
class _Token:
    header: str
    until: float


class Authenticator:
    """Knows, after the first challenge, what a registry wants; one per registry, safe for threads.

    `lookup` gives the credential, after a refusal another than the one refused; `send` sends a request to
    the token server and returns its answer, read.
    """

    def __init__(
        self,
        host: str,
        *,
        lookup: Callable[[str | None], Credential | None],
        send: Callable[[httpx.Request], httpx.Response],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._lookup = lookup
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._fetching: dict[Scopes, threading.Lock] = {}
        self._challenge: Challenge | None = None
        self._credential: Credential | None = None
        self._looked_up = False
        self._tokens: dict[Scopes, _Token] = {}
        self._secrets: set[str] = set()
        self.trouble: CredentialTrouble | None = None

    def header(self, scopes: Scopes) -> str | None:
        """What to send at once, from what this registry wanted before; None when it wanted nothing yet."""
        challenge = self._challenge
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            credential = self._get_credential()
            return credential.basic if credential else None
        return self._get_token(challenge, scopes, refused=None)

    def renew(self, challenges: Sequence[Challenge], scopes: Scopes, *, refused: str | None) -> str | None:
        """Another header after a 401 to `refused`; None when there is no other to try."""
        chosen = {challenge.scheme: challenge for challenge in reversed(challenges)}
        challenge = chosen.get("bearer") or chosen.get("basic")
        if challenge is None:
            return None
        self._challenge = challenge
        if challenge.scheme == "basic":
            credential = self._get_credential(refused=refused)
            return credential.basic if credential and credential.basic != refused else None
        return self._get_token(challenge, scopes, refused=refused)

    def replaced(self, refused: str | None) -> str | None:
        """Another header after a 403 to `refused`: that is how ECR answers to a token that has ended."""
        if self._challenge is None or self._challenge.scheme != "basic" or refused is None:
            return None
        credential = self._get_credential(refused=refused)
        return credential.basic if credential and credential.basic != refused else None

    def hide(self, text: str) -> str:
        """`text` without the secrets that were sent, should a server have quoted them."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _get_credential(self, *, refused: str | None = None) -> Credential | None:
        """Looked up once, and again before it ends or when it is refused."""
        with self._lock:
            known = self._credential
            is_spent = known and (known.basic == refused or self._clock() >= known.until)
            if not self._looked_up or is_spent:
                self._looked_up = True
                try:
                    self._credential, self.trouble = self._lookup(refused), None
                except CredentialTrouble as trouble:
                    # Not fatal: what is public can be read without. A refusal names it as the cause.
                    self._credential, self.trouble = None, trouble
                if self._credential:
                    self._secrets |= {self._credential.secret, self._credential.basic.partition(" ")[2]}
            return self._credential

    def _get_token(self, challenge: Challenge, scopes: Scopes, *, refused: str | None) -> str:
        with self._lock:
            fetching = self._fetching.setdefault(scopes, threading.Lock())
        # Sixteen threads that want one token ask for it once.
        with fetching:
            known = self._tokens.get(scopes)
            if known and known.header != refused and self._clock() < known.until:
                return known.header
            fresh = self._fetch_token(challenge, scopes)
            self._tokens[scopes] = fresh
            return fresh.header

    def _fetch_token(self, challenge: Challenge, scopes: Scopes) -> _Token:
        realm = _realm(challenge, self._host)
        credential = self._get_credential()
        asked = challenge.fields.get("scope", "").split()
        fields: dict[str, Any] = {"scope": list(dict.fromkeys([*scopes, *asked]))}
        if service := challenge.fields.get("service"):
            fields["service"] = service
        request = _token_request(realm, fields, credential)
        response = self._send(request)
        if response.status_code != 200:
            raise self._refused(response, realm)
        try:
            answer = response.json()
            token = str(answer.get("token") or answer["access_token"])
            seconds = max(float(answer.get("expires_in") or 0), _TOKEN_SECONDS)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RegistryTrouble(
                f"{self._host}: the token server {realm.host} answers without a token",
                remedy="A proxy or a login page may answer in its place.",
            ) from None
        self._secrets.add(token)
        return _Token(header=f"Bearer {token}", until=self._clock() + seconds * _USABLE)

    def _refused(self, response: httpx.Response, realm: httpx.URL) -> RegistryTrouble:
        answer = read_answer(response, response.content)
        answer = replace(answer, text=self.hide(answer.text))
        if response.status_code in (400, 401, 403):
            return RegistryTrouble(
                f"{realm.host} gives no token for {self._host}: {answer.status} {answer.text}",
                remedy=f"The credentials are wrong or too old. Log in: {login_line(self._host)}",
            )
        return refusal(answer, host=realm.host, what=f"give a token for {self._host}", repository="")


def _realm(challenge: Challenge, host: str) -> httpx.URL:
    """Where tokens are given. Raises RegistryTrouble for an address that credentials must not go to."""
    try:
        realm = httpx.URL(challenge.fields.get("realm", ""))
    except httpx.InvalidURL as error:
        raise RegistryTrouble(f"{host} sends for a token to an address that is none") from error
    if realm.scheme == "https" or (realm.scheme == "http" and is_loopback(realm.host)):
        return realm
    raise RegistryTrouble(
        f"{host} sends to {realm.host or 'nowhere'} for a token, which is not HTTPS",
        remedy="Nothing was sent there. Ask whoever runs the registry to put TLS before it.",
    )


def _token_request(
    realm: httpx.URL, fields: Mapping[str, Any], credential: Credential | None
) -> httpx.Request:
    if credential and credential.is_identity_token:
        form = {
            "grant_type": "refresh_token",
            "client_id": "multiarch-images",
            "refresh_token": credential.secret,
            "service": fields.get("service", ""),
            "scope": " ".join(fields["scope"]),
        }
        return httpx.Request("POST", realm, data=form)
    headers = {"Authorization": credential.basic} if credential else {}
    return httpx.Request("GET", realm.copy_merge_params(fields), headers=headers)
