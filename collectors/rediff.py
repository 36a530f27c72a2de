"""An hour made again from its raw frames, and compared with what landed of it.

Put here: telling sessions once more what their driver told them, and the comparison. Keep out: files (rawfiles.py), what a checkpoint
holds (checkpoint.py), printing.

The sessions are those that live frames take, from `Venue.session`; they are restored from the checkpoint at the head of each file and
told the same calls in the same order with the same times, so every row comes out as it did, the numbers of arrival (`ordinal`) aside:
these count the rows of all exchanges of a process. Rows belong to the hour in which they were received (`local_timestamp`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collectors import checkpoint
from collectors.classify import Verdict, classify
from collectors.errors import RecordingError
from collectors.rawfiles import directory, is_growing, raw_files, read_raw
from collectors.recording import RawLine
from collectors.registry import venue as venue_called
from collectors.rows import EventBuffer
from collectors.venue import Session, Venue, Wanted
from lake.merge import merge_rows
from lake.paths import Home, Hour
from lake.query import Result, connect, execute
from lake.registry import DATASETS

COMPARED: Final = ("trades", "book_deltas", "book_snapshots", "liquidations", "derivatives", "dead_letters")
"""What frames alone make. `gaps` and `ledger` tell of the collector too: of its starts, its stops and its flushes."""
EXAMPLES: Final = 5
UNSETTLED_US: Final = 1_000_000
_DRAIN_LINES: Final = 20_000


class DatasetDiff(msgspec.Struct, kw_only=True):
    """One dataset of the hour. landed = equal + missing, remade = equal + extra."""

    landed: int = 0
    """Rows that landed while frames were recorded."""
    remade: int = 0
    equal: int = 0
    missing: int = 0
    """Landed, but not made again."""
    extra: int = 0
    """Made again, but not landed."""
    disordered: int = 0
    """Equal rows of a book that stand at another place."""
    not_recorded: int = 0
    """Landed while no frames were recorded, or so shortly before a kill that only the log or only the raw frames are sure to hold them:
    compared with nothing."""
    examples: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """The first rows that differ, `found` saying on which side they are."""

    @property
    def same(self) -> bool:
        return not (self.missing or self.extra or self.disordered)


class DiffReport(msgspec.Struct, kw_only=True):
    """What came of an hour; `remarks` are sentences a reader should know."""

    exchange: str
    hour: str
    files: list[str]
    frames: int
    equal: bool
    datasets: dict[str, DatasetDiff]
    remarks: list[str]


@dataclass(slots=True)
class Remade:
    """Rows made again: by dataset, in registry schema. `spans` are the times (microseconds) from first to last line of each file."""

    exchange: str
    tables: dict[str, pa.Table]
    files: list[Path] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    frames: int = 0
    settled: int | None = None
    """Where a file is still being written: the time up to which its rows have landed for certain."""
    remarks: list[str] = field(default_factory=list)


class Replay:
    """The sessions of one exchange, told again what the lines of one file say."""

    def __init__(self, venue: Venue, first: RawLine) -> None:
        """Restore the state that the checkpoint `first` holds; raises `RecordingError` when it is none or cannot be restored."""
        if first.image is None or first.wanted is None:
            raise RecordingError(f"raw frames of {venue.exchange} begin with a line of kind {first.kind!r}, expected a checkpoint")
        self.events = EventBuffer()
        self.frames = 0
        self._venue = venue
        self._wanted: Wanted = first.wanted
        self._sessions: dict[str, Session] = checkpoint.restore(first.image, venue.exchange, self.events)

    def take(self, line: RawLine) -> None:
        """Tell the session of one line what its driver told it."""
        link, now = line.link, line.received
        if link is None or now is None:
            raise RecordingError(f"line of kind {line.kind!r} names no link or time, expected one that `collect --record` has written")
        if line.kind == "connect":
            self._connect(line, link, now)
            return
        session = self._sessions.get(link)
        if session is None:
            raise RecordingError(f"line at {line.ts} is of link {link!r}, which is not open; open are {sorted(self._sessions)}")
        match line.kind:
            case None if line.dir == "in":
                self._frame(link, line.payload, now, feed=session.feed)
            case "http":
                request = _request(line)
                self._frame(link, line.payload, now, feed=lambda body, at: session.feed_http(request, body, at))
            case "failed":
                session.http_failed(_request(line), line.reason or "", now)
            case "tick":
                session.tick(now)
            case "stalled":
                for stream in line.streams or ():
                    session.stalled(stream, since=line.since or now, now=now)
            case "resubscribe":
                session.resubscribe(line.streams or ())
            case "closed":
                session.closed(now)
                del self._sessions[link]
        session.actions.clear()

    def _connect(self, line: RawLine, link: str, now: int) -> None:
        if line.plan is None:
            raise RecordingError(f"line at {line.ts} opens link {link!r} without its plan, expected one")
        session = self._sessions[link] = self._venue.session(line.plan, self.events, self._wanted)
        session.opened(now)
        session.actions.clear()

    def _frame(self, link: str, payload: bytes, now: int, *, feed: Callable[[bytes, int], object]) -> None:
        self.frames += 1
        try:
            feed(payload, now)
        except Exception as error:  # a frame that could not be decoded then is a dead letter again
            if classify(error) is Verdict.FATAL:
                raise
            writer = self.events.writer(self._venue.exchange, link.rpartition("#")[0])
            writer.dead_letter(payload, str(error) or type(error).__name__, local=now)


def remake(home: Home, exchange: str, hour: Hour) -> Remade:
    """Rows of one exchange and hour from its raw frames alone.

    Raises `UnknownExchange`, and `RecordingError` when the hour has no raw frames or they cannot be read.
    """
    venue = venue_called(exchange)
    files = raw_files(home, venue.exchange, hour)
    if not files:
        raise RecordingError(
            f"no raw frames of {venue.exchange} in hour {hour.moment:%Y-%m-%dT%H}: expected files under "
            f"{directory(home, venue.exchange, hour)}, which `tickhouse collect --record` writes"
        )
    batches: dict[str, list[pa.RecordBatch]] = {name: [] for name in COMPARED}
    made = Remade(venue.exchange, {}, files)
    for path in files:
        _remake_file(path, venue, made, batches)
    made.tables = {name: pa.Table.from_batches(found, DATASETS[name].schema) for name, found in batches.items()}
    return made


def _remake_file(path: Path, venue: Venue, made: Remade, batches: Mapping[str, list[pa.RecordBatch]]) -> None:
    lines = read_raw(path, torn=made.remarks.append)
    first = next(lines, None)
    if first is None:
        made.remarks.append(f"{path} holds no whole line: the collector was killed before its first flush")
        return
    if first.image is not None and first.image.code != checkpoint.code_mark():
        made.remarks.append(f"{path} was recorded by another version of the code: rows may differ because they are now made differently")
    replay = Replay(venue, first)
    last = first.received or 0
    cut = False
    for number, line in enumerate(lines, start=1):
        if line.kind == "cut":
            cut = True
            break
        replay.take(line)
        last = max(last, line.received or 0)
        if number % _DRAIN_LINES == 0:
            _drain(replay, batches)
    _drain(replay, batches)
    made.frames += replay.frames
    if is_growing(path):
        # Frames may be on the disk a moment before their rows are in the log.
        last -= UNSETTLED_US
        made.settled = last
        made.remarks.append(f"{path.name} is still being written: its last second, and what came since, is left out")
    elif cut:
        # A kill takes what neither had written yet, and what the one had written the other need not have.
        last -= UNSETTLED_US
        made.remarks.append(f"{path.name} ends with a kill of its collector: its last second is left out")
    made.spans.append((first.received or 0, last))


def _drain(replay: Replay, batches: Mapping[str, list[pa.RecordBatch]]) -> None:
    for name, batch in replay.events.drain().items():
        if name in batches:
            batches[name].append(batch)


def diff(home: Home, exchange: str, hour: Hour) -> DiffReport:
    """Make an hour again and compare it, dataset by dataset, with the rows that readers of the lake see; raises as `remake`."""
    made = remake(home, exchange, hour)
    with connect(home) as connection:
        datasets = {name: _compare(connection, name, hour, made) for name in COMPARED}
    left_out = sum(each.not_recorded for each in datasets.values())
    if left_out:
        made.remarks.append(f"{left_out:,} rows of the hour landed while no frames were recorded; they are compared with nothing")
    return DiffReport(
        exchange=made.exchange,
        hour=f"{hour.moment:%Y-%m-%dT%H}",
        files=[path.name for path in made.files],
        frames=made.frames,
        equal=all(each.same for each in datasets.values()),
        datasets=datasets,
        remarks=made.remarks,
    )


def _compare(connection: Any, name: str, hour: Hour, made: Remade) -> DatasetDiff:
    spec = DATASETS[name]
    columns = [column for column in spec.schema.names if column not in {"exchange", "ordinal"}]
    conditions = f"exchange = '{made.exchange}' and epoch_us(local_timestamp) >= {hour.start} and epoch_us(local_timestamp) < {hour.end}"
    if spec.time_column == "local_timestamp":
        conditions += f" and date = '{hour.date}' and hour = {hour.moment.hour}"
    found = execute(connection, f"select {', '.join(spec.schema.names)} from {name} where {conditions}").table.cast(spec.schema)  # noqa: S608
    recorded = _within(found["local_timestamp"], made.spans)
    settled = _within(found["local_timestamp"], [(hour.start, hour.end if made.settled is None else made.settled)])
    remade = made.tables[name]
    inside = _within(remade["local_timestamp"], made.spans)
    outside = pa.concat_tables([found.filter(pa.array(~recorded)), remade.filter(pa.array(~inside))])
    landed, remade = found.filter(pa.array(recorded)), remade.filter(pa.array(inside))
    not_recorded = int((settled & ~recorded).sum())
    if spec.unique_key:
        # What came inside and outside is one row of which either side may hold another arrival.
        compared = [_without(connection, rows, outside, spec.unique_key) for rows in (landed, remade)]
        not_recorded += landed.num_rows - compared[0].num_rows
        landed, remade = (merge_rows(spec, rows)[0] for rows in compared)
    connection.register("landed_rows", landed)
    connection.register("remade_rows", remade)
    listed = ", ".join(columns)
    missing = _surplus(connection, "landed_rows", "remade_rows", listed)
    extra = _surplus(connection, "remade_rows", "landed_rows", listed)
    result = DatasetDiff(
        landed=landed.num_rows,
        remade=remade.num_rows,
        equal=landed.num_rows - missing.num_rows,
        missing=missing.num_rows,
        extra=extra.num_rows,
        not_recorded=not_recorded,
        examples=[
            {"found": side, **{key: _shown(value) for key, value in row.items()}}
            for side, rows in (("landed", missing), ("remade", extra))
            for row in rows.slice(0, EXAMPLES).to_pylist()
        ],
    )
    if name == "book_deltas" and result.same:
        result.disordered = _disordered(connection, listed)
    return result


def _without(connection: Any, rows: pa.Table, others: pa.Table, key: Sequence[str]) -> pa.Table:
    """Rows whose key none of the others has."""
    if not others.num_rows:
        return rows
    connection.register("some_rows", rows)
    connection.register("other_rows", others.select(list(key)))
    found: Result = execute(connection, f"select * from some_rows anti join other_rows using ({', '.join(key)})")  # noqa: S608 - names of the registry
    return found.table.cast(rows.schema)


def _surplus(connection: Any, these: str, those: str, columns: str) -> pa.Table:
    """Rows of one table that the other has not, or not as often, oldest first."""
    sql = f"(select {columns} from {these} except all select {columns} from {those}) order by local_timestamp"  # noqa: S608
    found: Result = execute(connection, sql)
    return found.table


def _disordered(connection: Any, columns: str) -> int:
    """Rows of books that stand at another place; both sides hold the same rows."""
    placed = f"select {columns}, row_number() over (partition by symbol order by local_timestamp, ordinal) as place from"
    sql = f"select count(*) as n from ({placed} landed_rows except all {placed} remade_rows)"  # noqa: S608
    return int(execute(connection, sql).table["n"][0].as_py())


def _within(times: pa.ChunkedArray, spans: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    numbers = np.asarray(times.cast(pa.int64()))
    inside = np.zeros(len(numbers), np.bool_)
    for first, last in spans:
        inside |= (numbers >= first) & (numbers <= last)
    return inside


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.isoformat() if hasattr(value, "isoformat") else value


def _request(line: RawLine) -> Any:
    if line.request is None or line.conn is None:
        raise RecordingError(f"line at {line.ts} of kind {line.kind!r} names no request, expected one")
    return line.request.get(line.conn)
