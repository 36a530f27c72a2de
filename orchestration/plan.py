"""What a back-fill runs: the partitions that are to be made, as few runs over whole stretches, in the order of the graph.

Put here: from assets and a range to stretches. Keep out: reading the lake (`orchestration.missing`) and running (`orchestration.run`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from lake.paths import Home, Hour
from lake.registry import DATASETS
from orchestration.errors import BackfillError
from orchestration.missing import Made, end_of, look, missing, starts

FROM_THE_LAKE: Final = frozenset({"follow", "gather"})
"""Conditions of the assets that are made of the lake alone; `all` means these, not what is fetched from outside."""

MOST_PARTITIONS: Final = 2_000
"""Partitions of an asset in one run: what a run says of each stays in memory until it ends. Longer ranges are several runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One run: some assets over the partitions from `first` to `last` (keys), `partitions` of them for each asset."""

    assets: tuple[str, ...]
    first: str
    last: str
    partitions: int


def names_of(graph: AssetGraph, names: Sequence[str] | None) -> list[str]:
    """The assets asked for, in the order of the graph; None means all that are made of the lake. `BackfillError` for others."""
    order = [key.to_user_string() for key in graph.toposorted_asset_keys if graph.get(key).is_materializable]
    for name in names or ():
        if name not in order:
            raise BackfillError(f"asset {name!r} is unknown, expected one of {', '.join(sorted(order))}")
        if name not in DATASETS or graph.get(dg.AssetKey(name)).partitions_def is None:
            raise BackfillError(f"asset {name!r} has no partitions, expected one that is made by the hour, day or month")
    if names is None:
        return [name for name in order if name in DATASETS and _condition(graph, name) in FROM_THE_LAKE]
    # Assets that one function makes together are made together.
    together = {key.to_user_string() for name in names for key in graph.get(dg.AssetKey(name)).execution_set_asset_keys}
    return [name for name in order if name in together]


def plan(
    graph: AssetGraph, home: Home, names: Sequence[str], start: int, end: int, *, force: bool, most: int = MOST_PARTITIONS
) -> tuple[list[Stretch], dict[str, list[str]]]:
    """The runs that make `names` over the partitions touching [start, end) (microseconds), and what stands already, keys by asset.

    With `force` everything is made again. Otherwise what exists and is newer than what it is made from is left out.
    """
    looked: dict[str, Made] = {}
    todo: dict[str, set[int]] = {}
    units = units_of(graph, names)
    for unit in units:
        wanted: set[int] = set()
        for name in unit:
            deps = [key.to_user_string() for key in graph.get(dg.AssetKey(name)).parent_keys]
            deps = [dep for dep in deps if dep in DATASETS and dep not in unit]
            every = set(starts(DATASETS[name].span, start, end))
            if not force:
                for each in (name, *deps):
                    looked.setdefault(each, look(home, each, start, end))
                every &= missing(name, looked, deps, start=start, end=end, remade=todo)
            wanted |= every
        todo |= dict.fromkeys(unit, wanted)
    standing = {
        name: [key_of(graph, name, each) for each in starts(DATASETS[name].span, start, end) if each not in todo[name]] for name in names
    }
    return _merged(graph, units, todo, most=most), standing


def units_of(graph: AssetGraph, names: Sequence[str]) -> list[tuple[str, ...]]:
    """The assets in order, those that one function makes together: a run that was killed may have left some of them, and makes all anew."""
    units: dict[frozenset[dg.AssetKey], list[str]] = {}
    for name in names:
        together = graph.get(dg.AssetKey(name)).execution_set_asset_keys
        units.setdefault(frozenset(key for key in together if isinstance(key, dg.AssetKey)) or frozenset({dg.AssetKey(name)}), []).append(
            name
        )
    return [tuple(unit) for unit in units.values()]


def key_of(graph: AssetGraph, name: str, start: int) -> str:
    """The partition key of the partition of an asset that begins at `start`, microseconds."""
    return Hour(start).moment.strftime(partitions_of(graph, name).fmt)


def partitions_of(graph: AssetGraph, name: str) -> dg.TimeWindowPartitionsDefinition:
    """The partitions of an asset."""
    return cast("dg.TimeWindowPartitionsDefinition", graph.get(dg.AssetKey(name)).partitions_def)


def _merged(graph: AssetGraph, units: Sequence[tuple[str, ...]], todo: Mapping[str, set[int]], *, most: int) -> list[Stretch]:
    """Stretches of every asset; neighbours in the order that make the same partitions are one run."""
    groups: list[tuple[list[str], list[Stretch]]] = []
    for unit in units:
        name, wanted = unit[0], todo[unit[0]]
        if not wanted:
            continue
        stretches = list(_stretches(graph, name, sorted(wanted), most=most))
        same = next((group for group in groups if group[1] == stretches and _same_partitions(graph, group[0][0], name)), None)
        # A run makes its assets in the order of the graph; joining an earlier one must not overtake a dep made in between.
        between = [other for group in groups[groups.index(same) + 1 :] for other in group[0]] if same is not None else []
        if same is not None and not any(_depends(graph, each, between) for each in unit):
            same[0].extend(unit)
        else:
            groups.append((list(unit), stretches))
    return [replace(stretch, assets=tuple(assets)) for assets, stretches in groups for stretch in stretches]


def _stretches(graph: AssetGraph, name: str, wanted: list[int], *, most: int) -> Iterator[Stretch]:
    """Runs of neighbouring partitions, none longer than `most`."""
    span = DATASETS[name].span
    begun = 0
    for number, each in enumerate(wanted):
        ends = number + 1 == len(wanted) or end_of(span, each) != wanted[number + 1]
        if ends or number + 1 - begun == most:
            first, last = (key_of(graph, name, at) for at in (wanted[begun], each))
            yield Stretch(assets=(), first=first, last=last, partitions=number + 1 - begun)
            begun = number + 1


def _same_partitions(graph: AssetGraph, one: str, other: str) -> bool:
    return partitions_of(graph, one) == partitions_of(graph, other)


def _depends(graph: AssetGraph, name: str, others: Sequence[str]) -> bool:
    above = graph.get(dg.AssetKey(name)).parent_keys
    return any(dg.AssetKey(other) in above for other in others)


def _condition(graph: AssetGraph, name: str) -> str | None:
    condition = graph.get(dg.AssetKey(name)).automation_condition
    return condition.get_label() if condition else None
