"""Tokens of Amazon ECR: one per registry, renewed before they end, and what stands in for them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from toolkit.adapters.ecr_tokens import EcrTokens, GivenToken, lifetime
from toolkit.adapters.registry_credentials import Credential, CredentialTrouble
from toolkit.errors import NeedNotMet
from toolkit.regions import EcrHost, parse_ecr_host

HOST = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
OTHER = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
HOURS = 3600.0


@dataclass
class Aws:
    """Gives numbered tokens; `trouble` is what it raises instead."""

    seconds: float = 12 * HOURS
    asked: list[str] = field(default_factory=list)
    trouble: NeedNotMet | None = None

    def give(self, host: EcrHost) -> GivenToken:
        self.asked.append(host.host)
        if self.trouble:
            raise self.trouble
        credential = Credential(username="AWS", secret=f"token-{len(self.asked)}")
        return GivenToken(credential=credential, seconds=self.seconds)


@dataclass
class Logins:
    """What docker has."""

    known: dict[str, Credential] = field(default_factory=dict)

    def lookup_credential(self, host: str, *, refused: str | None = None) -> Credential | None:
        return self.known.get(host)


@dataclass
class House:
    aws: Aws = field(default_factory=Aws)
    logins: Logins = field(default_factory=Logins)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.tokens = EcrTokens(ask=self.aws.give, others=self.logins, clock=lambda: self.now)

    def secret(self, host: str = HOST, *, refused: str | None = None) -> str | None:
        found = self.tokens.lookup_credential(host, refused=refused)
        return found.secret if found else None


def test_each_registry_is_asked_for_one_token_however_many_threads_want_it() -> None:
    house = House()
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: house.secret(), range(64))) == {"token-1"}
    assert house.secret(OTHER) == "token-2"
    assert house.aws.asked == [HOST, OTHER]


def test_a_token_is_renewed_half_an_hour_before_it_ends() -> None:
    house = House()
    assert house.secret() == "token-1"
    house.now += 11.4 * HOURS
    assert house.secret() == "token-1"
    house.now += 0.2 * HOURS
    assert house.secret() == "token-2"


def test_of_a_short_life_a_tenth_is_left_when_it_is_renewed() -> None:
    house = House(aws=Aws(seconds=100.0))
    assert house.secret() == "token-1"
    house.now += 89.0
    assert house.secret() == "token-1"
    house.now += 2.0
    assert house.secret() == "token-2"


def test_a_refused_token_is_replaced_unless_it_is_fresh() -> None:
    house = House()
    first = house.tokens.lookup_credential(HOST)
    assert first
    assert house.secret(refused=first.basic) == "token-1"
    house.now += 60.0
    assert house.secret(refused=first.basic) == "token-2"
    # Another thread was refused with the old one too: it gets the new one, not a third.
    assert house.secret(refused=first.basic) == "token-2"


def test_a_refused_token_whose_time_has_come_is_replaced_however_fresh() -> None:
    house = House(aws=Aws(seconds=2.0))
    first = house.tokens.lookup_credential(HOST)
    assert first
    house.now += 1.9
    assert house.secret(refused=first.basic) == "token-2"


def test_other_hosts_have_what_docker_has() -> None:
    house = House()
    house.logins.known["ghcr.io"] = Credential(username="me", secret="mine")
    assert house.secret("ghcr.io") == "mine"
    assert house.secret("localhost:5000") is None
    assert not house.aws.asked


def test_where_aws_gives_no_token_a_login_of_docker_is_taken() -> None:
    house = House()
    house.aws.trouble = NeedNotMet("there are no credentials for AWS", remedy="Log in.")
    with pytest.raises(CredentialTrouble, match="there are no credentials for AWS") as caught:
        house.secret()
    assert caught.value.remedy == "Log in."
    house.logins.known[HOST] = Credential(username="AWS", secret="by-hand")
    assert house.secret() == "by-hand"


def test_the_life_of_a_token_is_counted_by_the_clock_of_aws() -> None:
    ends = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
    assert lifetime(ends, now=ends - timedelta(hours=12)) == 12 * HOURS - 1  # a Date has whole seconds
    assert lifetime(ends, now=ends - timedelta(seconds=0.5)) == 0
    # moto's says 2015: such a token is good for the documented time, or until it is refused.
    assert lifetime(datetime(2015, 1, 1, tzinfo=UTC), now=ends) == 12 * HOURS


@pytest.mark.parametrize(
    ("host", "account", "region"),
    [
        (HOST, "123456789012", "us-west-2"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "123456789012", "us-gov-west-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "123456789012", "cn-north-1"),
    ],
)
def test_hosts_of_ecr_tell_account_and_region(host: str, account: str, region: str) -> None:
    assert parse_ecr_host(host) == EcrHost(account=account, region=region, host=host)


@pytest.mark.parametrize(
    "host",
    [
        "localhost:5000",
        "public.ecr.aws",
        "123456789012.dkr.ecr.us-west-2.example.com",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
        "123456789012.dkr.ecr.moon-west-2.amazonaws.com",
        "12345.dkr.ecr.us-west-2.amazonaws.com",
        f"{HOST}:443",
    ],
)
def test_no_token_goes_to_a_host_that_only_looks_like_one_of_ecr(host: str) -> None:
    assert parse_ecr_host(host) is None
