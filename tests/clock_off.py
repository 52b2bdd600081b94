"""A clock that is CLOCK_OFF seconds off, for a program that imports this before anything of the toolkit."""

import datetime
import os
import time

_OFF = float(os.environ.get("CLOCK_OFF") or 0)
_real_time = time.time


class _Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "_Shifted":
        return cls.fromtimestamp(time.time(), tz)


if _OFF:
    time.time = lambda: _real_time() + _OFF
    setattr(datetime, "datetime", _Shifted)  # noqa: B010
