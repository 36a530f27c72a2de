"""Alerts that fired.

Put here: the ones of the last days. Keep out: rules and delivery; alerts as they fire are followed live.
"""

from __future__ import annotations

from typing import Final

from serving.dashboard.asked import HOUR_US, MINUTE_US, Answer, Asked, Page, Room, columns
from serving.tables import TABLES, Question
from serving.times import now_us

_ROWS: Final = 300


def read(room: Room, asked: Asked) -> Answer:
    """The newest 300 of the hours asked for, newest first."""
    now = now_us()
    question = Question(
        table=TABLES["alerts"],
        start=now - asked.hours * HOUR_US,
        end=now + MINUTE_US,
        by="receive",
        newest_first=True,
        columns=(
            "local_timestamp",
            "alert_id",
            "rule",
            "severity",
            "exchange",
            "symbol",
            "subject",
            "message",
            "value",
            "threshold",
            "unit",
        ),
    )
    sql, values = question.statement(_ROWS)
    return {"alerts": columns(room.reader.rows_now(sql, values, together="alerts"))}


PAGE: Final = Page(name="alerts", title="Alerts", read=read, seconds=2.0, needs=("hours",))
