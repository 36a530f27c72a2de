"""Feed health: what collectors say of themselves, and what was missed of late.

Put here: those reads. Keep out: what is told to Prometheus (`serving.meters`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lake import statuses
from serving.dashboard.asked import HOUR_US, Answer, Asked, Page, Room, columns
from serving.times import day_of, moment_of, now_us

_GAPS: Final = """
SELECT exchange, symbol, channel, kind, from_time, to_time, healed_at, healed_by FROM gaps
WHERE date >= ? AND local_timestamp >= ? ORDER BY local_timestamp DESC, exchange, symbol, channel LIMIT 200
"""


def read(room: Room, _: Asked) -> Answer:
    """Collectors with their sockets and streams, the gaps of a day, and the state of this server's own feed."""
    now = now_us()
    gaps = room.reader.rows_now(_GAPS, [day_of(now - 24 * HOUR_US), moment_of(now - 24 * HOUR_US)], together="gaps")
    found: list[dict[str, Any]] = [
        {**msgspec.to_builtins(status), "running": status.running, "age_seconds": status.age_seconds}
        for status in statuses.read(room.reader.home)
    ]
    return {
        "collectors": found,
        "gaps": columns(gaps),
        "now": now // 1000,
        "feed": {"running": room.feed.running, "failure": room.feed.failure, "clients": room.feed.clients},
    }


PAGE: Final = Page(name="health", title="Feed health", read=read, seconds=1.0)
