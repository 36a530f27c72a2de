# ruff: noqa: S608 - every name put into these statements is our own; what a user gives is a parameter of the macro
"""SQL text of the catalog's table macros: questions people ask of the lake, each with a name.

Put here: macros and what is said of them in the docs. Keep out: views (`lake.views`, `lake.candle_views`).

A parameter must not be called like any column inside what the macro reads: DuckDB would take one for the other. Macros over candles
read `candles_now`, so that planning looks at the files of their timeframe alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from lake.candle_views import candles_select
from lake.condemned import Register
from lake.listing import DATES, MONTHS, NONE_CONDEMNED, NOW, days_glob, quoted
from lake.paths import Home
from lake.registry import MONTH_TIMEFRAMES
from lake.transforms.timeframes import TIMEFRAMES, WIDTH_US, bucket_sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Macro:
    """A table macro: its parameters as written in SQL, what it answers, an example, and the SELECT behind it."""

    name: str
    parameters: str
    says: str
    example: str
    select: str

    @property
    def create(self) -> str:
        """The whole CREATE statement."""
        return f"CREATE MACRO {self.name}({self.parameters}) AS TABLE\n{self.select}"

    @property
    def heading(self) -> str:
        """Name and parameters."""
        return f"{self.name}({self.parameters})"


def _day(instant: str) -> str:
    """The UTC day of a parameter; a filter on `date` made of it leaves other days' files unread."""
    return f"CAST(timezone('UTC', {instant}::TIMESTAMPTZ) AS DATE)"


_AHEAD: Final = "now() + INTERVAL 1 DAY"
"""Where a range without an end ends: no candle opens later but one of a clock that is wrong."""

CANDLES_NOW: Final = Macro(
    name="candles_now",
    parameters="tf, since := NULL, until := NULL",
    says=(
        "The rows of the view `candles` of one timeframe, planned for the files of that timeframe alone; with `since` of those opened from "
        "then to before `until` (default: a day from now), planned for the files of these days alone, so that it costs the same however "
        "long history is."
    ),
    example="FROM candles_now('1m', since := '2026-11-21 00:00Z', until := '2026-11-21 12:00Z') WHERE symbol = 'BTC/USDT'",
    select="",
)
"""What is said of `candles_now`; its SELECT depends on the home."""


_UNTIL: Final = f"coalesce(until::TIMESTAMPTZ, {_AHEAD})"
_MONTHLY: Final = f"tf IN ({', '.join(quoted(each) for each in MONTH_TIMEFRAMES)})"
# A candle of 3d, 1w or 1M reaches into the month after that of its open time.
_REACH: Final = f"to_days(CASE WHEN {_MONTHLY} THEN 40 ELSE 0 END)"


def _narrowed(text: str) -> str:
    """SQL for a statement (given as SQL for its text) that lists the files of the days of the parameters `since` and `until` alone."""
    months = days_glob(f"date_trunc('month', {_day('since')})", f"date_trunc('month', {_day(_UNTIL)})")
    days = days_glob(_day("since"), f"{_day(_UNTIL)} + {_REACH}")
    for pattern, narrow in ((MONTHS, months), (DATES, days)):
        text = f"replace({text}, {quoted(pattern)}, 'date=' || {narrow})"
    return text


_WITHIN: Final = (
    f"(since IS NULL OR (c.timestamp >= since::TIMESTAMPTZ AND c.date >= {_day('since')})) AND CASE WHEN until IS NOT NULL "
    f"THEN c.timestamp < until::TIMESTAMPTZ AND c.date <= {_day('until')} ELSE since IS NULL OR c.timestamp < {_AHEAD} END"
)


def candles_now(home: Home, *, at: str = NOW, wal: bool = False, condemned: Register = NONE_CONDEMNED) -> Macro:
    """The macro `candles_now`: the statement of each timeframe as text, of which DuckDB looks at the one asked for only."""
    texts = ((each, candles_select(home, (each,), at=at, wal=wal, condemned=condemned)) for each in TIMEFRAMES)
    cases = " ".join(f"WHEN {quoted(each)} THEN {quoted(text)}" for each, text in texts)
    unknown = f"error('timeframe ' || tf || ' is unknown; known timeframes are {', '.join(TIMEFRAMES)}')"
    # A parameter is written out wherever it is named; a lambda names the long text once.
    chosen = f"CASE WHEN since IS NULL THEN whole ELSE {_narrowed('whole')} END"
    text = f"list_transform([CASE tf {cases} ELSE {unknown} END], lambda whole: {chosen})[1]"
    return replace(CANDLES_NOW, select=f"SELECT c.* FROM query({text}) c WHERE {_WITHIN}")


_COLUMNS: Final = "open, high, low, close, volume, quote_volume, trade_count, buy_volume, sell_volume, vwap, source"

_OHLCV: Final = Macro(
    name="ohlcv",
    parameters="pair, tf, venue := NULL, since := NULL, until := NULL",
    says="Candles of one symbol in any of the fifteen timeframes, of all exchanges or one, opened from `since` to before `until`.",
    example="FROM ohlcv('BTC/USDT', '4h', venue := 'kraken', since := '2026-11-01')",
    select=f"""SELECT c.exchange, c.symbol, c.timeframe, c.timestamp, {_COLUMNS} FROM candles_now(tf, since := since, until := until) c
WHERE c.symbol = pair AND (venue IS NULL OR c.exchange = venue) ORDER BY c.exchange, c.timestamp""",
)

_STEP: Final = " ".join(
    f"WHEN '{each}' THEN to_microseconds({WIDTH_US[each]})" if each in WIDTH_US else f"WHEN '{each}' THEN to_months(1)"
    for each in TIMEFRAMES
)
_FIRST: Final = " ".join(f"WHEN '{each}' THEN {bucket_sql(each, 'since::TIMESTAMPTZ')}" for each in TIMEFRAMES)
# Steps are made in plain UTC time: a month is added there whatever the session's time zone.
_GRID: Final = (
    f"SELECT timezone('UTC', unnest(generate_series(timezone('UTC', CASE tf {_FIRST} END), "
    f"timezone('UTC', until::TIMESTAMPTZ) - INTERVAL 1 MICROSECOND, CASE tf {_STEP} END))) AS opened"
)

# How far back the close is looked for that fills the first intervals: a day, and two intervals.
_BACK: Final = f"(since::TIMESTAMPTZ - INTERVAL 24 HOURS - 2 * CASE tf {_STEP} END)"

_CANDLES_FILLED: Final = Macro(
    name="candles_filled",
    parameters="pair, tf, since, until, venue := NULL",
    says=(
        "Candles without holes, one row an exchange and interval: from the interval `since` lies in to the last that opens before `until` "
        "(or has opened by now). Where nothing was traded `is_filled` is true, prices and vwap are the close before, amounts and counts 0. "
        "Filling begins with the first candle of the range, or with one up to a day and two intervals before it."
    ),
    example="FROM candles_filled('BTC/USDT', '1m', '2026-11-21 00:00Z', '2026-11-22 00:00Z', venue := 'binance')",
    select=f"""WITH found AS (
  SELECT * FROM candles_now(tf, since := {_BACK}, until := until) c WHERE c.symbol = pair AND (venue IS NULL OR c.exchange = venue)
), intervals AS (SELECT opened FROM ({_GRID}) WHERE opened <= now()),
wanted AS (SELECT e.exchange, i.opened FROM (SELECT DISTINCT exchange FROM found) e CROSS JOIN intervals i),
paired AS (
  SELECT w.exchange AS market, w.opened, f.*, f.timestamp <> w.opened AS is_filled
  FROM wanted w ASOF JOIN found f ON f.exchange = w.exchange AND f.timestamp <= w.opened
)
SELECT exchange, symbol, timeframe, opened AS timestamp,
  if(is_filled, close, open) AS open, if(is_filled, close, high) AS high, if(is_filled, close, low) AS low, close,
  if(is_filled, 0, volume) AS volume, if(is_filled, 0, quote_volume) AS quote_volume, if(is_filled, 0, trade_count) AS trade_count,
  if(is_filled, 0, buy_volume) AS buy_volume, if(is_filled, 0, sell_volume) AS sell_volume, if(is_filled, close, vwap) AS vwap,
  source, is_filled
FROM paired ORDER BY ALL""",
)

# An hour of deltas opens with a snapshot of each book; in its first minute that may still be to come, and the hour before holds the book.
_BOOK_SINCE: Final = "date_trunc('hour', timezone('UTC', moment::TIMESTAMPTZ - INTERVAL 1 MINUTE))"
_PLACE: Final = "row(local_timestamp, ordinal)"

_BOOK_AT: Final = Macro(
    name="book_at",
    parameters="venue, pair, moment",
    says=(
        "The whole book of one market as it stood for us at an instant, one row a price level, `level` 1 the best of its side: the last "
        "snapshot received by then, and every change received after it. `changed_at` is when the level became what it is. "
        "Empty where the hour has no snapshot before the instant."
    ),
    example="FROM book_at('kraken', 'BTC/USD', '2026-11-21 07:14:00Z') WHERE level <= 10",
    select=f"""WITH received AS (
  SELECT b.local_timestamp, b.ordinal, b.sequence, b.side, b.price, b.amount, b.order_count, b.is_snapshot FROM book_deltas b
  WHERE b.exchange = venue AND b.symbol = pair AND b.local_timestamp <= moment::TIMESTAMPTZ
    AND b.date >= {_BOOK_SINCE}::DATE AND b.date <= {_day("moment")}
    AND b.hour IN (hour({_BOOK_SINCE}), hour(timezone('UTC', moment::TIMESTAMPTZ)))
    AND b.local_timestamp >= timezone('UTC', {_BOOK_SINCE})
), begun AS (
  SELECT max({_PLACE}) AS place FROM (
    SELECT *, lag(is_snapshot) OVER arrival AS continues, lag(row(local_timestamp, sequence)) OVER arrival AS former FROM received
    WINDOW arrival AS (ORDER BY local_timestamp, ordinal)
  ) WHERE is_snapshot AND (continues IS NOT TRUE OR former IS DISTINCT FROM row(local_timestamp, sequence))
), levels AS (
  SELECT side, price, max({_PLACE}) AS place, arg_max(row(amount, order_count, local_timestamp), {_PLACE}) AS newest
  FROM received WHERE {_PLACE} >= (SELECT place FROM begun) GROUP BY side, price
), standing AS (SELECT side, price, newest[1] AS amount, newest[2] AS order_count, newest[3] AS changed_at FROM levels WHERE newest[1] > 0)
SELECT venue AS exchange, pair AS symbol, side,
  row_number() OVER (PARTITION BY side ORDER BY if(side = 'bid', -price, price)) AS level, price, amount, order_count, changed_at
FROM standing ORDER BY side, level""",
)

_TRADES: Final = f"""(
  SELECT t.* FROM trades t WHERE t.symbol = pair AND (venue IS NULL OR t.exchange = venue)
    AND t.timestamp >= since::TIMESTAMPTZ AND t.timestamp < until::TIMESTAMPTZ AND t.date >= {_day("since")} AND t.date <= {_day("until")}
  QUALIFY row_number() OVER (PARTITION BY t.exchange, t.symbol, t.trade_id, t.date, t.hour
    ORDER BY t.source = 'rest', t.local_timestamp, t.timestamp, t.ordinal) = 1
)"""
"""Trades of a range, each once: a part may repeat a trade of another until their hour is compacted."""

_VWAP: Final = Macro(
    name="vwap",
    parameters="pair, since, until, venue := NULL",
    says=(
        "Volume-weighted average price of a symbol over any range, from the trades: a row for each exchange, and one called `all`. "
        "`volume` in base units, `quote_volume` in quote units, `trade_count` the sum of fill_count."
    ),
    example="FROM vwap('BTC/USDT', '2026-11-21 07:00Z', '2026-11-21 07:30Z')",
    select=f"""SELECT coalesce(exchange, 'all') AS exchange, pair AS symbol, fsum(price * amount) / fsum(amount) AS vwap,
  fsum(amount) AS volume, fsum(price * amount) AS quote_volume, sum(fill_count)::BIGINT AS trade_count,
  min(timestamp) AS first_time, max(timestamp) AS last_time
FROM {_TRADES} GROUP BY GROUPING SETS ((exchange), ()) HAVING count(*) > 0 ORDER BY coalesce(exchange, 'all') = 'all', exchange""",
)

_TRADES_WITH_BOOK: Final = Macro(
    name="trades_with_book",
    parameters="pair, since, until, venue := NULL",
    says=(
        "Each trade beside the top of its book: the newest snapshot received before the trade (for one fetched over REST: before it "
        "happened), at most an hour old; `book_age_seconds` says how old. Null where there was none."
    ),
    example="FROM trades_with_book('BTC/USDT', '2026-11-21 07:00Z', '2026-11-21 07:30Z', venue := 'binance')",
    select=f"""SELECT t.exchange, t.symbol, t.timestamp, t.local_timestamp, t.trade_id, t.side, t.price, t.amount,
  b.best_bid, b.best_bid_amount, b.best_ask, b.best_ask_amount, b.mid, b.spread, b.spread_bps,
  (epoch_us(t.reached) - epoch_us(b.local_timestamp)) / 1e6 AS book_age_seconds
FROM (SELECT *, if(source = 'rest', timestamp, local_timestamp) AS reached FROM {_TRADES}) t
ASOF LEFT JOIN (
  SELECT s.* FROM book_spreads s WHERE s.symbol = pair AND (venue IS NULL OR s.exchange = venue)
    AND s.local_timestamp >= since::TIMESTAMPTZ - INTERVAL 1 HOUR AND s.date >= {_day("(since::TIMESTAMPTZ - INTERVAL 1 HOUR)")}
) b ON b.exchange = t.exchange AND b.symbol = t.symbol AND b.local_timestamp <= t.reached
ORDER BY t.exchange, t.timestamp, t.ordinal""",
)

MACROS: Final = (_OHLCV, _CANDLES_FILLED, _BOOK_AT, _VWAP, _TRADES_WITH_BOOK)
"""Every table macro, in the order of the documentation."""
