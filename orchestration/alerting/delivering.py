"""Delivery: from open alerts to messages taken, each noted in the ledger before it leaves and after it was answered.

Put here: the order of reading, noting and sending. Keep out: the words of a message (`envelopes`) and Dagster.

One delivery runs at a time on a home: it holds the ledger's writer from reading to the last note, so that two runs for the same alerts
send them once. Channels are served side by side, each in its own thread: one that hangs keeps no other waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from lake.alerts.outbox import DELIVERY_WRITER, Outbox, open_outbox
from lake.alerts.rules import Rule
from lake.files import Clock, now_us
from lake.paths import DAY_US
from lake.settings import LakeSettings
from orchestration.alerting import ledger
from orchestration.alerting.channels import Channel
from orchestration.alerting.envelopes import Envelope, envelopes
from orchestration.alerting.offering import Outcome, offer
from orchestration.alerting.settings import AlertingSettings

TURN_SECONDS: Final = 300.0
"""How long a delivery waits for another one to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What came of one message: its alerts, and the outcome; None where it was left because the channel had just failed."""

    channel: str
    message_id: str
    heading: str
    alerts: int
    outcome: Outcome | None

    @property
    def sentence(self) -> str:
        """It in one line, without secrets."""
        if self.outcome is None:
            return f"{self.channel}: left for later: {self.heading}"
        tries = f" after {self.outcome.tries} tries" if self.outcome.tries > 1 else ""
        why = f" ({self.outcome.reason})" if self.outcome.reason else ""
        return f"{self.channel}: {self.outcome.state}{tries}{why}: {self.heading}"


def deliver(
    lake: LakeSettings,
    settings: AlertingSettings,
    channels: Sequence[Channel],
    rules: Mapping[str, Rule],
    ids: Iterable[str],
    *,
    clock: Clock = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Delivered]:
    """Offer these alerts, and those of the same groups, to every channel that has not taken them.

    May be called again at any time, after a kill too: what the ledger says was taken is left out.
    Raises `WalLocked` when another delivery does not end, and what reading the lake raises.
    """
    wanted = sorted(set(ids))
    by_name = {channel.name: channel for channel in channels}
    with open_outbox(lake, writer=DELIVERY_WRITER, wait_seconds=TURN_SECONDS, clock=clock) as outbox:
        now = now_us(clock)
        since = now - settings.alert_horizon_days * DAY_US
        alerts = ledger.alerts_with_groups(lake.house, wanted, since=since)
        former = ledger.noted(lake.house, [row["alert_id"] for row in alerts], since=since)
        old_us = int(settings.alert_old_minutes * 60_000_000)
        made = envelopes(alerts, former, tuple(by_name), rules, now=now, old_us=old_us, worst=settings.alert_worst)
        mailbag = _Mailbag(outbox, settings, clock=clock, sleep=sleep)
        by_channel = [(name, list(found)) for name, found in groupby(made, key=lambda each: each.channel)]
        if not by_channel:
            return []
        with ThreadPoolExecutor(max_workers=len(by_channel), thread_name_prefix="channel") as workers:
            carried = [workers.submit(mailbag.carry, by_name[name], found) for name, found in by_channel]
        return [each for done in carried for each in done.result()]


class _Mailbag:
    """Carries envelopes to channels and notes what came of it; several threads share the ledger's writer."""

    def __init__(self, outbox: Outbox, settings: AlertingSettings, *, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()

    def carry(self, channel: Channel, found: Iterable[Envelope]) -> list[Delivered]:
        """Offer one after the other; once the channel has failed, the rest is left for later."""
        done: list[Delivered] = []
        down = False
        for envelope in found:
            outcome = None if down else self._offer(channel, envelope)
            down = down or (outcome is not None and outcome.state in {"failed", "uncertain"})
            message = envelope.message
            done.append(
                Delivered(
                    channel=channel.name, message_id=message.id, heading=message.heading, alerts=len(envelope.attempts), outcome=outcome
                )
            )
        return done

    def _offer(self, channel: Channel, envelope: Envelope) -> Outcome:
        self._note(envelope, "unknown", is_repeat=envelope.message.retry)
        settings = self._settings
        outcome = offer(
            channel,
            envelope.message,
            attempts=settings.alert_attempts,
            longest_wait=settings.alert_longest_wait_seconds,
            sleep=self._sleep,
        )
        if outcome.state != "uncertain":
            # What may have arrived stays unknown: the next attempt is a repeat.
            self._note(envelope, outcome.state, is_repeat=outcome.marked, error=outcome.reason or None)
        return outcome

    def _note(self, envelope: Envelope, state: ledger.State, *, is_repeat: bool, error: str | None = None) -> None:
        with self._lock:
            self._outbox.append(ledger.batch(envelope.notes(state, at_us=now_us(self._clock), is_repeat=is_repeat, error=error)))
