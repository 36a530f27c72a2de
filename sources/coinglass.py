"""Coinglass: open interest and funding weighted by it, over all exchanges, in intervals of four hours.

Put here: paths, the envelope, units of an answer. Keep out: keys missing or present (the asset decides what to do without one).

Failures come with status 200 too: an answer counts only where its `code` is "0". Numbers are text, funding is in per cent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import msgspec

from sources.errors import SourceRefused, UnexpectedAnswer
from sources.http import JsonClient
from sources.retrying import RetryPolicy
from sources.settings import ContextSettings

INTERVAL: Final = "4h"
INTERVAL_US: Final = 4 * 3_600_000_000
"""The shortest interval that every plan may ask for."""
PAGE_ROWS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One history: where it is asked, with what, and what its values are multiplied with to be in our unit."""

    path: str
    asked: tuple[tuple[str, str], ...] = ()
    scale: float = 1.0


OPEN_INTEREST: Final = Series(path="/api/futures/open-interest/aggregated-history", asked=(("unit", "usd"),))
WEIGHTED_FUNDING: Final = Series(path="/api/futures/funding-rate/oi-weight-history", scale=0.01)


class _Row(msgspec.Struct, frozen=True):
    time: int
    open: str | float
    high: str | float
    low: str | float
    close: str | float


class _Envelope(msgspec.Struct, frozen=True):
    code: str
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Interval:
    """One closed interval: its start in microseconds, values in our unit."""

    start: int
    open: float
    high: float
    low: float
    close: float


def decode(body: bytes, series: Series, *, now_us: int) -> list[Interval]:
    """The closed intervals of an answer, in order of time.

    Raises `SourceRefused` where the answer says no, `UnexpectedAnswer` where it cannot be read.
    """
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
        if envelope.code != "0":
            raise SourceRefused(f"Coinglass answered {series.path} with code {envelope.code} ({envelope.msg[:200]}), expected 0")
        rows = msgspec.json.decode(envelope.data, type=list[_Row] | None) or []
        found = [
            Interval(row.time * 1000, *(_scaled(value, series.scale) for value in (row.open, row.high, row.low, row.close))) for row in rows
        ]
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnexpectedAnswer(f"Coinglass's answer to {series.path} cannot be read: {error}") from error
    return sorted((row for row in found if row.start + INTERVAL_US <= now_us), key=lambda row: row.start)


def _scaled(value: str | float, scale: float) -> float:
    number = float(value)
    return number if scale == 1.0 else round(number * scale, 15)


class Coinglass:
    """The client; use it in a `with` block. The key goes into a header only."""

    def __init__(self, settings: ContextSettings, *, retry: RetryPolicy | None = None) -> None:
        key = settings.coinglass_api_key
        if key is None:
            raise SourceRefused("COINGLASS_API_KEY is not set, expected a key")
        self._client = JsonClient(
            "Coinglass",
            settings.coinglass_url,
            headers={"CG-API-KEY": key.get_secret_value()},
            retry=retry or RetryPolicy(first_seconds=settings.source_retry_seconds),
            least_wait_429=60.0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *trouble: object) -> None:
        self._client.close()

    def history(self, series: Series, symbol: str, *, start_us: int, end_us: int, now_us: int) -> list[Interval]:
        """Closed intervals of a coin that start in [start_us, end_us), in order of time.

        Raises `SourceUnavailable`, `SourceRefused`, `UnexpectedAnswer`.
        """
        found: dict[int, Interval] = {}
        since, end = start_us, min(end_us, now_us)
        while since < end:
            until = min(end, since + PAGE_ROWS * INTERVAL_US)
            asked: dict[str, str | int] = {"symbol": symbol, "interval": INTERVAL, "limit": PAGE_ROWS}
            span: dict[str, str | int] = {"start_time": since // 1000, "end_time": until // 1000 - 1}
            body = self._client.get(series.path, {**asked, **dict(series.asked), **span})
            found |= {row.start: row for row in decode(body, series, now_us=now_us) if since <= row.start < until}
            since = until
        return [found[start] for start in sorted(found)]
