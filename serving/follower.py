"""The write-ahead log, followed: every batch that any collector appends, once, within a poll of its appearance.

Put here: finding segments and reading what was added to them. Keep out: what rows mean (`serving.expand`), who wants them (`serving.feed`).

Segments that are known are read on from where they were left; a directory is listed only when its time of change has moved, which it
does when a segment appears. What is not a whole message yet (a torn tail, a write that is under way) is read again later. A
segment is left for good once a later one of its dataset exists and nothing more came.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from lake import files
from lake.paths import Home
from lake.registry import LANDED

_SUFFIX: Final = ".arrow"
_READ: Final = 8 * 2**20
_SETTLED_NS: Final = 100_000_000
"""A directory changed twice within a tick of the file system's clock shows one time: it is listed again until it has settled."""


@dataclass(frozen=True, slots=True)
class Followed:
    """One batch as it was appended, with the lag of our reading behind its newest row."""

    collector: str
    dataset: str
    batch: pa.RecordBatch


@dataclass(slots=True)
class _Tail:
    path: Path
    number: int
    offset: int = 0
    descriptor: int = -1
    schema: pa.Schema | None = None

    def open(self) -> None:
        if self.descriptor < 0:
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def read(self) -> list[pa.RecordBatch]:
        """Whole batches that were added since the last call."""
        found: list[pa.RecordBatch] = []
        size = _READ
        while True:
            data = os.pread(self.descriptor, size, self.offset)
            used = self._take(data, found)
            self.offset += used
            if len(data) < size:
                return found
            # A message longer than what was read: read more of it.
            size = _READ if used else size * 2

    def _take(self, data: bytes, found: list[pa.RecordBatch]) -> int:
        source = pa.BufferReader(pa.py_buffer(data))
        used = 0
        while used < len(data):
            try:
                message = pa.ipc.read_message(source)
            except (EOFError, pa.ArrowInvalid, OSError):
                break
            if self.schema is None:
                self.schema = pa.ipc.read_schema(message)
            else:
                batch = pa.ipc.read_record_batch(message, self.schema)
                batch.validate(full=True)
                found.append(batch)
            used = source.tell()
        return used


@dataclass(slots=True)
class _Directory:
    path: Path
    changed: int = -1
    tails: dict[int, _Tail] = field(default_factory=dict)
    last: int = -1


class Follower:
    """Reads on in the logs of all collectors of `home`; use from one thread at a time.

    The first `poll` passes over what is already there: only what is appended from then on is given.
    """

    def __init__(self, home: Home, *, datasets: tuple[str, ...] = LANDED) -> None:
        self.home = home
        self.torn = 0
        self._datasets = datasets
        self._directories: dict[tuple[str, str], _Directory] = {}
        self._wal_changed = -1
        self._begun = False

    def poll(self) -> list[Followed]:
        """Batches appended since the last call, by collector and dataset, each dataset's in order of appending."""
        self._find_collectors()
        found = []
        for (collector, dataset), directory in self._directories.items():
            self._find_segments(directory)
            found += [Followed(collector, dataset, batch) for batch in self._read(directory)]
        if not self._begun:
            self._begun = True
            return []
        return found

    def close(self) -> None:
        """Close every file."""
        for directory in self._directories.values():
            for tail in directory.tails.values():
                tail.close()
        self._directories.clear()

    def _find_collectors(self) -> None:
        changed = _changed(self.home.wal)
        if changed == self._wal_changed:
            return
        self._wal_changed = changed if _settled(changed) else -1
        for collector in files.names(self.home.wal):
            for dataset in self._datasets:
                self._directories.setdefault((collector, dataset), _Directory(self.home.collector_wal(collector) / dataset))

    def _find_segments(self, directory: _Directory) -> None:
        changed = _changed(directory.path)
        if changed == directory.changed:
            return
        directory.changed = changed if _settled(changed) else -1
        numbers = sorted(int(name.removesuffix(_SUFFIX)) for name in files.names(directory.path) if name.endswith(_SUFFIX))
        if not self._begun:
            # Only the newest can still grow.
            numbers = numbers[-1:]
        for number in numbers:
            if number > directory.last:
                directory.tails[number] = _Tail(directory.path / f"{number:08d}{_SUFFIX}", number)
        directory.last = max([directory.last, *numbers])

    def _read(self, directory: _Directory) -> list[pa.RecordBatch]:
        found: list[pa.RecordBatch] = []
        for number in sorted(directory.tails):
            tail = directory.tails[number]
            try:
                tail.open()
            except FileNotFoundError:
                # Removed after its grace, before it was read.
                del directory.tails[number]
                continue
            found += tail.read()
            if number < directory.last:
                # A later segment exists, so this one was closed before what was just read.
                if os.fstat(tail.descriptor).st_size > tail.offset:
                    self.torn += 1
                tail.close()
                del directory.tails[number]
        return found


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _settled(changed: int) -> bool:
    return time.time_ns() - changed > _SETTLED_NS
