"""Files that views must not open any more, because they are about to be removed.

Put here: which names the catalog leaves out by a constant, and remembering them. Keep out: what may be removed (`lake.cleanup`).

DuckDB lists a glob first and opens its files later, superseded ones too where a join decides which rows count. A file that goes in
between would be an error in a reader's face. A condition of constants on the name is applied to the list itself: so what is to
go is first written into the catalog, and removed when the queries that began before have ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lake.files import write_small
from lake.paths import Home, PartName, SealedName, parse_name

Kind = Literal["part", "hour", "day"]

MOST_NAMES: Final = 48
"""Names a view lists one by one; DuckDB takes seconds to apply a thousand."""


@dataclass(frozen=True, slots=True)
class Condemned:
    """What a tier of a dataset leaves out: every file with an instant below `floor` (16 digits), and these paths."""

    floor: str = ""
    paths: tuple[str, ...] = ()

    def covers(self, path: Path) -> bool:
        """Whether views leave this file out."""
        name = parse_name(path.name)
        return name is not None and (f"{name.visible_from:016d}" < self.floor or str(path) in self.paths)


Register = Mapping[tuple[str, Kind], Condemned]
"""By dataset and tier."""


def read(home: Home) -> dict[tuple[str, Kind], Condemned]:
    """What the catalog of `home` leaves out; nothing where nothing was ever removed."""
    try:
        found = json.loads(home.condemned.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {(each["dataset"], each["kind"]): Condemned(each["floor"], tuple(each["paths"])) for each in found}


def write(home: Home, paths: Iterable[Path]) -> list[Path]:
    """Condemn superseded files; returns those that views will leave out, which may be fewer than asked (the rest next time)."""
    register = read(home)
    asked: dict[tuple[str, Kind], set[Path]] = {}
    for path in paths:
        asked.setdefault(tier_of(home, path), set()).add(path)
    for tier, doomed in asked.items():
        register[tier] = _condemn(home, tier, doomed, register.get(tier, Condemned()))
    entries = [
        {"dataset": dataset, "kind": kind, "floor": each.floor, "paths": list(each.paths)}
        for (dataset, kind), each in sorted(register.items())
    ]
    write_small(home.condemned, json.dumps(entries, indent=1) + "\n")
    return sorted(path for tier, doomed in asked.items() for path in doomed if register[tier].covers(path))


def _condemn(home: Home, tier: tuple[str, Kind], doomed: set[Path], former: Condemned) -> Condemned:
    """The highest floor with nothing but doomed files below it, and the first of the doomed above it by name."""
    floor = former.floor
    remaining = {path: parsed.visible_from for path in _present(home, tier) if (parsed := parse_name(path.name)) and parsed.visible_from}
    kept = [instant for path, instant in remaining.items() if path not in doomed]
    lowest = min(kept, default=max(remaining.values(), default=0) + 1)
    floor = max(floor, f"{lowest:016d}")
    above = sorted(str(path) for path in doomed if f"{remaining.get(path, 0):016d}" >= floor)
    return Condemned(floor, tuple(above[:MOST_NAMES]))


def _present(home: Home, tier: tuple[str, Kind]) -> list[Path]:
    dataset, kind = tier
    if kind == "day":
        return list((home.days / dataset).glob("*/day-*.parquet"))
    return list((home.lake / dataset).glob(f"*/*/{kind}-*.parquet"))


def tier_of(home: Home, path: Path) -> tuple[str, Kind]:
    """The dataset and the tier a file of the lake belongs to."""
    name = parse_name(path.name)
    if isinstance(name, PartName):
        return path.relative_to(home.lake).parts[0], "part"
    if isinstance(name, SealedName) and name.kind == "hour":
        return path.relative_to(home.lake).parts[0], "hour"
    return path.relative_to(home.days).parts[0], "day"
