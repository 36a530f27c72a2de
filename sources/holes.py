"""Intervals for which an exchange has no candle and never will: remembered, so that they are not asked for every hour.

Put here: the memory of one month, a small file. Keep out: finding what is missing (`lake.transforms.missing`).

An interval that was answered empty is final a day after its end; younger ones are asked for again, as venues fill in late.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lake import files
from lake.transforms.missing import Window, merged
from sources.exchange_candles import Series

FINAL_AFTER_US: Final = 24 * 3_600_000_000


@dataclass(frozen=True, slots=True)
class KnownHoles:
    """The holes of one month, in the file `path`."""

    path: Path

    def read(self) -> dict[Series, list[Window]]:
        """What is known to be empty, by series."""
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {Series(*name.split("|")): [Window(*pair) for pair in pairs] for name, pairs in kept.items()}

    def add(self, found: Mapping[Series, Iterable[Window]]) -> None:
        """Remember more."""
        with files.locked(self.path.with_suffix(".lock")):
            known = self.read()
            for series, holes in found.items():
                known[series] = merged(known.get(series, ()), holes)
            text = {"|".join((series.exchange, series.symbol, series.timeframe)): holes for series, holes in sorted(known.items()) if holes}
            files.write_small(self.path, json.dumps(text) + "\n")
