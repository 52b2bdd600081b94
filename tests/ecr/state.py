"""What both planes of the stand-in share, and its switches."""

import re
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# ECR's own numbers: tokens live for 12 hours, PutImage is answered ten times a second.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
TOKEN_SECONDS = 12 * 3600.0


@dataclass(kw_only=True)
class Behaviour:
    """The switches. Each may be thrown while the stand-in runs; as they stand here it is as strict as ECR.

    needs_repositories   False: a push makes its repository, as plain registries do
    obeys_immutability   False: every tag moves, whatever the repository says
    token_seconds        the life of tokens that are given from now on
    tokens_say_2015      True: `expiresAt` is 2015-01-01, as moto's is; the token is good all the same
    expired_status       what a token that has ended gets: 403 as ECR, or 401 as most registries
    puts_per_second      manifests a second that may be put (0.5: one in two); the others get 429; None: any
    replication_seconds  what is pushed is brought to where replication rules say after that time; None: never
    refusals             (status, method, times): the next requests of that method are refused so
    preview              digest → priority of the rule: what a lifecycle preview says would expire
    preview_error        an error code with which previews are refused, "" for none
    findings             digest → the answer's imageScanFindings; what is not in it was scanned and is clean
    scan_states          digest → the states that are answered one after the other, the last one for good
    """

    needs_repositories: bool = True
    obeys_immutability: bool = True
    token_seconds: float = TOKEN_SECONDS
    tokens_say_2015: bool = False
    expired_status: int = 403
    puts_per_second: float | None = None
    replication_seconds: float | None = None
    refusals: list[tuple[int, str, int]] = field(default_factory=list)
    preview: dict[str, int] = field(default_factory=dict)
    preview_error: str = ""
    findings: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    scan_states: dict[str, list[str]] = field(default_factory=dict)


@dataclass(kw_only=True)
class Kept:
    """A manifest that was put."""

    digest: str
    media_type: str
    size: int
    pushed: float


@dataclass(kw_only=True)
class Repository:
    """One of one region. `filters` are the exclusion filters of its tag mutability."""

    name: str
    mutability: str = "MUTABLE"
    filters: tuple[str, ...] = ()
    manifests: dict[str, Kept] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def is_immutable(self, tag: str) -> bool:
        excluded = any(_fits(each, tag) for each in self.filters)
        match self.mutability:
            case "IMMUTABLE":
                return True
            case "IMMUTABLE_WITH_EXCLUSION":
                return not excluded
            case "MUTABLE_WITH_EXCLUSION":
                return excluded
            case _:
                return False

    def tags_of(self, digest: str) -> list[str]:
        return sorted(tag for tag, named in self.tags.items() if named == digest)


@dataclass(kw_only=True)
class State:
    """Repositories by region and name, tokens with when they end, and every request in order."""

    account: str
    regions: tuple[str, ...]
    behaviour: Behaviour = field(default_factory=Behaviour)
    repositories: dict[str, dict[str, Repository]] = field(default_factory=lambda: defaultdict(dict))
    tokens: dict[str, float] = field(default_factory=dict)
    replication: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _puts: list[float] = field(default_factory=list)

    def give_token(self) -> str:
        with self.lock:
            token = f"stand-in-{secrets.token_urlsafe(300)}"
            self.tokens[token] = time.time() + self.behaviour.token_seconds
            return token

    def destinations(self, region: str, repository: str) -> list[str]:
        """The regions of this account to which a push to `repository` is replicated."""
        return [
            place["region"]
            for rule in self.replication.get(region, {"rules": []})["rules"]
            for place in rule["destinations"]
            if place["registryId"] == self.account
            and any(
                repository.startswith(each["filter"])
                for each in rule.get("repositoryFilters") or [{"filter": ""}]
            )
        ]

    def may_put(self) -> bool:
        """Whether a manifest may be put in this moment by the rate that is allowed."""
        with self.lock:
            rate = self.behaviour.puts_per_second
            now = time.monotonic()
            if rate is None:
                return True
            self._puts = [each for each in self._puts if now - each < max(1.0, 1 / rate)]
            if len(self._puts) >= max(1.0, rate):
                return False
            self._puts.append(now)
            return True

    def refusal(self, method: str) -> int | None:
        """The status with which the next request of this method is to be refused."""
        with self.lock:
            for at, (status, wanted, times) in enumerate(self.behaviour.refusals):
                if wanted == method and times > 0:
                    self.behaviour.refusals[at] = (status, wanted, times - 1)
                    return status
            return None


def _fits(pattern: str, tag: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), tag) is not None
