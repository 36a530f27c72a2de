"""Dagster's event log in SQLite, with connections that stay open.

Put here: how records reach the disk. Keep out: where they lie and what else an instance is (`orchestration.instance`).

Dagster opens the database of a run, and the one of all assets, for every event, and closes them again: each time SQLite takes its
write-ahead log into the database and waits for the disk, twice. A run of an hour plans some 190 materialisations and checks: on a busy
disk that took 2 to 45 s before it began, and as much again while it ran. Here connections are kept, a few databases at a time, and
SQLite waits for the disk at its checkpoints alone: a process that dies loses nothing, a machine that loses power may lose the last
moments of Dagster's records (of which the lake does not depend), and never the database.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sql import create_engine
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.event import listen
from sqlalchemy.pool import StaticPool

KEPT: Final = 8
"""Databases that stay open: the one of all assets, and those of the runs spoken of last."""

_BUSY_SECONDS: Final = 120


class KeptOpenEventLog(SqliteEventLogStorage):
    """The event log of a home; each process has its own."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._open: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data=inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> KeptOpenEventLog:
        """The event log that `dagster.yaml` asks for."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        # One connection a database, which the lock of the parent gives to one thread at a time.
        with self._db_lock:
            engine = self._engine(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        engine = self._open.pop(shard, None)
        if engine is None:
            arguments = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
            engine = create_engine(self.conn_string_for_shard(shard), poolclass=StaticPool, connect_args=arguments)
            listen(engine, "connect", _relaxed)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
        self._open[shard] = engine
        while len(self._open) > KEPT:
            self._open.popitem(last=False)[1].dispose()
        return engine

    def delete_events(self, run_id: str) -> None:
        """Forget a run, and close its database."""
        super().delete_events(run_id)
        with self._db_lock:
            engine = self._open.pop(run_id, None)
            if engine is not None:
                engine.dispose()

    def dispose(self) -> None:
        """Close everything."""
        with self._db_lock:
            while self._open:
                self._open.popitem()[1].dispose()
        super().dispose()


def _relaxed(connection: Any, _: Any) -> None:
    """Wait for the disk at checkpoints alone."""
    connection.execute("pragma synchronous = normal")
