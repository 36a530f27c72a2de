"""The trade tape: what it begins with; the page follows the rest live.

Put here: the last trades of a symbol. Keep out: trades as they arrive (`serving.feed`).
"""

from __future__ import annotations

from typing import Final

from serving.dashboard.asked import MINUTE_US, Answer, Asked, Page, Room, columns
from serving.tables import TABLES, Question
from serving.times import now_us

_ROWS: Final = 200


def read(room: Room, asked: Asked) -> Answer:
    """The newest 200 trades of the last hour, of one exchange or all."""
    asked.with_symbol()
    now = now_us()
    question = Question(
        table=TABLES["trades"],
        start=now - 60 * MINUTE_US,
        end=now + MINUTE_US,
        exchanges=(asked.exchange,) if asked.exchange else (),
        symbols=(asked.symbol,),
        newest_first=True,
        columns=("exchange", "symbol", "timestamp", "trade_id", "side", "price", "amount"),
    )
    sql, values = question.statement(_ROWS)
    return {"trades": columns(room.reader.rows_now(sql, values, together="trades"))}


PAGE: Final = Page(name="tape", title="Trades", read=read, seconds=1.0, needs=("exchange", "symbol"))
