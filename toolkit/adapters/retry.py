"""A registry that tries again what heals by itself, and nothing else.

Exponential backoff with full jitter:
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

import io
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from toolkit.blobs import CHUNK, CheckedBlob
from toolkit.errors import RegistryAbsent, RegistryUnavailable
from toolkit.oci import Descriptor, Digest, Index, Manifest
from toolkit.publish import Content, OnSession, Registry, unheard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much patience one call has. `first`, `longest` and `total` are seconds of waiting.

    The n-th wait is random below `first` * 2ⁿ, at most `longest`, at least what the registry asks for;
    a wait that exceeds what is left of `total` is not begun, nor one for a registry that is not there at
    all beyond `absent`. A blob of which more has arrived than before starts the count anew.
    """

    attempts: int = 12
    first: float = 0.25
    longest: float = 15.0
    total: float = 90.0
    absent: float = 90.0


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Before the wait for attempt number `attempt` of `of`; `wait` in seconds."""

    attempt: int
    of: int
    wait: float
    error: RegistryUnavailable


def _untold(retry: Retry) -> None:
    """For callers that watch nothing."""


class RetryingRegistry:
    """`registry`, with every RegistryUnavailable retried within `budget`.

    `random` gives numbers in [0, 1); `on_retry` is called in the thread that waits.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        sleep: Callable[[float], object] = time.sleep,
        random: Callable[[], float] = random.random,
        budget: Budget | None = None,
        on_retry: Callable[[Retry], object] = _untold,
    ) -> None:
        self._registry = registry
        self._sleep = sleep
        self._random = random
        self._budget = budget or Budget()
        self._on_retry = on_retry

    @property
    def host(self) -> str:
        return self._registry.host

    def lookup_descriptor(self, repository: str, selector: str) -> Descriptor | None:
        return self._patiently(lambda: self._registry.lookup_descriptor(repository, selector))

    def lookup_manifest(self, repository: str, selector: str) -> Manifest | Index | None:
        return self._patiently(lambda: self._registry.lookup_manifest(repository, selector))

    def list_tags(self, repository: str) -> tuple[str, ...]:
        return self._patiently(lambda: self._registry.list_tags(repository))

    def has_blob(self, repository: str, digest: Digest) -> bool:
        return self._patiently(lambda: self._registry.has_blob(repository, digest))

    def mount_blob(self, repository: str, digest: Digest, *, source: str) -> bool:
        return self._patiently(lambda: self._registry.mount_blob(repository, digest, source=source))

    def upload_blob(
        self,
        repository: str,
        descriptor: Descriptor,
        content: Content,
        *,
        session: str = "",
        on_session: OnSession = unheard,
    ) -> None:
        """What of the blob has arrived is not sent again, if the registry can tell."""
        patience, furthest = self._patience(), 0

        def remember(address: str, offset: int) -> None:
            nonlocal session, furthest
            session = address
            if offset > furthest:
                furthest = offset
                patience.renew()
            on_session(address, offset)

        while True:
            try:
                self._registry.upload_blob(
                    repository, descriptor, content, session=session, on_session=remember
                )
                return
            except RegistryUnavailable as error:
                patience.bear(error)
            # Of that attempt the answer alone may have been lost.
            if self.has_blob(repository, descriptor.digest):
                remember("", descriptor.size)
                return

    def put_manifest(self, repository: str, selector: str, manifest: Manifest | Index) -> Digest:
        return self._patiently(lambda: self._registry.put_manifest(repository, selector, manifest))

    @contextmanager
    def open_blob(self, repository: str, descriptor: Descriptor) -> Iterator[BinaryIO]:
        with self.open_rest(repository, descriptor, 0) as whole:
            checked = CheckedBlob(whole, descriptor, where=f"{self.host}/{repository}")
            yield io.BufferedReader(checked, CHUNK)

    @contextmanager
    def open_rest(self, repository: str, descriptor: Descriptor, start: int) -> Iterator[BinaryIO]:
        """A connection that breaks while reading is opened again where it broke."""
        patience = self._patience()
        with ExitStack() as stack:

            def open_at(position: int) -> BinaryIO:
                stack.close()
                return stack.enter_context(self._registry.open_rest(repository, descriptor, position))

            joined = _Joined(open_at, start, patience)
            joined.open()  # what is not there is told before anybody reads
            yield io.BufferedReader(joined, CHUNK)

    def _patience(self) -> "_Patience":
        return _Patience(self._budget, sleep=self._sleep, random=self._random, on_retry=self._on_retry)

    def _patiently(self, act: Callable[[], T]) -> T:
        patience = self._patience()
        while True:
            try:
                return act()
            except RegistryUnavailable as error:
                patience.bear(error)


class _Patience:
    """What is left of a budget."""

    def __init__(
        self,
        budget: Budget,
        *,
        sleep: Callable[[float], object],
        random: Callable[[], float],
        on_retry: Callable[[Retry], object],
    ) -> None:
        self._budget = budget
        self._sleep = sleep
        self._random = random
        self._on_retry = on_retry
        self._failed = 0
        self._waited = 0.0

    def renew(self) -> None:
        """There was progress."""
        self._failed, self._waited = 0, 0.0

    def bear(self, error: RegistryUnavailable) -> None:
        """Wait before the next attempt. Raises `error`, with what was tried, when there is none."""
        self._failed += 1
        budget = self._budget
        total = min(budget.total, budget.absent) if isinstance(error, RegistryAbsent) else budget.total
        # On top of what was asked for: of many clients told the same, not all come at once.
        wait = self._random() * min(budget.longest, budget.first * 2.0**self._failed)
        wait += error.retry_after or 0.0
        if self._failed >= budget.attempts or self._waited + wait > total:
            raise _given_up(error, attempts=self._failed, waited=self._waited) from error
        self._on_retry(Retry(attempt=self._failed + 1, of=budget.attempts, wait=wait, error=error))
        self._sleep(wait)
        self._waited += wait


class _Joined(io.RawIOBase):
    """A blob from `start` on, through as many connections as it takes; not checked."""

    def __init__(self, open_at: Callable[[int], BinaryIO], start: int, patience: _Patience) -> None:
        self._open_at = open_at
        self._position = start
        self._patience = patience
        self._part: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def open(self) -> BinaryIO:
        while self._part is None:
            try:
                self._part = self._open_at(self._position)
            except RegistryUnavailable as error:
                self._patience.bear(error)
        return self._part

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        while True:
            part = self.open()
            try:
                piece = part.read(len(view))
            except RegistryUnavailable as error:
                self._part = None
                self._patience.bear(error)
                continue
            if piece:
                self._patience.renew()
            self._position += len(piece)
            view[: len(piece)] = piece
            return len(piece)


def _given_up(error: RegistryUnavailable, *, attempts: int, waited: float) -> RegistryUnavailable:
    asked = f"; it asks to wait {error.retry_after:.0f} s" if error.retry_after else ""
    return RegistryUnavailable(
        f"{error.message} (tried {attempts} times in {waited:.0f} s{asked})",
        remedy=error.remedy,
        retry_after=error.retry_after,
    )


def _conforms(registry: RetryingRegistry) -> Registry:
    return registry
