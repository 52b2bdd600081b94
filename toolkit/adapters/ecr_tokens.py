"""Authorization tokens of Amazon ECR: one per registry and run, renewed before it ends, in memory only.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
"""

import base64
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from toolkit.adapters.aws import Aws
from toolkit.adapters.aws_trouble import aws_trouble
from toolkit.adapters.registry_credentials import Credential, Credentials, CredentialTrouble
from toolkit.errors import NeedNotMet, RegistryTrouble
from toolkit.regions import EcrHost, parse_ecr_host

# "The authorization token is valid for 12 hours":
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
_DOCUMENTED_SECONDS = 12 * 3600.0

# A token is renewed when less than this is left, or a tenth of its life: a large layer takes its time.
_SPARE_SECONDS = 1800.0
_SPARE_SHARE = 0.1

# A refusal of a token younger than this is about rights, and another token would not help.
_YOUNG_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class GivenToken:
    """What ECR gave: a credential, and for how many seconds it is good by ECR's own clock."""

    credential: Credential
    seconds: float


def ask_ecr(host: EcrHost, ca_bundle: Path | None) -> GivenToken:
    """One GetAuthorizationToken. Raises NeedNotMet without credentials, RegistryTrouble when refused."""
    with aws_trouble(f"no authorization token for {host}"):
        answer = Aws(host.region, ca_bundle=ca_bundle).ecr.get_authorization_token()
    given = answer["authorizationData"]
    if not given:
        raise RegistryTrouble(f"no authorization token for {host}: ECR answers without one")
    username, _, secret = base64.b64decode(given[0]["authorizationToken"]).decode().partition(":")
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return GivenToken(
        credential=Credential(username=username, secret=secret),
        seconds=lifetime(given[0]["expiresAt"], now=parsedate_to_datetime(date) if date else None),
    )


def lifetime(expires: datetime, *, now: datetime | None) -> float:
    """Seconds from ECR's own `now` (its Date header), so that this machine's clock does not matter.

    A Date has whole seconds: up to one more had gone.
    https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    A token that has ended before it was given (moto says 2015) is taken for one of the documented life:
    a refusal renews it in any case.
    """
    seconds = (expires - (now or datetime.now(UTC))).total_seconds()
    return max(seconds - 1, 0.0) if seconds > 0 else _DOCUMENTED_SECONDS


@dataclass(frozen=True, kw_only=True)
class _Held:
    credential: Credential
    asked: float


class EcrTokens:
    """Credentials for hosts of ECR, `others` for all other hosts; safe for threads.

    Where AWS gives no token, a login that Docker has for the host is taken.
    """

    def __init__(
        self,
        *,
        ask: Callable[[EcrHost], GivenToken],
        others: Credentials,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._others = others
        self._clock = clock
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}
        self._held: dict[str, _Held] = {}

    def lookup_credential(self, host: str, *, refused: str | None = None) -> Credential | None:
        """Raises CredentialTrouble when there is neither a token nor a login."""
        where = parse_ecr_host(host)
        if where is None:
            return self._others.lookup_credential(host, refused=refused)
        with self._lock:
            asking = self._asking.setdefault(host, threading.Lock())
        # Sixteen threads that want one token ask for it once.
        with asking:
            held = self._held.get(host)
            if held and not self._is_spent(held, refused):
                return held.credential
            try:
                self._held[host] = self._renewed(where)
            except (NeedNotMet, RegistryTrouble) as error:
                if login := self._others.lookup_credential(host, refused=refused):
                    return login
                raise CredentialTrouble(error.message, remedy=error.remedy) from error
            return self._held[host].credential

    def _is_spent(self, held: _Held, refused: str | None) -> bool:
        now = self._clock()
        if now >= held.credential.until:
            return True
        return held.credential.basic == refused and now - held.asked > _YOUNG_SECONDS

    def _renewed(self, host: EcrHost) -> _Held:
        given = self._ask(host)
        now = self._clock()
        spare = min(_SPARE_SECONDS, given.seconds * _SPARE_SHARE)
        return _Held(credential=replace(given.credential, until=now + given.seconds - spare), asked=now)


def _conforms(tokens: EcrTokens) -> Credentials:
    return tokens
