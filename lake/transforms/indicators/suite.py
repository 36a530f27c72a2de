"""The core suite over candles of many symbols at once, partition by partition.

Put here: the order of computation, and states in and out. Keep out: single formulas, files, what columns mean (`definitions`).

Candles are cut into blocks of whole histories, so that the arrays of a block stay small enough to be quick; each block is flat
arrays of rows, which NumPy and Polars go through without knowing of symbols.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import polars as pl

from lake.errors import IndicatorError
from lake.transforms.indicators.averages import exponential, wilder, window_deviation, window_sums
from lake.transforms.indicators.definitions import CARRIED, DEFINITIONS, INDICATORS, KEY, LOOK_BACK, WINDOWS
from lake.transforms.indicators.dollars import quote_rates
from lake.transforms.indicators.grid import Flags, Floats, Grid
from lake.transforms.indicators.momentum import gains_and_losses, relative_strength, true_range
from lake.transforms.indicators.sequential import sequential_counts
from lake.transforms.indicators.state import STATE_SCHEMA, State
from lake.transforms.indicators.supertrend import Bands, supertrend

ROW_KEY: Final = (*KEY[:3], "timestamp", "source")

_KINDS: Final[dict[str, Any]] = {"float": pl.Float64, "count": pl.Int32, "sign": pl.Int8}
_TIMESTAMP: Final = pl.Datetime("us", "UTC")
INDICATOR_SCHEMA: Final = pl.Schema(
    {
        **{name: _TIMESTAMP if name == "timestamp" else pl.String for name in ROW_KEY},
        **{definition.name: _KINDS[definition.kind] for definition in DEFINITIONS},
    }
)
"""Columns of indicator rows, in order."""

_PRICES: Final = ("open", "high", "low", "close", "volume")
_BLOCK_CELLS: Final = 1 << 19
"""Candles computed at once: a series of them stays within a few megabytes."""

_ATR: Final = 7
_RANGES: Final = 3.0


def compute(candles: pl.DataFrame, state: State | None = None, *, rates: pl.DataFrame | None = None) -> tuple[pl.DataFrame, State]:
    """Indicators of every candle, and the state after the last of each history.

    `candles` has exchange, symbol, timeframe, timestamp (open time, microseconds UTC), source, open, high, low, close (quote units,
    finite) and volume (base units), in any order, each key once; histories are told apart by exchange, symbol, timeframe and source, and
    run over the rows there are. `state` is what an earlier call returned, of candles that all lie before these (None: there were none).
    `rates` come from `usdt_rates`. Rows are those of `INDICATOR_SCHEMA`, a history's together in order of time; values are null until a
    history is long enough for them.
    Raises `IndicatorError` where a candle comes twice or lies at or before the state of its history.
    """
    before = State.empty() if state is None else state
    if candles.is_empty():
        return INDICATOR_SCHEMA.to_frame(), before
    ordered, histories = _arranged(candles.select(*ROW_KEY, *_PRICES), before)
    blocks = [_block(ordered.slice(first, rows), part, rates) for first, rows, part in _blocks(histories)]
    return pl.concat([rows for rows, _ in blocks]), before.updated(pl.concat([after for _, after in blocks]))


def _arranged(candles: pl.DataFrame, state: State) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The candles history after history, each in order of time, and one row a history: the candles it adds, and its row of the state.

    Histories that continue follow those that do not, and longer ones the shorter ones, so that neighbours make a grid with few empty cells.
    """
    begins = candles.select(pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in KEY)).to_series()
    begins[0] = True
    starts = begins.arg_true().to_numpy()
    stretches = candles.select(KEY)[starts]
    seen = stretches.unique(maintain_order=True).with_row_index("seen")
    number = stretches.join(seen, on=KEY, how="left", maintain_order="left", nulls_equal=True)["seen"].to_numpy()
    number = np.repeat(number, np.diff(starts, append=candles.height))
    joined = seen.with_columns(added=pl.Series(np.bincount(number).astype(np.int64))).join(
        state.table, on=KEY, how="left", maintain_order="left", nulls_equal=True
    )
    known = joined.with_columns(
        pl.col("candles").fill_null(0), *(pl.col(name).fill_null(pl.lit([], pl.List(pl.Float64))) for name in WINDOWS)
    )
    histories = known.sort(pl.col("candles") > LOOK_BACK, "added", maintain_order=True)
    rank = np.empty(histories.height, dtype=np.int64)
    rank[histories["seen"].to_numpy()] = np.arange(histories.height)
    order = pl.DataFrame({"history": rank[number], "timestamp": candles["timestamp"]})
    if not _follows(order).all():
        by = order.select(pl.arg_sort_by("history", "timestamp")).to_series()
        candles, order = candles[by], order[by]
        if not (follows := _follows(order)).all():
            row = candles.row(int(np.argmin(follows)), named=True)
            raise IndicatorError(f"candles hold {_named(row)} twice, expected each candle once")
    firsts = np.concatenate(([0], np.cumsum(histories["added"].to_numpy())[:-1]))
    opens = candles["timestamp"].gather(firsts)
    late = (opens <= histories["last_open"]).fill_null(value=False)
    if late.any():
        at = late.arg_true()[0]
        row = histories.row(at, named=True)
        raise IndicatorError(
            f"candle {_named(row | {'timestamp': opens[at]})} was received for a state at {row['last_open']:%Y-%m-%d %H:%M:%S}, "
            "expected later candles"
        )
    return candles, histories


def _follows(order: pl.DataFrame) -> Flags:
    """Whether each row but the first comes after the one before it, by history and timestamp."""
    history, time = order["history"].to_numpy(), order["timestamp"].to_physical().to_numpy()
    follows: Flags = (history[1:] > history[:-1]) | ((history[1:] == history[:-1]) & (time[1:] > time[:-1]))
    return follows


def _named(row: dict[str, Any]) -> str:
    names = [str(row[name]) for name in KEY if row[name]]
    return f"{' '.join(names)} {row['timestamp']:%Y-%m-%d %H:%M:%S}".strip()


def _blocks(histories: pl.DataFrame) -> Iterator[tuple[int, int, pl.DataFrame]]:
    """First row, number of rows and histories of each block: all whole or all continued, at least one."""
    continues = (histories["candles"] > LOOK_BACK).to_list()
    sizes = (histories["added"] + histories["window_close"].list.len()).to_list()
    added = histories["added"].to_list()
    first = begun = longest = 0
    for number, size in enumerate(sizes):
        longest = max(longest, size)
        if number > begun and (continues[number] != continues[begun] or longest * (number + 1 - begun) > _BLOCK_CELLS):
            rows = sum(added[begun:number])
            yield first, rows, histories[begun:number]
            first, begun, longest = first + rows, number, size
    yield first, sum(added[begun:]), histories[begun:]


def _block(rows: pl.DataFrame, parts: pl.DataFrame, rates: pl.DataFrame | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    added = parts["added"].to_numpy()
    remembered = parts["window_close"].list.len().cast(pl.Int64).to_numpy()
    continued = int(parts["candles"][0]) > LOOK_BACK
    grid = Grid(remembered=remembered, added=added, resumes=LOOK_BACK if continued else 0)
    # Highs and lows of continued histories are not remembered: nothing looks at those of a look-back.
    windows = ["window_close"] * 3 if continued else list(WINDOWS)
    high, low, close = (
        grid.laid(parts[window].explode(empty_as_null=False).to_numpy(), rows[name].to_numpy())
        for name, window in zip(("high", "low", "close"), windows, strict=True)
    )
    carried = {name: parts[name].to_numpy() for name in CARRIED}
    series, recursions = _series(grid, high, low, close, carried)
    number = pl.Series(np.repeat(np.arange(len(added)), added))
    rate = quote_rates(rows, rates, parts, number)
    last_known = rate["known"].gather(np.cumsum(added) - 1)
    after = _after(grid, parts, recursions, (high, low, close)).with_columns(
        usdt_rate=last_known, last_open=rows["timestamp"].gather(np.cumsum(added) - 1)
    )
    return _rows(rows, {name: grid.flat(values) for name, values in series.items()}, rate["rate"]), after.select(list(STATE_SCHEMA))


def _series(
    grid: Grid, high: Floats, low: Floats, close: Floats, carried: dict[str, Floats]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Indicators that need more than the candle itself, and every recursion's value, at every row."""
    gain, loss = gains_and_losses(close)
    recursions = {f"ema{n}": exponential(grid, close, n, carried[f"ema{n}"]) for n in (10, 36, 200, 26, 90, 180)}
    # As TA-Lib does: the fast average of MACD is seeded where the slow one is.
    recursions["ema12"] = exponential(grid, close, 12, carried["ema12"], first=14)
    recursions["gain14"] = wilder(grid, gain, 14, carried["gain14"], first=1)
    recursions["loss14"] = wilder(grid, loss, 14, carried["loss14"], first=1)
    recursions["atr7"] = wilder(grid, true_range(high, low, close), _ATR, carried["atr7"], first=1)
    macd = recursions["ema12"] - recursions["ema26"]
    recursions["macd_signal"] = exponential(grid, macd, 9, carried["macd_signal"], first=25)
    hull = 2.0 * recursions["ema90"] - recursions["ema180"]
    recursions["ehma180"] = exponential(grid, hull, 13, carried["ehma180"], first=179)
    middle, reach = (high + low) / 2.0, _RANGES * recursions["atr7"]
    bands = Bands(carried["st73_upper"], carried["st73_lower"], carried["st73_direction"])
    trend = supertrend(grid, close, (middle + reach, middle - reach), bands, first=_ATR)
    recursions |= {"st73_upper": trend.upper, "st73_lower": trend.lower, "st73_direction": trend.direction}
    ups, downs = sequential_counts(grid, close, carried["td_seq_up"], carried["td_seq_down"])
    recursions |= {"td_seq_up": ups, "td_seq_down": downs}
    sums = window_sums(close, (20, 50, 200))
    middle, spread = sums[20] / 20, 2.0 * window_deviation(close, 20)
    same = ("ema10", "ema36", "ema200", "ehma180", "macd_signal", "td_seq_up", "td_seq_down", "st73_direction")
    return {
        **{name: recursions[name] for name in same},
        "sma20": middle,
        "sma50": sums[50] / 50,
        "sma200": sums[200] / 200,
        "rsi14": relative_strength(recursions["gain14"], recursions["loss14"]),
        "macd": macd,
        "macd_hist": macd - recursions["macd_signal"],
        "bbl202": middle - spread,
        "bbm202": middle,
        "bbu202": middle + spread,
        "st73": trend.value,
    }, recursions


def _rows(candles: pl.DataFrame, series: dict[str, Floats], rate: pl.Series) -> pl.DataFrame:
    """The block's rows: key, series, and what a candle gives by itself; what would be divided by zero is null."""
    opened, high, low, close = (pl.col(name) for name in _PRICES[:4])
    frame = candles.with_columns(*(pl.Series(name, values).fill_nan(None) for name, values in series.items()), rate.alias("rate"))
    quotients = {
        "bbw202": (pl.col("bbu202") - pl.col("bbl202")) / pl.col("bbm202") * 100.0,
        "diff_ema200_pct": (close - pl.col("ema200")) / close * 100.0,
        "range_pct": (close - opened) / opened * 100.0,
        "high_low_range_pct": (high - low) / low * 100.0,
    }
    whole = frame.with_columns(
        *(pl.when(value.is_finite()).then(value).alias(name) for name, value in quotients.items()),
        volume_usd=pl.col("volume") * close * pl.col("rate"),
    )
    return whole.select(*ROW_KEY, *(pl.col(name).cast(INDICATOR_SCHEMA[name]) for name in INDICATORS))


def _after(grid: Grid, parts: pl.DataFrame, recursions: dict[str, Floats], prices: tuple[Floats, Floats, Floats]) -> pl.DataFrame:
    """Rows of the state after the block's last candles, their last open time and rate aside."""
    kept = np.minimum(grid.sizes, LOOK_BACK)
    ends = np.cumsum(kept)
    bars = np.arange(ends[-1]) - np.repeat(ends - grid.sizes, kept)
    histories = np.repeat(np.arange(len(kept)), kept)
    window = pl.DataFrame({name: values[bars, histories] for name, values in zip(WINDOWS, prices, strict=True)})
    windows = window.group_by(pl.Series("history", histories), maintain_order=True).all().drop("history")
    numbers = pl.DataFrame({name: grid.last(recursions[name]) for name in CARRIED})
    young = pl.col("candles") <= LOOK_BACK
    after = pl.concat([parts.select(*KEY, candles=pl.col("candles") + pl.col("added")), numbers, windows], how="horizontal")
    return after.with_columns(
        *(pl.when(~young).then(name) for name in CARRIED),
        *(pl.when(young).then(name).otherwise(pl.lit([], pl.List(pl.Float64))) for name in WINDOWS[:2]),
    )
