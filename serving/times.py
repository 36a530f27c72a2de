"""Instants as people and programs write them, as microseconds since 1970.

Put here: parsing, bounds and printing of instants. Keep out: ranges of tables (`serving.tables`).
"""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta
from typing import Final

from serving.errors import BadRequest

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_US: Final = 4_102_444_800_000_000
"""2100-01-01: nothing is asked for beyond it."""

DAY_US: Final = 86_400_000_000
_DIGITS: Final = re.compile(r"-?\d{1,20}", re.ASCII)
_AGO: Final = re.compile(r"-(\d{1,9})([smhd])", re.ASCII)
_UNITS: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": DAY_US}


def now_us() -> int:
    """Now, in microseconds since 1970."""
    return time.time_ns() // 1000


def parse_instant(text: str, *, name: str = "time") -> int:
    """Microseconds since 1970 of ISO 8601 (without a zone: UTC), of an integer of microseconds, of `now`, or of `-15m` before now.

    Raises `BadRequest` for anything else, and for times before 1970 or after 2100.
    """
    said = text.strip()
    if said == "now":
        return now_us()
    if ago := _AGO.fullmatch(said):
        found = now_us() - int(ago[1]) * _UNITS[ago[2]]
    elif _DIGITS.fullmatch(said):
        found = int(said)
    else:
        try:
            moment = datetime.fromisoformat(said)
        except ValueError:
            raise BadRequest(
                f"{name} is {text[:60]!r}, expected ISO 8601 as 2026-11-21T07:00:00Z, microseconds since 1970, now, or -15m"
            ) from None
        zoned = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        found = (zoned - EPOCH) // timedelta(microseconds=1)
    if not 0 <= found <= LATEST_US:
        raise BadRequest(f"{name} is {text[:60]!r}, expected a time from 1970 to 2100")
    return found


def moment_of(time_us: int) -> datetime:
    """The aware datetime of an instant."""
    return EPOCH + timedelta(microseconds=time_us)


def day_of(time_us: int) -> date:
    """The UTC day an instant lies in."""
    return moment_of(time_us).date()


def iso(time_us: int) -> str:
    """ISO 8601 with microseconds and Z."""
    return moment_of(time_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
