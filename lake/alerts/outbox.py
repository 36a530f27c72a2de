"""How a process that is no collector appends alerts and deliveries to the lake: durable when the call returns, each once.

Put here: the writer of sensors, jobs and programs, reading back what fired, and `fire`, which does both under one lock. Keep out: rules.

A writer is a write-ahead log of its own under a fixed name (`outbox` for what fires, `deliveries` for what was sent). Only one process
holds a name at a time; others wait. Who enters seals what a dead predecessor left in the log, and who leaves seals what it appended, so
rows are seen at once with the log (`lake.query`, `recent`) and after `TICKHOUSE_VISIBLE_AFTER_SECONDS` without.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa

from lake.alerts.firing import ALERTS, Alert, Firing, Measured, batches
from lake.alerts.replay import landed
from lake.alerts.rules import Rule
from lake.errors import WalLocked
from lake.files import Clock, now_us
from lake.landing import Landing
from lake.paths import HOUR_US, Home
from lake.registry import dataset
from lake.settings import LakeSettings

FIRING_WRITER: Final = "outbox"
DELIVERY_WRITER: Final = "deliveries"
WAIT_SECONDS: Final = 60.0
"""How long a process waits for another to give up the name."""
_POLL_SECONDS: Final = 0.02


class Outbox:
    """An open writer, from `open_outbox`."""

    def __init__(self, landing: Landing) -> None:
        self._landing = landing

    def append(self, rows: Mapping[str, pa.RecordBatch]) -> None:
        """Rows by dataset; after return they survive kill -9. Raises `SchemaMismatch`, `WalError`."""
        self._landing.append(rows)


@contextmanager
def open_outbox(
    settings: LakeSettings, *, writer: str = FIRING_WRITER, wait_seconds: float = WAIT_SECONDS, clock: Clock = time.time
) -> Iterator[Outbox]:
    """The writer of that name, ours alone until the block ends. Raises `WalLocked` when another still has it after `wait_seconds`."""
    landing = _landing(settings, writer, wait_seconds=wait_seconds, clock=clock)
    try:
        landing.recover()
        yield Outbox(landing)
    finally:
        landing.drain_and_close()


def _landing(settings: LakeSettings, writer: str, *, wait_seconds: float, clock: Clock) -> Landing:
    until = time.monotonic() + wait_seconds
    while True:
        try:
            return Landing(settings, writer, clock=clock)
        except WalLocked:
            if time.monotonic() >= until:
                raise
        time.sleep(_POLL_SECONDS)


def fire(
    settings: LakeSettings,
    rules: Mapping[str, Rule],
    found: Iterable[tuple[str, Measured]],
    *,
    writer: str = FIRING_WRITER,
    clock: Clock = time.time,
) -> list[Alert]:
    """Judge (name of the rule, figure) in that order, and append what fires; returns it, durable.

    Cooldowns and groups come from the lake, and what has fired before fires no more: the call may be repeated, after a kill too.
    Raises `KeyError` for a name that is not in `rules`, and what `open_outbox` raises.
    """
    offers = list(found)
    if not offers:
        return []
    with open_outbox(settings, writer=writer, clock=clock) as outbox:
        since = min(each.timestamp for _, each in offers) - longest_cooldown_us(rules.values())
        rows = recent(settings.house, since=since, clock=clock)
        known = {row["alert_id"] for row in rows}
        firing = Firing()
        firing.restore(rows)
        fired = [alert for name, each in offers if (alert := firing.offer(rules[name], each, local=now_us(clock))) is not None]
        fired = [alert for alert in fired if alert.alert_id not in known]
        outbox.append(batches(fired))
    return fired


def longest_cooldown_us(rules: Iterable[Rule]) -> int:
    """How far back alerts matter to what fires next, microseconds."""
    return int(max((max(rule.cooldown_seconds, rule.group_seconds) for rule in rules), default=0.0) * 1e6)


def recent(home: Home, *, since: int, clock: Clock = time.time) -> list[dict[str, Any]]:
    """Rows of `alerts` whose instant is at or after `since`, those in the log too, oldest first; instants are microseconds.

    They are looked for in the hours they were written in, from an hour before `since` on: clocks that disagree by more are none.
    """
    now = now_us(clock)
    names = dataset(ALERTS).schema.names
    table = landed(home, ALERTS, names, since=since - HOUR_US, until=max(now, since) + HOUR_US, at_us=now)
    plain = pa.table({name: table[name].cast(pa.int64()) if pa.types.is_timestamp(table[name].type) else table[name] for name in names})
    rows = plain.sort_by([("local_timestamp", "ascending"), ("alert_id", "ascending")]).to_pylist()
    return [row for row in rows if row["timestamp"] >= since]
