"""The collectors of a home as Prometheus sees them: one set of names, whether the server or a collector itself is asked.

Put here: names, labels and meanings. Keep out: reading status files (`lake.statuses`), serving what is said here.

Counters are those of the status files, so they begin anew with each collector's start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lake.statuses import Status

_STREAM: Final = ["collector", "exchange", "channel", "symbol"]
_SOCKET: Final = ["collector", "exchange", "connection"]


class CollectorMeters(Collector):
    """What `read` says of collectors at the time of asking."""

    def __init__(self, read: Callable[[], Sequence[Status]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        frames = CounterMetricFamily("tickhouse_frames", "Frames received.", labels=_SOCKET)
        reconnects = CounterMetricFamily("tickhouse_reconnects", "Sockets opened again.", labels=_SOCKET)
        dead = CounterMetricFamily("tickhouse_dead_letters", "Frames that could not be decoded.", labels=_SOCKET)
        connected = GaugeMetricFamily("tickhouse_connected", "1 while the socket is open.", labels=_SOCKET)
        rows = CounterMetricFamily("tickhouse_rows", "Rows landed.", labels=_STREAM)
        gaps = CounterMetricFamily("tickhouse_gaps", "Gaps noticed.", labels=_STREAM)
        age = GaugeMetricFamily("tickhouse_last_message_age_seconds", "Since the last row of a stream.", labels=_STREAM)
        live = GaugeMetricFamily("tickhouse_stream_live", "1 while rows of a stream come as they should.", labels=_STREAM)
        running = GaugeMetricFamily("tickhouse_collector_running", "1 while the collector replaces its status.", labels=["collector"])
        lag = GaugeMetricFamily("tickhouse_wal_lag_seconds", "Age of the oldest row that is in the log alone.", labels=["collector"])
        size = GaugeMetricFamily("tickhouse_wal_bytes", "Bytes of the log that are in no part yet.", labels=["collector"])
        wait = GaugeMetricFamily(
            "tickhouse_wal_append_wait_seconds", "Longest a row waited to get into the log: its queue.", labels=["collector"]
        )
        now = time.time()
        for status in self._read():
            name = [status.collector]
            running.add_metric(name, float(status.running))
            lag.add_metric(name, status.wal.lag_seconds)
            size.add_metric(name, status.wal.bytes)
            wait.add_metric(name, status.wal.append_wait_seconds)
            for socket in status.connections:
                labels = [status.collector, socket.exchange, socket.name]
                frames.add_metric(labels, socket.frames)
                reconnects.add_metric(labels, socket.reconnects)
                dead.add_metric(labels, socket.dead_letters)
                connected.add_metric(labels, float(status.running and socket.state == "connected"))
            for stream in status.streams:
                labels = [status.collector, stream.exchange, stream.channel, stream.symbol]
                rows.add_metric(labels, stream.rows)
                gaps.add_metric(labels, stream.gaps)
                live.add_metric(labels, float(status.running and stream.state == "live"))
                if stream.last_event is not None:
                    age.add_metric(labels, max(0.0, now - stream.last_event / 1e6))
        yield from (frames, reconnects, dead, connected, rows, gaps, age, live, running, lag, size, wait)
