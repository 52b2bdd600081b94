from dataclasses import dataclass, field

from toolkit.adapters.throttle import Throttle
from toolkit.quotas import ECR_RATES, Api


@dataclass
class Clock:
    """A clock that only moves while somebody sleeps."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds

    def throttle(self, rates: dict[Api, float] | None = None) -> Throttle:
        return Throttle(rates=rates or {}, clock=lambda: self.now, sleep=self.sleep)


def test_one_seconds_worth_of_requests_goes_at_once_and_the_next_waits_its_turn() -> None:
    clock = Clock()
    throttle = clock.throttle({Api.PUT_MANIFEST: 10})
    for _ in range(10):
        throttle.wait(Api.PUT_MANIFEST)
    assert clock.slept == []
    for _ in range(3):
        throttle.wait(Api.PUT_MANIFEST)
    assert clock.slept == [0.1, 0.1, 0.1]


def test_the_bucket_fills_while_nothing_is_asked_but_not_beyond_one_second() -> None:
    clock = Clock()
    throttle = clock.throttle({Api.PUT_MANIFEST: 4})
    for _ in range(4):
        throttle.wait(Api.PUT_MANIFEST)
    clock.now += 60
    for _ in range(5):
        throttle.wait(Api.PUT_MANIFEST)
    assert clock.slept == [0.25]


def test_each_kind_of_request_has_a_bucket_of_its_own() -> None:
    clock = Clock()
    throttle = clock.throttle({Api.PUT_MANIFEST: 1})
    throttle.wait(Api.PUT_MANIFEST)
    for _ in range(100):
        throttle.wait(Api.READ_MANIFEST)
    assert clock.slept == []


def test_after_429_every_thread_waits_as_long_as_the_registry_asked_for() -> None:
    clock = Clock()
    throttle = clock.throttle()
    throttle.too_many(Api.SEND, 3.0)
    clock.now += 1
    throttle.wait(Api.SEND)
    throttle.wait(Api.SEND)
    assert clock.slept == [2.0]


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    clock = Clock()
    throttle = clock.throttle()
    throttle.too_many(Api.SEND, 5.0)
    throttle.too_many(Api.SEND, None)
    throttle.wait(Api.SEND)
    assert clock.slept == [5.0]


def test_a_wait_of_an_hour_is_not_slept_through() -> None:
    clock = Clock()
    throttle = clock.throttle()
    throttle.too_many(Api.SEND, 3600)
    throttle.wait(Api.SEND)
    assert clock.slept == []


def test_ecr_takes_ten_manifests_a_second() -> None:
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html: Rate of PutImage."""
    assert ECR_RATES[Api.PUT_MANIFEST] == 10
    assert min(ECR_RATES.values()) == 10
