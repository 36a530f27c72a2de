"""The status file of a collector: `<home>/status/<collector>.json`, replaced atomically each second.

Put here: its shape and its writing; all times are microseconds since 1970. Keep out: counting (watch.py, ledger.py) and showing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from collectors.connection import Connection
from collectors.listings import UNLISTED
from collectors.redundant import TWIN
from collectors.watch import NEVER_SILENT, StreamKey, Watch
from lake.paths import Home

RATE_SECONDS: Final = 10.0
"""Rows per second are averaged over this long."""


class ConnectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One planned socket. `state`: connecting, connected, waiting (for its back-off), paused (by the breaker), failed, stopped."""

    name: str
    exchange: str
    market: str
    state: str
    connected_since: int | None
    frames: int
    reconnects: int
    last_frame: int | None
    dead_letters: int


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One channel of one symbol. `state`: live, waiting (nothing yet), silent (a stall), refused (by the venue, for `reason`), unlisted
    (the venue lists the symbol no longer), down (its socket is not open). `silent_after` is the silence in seconds that would be a
    stall, None where silence is normal.

    `dead_letters` are those of the connection that carries it: a frame that cannot be decoded names no symbol.
    """

    exchange: str
    symbol: str
    channel: str
    state: str
    rows: int
    rows_per_second: float
    last_event: int | None
    gaps: int
    dead_letters: int
    silent_after: float | None = None
    reason: str = ""


class LogStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The write-ahead log: age of its oldest row not yet in Parquet, its size, and the longest a row waited to get into it."""

    lag_seconds: float
    bytes: int
    append_wait_seconds: float = 0.0


class CollectorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `state`: starting, running or stopped."""

    collector: str
    pid: int
    time: int
    state: str
    connections: list[ConnectionStatus]
    streams: list[StreamStatus]
    wal: LogStatus


class Rates:
    """Rows per second of each stream over the last `RATE_SECONDS`."""

    def __init__(self) -> None:
        self._past: deque[tuple[int, dict[StreamKey, int]]] = deque()

    def update(self, watch: Watch, now: int) -> dict[StreamKey, float]:
        """Note the counters at `now` (microseconds); returns the rate of every stream."""
        counts = {key: count.rows for key, count in watch.streams.items()}
        self._past.append((now, counts))
        while len(self._past) > 2 and now - self._past[1][0] >= RATE_SECONDS * 1_000_000:
            self._past.popleft()
        then, before = self._past[0]
        seconds = (now - then) / 1_000_000
        return {key: (rows - before.get(key, 0)) / seconds if seconds > 0 else 0.0 for key, rows in counts.items()}


def connection_status(connection: Connection) -> ConnectionStatus:
    """The state of one planned socket."""
    plan = connection.plan
    return ConnectionStatus(
        name=plan.name,
        exchange=plan.exchange,
        market=plan.market,
        state=connection.state,
        connected_since=connection.connected_since,
        frames=connection.frames.frames,
        reconnects=connection.reconnects,
        last_frame=connection.last_frame,
        dead_letters=connection.frames.dead_letters,
    )


def stream_statuses(watch: Watch, connections: Sequence[ConnectionStatus], rates: dict[StreamKey, float]) -> list[StreamStatus]:
    """The state of every watched stream."""
    by_name = {connection.name: connection for connection in connections}
    found = []
    for key, count in watch.streams.items():
        exchange, channel, symbol = key
        carriers = [by_name[name] for name in (count.connection, count.connection + TWIN) if name in by_name]
        reason = count.refused
        if symbol in watch.unlisted.get(exchange, ()):
            state, reason = "unlisted", UNLISTED
        elif all(carrier.connected_since is None for carrier in carriers):
            state = "down"
        elif count.refused:
            state = "refused"
        elif count.silent:
            state = "silent"
        else:
            state = "waiting" if count.last_event is None else "live"
        found.append(
            StreamStatus(
                exchange=exchange,
                symbol=symbol,
                channel=channel,
                state=state,
                rows=count.rows,
                rows_per_second=round(rates.get(key, 0.0), 2),
                last_event=count.last_event,
                gaps=count.gaps,
                dead_letters=sum(carrier.dead_letters for carrier in carriers),
                silent_after=round(watch.threshold(count), 1) if channel in NEVER_SILENT else None,
                reason=reason,
            )
        )
    return found


def write(home: Home, status: CollectorStatus) -> None:
    """Replace the status file of `status.collector`."""
    home.status.mkdir(parents=True, exist_ok=True)
    temporary = home.status / f".tmp-{status.collector}-{os.getpid()}"
    temporary.write_bytes(msgspec.json.encode(status))
    temporary.replace(home.status / f"{status.collector}.json")


def read(home: Home, collector: str) -> CollectorStatus | None:
    """The status file of a collector, or None where it never ran."""
    try:
        return msgspec.json.decode((home.status / f"{collector}.json").read_bytes(), type=CollectorStatus)
    except FileNotFoundError:
        return None
