"""Coinglass v4, pretended: open interest and weighted funding of a coin in intervals, for anyone who sends a key.

What belongs here: the envelope, the rows as text, its errors (which come with status 200). What does not: which keys are good.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from simulator.candles import SECONDS
from simulator.faults import Faults
from simulator.instruments import ASSETS
from simulator.prices import stream_key
from simulator.venues.base import Answer

MOST_ROWS = 1000
KEY_HEADER = "cg-api-key"
HISTORIES = {"/api/futures/open-interest/aggregated-history": False, "/api/futures/funding-rate/oi-weight-history": True}
SHORTEST = "4h"


class Coinglass:
    """The source, on its cheapest plan: intervals of four hours and longer."""

    name = "coinglass"

    def __init__(self, *, seed: int, faults: Faults) -> None:
        self._seed = seed
        self._faults = faults

    def answer(self, path: str, params: Mapping[str, str], headers: Mapping[str, str], now_us: int) -> Answer | None:
        """The answer to a GET below /coinglass."""
        if path not in HISTORIES:
            return None
        symbol = params.get("symbol", "")
        if self._faults.request("refuse", self.name, symbol):
            return _said("500", "server error", status=500)
        fault = self._faults.request("http_429", self.name, symbol)
        if fault:
            answer = _said("429", "too many requests", status=429)
            answer.headers["Retry-After"] = str(max(0, -(-(fault.end_us - now_us) // 1_000_000)))
            return answer
        if not headers.get(KEY_HEADER):
            return _said("401", "API key missing.")
        interval = SECONDS.get(params.get("interval", ""), 0)
        if interval < SECONDS[SHORTEST]:
            return _said("401", "Upgrade plan")
        limit = params.get("limit", str(MOST_ROWS))
        if symbol not in ASSETS or not limit.isdigit() or not 1 <= int(limit) <= MOST_ROWS:
            return _said("400", "The requested parameter is not supported.")
        end_s = min(int(params.get("end_time", now_us // 1000)) // 1000, now_us // 1_000_000)
        last = end_s // interval * interval
        first = last - (int(limit) - 1) * interval
        if "start_time" in params:
            first = max(first, -(-int(params["start_time"]) // 1000 // interval) * interval)
        return _said(
            "0", "success", [self._row(symbol, opened, interval, rate=HISTORIES[path]) for opened in range(first, last + 1, interval)]
        )

    def _row(self, symbol: str, opened: int, interval: int, *, rate: bool) -> dict[str, Any]:
        phase = stream_key(self._seed, symbol, rate) % 1000

        def at(second: int) -> float:
            wave = math.sin(second / 86_400 + phase)
            return 0.008 + 0.006 * wave if rate else 5.7e10 * (1 + 0.1 * wave)

        values = [at(opened), at(opened + interval)]
        values += [at(opened + interval * part // 5) for part in range(1, 5)]
        shown = [f"{value:.6f}" if rate else f"{value:.0f}" for value in (values[0], max(values), min(values), values[1])]
        return {"time": opened * 1000, **dict(zip(("open", "high", "low", "close"), shown, strict=True))}


def _said(code: str, message: str, data: Any = None, *, status: int = 200) -> Answer:
    body = {"code": code, "msg": message, **({} if data is None else {"data": data})}
    return Answer(status, json.dumps(body, separators=(",", ":")))
