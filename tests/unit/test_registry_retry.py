import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest

from tests.fakes import MemoryRegistry, Request
from toolkit.adapters.retry import Budget, Retry, RetryingRegistry
from toolkit.errors import RegistryAbsent, RegistryTrouble, RegistryUnavailable
from toolkit.oci import Descriptor, MediaType, make_manifest
from toolkit.publish import OnSession, unheard

BLOB = Descriptor.of(b"blob", MediaType.OCI_LAYER)
BUSY = RegistryUnavailable("registry.example is in trouble", remedy="Try later.")


class Failing:
    """Raises each of `errors` once, then lets requests through."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    def __call__(self, request: Request) -> None:
        if self._errors:
            raise self._errors.pop(0)


class Patience:
    """A retrying registry over one in memory, with the waits it would have made."""

    def __init__(self, *errors: Exception, random: float = 0.5, budget: Budget | None = None) -> None:
        self.memory = MemoryRegistry()
        self.memory.before = Failing(*errors)
        self.waits: list[float] = []
        self.told: list[Retry] = []
        self.registry = RetryingRegistry(
            self.memory,
            sleep=self.waits.append,
            random=lambda: random,
            budget=budget,
            on_retry=self.told.append,
        )


def test_what_heals_is_tried_again_with_growing_waits() -> None:
    patience = Patience(BUSY, BUSY, BUSY, random=1.0)
    assert patience.registry.lookup_descriptor("repo", "latest") is None
    assert patience.waits == [0.5, 1.0, 2.0]
    assert len(patience.memory.requests) == 4


def test_waits_are_random_from_nothing_on() -> None:
    patience = Patience(BUSY, BUSY, random=0.0)
    patience.registry.lookup_descriptor("repo", "latest")
    assert patience.waits == [0.0, 0.0]


def test_a_single_wait_has_an_upper_bound() -> None:
    patience = Patience(*[BUSY] * 6, random=1.0, budget=Budget(attempts=9, longest=3.0))
    patience.registry.lookup_descriptor("repo", "latest")
    assert max(patience.waits) == 3.0


def test_the_registrys_own_wait_is_honoured() -> None:
    patience = Patience(RegistryUnavailable("busy", retry_after=20), random=0.5)
    patience.registry.lookup_descriptor("repo", "latest")
    assert patience.waits == [20.25]


def test_a_wait_beyond_the_budget_is_not_begun() -> None:
    patience = Patience(RegistryUnavailable("busy", remedy="Later.", retry_after=3600))
    with pytest.raises(RegistryUnavailable, match=r"asks to wait 3600 s\)\n  Later\.") as caught:
        patience.registry.lookup_descriptor("repo", "latest")
    assert patience.waits == []
    assert caught.value.retry_after == 3600


def test_patience_ends_and_says_how_long_it_was() -> None:
    patience = Patience(*[BUSY] * 99, budget=Budget(attempts=4))
    with pytest.raises(RegistryUnavailable, match="tried 4 times in 2 s"):
        patience.registry.has_blob("repo", BLOB.digest)
    assert len(patience.memory.requests) == 4


def test_a_refusal_is_not_tried_again() -> None:
    patience = Patience(RegistryTrouble("log in"))
    with pytest.raises(RegistryTrouble, match="log in"):
        patience.registry.lookup_manifest("repo", "latest")
    assert len(patience.memory.requests) == 1


def test_each_retry_is_told() -> None:
    patience = Patience(BUSY, BUSY)
    patience.registry.list_tags("repo")
    assert [(retry.attempt, retry.of, retry.wait) for retry in patience.told] == [(2, 12, 0.25), (3, 12, 0.5)]
    assert patience.told[0].error is BUSY


def test_an_upload_opens_its_content_anew() -> None:
    opened: list[int] = []

    def content() -> AbstractContextManager[io.BytesIO]:
        opened.append(len(opened))
        return nullcontext(io.BytesIO(b"blob"))

    patience = Patience()

    def break_off(request: Request) -> None:
        if request[0] == "upload_blob" and len(opened) < 1:
            content().__enter__().read()
            raise BUSY

    patience.memory.before = break_off
    patience.registry.upload_blob("repo", BLOB, content)
    assert opened == [0, 1]
    assert patience.memory.blobs["repo"] == {BLOB.digest: b"blob"}


def test_an_upload_whose_answer_got_lost_is_not_sent_twice() -> None:
    patience = Patience()

    def lose_the_answer(request: Request) -> None:
        if request[0] == "upload_blob":
            patience.memory.blobs["repo"][BLOB.digest] = b"blob"
            raise BUSY

    patience.memory.before = lose_the_answer
    patience.registry.upload_blob("repo", BLOB, lambda: nullcontext(io.BytesIO(b"blob")))
    assert [request[0] for request in patience.memory.requests] == ["upload_blob", "has_blob"]


def test_opening_a_blob_is_tried_again_and_what_its_reader_raises_is_not() -> None:
    patience = Patience()
    patience.memory.blobs["repo"][BLOB.digest] = b"blob"
    patience.memory.before = Failing(BUSY)
    with patience.registry.open_blob("repo", BLOB) as stream:
        assert stream.read() == b"blob"
    with pytest.raises(RegistryUnavailable), patience.registry.open_blob("repo", BLOB):
        raise BUSY
    assert len(patience.memory.made("open_rest")) == 3


def test_a_registry_that_is_not_there_is_waited_for_less_long() -> None:
    absent = RegistryAbsent("registry.example refuses connections")
    patience = Patience(*[absent] * 99, random=1.0, budget=Budget(absent=2))
    with pytest.raises(RegistryUnavailable, match="tried 3 times"):
        patience.registry.list_tags("repo")
    assert patience.waits == [0.5, 1.0]


def test_progress_of_an_upload_renews_the_patience_and_an_upload_that_stands_still_does_not() -> None:
    patience = Patience(budget=Budget(attempts=3))
    offsets = iter([10, 20, 30, 30, 30, 30, 30])

    class Slow(MemoryRegistry):
        def upload_blob(self, *arguments: object, on_session: OnSession = unheard, **others: object) -> None:
            on_session("http://registry.example/session", next(offsets))
            raise BUSY

    registry = RetryingRegistry(
        Slow(), sleep=patience.waits.append, random=lambda: 1.0, budget=Budget(attempts=3)
    )
    with pytest.raises(RegistryUnavailable, match="tried 3 times"):
        registry.upload_blob("repo", BLOB, lambda: nullcontext(io.BytesIO(b"blob")))
    assert list(offsets) == [30, 30]
    assert patience.waits == [0.5, 0.5, 0.5, 1.0]


@pytest.fixture
def patient() -> Iterator[Patience]:
    patience = Patience(BUSY)
    yield patience
    assert len(patience.waits) == 1


def test_putting_and_mounting_are_tried_again(patient: Patience) -> None:
    patient.memory.blobs["other"][BLOB.digest] = b"blob"
    assert patient.registry.mount_blob("repo", BLOB.digest, source="other")
    manifest = make_manifest(BLOB, [], MediaType.OCI_MANIFEST)
    assert patient.registry.put_manifest("repo", "one", manifest) == manifest.digest
    assert patient.registry.host == patient.memory.host
