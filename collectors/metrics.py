"""A collector's own `/metrics` for Prometheus, off unless a port is set.

Put here: serving it. Keep out: counting (`collectors.status` says what is counted) and the names of metrics (`lake.meters`).

What is answered is the collector's status file, so the loop that lands events is never asked for anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from collectors.errors import ConfigError
from lake import statuses
from lake.paths import Home


@contextmanager
def served(home: Home, collector: str, *, host: str, port: int | None) -> Iterator[int | None]:
    """Serve the metrics of a collector while the block runs, on a thread; gives the port, None where none is set (0 picks a free one).

    Raises `ConfigError` where the port is taken.
    """
    if port is None:
        yield None
        return
    # Only who asks for metrics pays for the library.
    from prometheus_client import CollectorRegistry, start_http_server

    from lake.meters import CollectorMeters

    registry = CollectorRegistry()
    registry.register(CollectorMeters(lambda: [status for status in statuses.read(home) if status.collector == collector]))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise ConfigError(f"setting TICKHOUSE_COLLECTOR_METRICS_PORT is {port}, which cannot be listened on: {error.strerror}") from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
