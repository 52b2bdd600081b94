"""Not more requests per second than a registry takes: a token bucket for each kind of request.

Whoever is told 429 has come too late: the quota of one account is shared by all who publish there, and
retries at once make it worse (containerd/containerd#10447).
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from toolkit.quotas import Api

# A registry that is too busy without saying for how long is left alone for this many seconds.
_PAUSE = 0.5

# Who is asked to wait longer than this, in seconds, gives up with the registry's words: RetryingRegistry.
_LONGEST_PAUSE = 60.0


@dataclass
class _Bucket:
    """Fills by `rate` tokens a second, None without end, up to one second's worth; a request takes one.

    `tokens` below 0 are requests that wait already. Nothing goes before the moment `closed_until`.
    """

    rate: float | None
    tokens: float
    filled: float
    closed_until: float = 0.0

    def take(self, now: float) -> float:
        """Seconds that this request has to wait."""
        wait = 0.0
        if self.rate is not None:
            self.tokens = min(self.rate, self.tokens + (now - self.filled) * self.rate) - 1
            self.filled = now
            wait = max(0.0, -self.tokens / self.rate)
        return max(wait, self.closed_until - now)


@dataclass
class Throttle:
    """One for all threads that talk to one registry. `rates` are requests per second by kind."""

    rates: Mapping[Api, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    _buckets: dict[Api, _Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, api: Api) -> None:
        """Return when a request of this kind may be sent."""
        with self._lock:
            seconds = self._bucket(api).take(self.clock())
        if seconds > 0:
            self.sleep(seconds)

    def too_many(self, api: Api, retry_after: float | None) -> None:
        """The registry answered 429: no thread sends another such request for a while."""
        pause = _PAUSE if retry_after is None else retry_after
        if pause <= _LONGEST_PAUSE:
            with self._lock:
                bucket = self._bucket(api)
                bucket.closed_until = max(bucket.closed_until, self.clock() + pause)

    def _bucket(self, api: Api) -> _Bucket:
        if api not in self._buckets:
            rate = self.rates.get(api)
            self._buckets[api] = _Bucket(rate=rate, tokens=rate or 0.0, filled=self.clock())
        return self._buckets[api]
