"""Rules of kind sql, asked when the tables they speak of were made: which assets a table stands for, and what of them is new.

Put here: from Dagster's materialisations to statements over the rows that may have changed. Keep out: the statement itself
(`lake.alerts.conditions`), cooldown and writing (`lake.alerts.outbox`), and the sensor.

A back-fill of years fires nothing: rows count up to an age that a candle has when it closes, and a day more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from assets.hours import DAY_FORMAT, KEY_FORMAT
from lake import catalog
from lake.alerts.conditions import fired_by_sql
from lake.alerts.firing import Measured
from lake.alerts.rules import Condition, Rule
from lake.errors import AlertRuleError
from lake.paths import DAY_US, Home
from lake.registry import DATASETS, Span
from orchestration.missing import end_of

OLDEST_US: Final[dict[Span, int]] = {"hour": DAY_US + 2 * DAY_US // 24, "day": 3 * DAY_US, "month": 40 * DAY_US}
"""How old a row may be at most, by the partitions of its table: a candle of a month is made last when it is 31 days old."""
MOST_EVENTS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Partitions of an asset that were made since the last look: from the first instant of the first to the end of the last, microseconds.

    `upto` is the storage id of the latest of these materialisations.
    """

    asset: str
    start: int
    end: int
    upto: int


def tables_of(home: Home, table: str) -> dict[str, str]:
    """By asset, the table that is to be asked when it was made: the dataset itself, the datasets a name stands for, or a view over some."""
    if table in DATASETS:
        return {table: table}
    parts = [name for name in DATASETS if name.startswith(f"{table}_")]
    if parts:
        return {name: name for name in parts}
    return {name: table for name in catalog.definitions(home, statement=f"from {table}") if name in DATASETS}


def assets_watched(home: Home, rules: Mapping[str, Rule]) -> list[str]:
    """Every asset that a rule of kind sql waits for."""
    return sorted({name for rule in rules.values() if isinstance(rule, Condition) for name in tables_of(home, rule.table)})


def newest(instance: dg.DagsterInstance, assets: Iterable[str]) -> dict[str, int]:
    """Storage id of the latest materialisation of each asset that has one."""
    records = instance.get_asset_records([dg.AssetKey(name) for name in assets])
    found = {}
    for record in records:
        last = record.asset_entry.last_materialization_record
        if last is not None:
            found[record.asset_entry.asset_key.to_user_string()] = last.storage_id
    return found


def made_since(instance: dg.DagsterInstance, asset: str, after: int, *, before_s: float) -> Made | None:
    """What of an asset was made after the storage id `after` and before `before_s` (seconds): younger files may not count yet."""
    span = DATASETS[asset].span
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), after_storage_id=after)
    records = instance.fetch_materializations(wanted, limit=MOST_EVENTS, ascending=True).records
    starts, upto = [], after
    for record in records:
        if record.timestamp >= before_s:
            break
        upto = record.storage_id
        if record.partition_key is not None:
            starts.append(_start(record.partition_key, span))
    if not starts:
        return None
    return Made(asset=asset, start=min(starts), end=end_of(span, max(starts)), upto=upto)


def held(home: Home, rules: Mapping[str, Rule], made: Iterable[Made], *, now: int) -> tuple[list[tuple[str, Measured]], list[str]]:
    """(name of the rule, row its condition holds for) in what was made; and a sentence for each rule that cannot be asked."""
    found: list[tuple[str, Measured]] = []
    broken: list[str] = []
    news = list(made)
    for name, rule in rules.items():
        if not isinstance(rule, Condition):
            continue
        tables = tables_of(home, rule.table)
        for each in news:
            if each.asset not in tables:
                continue
            since = max(each.start, now - OLDEST_US[DATASETS[each.asset].span])
            if since >= each.end:
                continue
            asked = rule.model_copy(update={"table": tables[each.asset]})
            try:
                found += [(name, row) for row in fired_by_sql(home, asked, since, until=each.end)]
            except AlertRuleError as error:
                # One rule that DuckDB refuses must not keep the others from being asked.
                broken.append(str(error))
    return found, broken


def _start(key: str, span: Span) -> int:
    """First instant of a partition, by its key."""
    moment = datetime.strptime(key, KEY_FORMAT if span == "hour" else DAY_FORMAT).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000
