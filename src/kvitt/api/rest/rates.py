"""How often an application may call: a bucket for each, that fills steadily and is emptied by its calls. Each process has its own."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from kvitt.api.rest.callers import Caller, short_name
from kvitt.errors import TooManyRequests

_MOST_BUCKETS: Final = 4096


class CallRate(Struct, frozen=True):
    """How often: on average, and at once."""

    per_second: float
    burst: int


class _CallBucket(Struct):
    """How many calls are left, as of a moment."""

    left: float
    at: float


class CallRates:
    """The buckets of all applications; for one thread. `of` are the rates of single ones, by full or short name."""

    def __init__(self, usual: CallRate, of: Mapping[str, CallRate] | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._usual, self._of, self._now = usual, of or {}, now
        self._buckets: dict[str, _CallBucket] = {}

    def take(self, caller: Caller) -> None:
        """Takes one call of the caller's application. Raises TooManyRequests."""
        name = caller.named
        rate, now = self._of.get(name) or self._of.get(short_name(name)) or self._usual, self._now()
        bucket = self._buckets.get(name) or self._new(name, rate, now)
        bucket.left, bucket.at = min(rate.burst, bucket.left + (now - bucket.at) * rate.per_second), now
        if bucket.left < 1:
            raise TooManyRequests(math.ceil((1 - bucket.left) / rate.per_second))
        bucket.left -= 1

    def _new(self, name: str, rate: CallRate, now: float) -> _CallBucket:
        while len(self._buckets) >= _MOST_BUCKETS:
            # Names come in signed tokens only, so there are never so many; the oldest begins anew.
            del self._buckets[next(iter(self._buckets))]
        made = self._buckets[name] = _CallBucket(rate.burst, now)
        return made
