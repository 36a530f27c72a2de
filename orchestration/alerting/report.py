"""What people ask of delivery: recent alerts with what became of each, and a test message through every channel.

Put here: the answers as plain values. Keep out: printing them (`orchestration.cli.alerts`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lake.alerts.rules import Rule
from lake.paths import Home
from orchestration.alerting import ledger
from orchestration.alerting.channels import Channel
from orchestration.alerting.ledger import Noted
from orchestration.alerting.messages import Message
from orchestration.alerting.offering import Outcome, offer
from orchestration.alerting.settings import AlertingSettings

WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An alert (a row of the dataset, instants in microseconds) and its state by channel: a state of the ledger, or waiting."""

    row: Mapping[str, Any]
    channels: Mapping[str, str]
    attempts: Mapping[str, int]


def listed(home: Home, rules: Mapping[str, Rule], channels: Sequence[str], *, since: int, limit: int) -> list[Listed]:
    """The latest alerts since then, newest first."""
    rows = ledger.recent_alerts(home, since=since, limit=limit)
    noted = ledger.noted(home, [row["alert_id"] for row in rows], since=since)
    by_alert: dict[str, dict[str, Noted]] = {}
    for (alert_id, channel), found in noted.items():
        by_alert.setdefault(alert_id, {})[channel] = found
    answers = []
    for row in rows:
        known = by_alert.get(row["alert_id"], {})
        states = dict.fromkeys(ledger.channels_of(rules, row["rule"], channels), WAITING)
        states |= {name: found.state for name, found in known.items()}
        answers.append(Listed(row=row, channels=states, attempts={name: found.attempt for name, found in known.items()}))
    return answers


def trial(now: datetime | None = None) -> Message:
    """A message that says that it is none."""
    return Message(
        id=f"test-{secrets.token_hex(4)}",
        title="test message",
        severity="LOW",
        text="This is a test of Tickhouse's alerts: nothing has happened.",
        at=now or datetime.now(UTC),
        fields=(("rule", "none"), ("sent by", "tickhouse alerts test")),
    )


def try_channels(
    channels: Sequence[Channel], settings: AlertingSettings, *, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Outcome]:
    """Send a test message through each channel in turn; the outcome by channel."""
    message = trial()
    return {
        channel.name: offer(
            channel, message, attempts=settings.alert_attempts, longest_wait=settings.alert_longest_wait_seconds, sleep=sleep
        )
        for channel in channels
    }
