"""What Prometheus is told, at `/metrics`.

Put here: metrics of this server. Keep out: those of collectors (`lake.meters`), where the numbers come from (`serving.feed`).
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lake import statuses
from lake.meters import CollectorMeters
from lake.paths import Home


class Meters:
    """The metrics of one server."""

    def __init__(self, home: Home) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(CollectorMeters(lambda: statuses.read(home)))
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
