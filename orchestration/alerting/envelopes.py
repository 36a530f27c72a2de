"""Which alerts become one message, and what it says: pure, from rows to messages.

Put here: grouping, the summary of old alerts, the words. Keep out: reading rows (`ledger`) and how a channel lays a message out.

A message that may have arrived is made again of the same alerts. What is new is grouped by `group_key`. What has been open for too long
becomes one summary a channel.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lake.alerts.rules import RANK, Rule
from orchestration.alerting.ledger import Attempt, Noted, State, channels_of
from orchestration.alerting.messages import SEVERITIES, Message

Row = Mapping[str, Any]

MOST_DETAILS: Final = 8
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A message for a channel: the number of the attempt by alert, and the message as it is to be offered."""

    channel: str
    message: Message
    attempts: Mapping[str, int]

    def notes(self, state: State, *, at_us: int, is_repeat: bool, error: str | None = None) -> list[Attempt]:
        """The rows of the ledger for this state, one an alert."""
        return [
            Attempt(
                alert_id=alert_id,
                channel=self.channel,
                attempt=attempt,
                state=state,
                message_id=self.message.id,
                is_repeat=is_repeat,
                local_timestamp=at_us,
                error=error,
            )
            for alert_id, attempt in self.attempts.items()
        ]


def envelopes(
    alerts: Sequence[Row],
    former: Mapping[tuple[str, str], Noted],
    channels: Sequence[str],
    rules: Mapping[str, Rule],
    *,
    now: int,
    old_us: int,
    worst: int,
) -> list[Envelope]:
    """What is to be offered now, by channel: repeats first, then the summary of what is old, then the rest by the time it fired.

    `alerts` are rows of the dataset, oldest first; what a channel has taken is left out, what it refused is offered again.
    """
    found = []
    for channel in channels:
        wanted = [row for row in alerts if channel in channels_of(rules, row["rule"], channels)]
        before = {row["alert_id"]: noted for row in wanted if (noted := former.get((row["alert_id"], channel))) is not None}
        repeats: dict[str, list[Row]] = {}
        old: list[Row] = []
        groups: dict[str, list[Row]] = {}
        for row in wanted:
            noted = before.get(row["alert_id"])
            if noted is not None and noted.state == "sent":
                continue
            if noted is not None and noted.may_have_arrived:
                repeats.setdefault(noted.message_id, []).append(row)
            elif now - row["local_timestamp"] > old_us:
                old.append(row)
            else:
                groups.setdefault(row["group_key"], []).append(row)
        made = [(message_of(rows, worst=worst, summary=_all_old(rows, now, old_us)).repeated(), rows) for rows in repeats.values()]
        made += [(message_of(rows, worst=worst, summary=summary), rows) for rows, summary in ((old, True),) if rows]
        made += [(message_of(rows, worst=worst), rows) for rows in groups.values()]
        for message, rows in made:
            numbers = {row["alert_id"]: before[row["alert_id"]].attempt + 1 if row["alert_id"] in before else 1 for row in rows}
            found.append(Envelope(channel=channel, message=message, attempts=numbers))
    return found


def _all_old(rows: Iterable[Row], now: int, old_us: int) -> bool:
    return all(now - row["local_timestamp"] > old_us for row in rows)


def message_id(ids: Sequence[str]) -> str:
    """The same for the same alerts: of one its own id, of many a hash of theirs."""
    if len(ids) == 1:
        return ids[0]
    return hashlib.blake2b("\x1f".join(sorted(ids)).encode(), digest_size=12).hexdigest()


def message_of(rows: Sequence[Row], *, worst: int, summary: bool = False) -> Message:
    """One message of one alert, or of many with the `worst` first; `summary` says that they are old."""
    if len(rows) == 1:
        return _of_one(rows[0], summary=summary)
    ranked = sorted(rows, key=_gravity, reverse=True)
    severity = str(ranked[0]["severity"])
    rules = Counter(str(row["rule"]) for row in rows)
    symbols = {(row["exchange"], row["symbol"]) for row in rows}
    names = ", ".join(f"{name} ({count:,})" if len(rules) > 1 else name for name, count in rules.most_common(5))
    lines = [f"{row['severity']} {row['message']}" for row in ranked[:worst]]
    if len(ranked) > worst:
        lines.append(f"and {len(ranked) - worst:,} more")
    counted = Counter(str(row["severity"]) for row in rows)
    first, last = (edge(row["local_timestamp"] for row in rows) for edge in (min, max))
    return Message(
        id=message_id([row["alert_id"] for row in rows]),
        title=f"{len(rows):,} {'older ' if summary else ''}alerts of {names}",
        severity=severity,
        text="\n".join(lines),
        at=_moment(first),
        fields=(
            ("by severity", ", ".join(f"{counted[name]:,} {name}" for name in reversed(SEVERITIES) if counted[name])),
            ("markets", f"{len(symbols):,}"),
            ("fired", f"{_moment(first):%Y-%m-%d %H:%M:%S} to {_moment(last):%Y-%m-%d %H:%M:%S} UTC"),
        ),
        alerts=len(rows),
    )


def _of_one(row: Row, *, summary: bool) -> Message:
    about = " ".join(str(row[name]) for name in ("exchange", "symbol", "subject") if row[name])
    figures = [(name, row[name]) for name in ("value", "threshold") if row[name] is not None]
    unit = f" {row['unit']}" if row["unit"] else ""
    fields = [(name, str(row[name])) for name in ("rule", "exchange", "symbol", "subject") if row[name]]
    fields += [(name, f"{number:,.6g}{unit}") for name, number in figures]
    fields.append(("happened", f"{_moment(row['timestamp']):%Y-%m-%d %H:%M:%S.%f} UTC"))
    fields += _details(row["details"])
    return Message(
        id=str(row["alert_id"]),
        title=f"{'older alert: ' if summary else ''}{row['rule']}{f' · {about}' if about else ''}",
        severity=str(row["severity"]),
        text=str(row["message"]),
        at=_moment(row["local_timestamp"]),
        fields=tuple(fields),
    )


def _details(text: str) -> list[tuple[str, str]]:
    """The first few plain figures of the details."""
    found = json.loads(text) if text else {}
    shown = [(str(name), value) for name, value in found.items() if isinstance(value, str | int | float) and value != ""]
    return [(name, f"{value:,.6g}" if isinstance(value, float) else str(value)) for name, value in shown[:MOST_DETAILS]]


def _gravity(row: Row) -> tuple[int, float]:
    """Severity first, then how far beyond its threshold."""
    value, threshold = row["value"], row["threshold"]
    beyond = abs(value / threshold) if value is not None and threshold else 0.0
    return RANK.get(row["severity"], -1), beyond


def _moment(at_us: int) -> datetime:
    return _EPOCH + at_us * _MICROSECOND
