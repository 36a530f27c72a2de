"""The outbox and its ledger, read and written: which alerts are still open, and what became of each over each channel.

Put here: queries over `alerts` and `deliveries`, and their rows. Keep out: which alerts become one message (`envelopes`) and sending.

An attempt is a row `unknown` before the message leaves, and a second row once the channel has answered. An attempt that has only the first
may have arrived: the next one sends the same alerts under the same message id, and is marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from lake.alerts.rules import Rule
from lake.paths import Home
from lake.query import run_sql
from lake.registry import dataset

DELIVERIES: Final = "deliveries"
State = Literal["unknown", "sent", "failed", "refused"]
FINAL: Final = ("sent", "refused")
"""States after which nothing is sent again by itself; a run for those very alerts offers what was refused once more."""

_ALERT: Final = (
    "* exclude (timestamp, local_timestamp, date, hour), epoch_us(timestamp) as timestamp, epoch_us(local_timestamp) as local_timestamp"
)
_SINCE: Final = "date >= make_timestamptz($1)::date and local_timestamp >= make_timestamptz($1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """The latest attempt of one alert over one channel, the last of its states, and whether this attempt or one before may have arrived."""

    attempt: int
    state: State
    message_id: str
    may_have_arrived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A row of the ledger to be written, its columns by name: one alert of one message over one channel.

    `is_repeat`: the message was marked as one that may have arrived before.
    """

    alert_id: str
    channel: str
    attempt: int
    state: State
    message_id: str
    is_repeat: bool
    local_timestamp: int
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """An alert that some channel has not taken yet; `fired` by our clock, microseconds."""

    alert_id: str
    fired: int


def channels_of(rules: Mapping[str, Rule], rule: str, channels: Sequence[str]) -> tuple[str, ...]:
    """Which of the configured channels the alerts of a rule go to: those it names, or all."""
    named = rules[rule].channels if rule in rules else ()
    return tuple(channel for channel in channels if not named or channel in named)


def open_alerts(home: Home, rules: Mapping[str, Rule], channels: Mapping[str, int], *, since: int) -> list[Open]:
    """Alerts that fired at or after `since` and that a channel has neither taken nor refused, oldest first.

    `channels` says by name since when (microseconds) a channel gets alerts: one that was added yesterday is not sent last month's.
    """
    if not channels:
        return []
    sql = f"""
        with done as (
            select alert_id, list(distinct channel) as done from deliveries where {_SINCE} and state in ('sent', 'refused') group by all
        )
        select alert_id, rule, epoch_us(local_timestamp) as fired, coalesce(done, []) as done
        from alerts left join done using (alert_id)
        where {_SINCE} and (done is null or len(done) < $2) order by fired, alert_id
    """  # noqa: S608 - our own words
    rows = run_sql(home, sql, parameters=[since, len(channels)]).table.to_pylist()
    found = []
    for row in rows:
        wanted = [name for name in channels_of(rules, row["rule"], tuple(channels)) if channels[name] <= row["fired"]]
        if any(name not in row["done"] for name in wanted):
            found.append(Open(alert_id=row["alert_id"], fired=row["fired"]))
    return found


def alerts_with_groups(home: Home, ids: Iterable[str], *, since: int) -> list[dict[str, Any]]:
    """The alerts of these ids, all of their groups and all that shared a message with them, oldest first; instants in microseconds."""
    sql = f"""
        with wanted as (select alert_id, group_key from alerts where {_SINCE} and list_contains($2, alert_id)),
        messages as (select distinct message_id from deliveries where {_SINCE} and list_contains($2, alert_id))
        select {_ALERT} from alerts
        where {_SINCE} and (
            group_key in (select group_key from wanted)
            or alert_id in (select alert_id from deliveries where {_SINCE} and message_id in (select message_id from messages))
        )
        order by epoch_us(local_timestamp), alert_id
    """  # noqa: S608 - our own words
    rows: list[dict[str, Any]] = run_sql(home, sql, parameters=[since, sorted(ids)]).table.to_pylist()
    return rows


def recent_alerts(home: Home, *, since: int, limit: int) -> list[dict[str, Any]]:
    """The latest alerts since then, newest first; instants in microseconds."""
    sql = f"select {_ALERT} from alerts where {_SINCE} order by epoch_us(local_timestamp) desc, alert_id"  # noqa: S608 - our own words
    rows: list[dict[str, Any]] = run_sql(home, sql, parameters=[since], limit=limit).table.to_pylist()
    return rows


def noted(home: Home, ids: Iterable[str], *, since: int) -> dict[tuple[str, str], Noted]:
    """The latest attempt by (alert_id, channel), of these alerts."""
    sql = f"""
        select alert_id, channel, attempt, state, message_id, is_repeat from deliveries
        where {_SINCE} and list_contains($2, alert_id) order by attempt, state = 'unknown' desc
    """  # noqa: S608 - our own words
    found: dict[tuple[str, str], Noted] = {}
    for row in run_sql(home, sql, parameters=[since, sorted(ids)]).table.to_pylist():
        # Of one attempt the answer comes after the intent, so the last row of a key is what is known of it.
        found[row["alert_id"], row["channel"]] = Noted(
            attempt=row["attempt"],
            state=row["state"],
            message_id=row["message_id"],
            may_have_arrived=row["state"] == "unknown" or row["is_repeat"],
        )
    return found


def batch(attempts: Iterable[Attempt]) -> dict[str, pa.RecordBatch]:
    """Rows of the ledger, ready for a write-ahead log: one batch, so that a message is noted for all its alerts or for none."""
    schema, rows = dataset(DELIVERIES).schema, list(attempts)
    arrays = [pa.array([getattr(row, each.name) for row in rows], each.type) for each in schema]
    return {DELIVERIES: pa.RecordBatch.from_arrays(arrays, schema=schema)}
