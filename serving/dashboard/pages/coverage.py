"""The coverage calendar: which hours of which feed are whole, degraded or missing.

Put here: the worst condition of each feed and hour, and one feed by symbol. Keep out: what the conditions mean
(`lake.transforms.coverage`).
"""

from __future__ import annotations

from typing import Any, Final

from serving.dashboard.asked import HOUR_US, Answer, Asked, Page, Room, columns
from serving.times import day_of, moment_of, now_us

CONDITIONS: Final = ("available", "pending", "degraded", "missing")
"""From good to bad."""

_RANK: Final = " ".join(f"WHEN '{name}' THEN {place}" for place, name in enumerate(CONDITIONS))
_FEEDS: Final = f"""
SELECT exchange, dataset, timestamp, max(CASE condition {_RANK} ELSE 3 END) AS worst, sum(rows) AS rows, sum(gaps) AS gaps,
       max(gap_seconds) AS gap_seconds, count(*) AS symbols, count(*) FILTER (condition IN ('degraded', 'missing')) AS bad
FROM coverage WHERE date >= ? AND timestamp >= ? GROUP BY ALL ORDER BY exchange, dataset, timestamp
"""  # noqa: S608 - the ranks are ours
_SYMBOLS: Final = f"""
SELECT exchange, symbol AS dataset, timestamp, CASE condition {_RANK} ELSE 3 END AS worst, rows, gaps, gap_seconds, 1 AS symbols,
       CAST(condition IN ('degraded', 'missing') AS INT) AS bad
FROM coverage WHERE date >= ? AND timestamp >= ? AND exchange = ? AND dataset = ? ORDER BY symbol, timestamp
"""  # noqa: S608 - the ranks are ours


def read(room: Room, asked: Asked) -> Answer:
    """A row for each feed (exchange and dataset) and hour; of one feed, for each symbol and hour."""
    now = now_us()
    first = (now // HOUR_US - asked.hours + 1) * HOUR_US
    sql = _FEEDS
    values: list[Any] = [day_of(first), moment_of(first)]
    if asked.exchange and asked.dataset:
        sql, values = _SYMBOLS, [*values, asked.exchange, asked.dataset]
    found = room.reader.rows_now(sql, values, together="coverage")
    return {"hours": columns(found), "first": first // 1000, "last": now // HOUR_US * HOUR_US // 1000, "conditions": CONDITIONS}


PAGE: Final = Page(name="coverage", title="Coverage", read=read, seconds=15.0, needs=("exchange", "dataset", "hours"))
