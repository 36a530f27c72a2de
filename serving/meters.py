"""What Prometheus is told, at `/metrics`.

Put here: names, labels and meanings of metrics. Keep out: where the numbers come from (`serving.statuses`, `serving.feed`).

Counters of collectors are read from their status files at the time of asking, so they begin anew with each collector's start.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lake.paths import Home
from serving import statuses

_STREAM = ["collector", "exchange", "channel", "symbol"]
_SOCKET = ["collector", "exchange", "connection"]


class CollectorMeters(Collector):
    """The collectors of a home, as their status files say."""

    def __init__(self, home: Home) -> None:
        self._home = home

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
        for status in statuses.read(self._home):
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


class Meters:
    """The metrics of one server."""

    def __init__(self, home: Home) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(CollectorMeters(home))
        latency = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
        self._requests = Histogram(
            "tickhouse_api_seconds", "Time an answer took.", ["route", "status"], registry=self.registry, buckets=latency
        )
        self._rows = Counter("tickhouse_live_rows", "Rows followed in the log.", ["dataset"], registry=self.registry)
        self._lag = Histogram(
            "tickhouse_live_lag_seconds",
            "From our receiving of a batch's newest row to its decoding here.",
            registry=self.registry,
            buckets=latency,
        )
        self._clients = Gauge("tickhouse_live_clients", "Receivers of the live feed.", registry=self.registry)
        self._waiting = Gauge("tickhouse_live_queue_depth", "Events that wait for the slowest receiver.", registry=self.registry)
        self._lost = Counter("tickhouse_live_dropped", "Events that slow receivers were told they lost.", registry=self.registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """One request of a route was answered."""
        self._requests.labels(route, str(status)).observe(seconds)

    def followed(self, dataset: str, rows: int, *, lag_us: int) -> None:
        """One batch was read from the log."""
        self._rows.labels(dataset).inc(rows)
        self._lag.observe(max(0.0, lag_us / 1e6))

    def feed(self, *, clients: int, waiting: int) -> None:
        """The state of the live feed now."""
        self._clients.set(clients)
        self._waiting.set(waiting)

    def lost(self, events: int) -> None:
        """Events that a receiver was told it lost."""
        self._lost.inc(events)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)
