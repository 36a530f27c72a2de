"""Rows of the lake, fed to an engine in the order in which they were received.

Put here: what rules read of landed rows: to fill windows at a start (`warm`), and to run over history (`feed`). Keep out: judging them, and
where rows come from: a `Reader` gives them (`files_reader` from files and log, `lake.alerts.backtest` by SQL).

Instants are microseconds, `since` inclusive, `until` exclusive, by the time that files a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.alerts.engine import Engine
from lake.alerts.rules import DeadLetters, GapRate, VolumeSpike, WindowRule
from lake.paths import Home, Hour
from lake.registry import TIMESTAMP, dataset
from lake.visible import visible_files, wal_rows

_MINUTE_US: Final = 60_000_000
_HOUR_US: Final = 3_600_000_000

Reader: TypeAlias = Callable[[str, Sequence[str], int, int], pa.Table]
"""(dataset, columns, since, until) to those columns of its rows in any order; no row where there is none."""


def _trade(engine: Engine, row: Sequence[Any]) -> None:
    exchange, symbol, local, timestamp, ordinal, identity, price, amount, side, suspect = row
    if not suspect:
        engine.market(exchange, symbol).trade(timestamp, ordinal, identity, price=price, amount=amount, sold=side == "sell", local=local)


def _liquidation(engine: Engine, row: Sequence[Any]) -> None:
    exchange, symbol, local, timestamp, ordinal, identity, price, amount, value, side = row
    engine.market(exchange, symbol).liquidation(
        timestamp, ordinal, identity, price=price, amount=amount, value_usd=value, side=side, local=local
    )


def _top(engine: Engine, row: Sequence[Any]) -> None:
    exchange, symbol, local, timestamp, bid_prices, bid_amounts, ask_prices, ask_amounts = row
    engine.market(exchange, symbol).top(timestamp, (bid_prices, bid_amounts), (ask_prices, ask_amounts), local=local)


def _derivative(engine: Engine, row: Sequence[Any]) -> None:
    exchange, symbol, local, timestamp, rate = row
    engine.market(exchange, symbol).funding(timestamp, rate, local=local)


def _gap(engine: Engine, row: Sequence[Any]) -> None:
    exchange, symbol, local, channel, began = row
    engine.gap(exchange, symbol, channel, began=began, local=local)


def _dead_letter(engine: Engine, row: Sequence[Any]) -> None:
    exchange, connection, local = row
    engine.dead_letter(exchange, connection, local=local)


_MARKET: Final = ("exchange", "symbol", "local_timestamp")
_TRADED: Final = (*_MARKET, "timestamp", "ordinal", "trade_id", "price", "amount", "side", "clock_suspect")
_FORCED: Final = (*_MARKET, "timestamp", "ordinal", "liquidation_id", "price", "amount", "value_usd", "side")
_SOURCES: Final[dict[str, tuple[Sequence[str], Callable[[Engine, Sequence[Any]], None]]]] = {
    "trades": (_TRADED, _trade),
    "liquidations": (_FORCED, _liquidation),
    "book_snapshots": ((*_MARKET, "timestamp", "bid_prices", "bid_amounts", "ask_prices", "ask_amounts"), _top),
    "derivatives": ((*_MARKET, "timestamp", "funding_rate"), _derivative),
    "gaps": ((*_MARKET, "channel", "from_time"), _gap),
    "dead_letters": (("exchange", "connection", "local_timestamp"), _dead_letter),
}
"""By dataset: what is read of it, and where its rows go."""

_ORDER: Final = ("local_timestamp", "exchange", "symbol", "timestamp", "ordinal")


def feed(engine: Engine, read: Reader, *, since: int, until: int, names: Sequence[str] = tuple(_SOURCES)) -> None:
    """Feed the rows of these datasets, one dataset after the other, an hour at a time."""
    for name in names:
        columns, take = _SOURCES[name]
        for start, end in _hours(since, until):
            for row in _rows(read(name, columns, start, end), columns):
                take(engine, row)


def warm(engine: Engine, read: Reader, *, now: int) -> None:
    """Fill the windows and histories of an engine as if it had run all along; nothing fires."""
    windows = [rule.window_seconds for rule in engine.rules if isinstance(rule, WindowRule | GapRate | DeadLetters)]
    longest = max(windows, default=0) * 1_000_000
    raw = (now - longest) // _MINUTE_US * _MINUTE_US
    histories = [rule.history_seconds for rule in engine.rules if isinstance(rule, VolumeSpike)]
    engine.muted = True
    try:
        if histories:
            for start, end in _hours(raw - max(histories) * 1_000_000 - 2 * _MINUTE_US, raw):
                _remember(engine, read("trades", ("exchange", "symbol", "timestamp", "amount", "clock_suspect"), start, end))
        if windows:
            feed(engine, read, since=raw, until=now, names=("trades", "liquidations", "gaps", "dead_letters"))
    finally:
        engine.muted = False


def files_reader(home: Home, *, at_us: int, exchanges: Sequence[str] = ()) -> Reader:
    """Reads what files and log hold at `at_us`, without an SQL engine; of these exchanges, if any are named."""

    def read(name: str, columns: Sequence[str], since: int, until: int) -> pa.Table:
        return landed(home, name, columns, since=since, until=until, at_us=at_us, exchanges=exchanges)

    return read


def landed(home: Home, name: str, columns: Sequence[str], *, since: int, until: int, at_us: int, exchanges: Sequence[str] = ()) -> pa.Table:
    """Rows of a landed dataset that count at `at_us`, those of the log too, in the registry's types."""
    spec = dataset(name)
    wanted = list(dict.fromkeys((*columns, spec.time_column, *(("exchange",) if exchanges else ()))))
    schema = pa.schema([spec.schema.field(each) for each in wanted])
    time = pc.field(spec.time_column)
    which = (time >= pa.scalar(since, TIMESTAMP)) & (time < pa.scalar(until, TIMESTAMP))
    if exchanges:
        which &= pc.field("exchange").isin(list(exchanges))
    found = visible_files(home, name, at_us=at_us, hours=(Hour.of(since), Hour.of(max(since, until - 1)).next()))
    tables = [pq.read_table(file.path, columns=wanted, filters=which, partitioning=None) for file in found]
    tables.append(wal_rows(home, name, at_us=at_us).select(wanted).filter(which))
    return pa.concat_tables([table.cast(schema) for table in tables]).select(list(columns))


def _remember(engine: Engine, trades: pa.Table) -> None:
    """Volumes of whole minutes, for the histories."""
    trades = trades.filter(pc.invert(trades["clock_suspect"]))
    minutes = pc.multiply(pc.divide(trades["timestamp"].cast(pa.int64()), _MINUTE_US), _MINUTE_US)
    narrow = pa.table({"exchange": trades["exchange"], "symbol": trades["symbol"], "minute": minutes, "amount": trades["amount"]})
    sums = narrow.group_by(["exchange", "symbol", "minute"], use_threads=False).aggregate([("amount", "sum")]).sort_by("minute")
    for exchange, symbol, minute, volume in _rows(sums, ("exchange", "symbol", "minute", "amount_sum")):
        engine.market(exchange, symbol).had(minute, volume)


def _hours(since: int, until: int) -> Iterator[tuple[int, int]]:
    start = since
    while start < until:
        end = min(until, start - start % _HOUR_US + _HOUR_US)
        yield start, end
        start = end


def _rows(table: pa.Table, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
    """Rows in the order they were received, instants as microseconds."""
    keys = [(name, "ascending") for name in _ORDER if name in columns]
    ordered = table.sort_by(keys) if keys else table
    taken = [ordered[name] for name in columns]
    plain = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in taken]
    return zip(*(column.to_pylist() for column in plain), strict=True)
