"""What each column of the core suite is: unit, formula, first value, whom it follows and where other libraries differ; what a state holds.

Put here: names and words about the suite; the registry and docs/indicators.md are made from them. Keep out: computing anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["float", "count", "sign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One column of the suite; `needs` is the number of candles up to and including the first that has a value."""

    name: str
    kind: Kind = "float"
    comment: str
    formula: str
    needs: int
    follows: str = ""
    others: str = ""


_EMA_FORMULA: Final = "the mean of the first {n} closes, then previous + 2 / ({n} + 1) x (close - previous)"
_EMA_FOLLOWS: Final = "TA-Lib, pandas-ta, Skender: the seed is a simple average"
_EMA_OTHERS: Final = (
    "Tulip, and pandas' `ewm(adjust=False)`, begin with the first close. The difference shrinks by 1 - 2 / (n + 1) a candle: "
    "below 1e-8 after about 9.2 n."
)
_MACD_FOLLOWS: Final = "TA-Lib: the fast average is seeded with the slow one, by the 12 closes up to candle 26"
_MACD_OTHERS: Final = (
    "Skender and pandas-ta-classic seed the fast average by the first 12 closes: early values differ, below 1e-8 of macd after about 150 "
    "candles. TA-Lib itself shows macd from candle 34 on only. Tulip uses the weights 0.15 and 0.075 for 12 and 26 and begins with the "
    "first close: it never agrees exactly."
)
_BAND_FOLLOWS: Final = "TA-Lib, Tulip, Skender, pandas-ta-classic: the deviation of the population (divided by n)"
_BAND_OTHERS: Final = "The original pandas-ta divides by n - 1, which makes the bands 2.6 % wider."
_TD_FOLLOWS: Final = "pandas-ta up to 13"
_TD_OTHERS: Final = (
    "pandas-ta holds the count at 13 and gives null instead of 0; here it goes on without limit. Countdowns and perfected setups are not "
    "computed."
)
_ST_FOLLOWS: Final = "pandas-ta: only the band in force is carried on, the other one is the candle's own; begins upwards"
_ST_OTHERS: Final = (
    "Skender and TradingView carry both bands on, so that after a turn theirs may lie nearer to the price, and turn earlier; Skender "
    "chooses the first direction by the close. pandas-ta shows 0 as the first value and direction 1 before there is a range."
)


def _ema(n: int) -> Definition:
    return Definition(
        name=f"ema{n}",
        comment=f"Exponential moving average of the last {n} closes, quote units.",
        formula=_EMA_FORMULA.format(n=n),
        needs=n,
        follows=_EMA_FOLLOWS,
        others=_EMA_OTHERS,
    )


def _sma(n: int) -> Definition:
    return Definition(
        name=f"sma{n}",
        comment=f"Mean of the last {n} closes, quote units.",
        formula=f"sum of the last {n} closes / {n}",
        needs=n,
        follows="all agree",
    )


def _band(name: str, comment: str, formula: str) -> Definition:
    return Definition(name=name, comment=comment, formula=formula, needs=20, follows=_BAND_FOLLOWS, others=_BAND_OTHERS)


def _macd(name: str, comment: str, formula: str, needs: int) -> Definition:
    return Definition(name=name, comment=comment, formula=formula, needs=needs, follows=_MACD_FOLLOWS, others=_MACD_OTHERS)


def _td(name: str, relation: str) -> Definition:
    return Definition(
        name=name,
        kind="count",
        comment=f"Consecutive candles whose close is {relation} the close four candles before; 0 when broken.",
        formula=f"previous + 1 where close {'>' if relation == 'above' else '<'} close 4 candles before, else 0",
        needs=5,
        follows=_TD_FOLLOWS,
        others=_TD_OTHERS,
    )


DEFINITIONS: Final[tuple[Definition, ...]] = (
    *(_ema(n) for n in (10, 36, 200)),
    *(_sma(n) for n in (20, 50, 200)),
    Definition(
        name="ehma180",
        comment="Hull moving average made of exponential ones, length 180, quote units.",
        formula="EMA(2 x EMA(close, 90) - EMA(close, 180), 13): the root of 180 is cut to 13; each EMA has a seed of its own",
        needs=192,
        follows="pandas-ta's EMA, chained",
        others="The HMA of the libraries is another indicator: it is made of weighted averages.",
    ),
    Definition(
        name="rsi14",
        comment="Relative strength index of 14 candles, 0 to 100.",
        formula="100 x g / (g + l); g and l are the mean of the first 14 gains and losses, then previous + (new - previous) / 14",
        needs=15,
        follows="TA-Lib, Skender, Tulip, pandas-ta (Wilder); 0 where there was neither gain nor loss, as TA-Lib",
        others=(
            "Without any gain or loss Skender gives 100, pandas-ta null. TA-Lib also gives 0 where g + l is below 1e-14, which the prices "
            "of very cheap coins reach."
        ),
    ),
    _macd(
        "macd", "Moving average convergence and divergence, quote units.", "EMA(close, 12) - EMA(close, 26), both seeded at candle 26", 26
    ),
    _macd("macd_signal", "Signal line of macd, quote units.", "EMA(macd, 9), seeded by the mean of the first 9 values of macd", 34),
    _macd("macd_hist", "macd less its signal line, quote units.", "macd - macd_signal", 34),
    _band(
        "bbl202",
        "Lower Bollinger band, quote units.",
        "sma20 - 2 x d; d is the root of the mean squared distance of the last 20 closes from sma20",
    ),
    _band("bbm202", "Middle Bollinger band, quote units.", "sma20"),
    _band("bbu202", "Upper Bollinger band, quote units.", "sma20 + 2 x d, d as for bbl202"),
    _band("bbw202", "Width of the Bollinger bands, percent of the middle one.", "(bbu202 - bbl202) / bbm202 x 100"),
    _td("td_seq_up", "above"),
    _td("td_seq_down", "below"),
    Definition(
        name="st73",
        comment="Supertrend of 7 candles and 3 ranges, quote units: the lower band while the direction is up, else the upper.",
        formula=(
            "bands (high + low) / 2 +- 3 x ATR(7); ATR is Wilder's average of the true range, from the second candle on. A close above the "
            "former upper band turns it up, one below the former lower band turns it down; without either, the band in force only moves "
            "towards the price"
        ),
        needs=8,
        follows=_ST_FOLLOWS,
        others=_ST_OTHERS,
    ),
    Definition(
        name="st73_direction",
        kind="sign",
        comment="Direction of the Supertrend: 1 up, -1 down.",
        formula="as for st73; 1 at its first candle",
        needs=8,
        follows=_ST_FOLLOWS,
        others=_ST_OTHERS,
    ),
    Definition(
        name="diff_ema200_pct",
        comment="Distance of the close from ema200, percent of the close.",
        formula="(close - ema200) / close x 100",
        needs=200,
    ),
    Definition(name="range_pct", comment="Change from open to close, percent of the open.", formula="(close - open) / open x 100", needs=1),
    Definition(name="high_low_range_pct", comment="Range of the candle, percent of the low.", formula="(high - low) / low x 100", needs=1),
    Definition(
        name="volume_usd",
        comment="volume x close in USDT, through the quote's own USDT market; null where that is unknown.",
        formula=(
            "volume x close x rate. The rate of USDT is 1; of another quote Q it is the close of Q/USDT, else 1 / close of USDT/Q, of the "
            "same exchange, timeframe and open time; where that has no candle, the rate of the candle before; where there never was one, 1 "
            "for USD, USDC, FDUSD, BUSD, TUSD, USDP and DAI, else null"
        ),
        needs=1,
    ),
)

INDICATORS: Final[tuple[str, ...]] = tuple(definition.name for definition in DEFINITIONS)
"""Columns of the suite, in order."""

LOOK_BACK: Final = 200
"""Candles remembered of each history: those of the longest window and of the latest seed."""

KEY: Final = ("exchange", "symbol", "timeframe", "source")
"""Columns that tell histories apart."""

AVERAGES: Final = ("ema10", "ema36", "ema200", "ema12", "ema26", "ema90", "ema180", "gain14", "loss14", "atr7", "macd_signal", "ehma180")
"""Recursive averages whose last value is carried."""

CARRIED: Final = (*AVERAGES, "st73_upper", "st73_lower", "st73_direction", "td_seq_up", "td_seq_down")
"""Everything carried as one number; null while a history is computed anew."""

WINDOWS: Final = ("window_high", "window_low", "window_close")
"""Last candles, oldest first; highs and lows only while a history is computed anew."""
