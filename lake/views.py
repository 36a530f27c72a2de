# ruff: noqa: S608 - every name and path put into these statements is quoted or comes from the registry
"""SQL text of the catalog's views and macros, made from the registry and the path layout.

Put here: which files a view counts, how rows of one key become one, the real-time candles, macros. Keep out: connections and
files (`lake.catalog` publishes the text, `lake.query` runs it).

`at` is always an SQL expression for the instant of the reader: 16 digits of microseconds, text, one value in a transaction. Every listing
inside a statement is cut at it, so all of them agree whatever appears meanwhile. Live files are found first and joined by
file name: the join reaches the scan as a filter, so superseded files are listed but not opened.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from lake.condemned import Condemned, Kind, Register
from lake.paths import Home
from lake.registry import CANDLE_COLUMNS, DATASETS, TRADE_TIMEFRAMES, Dataset, candle_dataset, dataset
from lake.transforms.timeframes import TIMEFRAMES, bucket_sql, nests

NOW: Final = "lpad(epoch_us(now())::VARCHAR, 16, '0')"
"""The instant of a plain reader: the start of its transaction."""

WAL_PREFIX: Final = "wal_"
"""Tables of rows read from the write-ahead log are called `wal_<dataset>`; the candle view counts each of their hours as stale."""

_LAKE_OPTIONS: Final = "hive_partitioning = true, hive_types = {'date': DATE, 'hour': INTEGER}, filename = true"
_DAY_OPTIONS: Final = "hive_partitioning = true, hive_types = {'date': DATE}, filename = true"

PARTITION_COMMENTS: Final[Mapping[str, str]] = {
    "date": "Day the row is filed under, UTC; a filter on it leaves the files of other days unread.",
    "hour": "Hour of that day the row is filed under, 0 to 23, UTC; a filter on it leaves the files of other hours unread.",
}


def quoted(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _pattern(home: Home, tier: str, name: str, levels: str) -> str:
    # A home may be called anything, so its own brackets and stars are no pattern.
    root = glob.escape(str(home.root))
    return quoted(f"{root}/{tier}/{name}/{levels}")


def _glob(home: Home, name: str, kind: str) -> str:
    if kind == "day":
        return _pattern(home, home.days.name, name, "*/day-*.parquet")
    return _pattern(home, home.lake.name, name, f"*/*/{kind}-*.parquet")


def utc_date(column: str) -> str:
    """SQL for the UTC day of a timestamp column, whatever the session's time zone."""
    return f"(DATE '1970-01-01' + (epoch_us({identifier(column)}) // 86400000000)::INTEGER)"


def utc_hour(column: str) -> str:
    """SQL for the UTC hour of day of a timestamp column."""
    return f"((epoch_us({identifier(column)}) // 3600000000) % 24)::INTEGER"


def listing(home: Home, spec: Dataset, *, at: str) -> list[str]:
    """Common table expressions of the files of one dataset that count at `at`.

    `<name>_days`, `<name>_hours`, `<name>_parts` hold what has appeared, `<name>_live_…` what nothing supersedes, all as (file, name,
    instant, mark, day, hour): `day` is the directory `date=…`, `hour` the directory `hour=…`. Derived datasets have no parts.
    """
    name = spec.name
    hourly = "parse_filename(parse_dirpath(parse_dirpath(file))) AS day, parse_filename(parse_dirpath(file)) AS hour"
    ctes = [
        f"{name}_days AS MATERIALIZED (SELECT file, parse_filename(file) AS name, substr(name, 5, 16) AS instant, "
        f"substr(name, 22, 16) AS mark, parse_filename(parse_dirpath(file)) AS day FROM glob({_glob(home, name, 'day')}) "
        f"WHERE instant <= {at})",
        f"{name}_day_seals AS MATERIALIZED (SELECT day, max(name) AS name, max(mark) AS mark FROM {name}_days GROUP BY day)",
        f"{name}_hours AS MATERIALIZED (SELECT file, parse_filename(file) AS name, substr(name, 6, 16) AS instant, "
        f"substr(name, 23, 16) AS mark, {hourly} FROM glob({_glob(home, name, 'hour')}) WHERE instant <= {at})",
        f"{name}_hour_seals AS MATERIALIZED (SELECT day, hour, max(name) AS name, max(mark) AS mark FROM {name}_hours GROUP BY day, hour)",
        f"{name}_live_days AS (SELECT f.* FROM {name}_days f JOIN {name}_day_seals d USING (day, name))",
        f"{name}_live_hours AS (SELECT f.* FROM {name}_hours f JOIN {name}_hour_seals h USING (day, hour, name) "
        f"LEFT JOIN {name}_day_seals d ON d.day = f.day WHERE d.mark IS NULL OR f.instant > d.mark)",
    ]
    if spec.landed:
        ctes += [
            f"{name}_parts AS MATERIALIZED (SELECT file, parse_filename(file) AS name, substr(name, 6, 16) AS instant, "
            f"{hourly} FROM glob({_glob(home, name, 'part')}) WHERE instant <= {at})",
            f"{name}_live_parts AS (SELECT f.* FROM {name}_parts f LEFT JOIN {name}_hour_seals h ON h.day = f.day AND h.hour = f.hour "
            f"LEFT JOIN {name}_day_seals d ON d.day = f.day "
            "WHERE (h.mark IS NULL OR f.instant > h.mark) AND (d.mark IS NULL OR f.instant > d.mark))",
        ]
    return ctes


NONE_CONDEMNED: Final[Register] = MappingProxyType({})


def _kept(condemned: Condemned | None, kind: Kind) -> str:
    """Condition on the name that leaves condemned files out; of constants, so that they are not even opened."""
    if condemned is None:
        return ""
    start = 5 if kind == "day" else 6
    text = f" AND substr(parse_filename(filename), {start}, 16) >= {quoted(condemned.floor)}"
    if condemned.paths:
        text += f" AND filename NOT IN ({', '.join(quoted(path) for path in condemned.paths)})"
    return text


def _branches(
    home: Home, spec: Dataset, columns: Iterable[str], *, condemned: Register, narrowed: Mapping[str, str] | None = None
) -> list[str]:
    """SELECTs over the live files of each tier, with `date` and `hour` at the end; `narrowed` replaces a tier's list of files.

    Where most files of a tier are not wanted (superseded parts, a narrowed list), a semi join hands the names to the scan, which opens
    no other. Sealed files are nearly all live: there a mark join is kept, because DuckDB guesses the size of a scan from its
    first file, the sentinel of no rows, and may turn a semi join around to hash every row (28 million rows: 1.7 s instead of 0.1 s).
    """
    selected = ", ".join(identifier(column) for column in columns)

    def wanted(kind: Kind) -> str:
        kept = _kept(condemned.get((spec.name, kind)), kind)
        if narrowed and kind in narrowed:
            return f"filename IN ({narrowed[kind]}){kept}"
        live = f"filename IN (SELECT file FROM {spec.name}_live_{kind}s)"
        return (live if kind == "part" else f"coalesce({live}, false)") + kept

    hourly = f"SELECT {selected}, date, hour FROM read_parquet("
    branches = [f"{hourly}{_glob(home, spec.name, 'part')}, {_LAKE_OPTIONS}) WHERE {wanted('part')}"] if spec.landed else []
    branches += [
        f"{hourly}{_glob(home, spec.name, 'hour')}, {_LAKE_OPTIONS}) WHERE {wanted('hour')}",
        f"SELECT {selected}, date, {utc_hour(spec.time_column)} AS hour "
        f"FROM read_parquet({_glob(home, spec.name, 'day')}, {_DAY_OPTIONS}) WHERE {wanted('day')}",
    ]
    return branches


def _wal_branch(spec: Dataset, columns: Iterable[str]) -> str:
    selected = ", ".join(identifier(column) for column in columns)
    return f"SELECT {selected}, {utc_date(spec.time_column)} AS date, {utc_hour(spec.time_column)} AS hour FROM {WAL_PREFIX}{spec.name}"


def _names(spec: Dataset) -> list[str]:
    return [column.name for column in spec.columns]


def _union(branches: Iterable[str]) -> str:
    return "\nUNION ALL\n".join(branches)


def dataset_select(home: Home, name: str, *, at: str = NOW, wal: bool = False, condemned: Register = NONE_CONDEMNED) -> str:
    """The SELECT behind the view of one dataset: its columns, then `date` and `hour`.

    Every live row once; where rows of one key complete each other or add up, one row a key.
    """
    spec = dataset(name)
    branches = _branches(home, spec, _names(spec), condemned=condemned)
    if wal and spec.landed:
        branches.append(_wal_branch(spec, _names(spec)))
    ctes = listing(home, spec, at=at)
    if not spec.landed or spec.merge not in {"last", "sum"}:
        return f"WITH {_commas(ctes)}\n{_union(branches)}"
    ctes.append(f"landed AS ({_union(branches)})")
    return f"WITH {_commas(ctes)}\n{_resolved(spec)}"


def _commas(ctes: Iterable[str]) -> str:
    return ",\n".join(ctes)


def _resolved(spec: Dataset) -> str:
    """One row a key of `landed`: integers summed, or the last value that is not null of each column, as compaction does it."""
    keys = list(spec.unique_key)
    # Where the key fixes the hour, grouping by it lets a filter on date and hour reach the files.
    partitioned = spec.time_column in keys
    selected = []
    for column in spec.columns:
        name = identifier(column.name)
        if column.name in keys:
            selected.append(name)
        elif spec.merge == "sum":
            selected.append(f"sum({name})::{'BIGINT' if pa.types.is_int64(column.type) else 'INTEGER'} AS {name}")
        else:
            selected.append(f"{_latest(name)} AS {name}")
    if partitioned:
        selected += ["date", "hour"]
        keys += ["date", "hour"]
    else:
        selected += [f"{_latest(name)} AS {name}" for name in ("date", "hour")]
    return f"SELECT {', '.join(selected)} FROM landed GROUP BY {', '.join(identifier(key) for key in keys)}"


def _latest(name: str) -> str:
    """The latest value of a column that is not null; of several rows of one arrival the greatest, so that the answer never varies."""
    return f"arg_max({name}, row(local_timestamp, ordinal, {name}))"


def candles_select(home: Home, *, at: str = NOW, wal: bool = False, condemned: Register = NONE_CONDEMNED) -> str:
    """The SELECT behind the view `candles`: stored candles of hours they still cover, the other hours computed from trades.

    An hour is stale when its trades have parts beyond the watermark of its candle file, or when it has no candle file. Parts tell
    so by name for as long as they are kept after compaction (a day), the watermark of the compacted hour after that. Each timeframe is
    a branch with its name as a literal, so a filter on `timeframe` leaves the other branches out.
    """
    trades = dataset("trades")
    ctes = listing(home, trades, at=at)
    ctes.append(
        "newest AS MATERIALIZED (SELECT day, hour, max(instant) AS instant FROM ("
        "SELECT day, hour, instant FROM trades_parts UNION ALL SELECT day, hour, mark FROM trades_hours) GROUP BY day, hour)"
    )
    for timeframe in TRADE_TIMEFRAMES:
        ctes += _candle_listing(home, timeframe, at=at, wal=wal, condemned=condemned)
    ctes += _live_minutes(home, trades, wal=wal, condemned=condemned)
    return f"WITH {_commas(ctes)}\n{_union(_candle_branch(timeframe) for timeframe in TRADE_TIMEFRAMES)}"


def _candle_listing(home: Home, timeframe: str, *, at: str, wal: bool, condemned: Register) -> list[str]:
    """The files of one stored timeframe, `<name>_stale` (day, hour) that they do not cover, and `<name>_fresh` rows of the others."""
    spec = dataset(candle_dataset(timeframe))
    name = spec.name
    sources = [
        f"SELECT n.day, n.hour FROM newest n LEFT JOIN {name}_hour_seals h ON h.day = n.day AND h.hour = n.hour "
        f"LEFT JOIN {name}_day_seals d ON d.day = n.day WHERE n.instant > coalesce(h.mark, d.mark, '')",
        "SELECT s.day, printf('hour=%02d', each.range) AS hour FROM trades_day_seals s, range(24) each "
        f"WHERE s.day NOT IN (SELECT day FROM {name}_days) AND NOT EXISTS "
        f"(SELECT 1 FROM {name}_hours c WHERE c.day = s.day AND c.hour = printf('hour=%02d', each.range))",
    ]
    if wal:
        sources.append(
            f"SELECT DISTINCT 'date=' || {utc_date('timestamp')} AS day, printf('hour=%02d', {utc_hour('timestamp')}) AS hour "
            f"FROM {WAL_PREFIX}trades"
        )
    kept = [column for column in _names(spec) if column != "timeframe"]
    hours = f"SELECT file FROM {name}_live_hours ANTI JOIN {name}_stale USING (day, hour)"
    rows = _branches(home, spec, kept, condemned=condemned, narrowed={"hour": hours})
    day_rows = f"SELECT * FROM ({rows.pop()}) ANTI JOIN (SELECT {_STALE_DATE}, {_STALE_HOUR} FROM {name}_stale) USING (date, hour)"
    return [
        *listing(home, spec, at=at),
        f"{name}_stale AS MATERIALIZED ({' UNION '.join(sources)})",
        f"{name}_fresh AS NOT MATERIALIZED ({_union([*rows, day_rows])})",
    ]


_STALE_DATE: Final = "substr(day, 6)::DATE AS date"
_STALE_HOUR: Final = "substr(hour, 6)::INTEGER AS hour"


def _live_minutes(home: Home, trades: Dataset, *, wal: bool, condemned: Register) -> list[str]:
    """`live_minutes`: one-minute candles from the trades of the hours that no stored file of one minute covers."""
    stale = candle_dataset("1m") + "_stale"
    narrowed = {kind: f"SELECT file FROM trades_live_{kind}s SEMI JOIN {stale} USING (day, hour)" for kind in ("part", "hour")}
    narrowed["day"] = f"SELECT file FROM trades_live_days SEMI JOIN {stale} USING (day)"
    columns = [name for name in _names(trades) if name != "clock_suspect"]
    rows = _branches(home, trades, columns, condemned=condemned, narrowed=narrowed)
    hours = f"(SELECT {_STALE_DATE}, {_STALE_HOUR} FROM {stale})"
    rows.append(f"SELECT * FROM ({rows.pop()}) SEMI JOIN {hours} USING (date, hour)")
    if wal:
        rows.append(_wal_branch(trades, columns))
    # A part may repeat a trade of another part until the hour is compacted; the row kept is the one that compaction keeps.
    once = (
        "SELECT * FROM stale_trades QUALIFY row_number() OVER (PARTITION BY exchange, symbol, trade_id, date, hour "
        "ORDER BY source = 'rest', local_timestamp, timestamp, ordinal) = 1"
    )
    return [
        f"stale_trades AS NOT MATERIALIZED ({_union(rows)})",
        f"live_minutes AS MATERIALIZED (SELECT exchange, symbol, {bucket_sql('1m', 'timestamp')} AS opened, "
        "first(price ORDER BY timestamp, ordinal, trade_id) AS open, max(price) AS high, min(price) AS low, "
        "last(price ORDER BY timestamp, ordinal, trade_id) AS close, fsum(amount) AS volume, fsum(price * amount) AS quote_volume, "
        "sum(fill_count)::BIGINT AS trade_count, coalesce(fsum(amount) FILTER (side = 'buy'), 0) AS buy_volume, "
        f"coalesce(fsum(amount) FILTER (side = 'sell'), 0) AS sell_volume, date, hour FROM ({once}) "
        "GROUP BY exchange, symbol, opened, date, hour)",
    ]


_ROLLED: Final = (
    "first(open ORDER BY opened) AS open, max(high) AS high, min(low) AS low, last(close ORDER BY opened) AS close, "
    "fsum(volume) AS volume, fsum(quote_volume) AS quote_volume, sum(trade_count)::BIGINT AS trade_count, "
    "fsum(buy_volume) AS buy_volume, fsum(sell_volume) AS sell_volume"
)
_VWAP: Final = "CASE WHEN volume = 0 THEN close ELSE quote_volume / volume END AS vwap"
_CARRIED: Final = "open, high, low, close, volume, quote_volume, trade_count, buy_volume, sell_volume"


def _candle_branch(timeframe: str) -> str:
    """Rows of one stored timeframe: the fresh ones as they are, the stale hours from minutes."""
    name = candle_dataset(timeframe)
    stored = ", ".join(f"{quoted(timeframe)} AS timeframe" if c.name == "timeframe" else identifier(c.name) for c in CANDLE_COLUMNS)
    minutes = f"SELECT exchange, symbol, opened, {_CARRIED}, date, hour FROM live_minutes"
    if timeframe != "1m":
        base = candle_dataset("1m")
        minutes = (
            f"SELECT exchange, symbol, {bucket_sql(timeframe, 'opened')} AS bucket, {_ROLLED}, date, hour FROM ("
            f"SELECT exchange, symbol, timestamp AS opened, {_CARRIED}, date, hour FROM {base}_fresh UNION ALL {minutes}) "
            f"SEMI JOIN (SELECT {_STALE_DATE}, {_STALE_HOUR} FROM {name}_stale) USING (date, hour) "
            "GROUP BY exchange, symbol, bucket, date, hour"
        )
    opened = "opened" if timeframe == "1m" else "bucket"
    return (
        f"SELECT {stored}, date, hour FROM {name}_fresh\nUNION ALL\n"
        f"SELECT exchange, symbol, {quoted(timeframe)} AS timeframe, {opened} AS timestamp, {_CARRIED}, {_VWAP}, 'trades' AS source, "
        f"date, hour FROM ({minutes})"
    )


BOOK_SPREADS: Final = """
SELECT exchange, symbol, local_timestamp, bid_prices[1] AS best_bid, bid_amounts[1] AS best_bid_amount,
  ask_prices[1] AS best_ask, ask_amounts[1] AS best_ask_amount, (best_bid + best_ask) / 2 AS mid, best_ask - best_bid AS spread,
  (best_ask - best_bid) / ((best_bid + best_ask) / 2) * 10000 AS spread_bps, date, hour
FROM book_snapshots WHERE len(bid_prices) > 0 AND len(ask_prices) > 0
"""

BOOK_SPREADS_COMMENTS: Final[Mapping[str, str]] = {
    "exchange": "Exchange id, lower case.",
    "symbol": "CCXT unified symbol.",
    "local_timestamp": "When the book stood so, our receive time, UTC.",
    "best_bid": "Highest bid, quote units.",
    "best_bid_amount": "Amount at the highest bid, base units.",
    "best_ask": "Lowest ask, quote units.",
    "best_ask_amount": "Amount at the lowest ask, base units.",
    "mid": "(best_bid + best_ask) / 2, quote units.",
    "spread": "best_ask - best_bid, quote units.",
    "spread_bps": "spread / mid in basis points.",
}


LISTINGS_NOW: Final = """
SELECT * FROM listings QUALIFY row_number() OVER (PARTITION BY exchange, symbol ORDER BY local_timestamp DESC, ordinal DESC) = 1
"""


def base_timeframe(timeframe: str) -> str:
    """The longest stored timeframe whose candles nest in those of `timeframe`."""
    return next(stored for stored in reversed(TRADE_TIMEFRAMES) if nests(stored, timeframe))


def macros() -> dict[str, str]:
    """Table macros by name, each a whole CREATE statement.

    A parameter must not be called like any column inside the views it reads: DuckDB would take one for the other.
    """
    base = " ".join(f"WHEN {quoted(timeframe)} THEN {quoted(base_timeframe(timeframe))}" for timeframe in TIMEFRAMES)
    bucket = " ".join(f"WHEN {quoted(timeframe)} THEN {bucket_sql(timeframe, 'c.timestamp')}" for timeframe in TIMEFRAMES)
    unknown = f"error('timeframe ' || tf || ' is unknown; known timeframes are {', '.join(TIMEFRAMES)}')"
    return {
        "ohlcv": f"""CREATE MACRO ohlcv(pair, tf, venue := NULL) AS TABLE
SELECT exchange, symbol, tf AS timeframe, bucket AS timestamp, {_CARRIED}, {_VWAP}, source FROM (
  SELECT exchange, symbol, source, bucket, {_ROLLED} FROM (
    SELECT c.exchange, c.symbol, c.source, c.timestamp AS opened, CASE tf {bucket} END AS bucket, {_CARRIED} FROM candles c
    WHERE c.symbol = pair AND (venue IS NULL OR c.exchange = venue) AND c.timeframe = CASE tf {base} ELSE {unknown} END
  ) GROUP BY exchange, symbol, source, bucket
) ORDER BY exchange, timestamp""",
    }


def views(home: Home, *, at: str = NOW, wal: bool = False, condemned: Register = NONE_CONDEMNED) -> dict[str, str]:
    """Every view of the catalog by name, in an order in which each can be created: one a dataset, then those that read them."""
    return {
        **{name: dataset_select(home, name, at=at, wal=wal, condemned=condemned) for name in DATASETS},
        "candles": candles_select(home, at=at, wal=wal, condemned=condemned),
        "book_spreads": BOOK_SPREADS,
        "listings_now": LISTINGS_NOW,
    }
