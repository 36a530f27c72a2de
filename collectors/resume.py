"""Taking up where the last process of this home stopped: ids that landed, and what was missed in between.

Put here: reading the recent past from the lake and the log into the continuity of each exchange. Keep out: sockets, and healing
(sessions do it with what they find here).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.continuity import Continuity, Gap
from collectors.listings import Known
from collectors.rows import EventBuffer
from collectors.venue import DATASET_OF, ConnectionPlan
from lake.paths import Home, Hour
from lake.registry import dataset as registered
from lake.visible import visible_files, wal_rows

HOUR_US: Final = 3_600_000_000
FAR_BACK_HOURS: Final = 24 * 31
"""How far back the end of the last life is looked for."""
_TRADE_FIELDS: Final = ("exchange", "symbol", "timestamp", "trade_id")
_NUMBER: Final = r"^(\d{1,18}|[0-8]\d{18})$"
"""Ids that are whole numbers of 64 bits; sessions keep them apart from those that are not (UUIDs, natural keys)."""
_GAP_FIELDS: Final = ("symbol", "channel", "kind", "ordinal", "from_time", "from_sequence", "to_sequence", "to_time")


class Past:
    """What the lake and the log hold of the recent past at one instant, read once at start."""

    def __init__(self, home: Home, *, now: int, hours: float) -> None:
        self._home = home
        self._now = now
        self._since = now - int(hours * HOUR_US)
        self._trades = self._recent("trades", _TRADE_FIELDS, since=self._since)
        if self._trades.num_rows == 0:
            # After a longer stop the ids of its last trades still tell what was missed.
            self._trades = self._recent("trades", _TRADE_FIELDS, since=now - FAR_BACK_HOURS * HOUR_US, newest_only=True)
        self._gaps = self._open_gaps()
        self._listings = self._listed()
        self._ends: dict[str, dict[tuple[str, str], int]] = {}

    def restore(self, continuity: Continuity, plans: Sequence[ConnectionPlan], events: EventBuffer) -> None:
        """Seed the ids that landed, take over gaps still open, and open one for every stream from its exchange's last row on."""
        exchange = continuity.exchange
        for plan in plans:
            writer = events.writer(exchange, plan.name)
            for stream in plan.streams:
                dataset = DATASET_OF[stream.channel]
                for symbol in (stream.symbol,) if stream.symbol else tuple(each.symbol for each in plan.instruments):
                    if dataset == "trades":
                        self._seed(continuity, symbol)
                    place = (symbol, dataset)
                    if place in continuity.gaps:
                        continue
                    continuity.gaps[place] = waiting = self._gaps.get((exchange, *place), [])
                    newest = continuity.tape(symbol).last_time if dataset == "trades" else None
                    for gap in waiting:
                        # The row does not hold it; by it back-fills tell that a page reaches back far enough.
                        gap.last_event = None if newest is None else min(newest, gap.from_time)
                    # Forced orders are rare: that a symbol's trades were collected tells that its liquidations were.
                    ends = self._last_times("trades" if dataset == "liquidations" else dataset)
                    if (exchange, symbol) not in ends or any(gap.kind == "disconnect" and gap.to_time is None for gap in waiting):
                        continue
                    # All streams of an exchange ended when the process did: a symbol that was quiet then missed nothing before.
                    end = max(time for (other, _), time in ends.items() if other == exchange)
                    last = continuity.tape(symbol).seen.last if dataset == "trades" else None
                    continuity.open_gap(
                        writer, symbol, channel=dataset, kind="disconnect", now=self._now, from_time=end, from_sequence=last
                    )

    def listings(self, exchange: str) -> Mapping[str, Known]:
        """The newest state of each instrument of an exchange that landed in the last day, by symbol."""
        return self._listings.get(exchange, {})

    def _listed(self) -> dict[str, dict[str, Known]]:
        names = registered("listings").schema.names
        rows = self._recent("listings", tuple(names), since=self._now - 25 * HOUR_US)
        rows = rows.set_column(names.index("local_timestamp"), "local_timestamp", rows["local_timestamp"].cast(pa.int64()))
        found: dict[str, dict[str, Known]] = {}
        after = names.index("ordinal") + 1
        for row in rows.sort_by([("local_timestamp", "ascending"), ("ordinal", "ascending")]).to_pylist():
            values = tuple(row.values())
            found.setdefault(row["exchange"], {})[row["symbol"]] = (row["local_timestamp"], values[after:])
        return found

    def _seed(self, continuity: Continuity, symbol: str) -> None:
        tape = continuity.tape(symbol)
        rows = self._trades
        mine = rows.filter((pc.field("exchange") == continuity.exchange) & (pc.field("symbol") == symbol))
        if mine.num_rows == 0 or tape.seen.last is not None:
            return
        ids = mine["trade_id"]
        numbered = pc.match_substring_regex(ids, _NUMBER)
        for number in np.sort(ids.filter(numbered).cast(pa.int64()).to_numpy()).tolist():
            tape.seen.add(number)
        others = mine.filter(pc.invert(numbered)).sort_by("timestamp")["trade_id"].to_pylist()
        recent = continuity.recent(f"trades of {symbol}")
        for identity in others:
            recent.add(identity)
        tape.last_time = pc.max(mine["timestamp"].cast(pa.int64())).as_py()

    def _last_times(self, dataset: str) -> Mapping[tuple[str, str], int]:
        """Last receive time (microseconds) by exchange and symbol in the newest hours of a dataset that hold any row."""
        if dataset not in self._ends:
            columns = ("exchange", "symbol", "local_timestamp")
            rows = self._recent(dataset, columns, since=self._since)
            if rows.num_rows == 0:
                rows = self._recent(dataset, columns, since=self._now - FAR_BACK_HOURS * HOUR_US, newest_only=True)
            rows = rows.set_column(2, "local_timestamp", rows["local_timestamp"].cast(pa.int64()))
            grouped = rows.group_by(["exchange", "symbol"]).aggregate([("local_timestamp", "max")]).to_pydict()
            keys = zip(grouped["exchange"], grouped["symbol"], strict=True)
            self._ends[dataset] = dict(zip(keys, grouped["local_timestamp_max"], strict=True))
        return self._ends[dataset]

    def _recent(self, dataset: str, columns: tuple[str, ...], *, since: int, newest_only: bool = False) -> pa.Table:
        spec = registered(dataset)
        hours = (Hour.of(since), Hour.of(self._now + 2 * HOUR_US))
        found = visible_files(self._home, dataset, at_us=self._now, hours=hours)
        if newest_only and found:
            newest = max(file.hour.start if file.hour else 0 for file in found)
            found = [file for file in found if (file.hour.start if file.hour else 0) == newest]
        wanted = list(dict.fromkeys((*columns, spec.time_column)))
        tables = [pq.ParquetFile(file.path).read(columns=wanted) for file in found]
        tables.append(wal_rows(self._home, dataset, at_us=self._now).select(wanted))
        rows = pa.concat_tables([table.cast(pa.schema([spec.schema.field(name) for name in wanted])) for table in tables])
        after = pc.greater_equal(rows[spec.time_column].cast(pa.int64()), since)
        return rows.filter(after).select(list(columns))

    def _open_gaps(self) -> dict[tuple[str, str, str], list[Gap]]:
        """Gaps of the last life whose newest row is not healed, by exchange, symbol and dataset."""
        names = tuple(registered("gaps").schema.names)
        rows = self._recent("gaps", names, since=min(self._since, self._now - 24 * HOUR_US))
        for name in ("local_timestamp", "from_time", "to_time", "healed_at"):
            rows = rows.set_column(rows.column_names.index(name), name, rows[name].cast(pa.int64()))
        newest: dict[tuple[object, ...], dict[str, object]] = {}
        for row in rows.sort_by("local_timestamp").to_pylist():
            key = tuple(row[name] for name in registered("gaps").unique_key)
            if key not in newest or row["healed_at"] is not None or newest[key]["healed_at"] is None:
                newest[key] = row
        open_: dict[tuple[str, str, str], list[Gap]] = {}
        for row in newest.values():
            if row["healed_at"] is None:
                fields = {name: row[name] for name in _GAP_FIELDS}
                gap = Gap(noticed=row["local_timestamp"], **fields)  # type: ignore[arg-type]
                open_.setdefault((str(row["exchange"]), gap.symbol, gap.channel), []).append(gap)
        return open_
