"""The page of indicators: every column of the suite with formula, first value and the libraries it is held against, as Markdown.

Put here: the layout of that page and what holds for all columns. Keep out: any column's description, they stand in `definitions`.

`python -m lake.transforms.indicators.dictionary` writes docs/indicators.md; a test fails while the page differs from the code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lake.indicator_datasets import INDICATOR_COLUMNS
from lake.transforms.indicators.definitions import DEFINITIONS, LOOK_BACK
from lake.transforms.indicators.state import AGREEMENT
from lake.transforms.indicators.studies import PREFIX

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "indicators.md"

_INTRODUCTION: Final = f"""# Indicators

Made from the code (`lake/transforms/indicators/definitions.py`) by `python -m lake.transforms.indicators.dictionary`; edit that,
not this page.

The core suite is computed for every history of candles, that is exchange, symbol, timeframe and source, in `indicators_hour`
(timeframes up to 1h), `indicators_day` (2h to 1d) and `indicators_month` (3d, 1w, 1M), and by `tickhouse indicators FILE` over
any candle file, with the same code. The view `indicators` shows all three.

- **Rows.** Indicators run over the candles there are. An interval without a trade has no candle, and counts for nothing: `sma20`
  is the mean of the last 20 candles, however long ago the first of them was. Fill candles first (`candles_filled`) where an
  interval without a trade shall count.
- **Warm-up.** A value is null until the history is long enough for it; the table below says at which candle the first one stands.
  Recursive averages remember their beginning for longer: an average of length n has forgotten it to 1e-8 after about 9.2 n
  candles (Wilder's: 18.4 n).
- **Numbers.** Float64. Sums and deviations of a window are made of that window's values alone, in one fixed order, so that flat
  prices have bands of width 0 and nothing drifts. What would be a division by zero is null.
- **Partitions.** Every partition leaves a state (`indicator_state_…`): per history the last {LOOK_BACK} closes, the value of
  every recursion, the TD counts and the last rate of its quote. The next partition goes on from it, and gives the same values, to
  the bit, as all of the history at once. After a repair partitions are computed anew from the last good state on, until a new
  state agrees with the one that stands to {AGREEMENT:g} of the price.
- **Against others.** Tests hold the suite to 1e-8 against recorded values of TA-Lib, Skender's Stock Indicators and
  pandas-ta-classic, the averages also against Tulip, and `ehma180`, the TD counts and the Supertrend against pandas-ta-classic
  computed beside it.
"""

_STUDIES: Final = f"""## Further studies

Any indicator of pandas-ta-classic that needs nothing but candles can be named: in `tickhouse.toml`

```toml
[indicators]
studies = ["adx_14", "macd_5_35_5", {{ name = "vortex", length = 14 }}]
```

or with `tickhouse indicators FILE --studies adx_14,macd_5_35_5`. Numbers in a name are the function's own parameters in its
order; a table gives them by name. Columns are the library's names in lower case with `{PREFIX}` in front (`{PREFIX}adx_14`,
`{PREFIX}dmp_14`, `{PREFIX}dmn_14`), one history at a time, with the library's own warm-up and definitions. A study is tried once
on made-up candles: an unknown name or parameter is refused with the names that are allowed, and so is one that looks ahead, such
as the centred `dpo`; of those that look ahead in part, such as `ichimoku`, the other columns are given.

In the lake they stand one row a value in `indicator_studies_hour`, `_day` and `_month` (columns `study` and `value`), so that naming
another study changes no table. They are computed with a look-back that is found by trying, after which values equal those of a longer
history to 1e-9; a study that adds up from the first candle on (`obv`) has none.
"""


def render() -> str:
    """The whole page."""
    types = {column.name: str(column.type) for column in INDICATOR_COLUMNS}
    lines = [
        _INTRODUCTION,
        "## The core suite\n",
        "| column | type | first value at candle | meaning | formula |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [f"| `{each.name}` | {types[each.name]} | {each.needs} | {each.comment} | {each.formula} |" for each in DEFINITIONS]
    lines += ["", "## Where libraries disagree\n", "| columns | we follow | the others |", "| --- | --- | --- |"]
    rows: dict[tuple[str, str], list[str]] = {}
    for each in DEFINITIONS:
        if each.others:
            rows.setdefault((each.follows, each.others), []).append(f"`{each.name}`")
    lines += [f"| {' '.join(names)} | {follows} | {others} |" for (follows, others), names in rows.items()]
    return "\n".join([*lines, "", _STUDIES])


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
