"""Who comes in: keys and scopes, how often, and how many at a time."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from pcb_spark.serving import keys
from pcb_spark.serving.refusals import Refusal

if TYPE_CHECKING:
    from pcb_spark.serving.metrics import Metrics

#: Who may do all, where the service was started without keys.
EVERYBODY = keys.Key(id="-", name="everybody", scopes=keys.SCOPES, sha256="", created_at="")

_BUSY_SECONDS = 1


class Doorkeeper:
    """Finds out whose key it is, and whether that key may.

    Parameters
    ----------
    ring : the keys; None: everybody may do all.
    """

    def __init__(self, ring: keys.KeyRing | None) -> None:
        self._ring = ring

    def admit(self, token: str | None, scopes: tuple[str, ...]) -> keys.Key:
        """Give the key of a token, if it has one of these scopes.

        Raises
        ------
        Refusal : 401 without a valid key, 403 without the scope.
        """
        if self._ring is None:
            return EVERYBODY
        if token is None:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED, "no_key", "the request has no API key",
                expected="a header `Authorization: Bearer pcb_…`",
            )  # fmt: skip
        key = self._ring.find(token)
        if key is None:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED, "wrong_key", "this API key isn't valid",
                expected="a key of the service's file that hasn't expired",
                hint="ask who runs the service for a new one",
            )  # fmt: skip
        if not set(scopes) & set(key.scopes):
            raise Refusal(
                HTTPStatus.FORBIDDEN, "wrong_scope", "this API key may not do that",
                expected=f"scope {' or '.join(scopes)}", got=", ".join(key.scopes) or "none",
            )  # fmt: skip
        return key


class RateLimit:
    """So many requests a second of each key, and twice as many at once (a token bucket).

    Parameters
    ----------
    rate : requests a second; 0: as many as it likes.
    clock : seconds, that only go forward.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = max(1.0, 2 * rate)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str) -> None:
        """Count a request.

        Raises
        ------
        Refusal : 429, and when to try again.
        """
        if not self._rate:
            return
        now = self._clock()
        left, before = self._left.get(key_id, (self._burst, now))
        left = min(self._burst, left + (now - before) * self._rate)
        if left < 1:
            self._left[key_id] = left, now
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", "too many requests of this key",
                expected=f"{self._rate:g} a second", hint="wait as long as Retry-After says",
                retry_after=math.ceil((1 - left) / self._rate),
            )  # fmt: skip
        self._left[key_id] = left - 1, now


class Turnstile:
    """As many inspections at a time as the machine bears; more are told to come back."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most = most
        self._metrics = metrics
        self._inside = 0

    @contextlib.contextmanager
    def passed(self) -> Iterator[None]:
        """Be one of them.

        Raises
        ------
        Refusal : 503, and when to try again.
        """
        if self._inside >= self._most:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "busy", "the service is at work on enough",
                expected=f"{self._most} requests at a time at most",
                hint="wait as long as Retry-After says", retry_after=_BUSY_SECONDS,
            )  # fmt: skip
        self._inside += 1
        self._metrics.in_progress.set(self._inside)
        try:
            yield
        finally:
            self._inside -= 1
            self._metrics.in_progress.set(self._inside)
