"""The write-ahead log: what has been received and is not yet safe in Parquet, as Arrow IPC streams.

Put here: appending, rolling, reading back segments. Keep out: Parquet and who counts a row when (`lake.parts`, `lake.visible`).

One file a dataset and segment. `append` is one write of one whole message: once it returns, the kernel has the bytes and a killed
process loses nothing; a torn tail is cut at the last whole batch when read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Final

import pyarrow as pa

from lake import files, parquet
from lake.errors import SchemaMismatch, WalError, WalLocked
from lake.paths import COLLECTOR_NAME, Home, PartName, input_id, parse_name
from lake.registry import DATASETS, Dataset, dataset

_RESERVED: Final = 64
_SUFFIX: Final = ".arrow"


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of the log. Its number is unique among all segments of its collector, of whatever dataset."""

    collector: str
    number: int
    dataset: str
    path: Path

    @property
    def id(self) -> str:
        """`<collector>-<segment>`, as sealed files name it among their inputs."""
        return input_id(self.collector, self.number)

    @property
    def marker(self) -> Path:
        """File that says this segment is in parts; it holds the instant from which they count."""
        return self.path.with_suffix(".sealed")

    def sealed_at(self) -> int | None:
        """Instant (microseconds) from which every row of the segment is counted by parts; None while that is not so."""
        try:
            return int(self.marker.read_text(encoding="ascii") or 0)
        except FileNotFoundError:
            return None


@dataclass(slots=True)
class _Open:
    segment: Segment
    descriptor: int
    size: int


class WalWriter:
    """The log of one collector: one writer at a time, whose death anywhere leaves every returned `append` readable.

    Raises `WalLocked` when another process writes under the same name. `sync` makes each append survive power loss too.
    """

    def __init__(self, home: Home, collector: str, *, sync: bool = False) -> None:
        if not COLLECTOR_NAME.fullmatch(collector):
            raise WalError(f"collector name {collector!r} cannot be used: allowed are 1 to 40 of a-z, 0-9 and _")
        self.home = home
        self.collector = collector
        self._sync = sync
        self._open: dict[str, _Open] = {}
        directory = home.collector_wal(collector)
        directory.mkdir(parents=True, exist_ok=True)
        lock = directory / "lock"
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            flock(self._lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise WalLocked(collector=collector, path=str(lock)) from None
        self._next = _first_number(home, collector)
        self._reserved = self._next

    @property
    def bytes(self) -> int:
        """Bytes in the segments being written."""
        return sum(each.size for each in self._open.values())

    def append(self, dataset_name: str, batch: pa.RecordBatch) -> None:
        """Add rows of one dataset; after return they survive kill -9. Raises `SchemaMismatch`, `WalError` (nothing is added then)."""
        spec = dataset(dataset_name)
        parquet.check_schema(spec, batch.schema)
        _check_nulls(spec, batch)
        if batch.num_rows == 0:
            return
        message = batch.serialize()
        current = self._open.get(dataset_name)
        if current is None:
            current = self._open[dataset_name] = self._start(dataset_name)
        pieces = [message] if current.size else [spec.schema.remove_metadata().serialize(), message]
        try:
            written = _write_all(current.descriptor, pieces)
            if self._sync:
                os.fsync(current.descriptor)
        except OSError as error:
            # A torn message would hide every later one from a reader: cut it off before anything else is appended.
            os.ftruncate(current.descriptor, current.size)
            raise WalError(f"log segment {current.segment.path} cannot be appended to: {error.strerror}") from error
        current.size += written

    def roll(self) -> list[Segment]:
        """Close every segment that has rows; the next append of each dataset starts a new one. Returns the closed ones."""
        closed = []
        for each in self._open.values():
            os.close(each.descriptor)
            closed.append(each.segment)
        self._open.clear()
        return sorted(closed)

    def close(self) -> None:
        """Close the segments and give up the lock; safe to repeat."""
        self.roll()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _start(self, dataset_name: str) -> _Open:
        if self._lock < 0:
            raise WalError(f"the log of collector {self.collector!r} is closed")
        number = self._next
        if number >= self._reserved:
            self._reserved = number + _RESERVED
            files.write_small(self.home.counters / self.collector, f"{self._reserved}\n")
        self._next = number + 1
        path = self.home.segment(self.collector, dataset_name, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        return _Open(Segment(self.collector, number, dataset_name, path), descriptor, 0)


def _check_nulls(spec: Dataset, batch: pa.RecordBatch) -> None:
    # Refused here, for a null that Parquet does not take would make the whole segment unsealable.
    for column, values in zip(spec.columns, batch.columns, strict=True):
        if values.null_count and not column.nullable:
            raise SchemaMismatch(spec.name, received=f"{values.null_count} nulls in {column.name}", expected="none")


def _write_all(descriptor: int, pieces: list[pa.Buffer]) -> int:
    """Write the buffers as one write where the system takes them whole; returns their length."""
    data = memoryview(pieces[0]) if len(pieces) == 1 else memoryview(b"".join(pieces))
    total = len(data)
    while data:
        data = data[os.write(descriptor, data) :]
    return total


def _first_number(home: Home, collector: str) -> int:
    """A number above every one this collector ever used, also when its log was emptied or its counter file lost."""
    highest = max((segment.number for segment in _segments(home, collector)), default=0)
    try:
        return max(int((home.counters / collector).read_text(encoding="ascii")), highest + 1)
    except FileNotFoundError:
        return max(highest, _highest_in_lake(home, collector)) + 1


def _highest_in_lake(home: Home, collector: str) -> int:
    """Greatest segment number of the collector that a lake file was made from: by part names, and by the inputs of sealed files."""
    highest = 0
    for root in (home.lake, home.days):
        for path in root.glob("**/*.parquet"):
            name = parse_name(path.name)
            ids = (name.id,) if isinstance(name, PartName) else parquet.read_metadata(path).inputs
            for each in ids:
                owner, _, number = each.rpartition("-")
                if owner == collector:
                    highest = max(highest, int(number))
    return highest


def read_segment(path: Path) -> pa.Table:
    """Rows of a segment in order of appending, cut at the last whole batch; the file may be torn, or still be written to.

    A file that is gone, or shorter than its schema, has no rows. Columns are those of the dataset the path names.
    """
    spec = dataset(path.parent.name)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    return pa.Table.from_batches(list(_batches(spec.name, data, spec.schema)), spec.schema)


def _batches(name: str, data: bytes, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
            if not stream.schema.equals(schema):
                raise WalError(
                    f"log segment of {name!r} has columns {stream.schema.names}, expected {schema.names} with the registry's types"
                )
            while True:
                batch = stream.read_next_batch()
                batch.validate(full=True)
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
    except (StopIteration, pa.ArrowInvalid, OSError):
        # The end, or a torn tail: what arrow cannot read whole was never acknowledged.
        return


def list_segments(home: Home, dataset_name: str | None = None) -> list[Segment]:
    """All segments in the log, of all collectors, sealed or not; of one dataset if given."""
    found: list[Segment] = []
    for collector in files.names(home.wal):
        found += _segments(home, collector, dataset_name)
    return found


def open_segments(home: Home, collector: str) -> list[Segment]:
    """Segments of a collector that are not yet in parts, by number."""
    return [segment for segment in _segments(home, collector) if not segment.marker.exists()]


def _segments(home: Home, collector: str, dataset_name: str | None = None) -> list[Segment]:
    found = []
    for name in DATASETS if dataset_name is None else (dataset_name,):
        directory = home.collector_wal(collector) / name
        found += [
            Segment(collector, int(file.removesuffix(_SUFFIX)), name, directory / file)
            for file in files.names(directory)
            if file.endswith(_SUFFIX)
        ]
    return sorted(found)
