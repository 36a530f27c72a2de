"""What a quote currency is worth in USDT, taken from its own USDT market.

Put here: rates and the rule of dollar-like quotes. Keep out: where the candles come from.
"""

from __future__ import annotations

from typing import Any, Final

import polars as pl

TETHER: Final = "USDT"

DOLLARS: Final = ("USD", "USDC", "FDUSD", "BUSD", "TUSD", "USDP", "DAI")
"""Quotes that count as one USDT as long as no market of theirs with USDT has been seen."""

RATE_KEY: Final = ("exchange", "timeframe", "quote", "timestamp")

_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(RATE_KEY, pl.String),
    "timestamp": pl.Datetime("us", "UTC"),
    "rate": pl.Float64,
}
RATE_SCHEMA: Final = pl.Schema(_TYPES)
"""Columns of rates: what one unit of `quote` was worth in USDT at the close of the candle that opened at `timestamp`."""


def quote_of(symbol: pl.Expr) -> pl.Expr:
    """Quote of CCXT symbols: USDT of BTC/USDT and of BTC/USDT:USDT; null where there is none."""
    return symbol.str.extract(r"/([^:]+)")


def usdt_rates(candles: pl.DataFrame) -> pl.DataFrame:
    """Rates of every quote that has a spot market with USDT among `candles` (exchange, symbol, timeframe, timestamp, source, close).

    Q/USDT gives its close, USDT/Q the inverse of its close, the former where both exist; candles from trades go before the exchange's own.
    """
    spot = candles.lazy().filter(~pl.col("symbol").str.contains(":", literal=True) & (pl.col("close") > 0))
    base, quote = pl.col("symbol").str.extract(r"^([^/]+)/"), quote_of(pl.col("symbol"))
    sides = [
        spot.filter(quote == TETHER).with_columns(quote=base, rate=pl.col("close"), rank=pl.lit(0)),
        spot.filter(base == TETHER).with_columns(quote=quote, rate=1.0 / pl.col("close"), rank=pl.lit(1)),
    ]
    ranked = pl.concat(sides).with_columns(pl.col("source") != "trades").sort(*RATE_KEY, "rank", "source")
    return ranked.unique(RATE_KEY, keep="first", maintain_order=True).select(list(RATE_SCHEMA)).cast(RATE_SCHEMA).collect()


def quote_rates(candles: pl.DataFrame, rates: pl.DataFrame | None, histories: pl.DataFrame, number: pl.Series) -> pl.DataFrame:
    """Columns `known` (the rate of each candle, else that of the candle before) and `rate` (`known`, else 1 for dollar-like quotes).

    `number` is the history of each candle, a row of `histories` (symbol, and as `usdt_rate` the rate known before); the candles of a
    history lie together in order of time.
    """
    quote = quote_of(pl.col("symbol"))
    worth = histories.select(
        quote=quote,
        former=pl.when(quote == TETHER).then(1.0).otherwise("usdt_rate"),
        assumed=pl.when(quote.is_in(DOLLARS)).then(1.0),
    )
    rows = worth.select("former", "assumed")[number]
    if rates is None:
        return rows.select(known="former", rate=pl.coalesce("former", "assumed"))
    keyed = candles.select("exchange", "timeframe", "timestamp").with_columns(rows, quote=worth["quote"].gather(number), number=number)
    met = keyed.join(rates, on=RATE_KEY, how="left", maintain_order="left")
    own = pl.when(pl.col("quote") == TETHER).then(1.0).otherwise("rate")
    leads = pl.col("number") != pl.col("number").shift(fill_value=-1)
    known = met.with_columns(known=pl.when(leads).then(pl.coalesce(own, "former")).otherwise(own))
    filled = known.with_columns(pl.col("known").forward_fill().over("number"))
    return filled.select("known", rate=pl.coalesce("known", "assumed"))
