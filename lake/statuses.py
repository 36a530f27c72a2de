"""What the collectors say of themselves: the JSON files under `<home>/status`, for whoever may not import them.

Put here: reading them. Keep out: writing them (`collectors.status`), and what becomes of them (`lake.meters`, `serving.health`).

The files are replaced each second by processes of maybe another version: fields that are not known are passed over.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from lake import files
from lake.paths import Home

STALE_SECONDS: Final = 10.0
"""A status older than this is of a collector that no longer runs."""


class Socket(msgspec.Struct, frozen=True, kw_only=True):
    """One planned socket of a collector."""

    name: str
    exchange: str
    state: str
    frames: int = 0
    reconnects: int = 0
    last_frame: int | None = None
    dead_letters: int = 0


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One channel of one symbol; `last_event` in microseconds."""

    exchange: str
    symbol: str
    channel: str
    state: str
    rows: int = 0
    rows_per_second: float = 0.0
    last_event: int | None = None
    gaps: int = 0
    dead_letters: int = 0
    reason: str = ""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """How far the parts are behind the log of a collector."""

    lag_seconds: float = 0.0
    bytes: int = 0
    append_wait_seconds: float = 0.0


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A collector; `time` in microseconds."""

    collector: str
    time: int
    state: str
    connections: list[Socket] = []
    streams: list[Stream] = []
    wal: Log = Log()

    @property
    def age_seconds(self) -> float:
        """Since the file was written."""
        return max(0.0, time.time() - self.time / 1e6)

    @property
    def running(self) -> bool:
        return self.state != "stopped" and self.age_seconds < STALE_SECONDS


def read(home: Home) -> list[Status]:
    """The status of every collector that ever ran on this home, by name; a file that cannot be understood is left out."""
    found = []
    for name in sorted(files.names(home.status)):
        if not name.endswith(".json") or name.startswith("."):
            continue
        try:
            found.append(msgspec.json.decode((home.status / name).read_bytes(), type=Status))
        except (FileNotFoundError, msgspec.MsgspecError):
            continue
    return found
