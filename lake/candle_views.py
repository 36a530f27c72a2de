# ruff: noqa: S608 - every name and path put into these statements is quoted or comes from the registry
"""SQL text of the view `candles`: stored candles as far as they cover their trades, all others computed on the fly.

Put here: which stored candles are stale, computing those, and choosing one source a key. Keep out: which files count (`lake.listing`).

What a stored file covers is in its name. An hour of trades is newer than a candle file when the hour holds a part beyond the file's
watermark. Up to 1h such an hour is computed anew; of the longer timeframes each candle that has such an hour in it, from
candles of 1h (or 1d) which are themselves as new as the trades. Parts tell of themselves by name for as long as they are kept after
compaction (a day), the watermark of the compacted hour after that.

Each timeframe is a branch with its name as a literal, so a filter on `timeframe` leaves the other branches out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lake.condemned import Register
from lake.layout import SENTINEL_DAY
from lake.listing import NONE_CONDEMNED, NOW, WAL_PREFIX, branches, identifier, listing, names_of, quoted, union, utc_date, utc_hour
from lake.listing import wal_branch as log_branch
from lake.one_source import EXCHANGE_CANDLES, one_source
from lake.paths import Home
from lake.registry import CANDLE_COLUMNS, DAY_TIMEFRAMES, MONTH_TIMEFRAMES, TRADE_TIMEFRAMES, Dataset, candle_dataset, dataset
from lake.transforms.timeframes import TIMEFRAMES, bucket_sql

ROLLED: Final = (
    "first(open ORDER BY opened) AS open, max(high) AS high, min(low) AS low, last(close ORDER BY opened) AS close, "
    "fsum(volume) AS volume, fsum(quote_volume) AS quote_volume, sum(trade_count)::BIGINT AS trade_count, "
    "fsum(buy_volume) AS buy_volume, fsum(sell_volume) AS sell_volume"
)
"""Aggregates that make one longer candle of shorter ones, whose open time is called `opened`."""

VWAP: Final = "CASE WHEN volume = 0 THEN close ELSE quote_volume / volume END AS vwap"
CARRIED: Final = "open, high, low, close, volume, quote_volume, trade_count, buy_volume, sell_volume"

_DATE: Final = "substr(day, 6)::DATE AS date"
_HOUR: Final = "substr(hour, 6)::INTEGER AS hour"
_HOUR_NAME: Final = "printf('hour=%02d', each.range)"
_OPENED: Final = "timezone('UTC', substr(day, 6)::TIMESTAMP + to_hours(substr(hour, 6)::INTEGER))"
_DAY_OPENED: Final = "timezone('UTC', substr(day, 6)::TIMESTAMP)"
_SHORT: Final = f"exchange, symbol, timestamp AS opened, {CARRIED}, date, hour"


def candles_select(
    home: Home,
    timeframes: Sequence[str] = TIMEFRAMES,
    *,
    at: str = NOW,
    wal: bool = False,
    condemned: Register = NONE_CONDEMNED,
) -> str:
    """The SELECT behind the view `candles`, or of some timeframes of it: the candle columns, then `date` and `hour`, of their open time."""
    text = _CandleText(home, tuple(timeframes), at=at, wal=wal, condemned=condemned)
    return one_source([*text.expressions(), f"ours AS NOT MATERIALIZED ({union(text.branch(each) for each in timeframes)})"], timeframes)


@dataclass(frozen=True)
class _CandleText:
    """The pieces of one statement. `wanted` are the timeframes it shows; those they are made of are listed too."""

    home: Home
    wanted: tuple[str, ...]
    at: str
    wal: bool
    condemned: Register

    @property
    def monthly(self) -> list[str]:
        return [each for each in MONTH_TIMEFRAMES if each in self.wanted]

    @property
    def daily(self) -> list[str]:
        return [each for each in DAY_TIMEFRAMES if each in self.wanted or (each == "1d" and self.monthly)]

    @property
    def hourly(self) -> list[str]:
        return [each for each in TRADE_TIMEFRAMES if each in self.wanted or each == "1m" or (each == "1h" and self.daily)]

    def expressions(self) -> list[str]:
        """Common table expressions for all branches."""
        found = listing(self.home, dataset("trades"), at=self.at)
        found.append(
            "newest AS MATERIALIZED (SELECT day, hour, max(instant) AS instant FROM ("
            "SELECT day, hour, instant FROM trades_parts UNION ALL SELECT day, hour, mark FROM trades_hours) "
            "WHERE day <> 'date=1970-01-01' GROUP BY day, hour)"
        )
        for timeframe in (*self.hourly, *self.daily, *self.monthly):
            found += listing(self.home, dataset(candle_dataset(timeframe)), at=self.at)
            found.append(self._stale_hours(timeframe) if timeframe in self.hourly else self._stale_buckets(timeframe))
        for name in ("coverage", EXCHANGE_CANDLES):
            spec = dataset(name)
            found += listing(self.home, spec, at=self.at)
            found.append(f"{name} AS NOT MATERIALIZED ({union(branches(self.home, spec, names_of(spec), condemned=self.condemned))})")
        found += self._minutes()
        found += [self._live_hour(timeframe) for timeframe in self.hourly if timeframe != "1m"]
        if self.daily:
            found += self._hours_now()
        if self.monthly:
            found += self._days_now()
        return found

    def branch(self, timeframe: str) -> str:
        """Rows of one timeframe: the fresh ones as they are stored, the others computed."""
        spec = dataset(candle_dataset(timeframe))
        stored = ", ".join(f"{quoted(timeframe)} AS timeframe" if c.name == "timeframe" else identifier(c.name) for c in CANDLE_COLUMNS)
        kept = [name for name in names_of(spec) if name != "timeframe"]
        if timeframe in TRADE_TIMEFRAMES:
            return f"SELECT {stored}, date, hour FROM ({self._fresh(spec, kept)})\nUNION ALL\n{_computed(timeframe, _live(timeframe))}"
        date, hour = utc_date("timestamp"), utc_hour("timestamp")
        rows = f"SELECT * FROM ({union(branches(self.home, spec, kept, condemned=self.condemned))})"
        fresh = f"SELECT {stored}, {'date' if timeframe in DAY_TIMEFRAMES else f'{date} AS date'}, {hour} AS hour FROM ({rows}) ANTI JOIN"
        base = "hours_now" if timeframe in DAY_TIMEFRAMES else "days_now"
        return (
            f"{fresh} (SELECT bucket AS timestamp FROM {spec.name}_stale) USING (timestamp)\nUNION ALL\n"
            f"{_computed(timeframe, self._rolled(timeframe, base))}"
        )

    def _stale_hours(self, timeframe: str) -> str:
        """`<name>_stale` (day, hour): hours of trades that the stored candles do not cover."""
        name = candle_dataset(timeframe)
        sources = [
            f"SELECT n.day, n.hour FROM newest n LEFT JOIN {name}_hour_seals h ON h.day = n.day AND h.hour = n.hour "
            f"LEFT JOIN {name}_day_seals d ON d.day = n.day WHERE n.instant > coalesce(h.mark, d.mark, '')",
            f"SELECT s.day, {_HOUR_NAME} AS hour FROM trades_day_seals s, range(24) each "
            f"WHERE s.day NOT IN (SELECT day FROM {name}_days) AND NOT EXISTS "
            f"(SELECT 1 FROM {name}_hours c WHERE c.day = s.day AND c.hour = {_HOUR_NAME})",
        ]
        if self.wal:
            sources.append(f"SELECT DISTINCT {_WAL_DAY}, printf('hour=%02d', {utc_hour('timestamp')}) AS hour FROM {WAL_PREFIX}trades")
        return f"{name}_stale AS MATERIALIZED ({' UNION '.join(sources)})"

    def _stale_buckets(self, timeframe: str) -> str:
        """`<name>_stale` (bucket, day): candles with an hour of trades that the stored file does not cover, and the days of these hours."""
        name = candle_dataset(timeframe)
        bucket = bucket_sql(timeframe, "opened")
        owner = "day" if timeframe in DAY_TIMEFRAMES else "strftime(timezone('UTC', bucket), 'date=%Y-%m-01')"
        hours = [
            f"SELECT day, {_OPENED} AS opened, instant FROM newest",
            f"SELECT day, {_DAY_OPENED} + to_hours(each.range) AS opened, '' AS instant FROM trades_day_seals, range(24) each "
            "WHERE day <> 'date=1970-01-01'",
        ]
        if self.wal:
            hours.append(f"SELECT DISTINCT {_WAL_DAY}, {bucket_sql('1h', 'timestamp')} AS opened, '9' AS instant FROM {WAL_PREFIX}trades")
        return (
            f"{name}_stale AS MATERIALIZED (SELECT DISTINCT bucket, n.day FROM "
            f"(SELECT *, {owner} AS owner FROM (SELECT day, instant, {bucket} AS bucket FROM ({union(hours)}))) n "
            f"LEFT JOIN {name}_day_seals d ON d.day = n.owner WHERE d.mark IS NULL OR n.instant > d.mark)"
        )

    def _fresh(self, spec: Dataset, columns: Sequence[str], *, within: str = "") -> str:
        """Stored rows of the hours that are not stale; `within` narrows the files by their columns `day` and `hour`."""
        name = spec.name
        hours = f"SELECT file FROM {name}_live_hours ANTI JOIN {name}_stale USING (day, hour) {within}"
        narrowed = {"hour": hours}
        if within:
            narrowed["day"] = f"SELECT file FROM {name}_live_days {within.replace('(day, hour)', '(day)')}"
        rows = branches(self.home, spec, columns, condemned=self.condemned, narrowed=narrowed)
        days = f"SELECT * FROM ({rows.pop()}) ANTI JOIN (SELECT {_DATE}, {_HOUR} FROM {name}_stale) USING (date, hour)"
        return union([*rows, days])

    def _minutes(self) -> list[str]:
        """`live_minutes`: candles of 1m from the trades of hours that no stored file of 1m covers; `minutes_now`: those, and what else is
        needed of stored ones to compute longer candles.
        """
        trades = dataset("trades")
        stale = f"{candle_dataset('1m')}_stale"
        narrowed = {kind: f"SELECT file FROM trades_live_{kind}s SEMI JOIN {stale} USING (day, hour)" for kind in ("part", "hour")}
        # The file of no rows stays: for an empty list DuckDB opens every file of the tier, for a few names those alone.
        days = f"(SELECT day FROM {stale} UNION ALL SELECT 'date={SENTINEL_DAY:%Y-%m-%d}')"
        narrowed["day"] = f"SELECT file FROM trades_live_days SEMI JOIN {days} USING (day)"
        columns = [name for name in names_of(trades) if name != "clock_suspect"]
        rows = branches(self.home, trades, columns, condemned=self.condemned, narrowed=narrowed)
        rows.append(f"SELECT * FROM ({rows.pop()}) SEMI JOIN (SELECT {_DATE}, {_HOUR} FROM {stale}) USING (date, hour)")
        if self.wal:
            rows.append(log_branch(trades, columns))
        found = [f"stale_trades AS NOT MATERIALIZED ({union(rows)})", _LIVE_MINUTES]
        others = [candle_dataset(each) for each in self.hourly if each != "1m"]
        if others:
            found.append(f"stale_others AS MATERIALIZED ({' UNION '.join(f'SELECT day, hour FROM {each}_stale' for each in others)})")
            minutes = dataset(candle_dataset("1m"))
            stored = self._fresh(minutes, _needed(minutes), within="SEMI JOIN stale_others USING (day, hour)")
            found.append(
                f"minutes_now AS MATERIALIZED (SELECT {_SHORT} FROM ({stored}) UNION ALL "
                f"SELECT exchange, symbol, opened, {CARRIED}, date, hour FROM live_minutes)"
            )
        return found

    def _live_hour(self, timeframe: str) -> str:
        """`live_<name>`: candles of the stale hours of a timeframe, from minutes."""
        name = candle_dataset(timeframe)
        return (
            f"{_live(timeframe)} AS (SELECT exchange, symbol, bucket AS opened, {CARRIED}, date, hour FROM ("
            f"SELECT exchange, symbol, {bucket_sql(timeframe, 'opened')} AS bucket, {ROLLED}, date, hour FROM minutes_now "
            f"SEMI JOIN (SELECT {_DATE}, {_HOUR} FROM {name}_stale) USING (date, hour) GROUP BY exchange, symbol, bucket, date, hour))"
        )

    def _hours_now(self) -> list[str]:
        """`hours_now`: candles of 1h of all days in which a candle of 2h to 1d is stale, as new as the trades."""
        days = " UNION ".join(f"SELECT day FROM {candle_dataset(each)}_stale" for each in self.daily)
        hours = dataset(candle_dataset("1h"))
        stored = self._fresh(hours, _needed(hours), within="SEMI JOIN long_days USING (day)")
        return [
            f"long_days AS MATERIALIZED ({days})",
            f"hours_now AS MATERIALIZED (SELECT {_SHORT} FROM ({stored}) SEMI JOIN (SELECT {_DATE} FROM long_days) USING (date) UNION ALL "
            f"SELECT * FROM {_live('1h')} SEMI JOIN (SELECT {_DATE} FROM long_days) USING (date))",
        ]

    def _days_now(self) -> list[str]:
        """`days_now`: candles of 1d of all days that lie in a stale candle of 3d, 1w or 1M, as new as the trades."""
        spec = dataset(candle_dataset("1d"))
        inside = " OR ".join(
            f"{bucket_sql(each, _DAY_OPENED)} IN (SELECT bucket FROM {candle_dataset(each)}_stale)" for each in self.monthly
        )
        files = f"SELECT file FROM {spec.name}_live_days WHERE {inside}"
        stored = union(branches(self.home, spec, _needed(spec), condemned=self.condemned, narrowed={"day": files}))
        return [
            f"days_now AS MATERIALIZED (SELECT {_SHORT} FROM ({stored}) ANTI JOIN (SELECT bucket AS timestamp FROM {spec.name}_stale) "
            f"USING (timestamp) UNION ALL SELECT * FROM ({self._rolled('1d', 'hours_now')}))"
        ]

    def _rolled(self, timeframe: str, base: str) -> str:
        """The stale candles of a longer timeframe, from `base`."""
        stale = f"(SELECT DISTINCT bucket FROM {candle_dataset(timeframe)}_stale)"
        made = (
            f"SELECT exchange, symbol, bucket, {ROLLED} FROM (SELECT *, {bucket_sql(timeframe, 'opened')} AS bucket FROM {base}) "
            f"SEMI JOIN {stale} USING (bucket) GROUP BY exchange, symbol, bucket"
        )
        filed = f"{utc_date('bucket')} AS date, {utc_hour('bucket')} AS hour"
        return f"SELECT exchange, symbol, bucket AS opened, {CARRIED}, {filed} FROM ({made})"


_WAL_DAY: Final = f"'date=' || {utc_date('timestamp')} AS day"

# A part may repeat a trade of another part until the hour is compacted; the row kept is the one that compaction keeps.
_ONCE: Final = (
    "SELECT * FROM stale_trades QUALIFY row_number() OVER (PARTITION BY exchange, symbol, trade_id, date, hour "
    "ORDER BY source = 'rest', local_timestamp, timestamp, ordinal) = 1"
)
_LIVE_MINUTES: Final = (
    f"live_minutes AS MATERIALIZED (SELECT exchange, symbol, {bucket_sql('1m', 'timestamp')} AS opened, "
    "first(price ORDER BY timestamp, ordinal, trade_id) AS open, max(price) AS high, min(price) AS low, "
    "last(price ORDER BY timestamp, ordinal, trade_id) AS close, fsum(amount) AS volume, fsum(price * amount) AS quote_volume, "
    "sum(fill_count)::BIGINT AS trade_count, coalesce(fsum(amount) FILTER (side = 'buy'), 0) AS buy_volume, "
    f"coalesce(fsum(amount) FILTER (side = 'sell'), 0) AS sell_volume, date, hour FROM ({_ONCE}) "
    "GROUP BY exchange, symbol, opened, date, hour)"
)


def _live(timeframe: str) -> str:
    return "live_minutes" if timeframe == "1m" else f"live_{candle_dataset(timeframe)}"


def _computed(timeframe: str, rows: str) -> str:
    """Rows (exchange, symbol, opened, the carried columns, date, hour) of a table or a SELECT as candles of a timeframe."""
    table = f"({rows})" if " " in rows else rows
    return (
        f"SELECT exchange, symbol, {quoted(timeframe)} AS timeframe, opened AS timestamp, {CARRIED}, {VWAP}, 'trades' AS source, "
        f"date, hour FROM {table}"
    )


def _needed(spec: Dataset) -> list[str]:
    """Columns of stored candles that longer ones are computed from."""
    return [name for name in names_of(spec) if name not in {"timeframe", "vwap", "source"}]
