"""From a figure to an alert, or to silence: severity, cooldown, grouping.

Put here: what an alert is, when one fires, and the state that decides it. Keep out: where figures come from, and where alerts go.

All of it follows the instants of events, never a clock, so that history run again fires what the present fired. The state is nothing but
the newest alerts: `Firing.restore` makes it from rows of the dataset, so that a process that was killed repeats no alert.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from lake.alerts.rules import RANK, HealthRule, Rule, Severity
from lake.registry import dataset

ALERTS: Final = "alerts"
LIQUIDATION_ALERTS: Final = "liquidation_alerts"
_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure to be judged by a rule. Instants are microseconds since 1970.

    `value` is in the unit of the rule; `severity` is given only where a condition has judged already (kind sql).
    """

    timestamp: int
    value: float | None = None
    exchange: str = ""
    symbol: str = ""
    subject: str = ""
    severity: Severity | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A rule that fired: a row of the dataset `alerts`, its columns by name. `details` is not yet text."""

    exchange: str
    symbol: str
    timestamp: int
    local_timestamp: int
    alert_id: str
    rule: str
    kind: str
    severity: Severity
    subject: str
    value: float | None
    threshold: float | None
    unit: str
    message: str
    group_key: str
    details: Mapping[str, Any]


@dataclass(slots=True)
class _Last:
    """The alert that a rule fired last about one market and subject."""

    timestamp: int
    rank: int


class Firing:
    """Decides what fires. One a process; `offer` in the order in which things happen."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str, str], _Last] = {}
        self._groups: dict[str, int] = {}

    def restore(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over the state of a former life from rows of `alerts` (instants in microseconds), in any order."""
        for row in sorted(rows, key=lambda each: (each["local_timestamp"], each["timestamp"])):
            key = (row["rule"], row["exchange"], row["symbol"], row["subject"])
            self._last[key] = _Last(row["timestamp"], RANK[row["severity"]])
            opened = row["group_key"].rpartition("@")[2]
            # Whoever else writes alerts may group them by other keys: such a group is not gone on with.
            if opened.removeprefix("-").isdecimal():
                self._groups[row["rule"]] = int(opened)

    def quiet(self, rule: Rule, *, exchange: str, symbol: str, subject: str, timestamp: int, severity: Severity) -> bool:
        """Whether the rule keeps quiet: it fired within its cooldown, no less gravely."""
        last = self._last.get((rule.name, exchange, symbol, subject))
        if last is None or RANK[severity] > last.rank:
            return False
        # One instant is one alert also without a cooldown: it would bear the same id.
        return timestamp == last.timestamp or timestamp - last.timestamp < rule.cooldown_seconds * _SECOND_US

    def offer(self, rule: Rule, found: Measured, *, local: int) -> Alert | None:
        """The alert that `found` makes `rule` fire at `local` by our clock, None where it does not concern it or it keeps quiet."""
        if not rule.concerns(found.exchange, found.symbol) or (isinstance(rule, HealthRule) and not rule.speaks_of(found.subject)):
            return None
        threshold = None
        severity = found.severity
        if severity is None:
            reached = None if found.value is None else rule.reached(found.value)
            if reached is None:
                return None
            severity, threshold = reached
        place = {"exchange": found.exchange, "symbol": found.symbol, "subject": found.subject}
        if self.quiet(rule, timestamp=found.timestamp, severity=severity, **place):
            return None
        self._last[rule.name, found.exchange, found.symbol, found.subject] = _Last(found.timestamp, RANK[severity])
        return Alert(
            **place,
            timestamp=found.timestamp,
            local_timestamp=local,
            alert_id=alert_id(rule.name, found, severity=severity),
            rule=rule.name,
            kind=rule.kind,
            severity=severity,
            value=found.value,
            threshold=threshold,
            unit="" if threshold is None else rule.unit,
            message=_message(rule, found, severity=severity, threshold=threshold),
            group_key=self._group(rule, found.timestamp),
            details=found.details,
        )

    def _group(self, rule: Rule, timestamp: int) -> str:
        """Key of the group the instant falls into: that of the rule's running group, or of one it opens."""
        opened = self._groups.get(rule.name)
        if opened is None or abs(timestamp - opened) > rule.group_seconds * _SECOND_US:
            opened = self._groups[rule.name] = timestamp
        return f"{rule.name}@{opened}"


def alert_id(rule: str, found: Measured, *, severity: Severity) -> str:
    """The same for the same rule, market, subject, instant and severity, whoever evaluates it and how often."""
    text = "\x1f".join((rule, found.exchange, found.symbol, found.subject, str(found.timestamp), severity))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _message(rule: Rule, found: Measured, *, severity: Severity, threshold: float | None) -> str:
    about = " ".join(part for part in (found.exchange, found.symbol, found.subject) if part and part != rule.kind)
    where = f"{about}: " if about else ""
    if threshold is None or found.value is None:
        said = dict(found.details) if found.value is None or found.details else {"value": found.value}
        figures = ", ".join(f"{name} {value:,.6g}" if isinstance(value, float) else f"{name} {value}" for name, value in said.items())
        return f"{where}{rule.name} holds{f': {figures}' if figures else ''} ({severity})"
    return f"{where}{rule.kind.replace('_', ' ')} {found.value:,.6g} {rule.unit} ({severity} from {threshold:,.6g})"


def batches(alerts: Iterable[Alert]) -> dict[str, pa.RecordBatch]:
    """The rows of alerts by dataset, ready for a write-ahead log: `alerts`, and `liquidation_alerts` where there are any."""
    rows = [_row(alert) for alert in alerts]
    forced = [{**row, **row["window"]} for row in rows if row["kind"] == "liquidation_volume" and row["window"]]
    found = {ALERTS: rows, LIQUIDATION_ALERTS: forced}
    return {name: _batch(name, each) for name, each in found.items() if each}


def _row(alert: Alert) -> dict[str, Any]:
    names = dataset(ALERTS).schema.names
    row: dict[str, Any] = {name: getattr(alert, name) for name in names}
    details = dict(alert.details)
    row["details"] = json.dumps(details, default=str, sort_keys=True)
    row["window"] = {**details, "alert_severity": alert.severity} if "total_volume_usd" in details else None
    return row


def _batch(name: str, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    schema = dataset(name).schema
    return pa.RecordBatch.from_arrays([pa.array([row[each.name] for row in rows], each.type) for each in schema], schema=schema)
