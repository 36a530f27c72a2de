"""Which open alerts are to be given to a run now, and what a sensor's cursor remembers of it: pure but for a look at file names.

Put here: the cursor and its rules. Keep out: the sensor itself (`sensors`) and what a run does (`delivering`).

The cursor names what has been handed over to a run and is not known to be taken. An alert leaves it when the ledger says that every channel
has taken (or refused) it; one that stays is handed over again after a while, which doubles each time.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lake.files import names
from lake.paths import HOUR_US, Home, Hour
from lake.wal import list_segments
from orchestration.alerting.ledger import Open

LONGEST_PAUSE_SECONDS: Final = 3600.0
MOST_AT_ONCE: Final = 2000
"""Most alerts of one run: their ids stand in its config."""
_ALERTS: Final = "alerts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """`mark`: how the files of `alerts` looked; `handed`: by alert, how often it was handed over and when last; `since`: by channel, from
    when on it gets alerts. Instants in microseconds.
    """

    mark: str = ""
    handed: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    since: Mapping[str, int] | None = None

    @classmethod
    def parse(cls, text: str | None) -> Cursor:
        """The cursor as it was stored; an empty one for none."""
        if not text:
            return cls()
        found = json.loads(text)
        handed = {alert: (int(times), int(last)) for alert, (times, last) in found["handed"].items()}
        return cls(mark=found["mark"], handed=handed, since=found["since"])

    def __str__(self) -> str:
        """The text to be stored."""
        return json.dumps({"mark": self.mark, "handed": self.handed, "since": self.since}, separators=(",", ":"))

    def channels(self, configured: Iterable[str], *, now: int) -> dict[str, int]:
        """Since when each configured channel gets alerts: at the very first look from ever, later ones from when they were added."""
        if self.since is None:
            return dict.fromkeys(configured, 0)
        return {name: self.since.get(name, now) for name in configured}

    def next_look(self, again_us: int) -> int | None:
        """When the next alert that was handed over is to be looked after; None while there is none."""
        return min((last + _pause(times, again_us) for times, last in self.handed.values()), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The alerts a run is to be requested for (none: no run), its key, and the cursor once it was."""

    ids: tuple[str, ...]
    run_key: str
    cursor: Cursor


def hand_over(found: Sequence[Open], cursor: Cursor, channels: Mapping[str, int], *, mark: str, now: int, again_us: int) -> Handover:
    """What of the open alerts is due. The key is the same for the same alerts handed over the same number of times before."""
    due: list[str] = []
    handed: dict[str, tuple[int, int]] = {}
    for alert in found:
        times, last = cursor.handed.get(alert.alert_id, (0, 0))
        if times and now < last + _pause(times, again_us):
            handed[alert.alert_id] = (times, last)
        elif len(due) < MOST_AT_ONCE:
            due.append(alert.alert_id)
            handed[alert.alert_id] = (times + 1, now)
        elif times:
            handed[alert.alert_id] = (times, last)
    left = len(found) > len(handed)
    tries = [f"{alert}:{handed[alert][0]}" for alert in due]
    key = hashlib.blake2b("\x1f".join(sorted(tries)).encode(), digest_size=12).hexdigest()
    # Where some are left for the next tick, it has to look again whatever the files say.
    after = Cursor(mark="" if left else mark, handed=handed, since=dict(channels))
    return Handover(ids=tuple(due), run_key=f"alerts-{key}", cursor=after)


def _pause(times: int, again_us: int) -> int:
    return min(again_us << min(times - 1, 20), int(LONGEST_PAUSE_SECONDS * 1_000_000))


def look(home: Home, *, now: int) -> str:
    """How the files of `alerts` look: it changes when one is added. Segments of the log here, and parts of other hosts' collectors."""
    segments = []
    for segment in list_segments(home, _ALERTS):
        try:
            segments.append(f"{segment.id}:{segment.path.stat().st_size}")
        except FileNotFoundError:
            # Removed since it was listed: the next look no longer finds it.
            continue
    parts = [name for hour in (now - HOUR_US, now) for name in names(home.hour_dir(_ALERTS, Hour.of(hour)))]
    return hashlib.blake2b("\x1f".join([*sorted(segments), *sorted(parts)]).encode(), digest_size=12).hexdigest()


def wait_for_change(home: Home, mark: str, *, until: float, deadline: int | None, poll: float = 0.1) -> bool:
    """Wait until the files of `alerts` look different from `mark`, `deadline` (microseconds) comes, or `until` (monotonic) passes.

    Whether there is something to do.
    """
    while True:
        now = time.time_ns() // 1000
        if look(home, now=now) != mark or (deadline is not None and now >= deadline):
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(poll)
