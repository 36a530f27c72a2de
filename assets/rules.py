"""What must hold of every hour, as rules over its sealed file; `assets.checks` turns them into Dagster checks.

Put here: a rule and the question it asks of one file, with its sentence when the answer is no. Keep out: Dagster, and repairs.

A rule reads only the columns it speaks of, in batches or through DuckDB, so that an hour of ten million book changes fits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import pyarrow.parquet as pq

from lake.errors import SchemaMismatch
from lake.parquet import check_schema
from lake.paths import DAY_US, Home, Hour, SealedName, parse_name
from lake.periods import Period
from lake.registry import DATASETS, Dataset, candle_dataset
from lake.transforms.timeframes import TIMEFRAMES

_BATCH_ROWS: Final = 500_000

DUCKDB: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
"""For every connection of the assets: one thread, as runs go side by side; nothing is fetched, as machines may have no network."""


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config=DUCKDB)


def connected() -> duckdb.DuckDBPyConnection:
    """A connection of its own, for the caller to close, to the one DuckDB of this process: starting one takes longer than most rules do."""
    return _engine().cursor()


@dataclass(frozen=True, slots=True)
class SealedHour:
    """The sealed file that holds an hour (or day, or month) of a dataset, and the lake it lies in."""

    home: Home
    dataset: Dataset
    hour: Hour | Period
    path: Path

    @property
    def span(self) -> tuple[int, int]:
        """First microsecond the file may hold, and the first after it: a settled day's file holds the whole day."""
        name = parse_name(self.path.name)
        if isinstance(self.hour, Hour) and isinstance(name, SealedName) and name.kind == "day":
            start = self.hour.start - self.hour.start % DAY_US
            return start, start + DAY_US
        return self.hour.start, self.hour.end

    @property
    def sql(self) -> str:
        """The file as a DuckDB table expression."""
        quoted = str(self.path).replace("'", "''")
        return f"read_parquet('{quoted}', hive_partitioning = false)"


Question = Callable[[duckdb.DuckDBPyConnection, SealedHour], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that must hold: `ask` answers None, or one sentence that says what is wrong.

    `stops` keeps downstream assets from running on the hour; `warns` makes a breach a warning.
    """

    name: str
    description: str
    ask: Question
    stops: bool = False
    warns: bool = False


def _schema(_: duckdb.DuckDBPyConnection, sealed: SealedHour) -> str | None:
    try:
        check_schema(sealed.dataset, pq.read_schema(sealed.path))
    except SchemaMismatch as mismatch:
        return str(mismatch)
    return None


def _sorted(_: duckdb.DuckDBPyConnection, sealed: SealedHour) -> str | None:
    keys = list(sealed.dataset.sort_key)
    last: pl.DataFrame | None = None
    row = 0
    with pq.ParquetFile(sealed.path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=keys):
            rows = pl.DataFrame(batch).select(keys)
            wrong = _first_disorder(rows if last is None else pl.concat([last, rows]), keys)
            if wrong is not None:
                place = row + wrong - (0 if last is None else 1)
                return f"row {place} comes before the row it follows, expected the order {', '.join(keys)}"
            last = rows.tail(1)
            row += rows.height
    return None


def _first_disorder(rows: pl.DataFrame, keys: list[str]) -> int | None:
    """Number of the first row that is smaller than its predecessor, or None."""
    equal = pl.lit(value=True)
    smaller = pl.lit(value=False)
    for key in keys:
        before = pl.col(key).shift(1)
        smaller = smaller | (equal & (pl.col(key) < before))
        equal = equal & (pl.col(key) == before)
    found = rows.select(smaller.fill_null(value=False).arg_true().first()).item()
    return None if found is None else int(found)


def _unique(connection: duckdb.DuckDBPyConnection, sealed: SealedHour) -> str | None:
    key = ", ".join(sealed.dataset.unique_key)
    found = connection.execute(
        f"select count(*), first(({key})::varchar) from (select {key} from {sealed.sql} group by {key} having count(*) > 1)"  # noqa: S608 - names from the registry
    ).fetchone()
    return None if not found or not found[0] else f"{found[0]} keys occur more than once, e.g. {found[1]}, expected each ({key}) once"


def _time_in_span(connection: duckdb.DuckDBPyConnection, sealed: SealedHour) -> str | None:
    time = sealed.dataset.time_column
    start, end = sealed.span
    return _count(
        connection,
        sealed,
        where=f"{time} is null or epoch_us({time}) < {start} or epoch_us({time}) >= {end}",
        says=f"rows have a {time} outside the hour of the file",
    )


def _count(connection: duckdb.DuckDBPyConnection, sealed: SealedHour, *, where: str, says: str) -> str | None:
    found = connection.execute(f"select count(*), min({sealed.dataset.sort_key[0]}) from {sealed.sql} where {where}").fetchone()  # noqa: S608 - our own words
    return None if not found or not found[0] else f"{found[0]} {says} (first of {found[1]})"


def _no_row(where: str, says: str) -> Question:
    def ask(connection: duckdb.DuckDBPyConnection, sealed: SealedHour) -> str | None:
        return _count(connection, sealed, where=where, says=says)

    return ask


def _conserved(*, dataset_rows: bool) -> Question:
    """One of the two conservation laws of the ledger, over the hour and for each connection (and dataset)."""
    law = "sum(rows_decoded) = sum(rows_landed) + sum(duplicates) + sum(discarded)"
    group, where = "exchange, connection, dataset", "dataset <> ''"
    if not dataset_rows:
        law = "sum(frames) = sum(control) + sum(ignored) + sum(decoded) + sum(dead_letters)"
        group, where = "exchange, connection", "dataset = ''"

    def ask(connection: duckdb.DuckDBPyConnection, sealed: SealedHour) -> str | None:
        found = connection.execute(
            f"select {group} from {sealed.sql} where {where} group by {group} having not ({law}) order by all limit 1"  # noqa: S608 - our own words
        ).fetchone()
        return None if not found else f"the ledger of {' '.join(found)} does not add up, expected {law}"

    return ask


_SCHEMA: Final = Rule(name="schema", description="The file has the registry's columns and types, in order.", ask=_schema, stops=True)
_SORTED: Final = Rule(name="sorted", description="Rows never go back in the sort key: time is monotonic.", ask=_sorted, stops=True)
_UNIQUE: Final = Rule(name="unique_key", description="No two rows share the unique key.", ask=_unique, stops=True)
_TIME: Final = Rule(name="time_in_hour", description="Every row belongs to the hour of its file.", ask=_time_in_span, stops=True)

_FINITE_TRADE: Final = "not (price > 0 and amount > 0 and isfinite(price) and isfinite(amount))"
_PRICES: Final = "prices"

_OWN: Final[dict[str, tuple[Rule, ...]]] = {
    "trades": (
        Rule(
            name=_PRICES,
            description="Prices and amounts are positive; an exchange that breaks this gets no candles for the hour.",
            ask=_no_row(_FINITE_TRADE, "trades have a price or an amount that is not positive"),
        ),
    ),
    "liquidations": (
        Rule(
            name=_PRICES,
            description="Prices and amounts are positive.",
            ask=_no_row(_FINITE_TRADE, "liquidations have a price or an amount that is not positive"),
        ),
    ),
    "book_deltas": (
        Rule(
            name=_PRICES,
            description="Prices are positive and amounts are not negative.",
            ask=_no_row("not (price > 0 and amount >= 0 and isfinite(price) and isfinite(amount))", "levels have a wrong price or amount"),
        ),
    ),
    "book_snapshots": (
        Rule(
            name="not_crossed",
            description="The best bid is below the best ask, and each side is in order.",
            ask=_no_row(
                "bid_prices[1] >= ask_prices[1] or bid_prices <> list_reverse_sort(bid_prices) or ask_prices <> list_sort(ask_prices)",
                "snapshots are crossed or out of order",
            ),
        ),
    ),
    "derivatives": (
        Rule(
            name=_PRICES,
            description="Mark and index price are positive and open interest is not negative, where sent.",
            ask=_no_row("mark_price <= 0 or index_price <= 0 or open_interest < 0", "rows have a wrong price or open interest"),
        ),
    ),
    "gaps": (
        Rule(
            name="explained",
            description="Every gap is closed, and says by what.",
            ask=_no_row("healed_at is null or healed_by is null", "gaps are still open"),
            warns=True,
        ),
    ),
    "dead_letters": (
        Rule(name="none", description="No frame was undecodable.", ask=_no_row("true", "frames could not be decoded"), warns=True),
    ),
    "ledger": (
        Rule(
            name="frames_conserved",
            description="Frames received = control + ignored + decoded + dead letters, for each connection.",
            ask=_conserved(dataset_rows=False),
        ),
        Rule(
            name="rows_conserved",
            description="Rows decoded = landed + duplicates + discarded, for each connection and dataset.",
            ask=_conserved(dataset_rows=True),
        ),
    ),
    "exchange_candles": (
        Rule(
            name=_PRICES,
            description="low <= open, close <= high, all positive; volumes are not negative.",
            ask=_no_row(
                "not (low > 0 and low <= least(open, close) and high >= greatest(open, close) and isfinite(high) and volume >= 0)",
                "candles contradict themselves",
            ),
        ),
    ),
    "trade_flow": (
        Rule(
            name="sums",
            description="A side has volumes exactly where it has fills, and every minute has fills.",
            ask=_no_row(
                "not (buy_count >= 0 and sell_count >= 0 and buy_count + sell_count > 0 and isfinite(buy_quote_volume + sell_quote_volume)"
                " and (buy_count > 0) = (buy_volume > 0) and (sell_count > 0) = (sell_volume > 0)"
                " and (buy_count > 0) = (buy_quote_volume > 0) and (sell_count > 0) = (sell_quote_volume > 0))",
                "minutes of flow contradict themselves",
            ),
        ),
    ),
    "book_metrics": (
        Rule(
            name="figures",
            description="Imbalances lie within -1 and 1, depth never shrinks with distance, the microprice lies within the spread.",
            ask=_no_row(
                "abs(imbalance_1) > 1 or abs(imbalance_5) > 1 or abs(imbalance_10) > 1 or abs(imbalance_25) > 1"
                " or bid_depth_10bps > bid_depth_50bps * (1 + 1e-12) or bid_depth_50bps > bid_depth_100bps * (1 + 1e-12)"
                " or ask_depth_10bps > ask_depth_50bps * (1 + 1e-12) or ask_depth_50bps > ask_depth_100bps * (1 + 1e-12)"
                " or (not crossed and abs(microprice - mid) > spread / 2 * (1 + 1e-9) + 1e-12 * mid)"
                " or updated < date_trunc('hour', timestamp)",
                "books have figures that contradict themselves",
            ),
        ),
        Rule(
            name="not_crossed",
            description="No book is crossed at the end of a minute.",
            ask=_no_row("crossed", "books are crossed"),
            warns=True,
        ),
    ),
    "heatmap": (
        Rule(
            name="buckets",
            description="Volumes are positive, intensities above 0 up to 1, and at least one exchange stands in each bucket.",
            ask=_no_row(
                "not (volume > 0 and isfinite(volume) and intensity > 0 and intensity <= 1 and exchange_count >= 1"
                " and bucket_size > 0 and price_bucket >= 0)",
                "buckets contradict themselves",
            ),
        ),
    ),
    "consolidated_book": (
        Rule(
            name="levels",
            description="Levels are in order, with an amount and exchanges each, and begin with the best prices.",
            ask=_no_row(
                "bid_prices <> list_reverse_sort(bid_prices) or ask_prices <> list_sort(ask_prices)"
                " or len(bid_prices) <> len(bid_amounts) or len(bid_prices) <> len(bid_exchanges)"
                " or len(bid_prices) <> len(bid_exchange_counts)"
                " or len(ask_prices) <> len(ask_amounts) or len(ask_prices) <> len(ask_exchanges)"
                " or len(ask_prices) <> len(ask_exchange_counts)"
                " or best_bid is distinct from bid_prices[1] or best_ask is distinct from ask_prices[1]"
                " or exchange_count <> len(exchanges) or exchange_count < 1",
                "consolidated books contradict themselves",
            ),
        ),
    ),
    "liquidation_windows": (
        Rule(
            name="sums",
            description="Both sides make up the total, no event is larger than it, and each severity is a known one.",
            ask=_no_row(
                "not (event_count > 0 and total_volume_usd > 0 and abs(buy_volume_usd + sell_volume_usd - total_volume_usd)"
                " <= 1e-9 * total_volume_usd and largest_trade_usd <= total_volume_usd * (1 + 1e-12) and vwap > 0 and volatility >= 0"
                " and source in ('exchange', 'proxy') and severity in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL'))",
                "windows contradict themselves",
            ),
        ),
    ),
    "coverage": (
        Rule(
            name="conditions",
            description="Counts and seconds are within the hour, and each condition is a known one.",
            ask=_no_row(
                "rows < 0 or duplicates < 0 or gap_seconds < 0 or gap_seconds > 3600 or connected_seconds < 0 or connected_seconds > 3600 "
                "or condition not in ('available', 'degraded', 'pending', 'missing')",
                "rows of coverage make no sense",
            ),
        ),
    ),
}

_CANDLE: Final = Rule(
    name=_PRICES,
    description="low <= open, close <= high, all positive; buys and sells make up the volume.",
    ask=_no_row(
        "not (low > 0 and low <= least(open, close) and high >= greatest(open, close)"
        " and volume > 0 and trade_count > 0 and isfinite(volume)"
        " and abs(buy_volume + sell_volume - volume) <= 1e-9 * volume)",
        "candles contradict themselves",
    ),
    stops=True,
)


def rules_of(name: str) -> tuple[Rule, ...]:
    """Every rule for the dataset called `name`, those all datasets share first."""
    dataset = DATASETS[name]
    shared = (_SCHEMA, _SORTED, _TIME, *((_UNIQUE,) if dataset.unique_key else ()))
    own = _OWN.get(name, ())
    if name in {candle_dataset(timeframe) for timeframe in TIMEFRAMES}:
        own = (_CANDLE,)
    return (*shared, *own)


def unsound_exchanges(trades: pl.DataFrame) -> dict[str, str]:
    """Exchanges of `trades` (price, amount) with a trade that cannot enter a candle, each with one sentence why."""
    sound = (pl.col("price") > 0) & (pl.col("amount") > 0) & pl.col("price").is_finite() & pl.col("amount").is_finite()
    wrong = trades.filter(~sound).group_by("exchange").len().sort("exchange")
    return {
        exchange: f"{count} trades have a price or an amount that is not positive, expected none" for exchange, count in wrong.iter_rows()
    }
