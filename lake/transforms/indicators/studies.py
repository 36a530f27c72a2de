"""Further studies, named in configuration and computed by pandas-ta-classic, one history at a time.

Put here: names and parameters of studies, and their columns beside a candle frame. Keep out: the core suite, and the file that names them.

pandas and pandas-ta-classic are imported where they are used: whoever names no study does not pay for them.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from lake.errors import IndicatorError
from lake.transforms.indicators.definitions import KEY

if TYPE_CHECKING:
    import pandas as pd

PREFIX: Final = "ta_"
"""Columns of studies begin with this, so that they never meet those of the suite."""

Parameter = float | int | str | bool

_PRICES: Final = {"open_": "open", "open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume"}
_NO_NUMBERS: Final = frozenset({"talib", "mamode", "asint", "kwargs", "offset", "drift"})
"""Parameters that the numbers in a name like macd_12_26_9 never mean."""

_PROBE_BARS: Final = 600
_PROBE_CUT: Final = 100
_FAULTS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What the library raises for parameters it cannot work with; it has no exceptions of its own."""


@dataclass(frozen=True, slots=True)
class Study:
    """A function of pandas-ta-classic with its parameters, and the columns it gives (prefixed)."""

    name: str
    parameters: tuple[tuple[str, Parameter], ...]
    columns: tuple[str, ...]


def parse_studies(named: Iterable[object]) -> tuple[Study, ...]:
    """Studies from configuration, each tried on made-up candles once. Raises `IndicatorError` for what cannot be computed.

    Texts are adx, adx_14 or macd_12_26_9, with numbers in the order of the function's own parameters; tables have `name`, and parameters
    by name. Columns that look ahead (a lagging span, say) are left out; a study of nothing else is refused.
    """
    studies = tuple(_study(item) for item in named)
    columns = [column for study in studies for column in study.columns]
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise IndicatorError(f"column {twice} would come from two studies, expected each study once")
    return studies


def study_columns(candles: pl.DataFrame, studies: Iterable[Study]) -> pl.DataFrame:
    """The candles (key, timestamp and prices, as for `suite.compute`) with the studies' columns, float64, behind them.

    Values begin anew with the first candle given of each history, whose candles come out together in order of time: give all of the
    history, or at least a look-back several times the longest parameter. What the library leaves empty is null. Raises `IndicatorError`.
    """
    wanted = tuple(studies)
    ordered = candles.sort(*KEY, "timestamp")
    parts = []
    for key, history in ordered.group_by(KEY, maintain_order=True):
        frame = _frame(history)
        series = [column for study in wanted for column in _computed(study, frame, " ".join(str(name) for name in key if name))]
        parts.append(history.with_columns(series))
    schema = {column: pl.Float64 for study in wanted for column in study.columns}
    return pl.concat(parts) if parts else ordered.with_columns(*(pl.lit(None, kind).alias(name) for name, kind in schema.items()))


def _study(item: object) -> Study:
    if isinstance(item, str):
        name, parameters = _named(item.strip().lower())
    elif isinstance(item, Mapping) and isinstance(item.get("name"), str):
        name = str(item["name"]).strip().lower()
        parameters = {str(key): value for key, value in item.items() if key != "name"}
        _check(name, parameters)
    else:
        raise IndicatorError(f'study {item!r} was received, expected a text as "adx_14" or a table as {{name = "vortex", length = 14}}')
    trial = Study(name, tuple(parameters.items()), ())
    return Study(name, trial.parameters, _tried(trial))


def _tried(study: Study) -> tuple[str, ...]:
    """The study's columns: those that it gives for made-up candles and that candles still to come leave as they are."""
    longest = max((int(value) for _, value in study.parameters if isinstance(value, (int, float))), default=0)
    frame = _frame(probe_candles(_PROBE_BARS + 4 * longest))
    whole, earlier = (_results(study, each, "made-up candles") for each in (frame, frame[:-_PROBE_CUT]))
    if not whole:
        raise IndicatorError(f"study {study.name} with {dict(study.parameters)} gives no column, expected parameters it can work with")
    lasting = []
    for name, values in whole.items():
        if name in earlier and np.allclose(values[:-_PROBE_CUT], earlier[name], rtol=1e-9, equal_nan=True):
            lasting.append(name)
    if not lasting:
        raise IndicatorError(f"study {study.name} looks ahead: later candles change its values, expected a study of the candles so far")
    return tuple(PREFIX + name for name in lasting)


def _named(text: str) -> tuple[str, dict[str, Parameter]]:
    """Function and parameters of a text as macd_12_26_9."""
    name, numbers = text, list[Parameter]()
    while name not in _functions() and (found := re.fullmatch(r"(.+)_(\d+(?:\.\d+)?)", name)):
        name = found[1]
        numbers.insert(0, float(found[2]) if "." in found[2] else int(found[2]))
    takes = [each for each in _parameters(name) if each not in _NO_NUMBERS]
    if len(numbers) > len(takes):
        raise IndicatorError(f"study {text!r} has {len(numbers)} numbers, expected at most {len(takes)}: {', '.join(takes)}")
    return name, dict(zip(takes, numbers, strict=False))


def _check(name: str, parameters: Mapping[str, object]) -> None:
    allowed = [each for each in _parameters(name) if each != "kwargs"]
    for key, value in parameters.items():
        if key not in allowed:
            raise IndicatorError(f"study {name} has no parameter {key!r}, allowed are {', '.join(allowed)}")
        if not isinstance(value, (int, float, str, bool)):
            raise IndicatorError(f"parameter {key} of study {name} is {value!r}, expected a number or a text")


@cache
def _functions() -> dict[str, Any]:
    """Every study of the library that needs nothing but candles, by name."""
    found = {}
    # The library calls what pandas deprecates, on import too.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas_ta_classic as ta

        for name in sorted({name for names in ta.Category.values() for name in names}):
            function = getattr(ta, name)
            needed = [each.name for each in inspect.signature(function).parameters.values() if _is_needed(each)]
            if all(each in _PRICES for each in needed):
                found[name] = function
    return found


def _is_needed(parameter: inspect.Parameter) -> bool:
    return parameter.default is inspect.Parameter.empty and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD


def _parameters(name: str) -> list[str]:
    """What may be set of a study; `IndicatorError` where there is none of that name."""
    functions = _functions()
    if name not in functions:
        near = get_close_matches(name, functions, n=3)
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else f"expected one of the {len(functions)} of pandas-ta-classic, e.g. adx or vortex"
        )
        raise IndicatorError(f"study {name!r} is unknown; {hint}")
    return [each for each in inspect.signature(functions[name]).parameters if each not in _PRICES]


def _computed(study: Study, frame: pd.DataFrame, history: str) -> Iterator[pl.Series]:
    found = _results(study, frame, history)
    for column in study.columns:
        values = found.get(column.removeprefix(PREFIX))
        empty = np.full(len(frame), np.nan)
        yield pl.Series(column, empty if values is None else values, strict=True).fill_nan(None)


def _results(study: Study, frame: pd.DataFrame, history: str) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Columns of the study by their name in lower case; none where the history is too short for it."""
    import pandas as pd

    function = _functions()[study.name]
    names = [name for name in inspect.signature(function).parameters if name in _PRICES]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = function(**{name: frame[_PRICES[name]] for name in names}, **dict(study.parameters))
    except _FAULTS as error:
        raise IndicatorError(f"study {study.name} with {dict(study.parameters)} cannot be computed for {history}: {error}") from error
    # A tuple's later frames reach beyond the last candle.
    shown = result[0] if isinstance(result, tuple) else result
    if shown is None:
        return {}
    table = shown.to_frame() if isinstance(shown, pd.Series) else shown
    if not isinstance(table, pd.DataFrame) or len(table) != len(frame):
        raise IndicatorError(f"study {study.name} gives no value for each candle, expected columns of as many rows as there are candles")
    return {
        re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_"): table[name].to_numpy(dtype="float64", na_value=np.nan)
        for name in table.columns
    }


def _frame(history: pl.DataFrame) -> pd.DataFrame:
    """Prices of one history; times without a zone, of which pandas' periods know nothing."""
    import pandas as pd

    times = history["timestamp"].dt.replace_time_zone(None).to_numpy()
    prices = {name: history[name].to_numpy() for name in dict.fromkeys(_PRICES.values())}
    return pd.DataFrame(prices, index=pd.DatetimeIndex(times))


def probe_candles(bars: int) -> pl.DataFrame:
    """Minutes of no market, to see what a study gives; columns as `suite.compute` takes them, one history."""
    bar = np.arange(bars)
    close = 100.0 + np.cumsum(np.sin(bar * 1.7) + np.cos(bar * 0.31))
    opened = np.concatenate(([100.0], close[:-1]))
    return pl.DataFrame(
        {
            **dict.fromkeys(KEY, ""),
            "timestamp": pl.Series(bar * 60_000_000).cast(pl.Datetime("us", "UTC")),
            "open": opened,
            "high": np.maximum(opened, close) + 0.5,
            "low": np.minimum(opened, close) - 0.5,
            "close": close,
            "volume": 1000.0 + 100.0 * np.sin(bar),
        }
    )
