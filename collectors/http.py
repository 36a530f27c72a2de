"""REST for the collectors: one client an exchange, under the request budgets of the exchange's hosts.

Put here: which budget a request counts against, Retry-After, bans, time-outs, retries of idempotent GETs. Keep out: counting and
queueing (budget.py), what is asked and what the answers mean.
"""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx

from collectors.backoff import Backoff, BackoffPolicy
from collectors.budget import BACKFILL_SHARE, LEAST_URGENT, URGENCY, Gate, Pause, Window
from collectors.classify import REFUSING_STATUS
from collectors.errors import ConnectionLost, Refused
from collectors.logs import logger
from collectors.venue import HttpGet, Limits, RestBudget

ATTEMPTS: Final = 4
DEFAULT_PAUSE_SECONDS: Final = 5.0
FIRST_BAN_SECONDS: Final = 120.0
LONGEST_BAN_SECONDS: Final = 900.0
"""A host that refuses us without saying for how long is left alone for the first of these, twice as long each further time."""
SHARE: Final = 0.9
"""Of what a venue allows, what we use: others may ask from the same address."""


@dataclass(frozen=True, slots=True)
class _Route:
    """One budget: which requests count against it, and where they wait."""

    prefix: str
    purposes: tuple[str, ...]
    used_header: str
    gate: Gate


class RestClient:
    """GETs of one exchange. 429 pauses its host for Retry-After and tries again; 418 and other refusals raise `Refused`.

    `endpoints` are the venue's addresses by key, with overrides in place: `Limits.rest` speaks of them. Pauses follow `clock`, seconds.
    """

    def __init__(
        self,
        exchange: str,
        limits: Limits,
        *,
        timeout: float,
        endpoints: Mapping[str, str] | None = None,
        backoff: BackoffPolicy | None = None,
        attempts: int = ATTEMPTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.exchange = exchange
        self.requests = 0
        self._attempts = attempts
        self._policy = backoff or BackoffPolicy(first_seconds=0.25, cap_seconds=5.0)
        self._clock = clock
        self._pauses: dict[str, Pause] = {}
        self._routes = [self._route(budget, endpoints or {}) for budget in limits.rest]
        # The longest address first: of two that both begin a URL it is the one meant. Budgets that name purposes before those that do not.
        self._routes.sort(key=lambda route: (-len(route.prefix), not route.purposes))
        self._others = Window(limits.rest_weight * SHARE, limits.rest_weight_per_seconds)
        self._gates: dict[str, Gate] = {}
        self._log = logger(exchange=exchange)
        self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, headers={"User-Agent": "tickhouse"})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    @property
    def paused_seconds(self) -> float:
        """How long the host that is paused longest stands still from now, seconds; 0 when none does."""
        return max((pause.seconds for pause in self._pauses.values()), default=0.0)

    def used(self, request: HttpGet) -> float:
        """Weight spent lately of the budget that `request` counts against."""
        return self._gate(request)[0].window.used

    async def get(self, request: HttpGet) -> bytes:
        """The body of a 200 answer.

        Raises `Refused` when the venue sends this client away (and at once for every request to its host while a ban runs),
        `ConnectionLost` when the request came to nothing after its retries.
        """
        backoff = Backoff(self._policy)
        gate, used_header = self._gate(request)
        urgency = URGENCY.get(request.purpose, LEAST_URGENT)
        last = ""
        for attempt in range(1, self._attempts + 1):
            await gate.enter(request.weight, urgency=urgency)
            try:
                self._may_ask(gate.pause, request)
                self.requests += 1
                answer = await self._client.get(request.url)
            except httpx.TransportError as error:
                last = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            else:
                if (used := answer.headers.get(used_header, "") if used_header else "").isdigit():
                    gate.window.learn(float(used))
                if answer.status_code == httpx.codes.OK:
                    gate.pause.bans = 0
                    return answer.content
                last = f"status {answer.status_code}"
                if not self._may_repeat(answer, request, gate):
                    raise ConnectionLost(f"{self.exchange} answered {request.purpose} with {last}, expected 200: {request.url}")
            finally:
                gate.leave()
            if attempt < self._attempts and not gate.pause.seconds:
                await asyncio.sleep(backoff.next_delay())
        raise ConnectionLost(
            f"{self.exchange} gave no {request.purpose} in {self._attempts} attempts, the last ended with {last}: {request.url}"
        )

    def _route(self, budget: RestBudget, endpoints: Mapping[str, str]) -> _Route:
        prefix = endpoints.get(budget.endpoint, "")
        window = Window(budget.weight * SHARE, budget.per_seconds)
        patient = bool(budget.purposes) and all(URGENCY.get(purpose, LEAST_URGENT) for purpose in budget.purposes)
        pause = self._pauses.setdefault(prefix, Pause(self._clock))
        gate = Gate(window, pause, share=1.0 if patient else BACKFILL_SHARE)
        return _Route(prefix, budget.purposes, budget.used_header, gate)

    def _gate(self, request: HttpGet) -> tuple[Gate, str]:
        """Where a request waits, and the header that tells what its host has counted."""
        for route in self._routes:
            if route.prefix and request.url.startswith(route.prefix) and (not route.purposes or request.purpose in route.purposes):
                return route.gate, route.used_header
        parts = urlsplit(request.url)
        host = f"{parts.scheme}://{parts.netloc}"
        if host not in self._gates:
            self._gates[host] = Gate(self._others, self._pauses.setdefault(host, Pause(self._clock)))
        return self._gates[host], ""

    def _may_repeat(self, answer: httpx.Response, request: HttpGet, gate: Gate) -> bool:
        """Whether the request may be made again; pauses its host where the answer asks for it."""
        status = answer.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS:
            self._pause(gate, retry_after(answer, DEFAULT_PAUSE_SECONDS), "too many requests (429)")
            return True
        if status in REFUSING_STATUS:
            if not gate.pause.seconds:
                guessed = min(LONGEST_BAN_SECONDS, FIRST_BAN_SECONDS * 2.0 ** min(gate.pause.bans, 8))
                gate.pause.bans += 1
                self._pause(gate, retry_after(answer, guessed), f"refused (status {status})", banned=True)
            raise Refused(f"{self.exchange} refused {request.purpose} with status {status}: {request.url}")
        return status >= 500 or status == httpx.codes.REQUEST_TIMEOUT

    def _pause(self, gate: Gate, seconds: float, reason: str, *, banned: bool = False) -> None:
        if not gate.pause.seconds:
            self._log.warning("REST paused", seconds=round(seconds, 1), reason=reason, waiting=gate.waiting)
        gate.pause.begin(seconds, reason, banned=banned)

    def _may_ask(self, pause: Pause, request: HttpGet) -> None:
        """Raise where the host is not to be asked."""
        if not pause.fails:
            return
        said = f"{self.exchange} is not asked for {request.purpose}: {pause.reason} for {pause.seconds:.0f} more seconds"
        raise Refused(said) if pause.banned else ConnectionLost(said)


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
