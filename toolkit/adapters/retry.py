"""A registry that tries again what heals by itself, and nothing else.

Exponential backoff with full jitter:
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from toolkit.errors import RegistryUnavailable
from toolkit.oci import Descriptor, Digest, Index, Manifest
from toolkit.publish import Content, Registry

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much patience one call has. `first`, `longest` and `total` are seconds of waiting.

    The n-th wait is random below `first` * 2ⁿ, at most `longest`, at least what the registry asks for;
    a wait that exceeds what is left of `total` is not begun.
    """

    attempts: int = 7
    first: float = 0.25
    longest: float = 15.0
    total: float = 90.0


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
    """`registry`, with every RegistryUnavailable retried within `budget`. Uploads open their content anew.

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

    def upload_blob(self, repository: str, descriptor: Descriptor, content: Content) -> None:
        tried = False

        def upload() -> None:
            nonlocal tried
            # Of the attempt before, the answer alone may have been lost.
            if not tried or not self._registry.has_blob(repository, descriptor.digest):
                tried = True
                self._registry.upload_blob(repository, descriptor, content)

        self._patiently(upload)

    def put_manifest(self, repository: str, selector: str, manifest: Manifest | Index) -> Digest:
        return self._patiently(lambda: self._registry.put_manifest(repository, selector, manifest))

    @contextmanager
    def open_blob(self, repository: str, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """Opening is retried; a connection that breaks while reading raises RegistryUnavailable."""
        with ExitStack() as stack:
            yield self._patiently(
                lambda: stack.enter_context(self._registry.open_blob(repository, descriptor))
            )

    def _patiently(self, act: Callable[[], T]) -> T:
        waited = 0.0
        for attempt in range(1, self._budget.attempts):
            try:
                return act()
            except RegistryUnavailable as error:
                wait = self._wait(attempt, error)
                if waited + wait > self._budget.total:
                    raise _given_up(error, attempts=attempt, waited=waited) from error
                self._on_retry(Retry(attempt=attempt + 1, of=self._budget.attempts, wait=wait, error=error))
                self._sleep(wait)
                waited += wait
        try:
            return act()
        except RegistryUnavailable as error:
            raise _given_up(error, attempts=self._budget.attempts, waited=waited) from error

    def _wait(self, attempt: int, error: RegistryUnavailable) -> float:
        jittered = self._random() * min(self._budget.longest, self._budget.first * 2.0**attempt)
        # On top of what was asked for: of many clients told the same, not all come at once.
        return jittered + (error.retry_after or 0.0)


def _given_up(error: RegistryUnavailable, *, attempts: int, waited: float) -> RegistryUnavailable:
    asked = f"; it asks to wait {error.retry_after:.0f} s" if error.retry_after else ""
    return RegistryUnavailable(
        f"{error.message} (tried {attempts} times in {waited:.0f} s{asked})",
        remedy=error.remedy,
        retry_after=error.retry_after,
    )


def _conforms(registry: RetryingRegistry) -> Registry:
    return registry
