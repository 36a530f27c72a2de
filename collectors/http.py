"""REST for the collectors: one client an exchange, under the exchange's request budget.

Put here: the budget, Retry-After, bans, time-outs, retries of idempotent GETs. Keep out: what is asked and what the answers mean.
"""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import httpx

from collectors.backoff import Backoff, BackoffPolicy
from collectors.classify import REFUSING_STATUS
from collectors.errors import ConfigError, ConnectionLost, Refused
from collectors.venue import HttpGet, Limits

ATTEMPTS: Final = 4
DEFAULT_PAUSE_SECONDS: Final = 5.0
DEFAULT_BAN_SECONDS: Final = 120.0
LONGEST_WAIT_SECONDS: Final = 30.0
"""A request that would wait longer than this for a pause to end fails instead, so that its session can decide anew."""


class TokenBucket:
    """A budget of `capacity` weight every `per_seconds`, refilled evenly; callers are served in the order they came."""

    def __init__(self, capacity: float, per_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        if capacity <= 0 or per_seconds <= 0:
            raise ConfigError(f"a budget of {capacity} in {per_seconds} seconds allows nothing: expected both above 0")
        self.capacity = capacity
        self._rate = capacity / per_seconds
        self._clock = clock
        self._level = capacity
        self._at = clock()
        self._turn = asyncio.Lock()

    def wait(self, weight: float) -> float:
        """Seconds until `weight` fits; 0 takes it from the budget. A weight above the capacity waits for a full bucket."""
        now = self._clock()
        self._level = min(self.capacity, self._level + (now - self._at) * self._rate)
        self._at = now
        needed = min(weight, self.capacity)
        # A billionth of a token is rounding, not debt: without the slack a wait of 1e-17 s could repeat for ever.
        if self._level >= needed - 1e-9:
            self._level -= needed
            return 0.0
        return (needed - self._level) / self._rate

    async def take(self, weight: float) -> None:
        """Wait until `weight` fits, and take it."""
        async with self._turn:
            while (seconds := self.wait(weight)) > 0:  # noqa: ASYNC110 - a refill has no event to wait for
                await asyncio.sleep(seconds)


class RestClient:
    """GETs of one exchange. 429 pauses the exchange for Retry-After and tries again; 418 and other refusals raise `Refused`."""

    def __init__(
        self, exchange: str, limits: Limits, *, timeout: float, backoff: BackoffPolicy | None = None, attempts: int = ATTEMPTS
    ) -> None:
        self.exchange = exchange
        self.requests = 0
        self._attempts = attempts
        self._policy = backoff or BackoffPolicy(first_seconds=0.25, cap_seconds=5.0)
        self._budget = TokenBucket(limits.rest_weight, limits.rest_weight_per_seconds)
        self._paused_until = 0.0
        self._pause_reason = ""
        self._banned = False
        self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, headers={"User-Agent": "tickhouse"})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    @property
    def paused_seconds(self) -> float:
        """How long this exchange's REST stands still from now, seconds; 0 when it does not."""
        return max(0.0, self._paused_until - time.monotonic())

    async def get(self, request: HttpGet) -> bytes:
        """The body of a 200 answer.

        Raises `Refused` when the venue sends this client away (and at once for every request while a ban runs), `ConnectionLost`
        when the request came to nothing after its retries.
        """
        backoff = Backoff(self._policy)
        last = ""
        for attempt in range(1, self._attempts + 1):
            await self._pass_pause(request)
            await self._budget.take(request.weight)
            self.requests += 1
            try:
                answer = await self._client.get(request.url)
            except httpx.TransportError as error:
                last = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            else:
                if answer.status_code == httpx.codes.OK:
                    return answer.content
                last = f"status {answer.status_code}"
                if not self._may_repeat(answer, request):
                    raise ConnectionLost(f"{self.exchange} answered {request.purpose} with {last}, expected 200: {request.url}")
            if attempt < self._attempts and not self.paused_seconds:
                await asyncio.sleep(backoff.next_delay())
        raise ConnectionLost(
            f"{self.exchange} gave no {request.purpose} in {self._attempts} attempts, the last ended with {last}: {request.url}"
        )

    def _may_repeat(self, answer: httpx.Response, request: HttpGet) -> bool:
        """Whether the request may be made again; pauses the exchange where the answer asks for it."""
        status = answer.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS:
            self._pause(retry_after(answer, DEFAULT_PAUSE_SECONDS), "too many requests (429)")
            return True
        if status in REFUSING_STATUS:
            if status == 418 or "retry-after" in answer.headers:
                self._pause(retry_after(answer, DEFAULT_BAN_SECONDS), f"banned (status {status})", banned=True)
            raise Refused(f"{self.exchange} refused {request.purpose} with status {status}: {request.url}")
        return status >= 500 or status == httpx.codes.REQUEST_TIMEOUT

    def _pause(self, seconds: float, reason: str, *, banned: bool = False) -> None:
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)
        self._pause_reason = reason
        self._banned = banned

    async def _pass_pause(self, request: HttpGet) -> None:
        while (seconds := self.paused_seconds) > 0:
            if self._banned:
                raise Refused(f"{self.exchange} is not asked for {request.purpose}: {self._pause_reason} for {seconds:.0f} more seconds")
            if seconds > LONGEST_WAIT_SECONDS:
                raise ConnectionLost(
                    f"{self.exchange} is not asked for {request.purpose}: {self._pause_reason}, {seconds:.0f} seconds are longer than "
                    f"the {LONGEST_WAIT_SECONDS:.0f} a request waits"
                )
            await asyncio.sleep(seconds)


def retry_after(answer: httpx.Response, default: float) -> float:
    """Seconds the answer asks to wait (`Retry-After` as seconds or as a date), or `default`; never negative."""
    given = answer.headers.get("retry-after", "").strip()
    if not given:
        return default
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(given)
    except ValueError:
        return default
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
