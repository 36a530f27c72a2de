# ruff: noqa: S608 - every name and path put into these statements is quoted or comes from the registry
"""SQL text that finds the files of a dataset and reads those that count.

Put here: the rule of visibility as text, and how globs are read. Keep out: what views show of the rows (`lake.views`,
`lake.candle_views`).

`at` is always an SQL expression for the instant of the reader: 16 digits of microseconds, text, one value in a transaction. Every listing
inside a statement is cut at it, so all of them agree whatever appears meanwhile. Live files are found first and joined by
file name: the join reaches the scan as a filter, so superseded files are listed but not opened.
"""

from __future__ import annotations

import glob
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from lake.condemned import Condemned, Kind, Register
from lake.layout import SENTINEL_DAY, sentinel
from lake.paths import Home
from lake.registry import Dataset
from lake.transforms.timeframes import TIMEFRAMES

NOW: Final = "lpad(epoch_us(now())::VARCHAR, 16, '0')"
"""The instant of a plain reader: the start of its transaction."""

WAL_PREFIX: Final = "wal_"
"""Tables of rows read from the write-ahead log are called `wal_<dataset>`; the candle view counts each of their hours as stale."""

_OPTIONS: Final = "hive_partitioning = false, filename = true"


def quoted(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _pattern(home: Home, tier: str, name: str, levels: str) -> str:
    # A home may be called anything, so its own brackets and stars are no pattern.
    root = glob.escape(str(home.root))
    return quoted(f"{root}/{tier}/{name}/{levels}")


DATES: Final = "date=*"
"""What globs say of the days, where files are filed by the hour or day. A home's own stars are escaped, so nothing else in a
statement reads so, and a statement can be narrowed to the days of a range by replacing it (`lake.macros`)."""

MONTHS: Final = "date=*-01"
"""The same where files are filed by the month, under its first day."""


def days_glob(first: str, last: str) -> str:
    """SQL of a glob that matches the days between two, given as SQL dates: the digits both share, a class where they part, then anything.

    One pattern, so that no file is listed twice. It also matches the empty file of each tier, because a glob must match something, and
    by the way days of which a filter leaves the rows out; between days of two years it matches both years whole.
    """
    empty = quoted(f"{SENTINEL_DAY:%Y-%m-%d}")
    digit = (
        f"CASE WHEN nth IN (5, 8) THEN '-' WHEN ends[1][1:nth] = ends[2][1:nth] THEN '[' || {empty}[nth] || ends[1][nth] || ']' "
        f"WHEN ends[1][1:nth - 1] = ends[2][1:nth - 1] THEN '[' || {empty}[nth] || ends[1][nth] || '-' || ends[2][nth] || ']' ELSE '?' END"
    )
    # An infinite end, or one beyond the year 9999, has no ten characters.
    return (
        f"list_transform([[strftime({first}, '%Y-%m-%d'), strftime({last}, '%Y-%m-%d')]], "
        "lambda ends: CASE WHEN len(ends[1]) <> 10 OR len(ends[2]) <> 10 THEN '*' "
        f"ELSE array_to_string(list_transform(range(1, 11), lambda nth: {digit}), '') END)[1]"
    )


def _globs(home: Home, spec: Dataset, kind: Kind) -> str:
    """SQL of the list of patterns of a tier: its file of no rows twice, then a glob of all.

    DuckDB expands a list from its front, to two files while it plans and to the end only if it reads. So a branch that the statement's
    conditions leave out is never listed (1,095 days: 0.5 ms instead of 21 ms each), as long as `hive_partitioning` is off, which
    expands all at once.
    """
    dates = MONTHS if spec.span == "month" else DATES
    levels = f"{dates}/day-*.parquet" if kind == "day" else f"{dates}/*/{kind}-*.parquet"
    empty = sentinel(home, spec.name, kind).relative_to(home.root)
    tier, name, *inside = empty.parts
    front = _pattern(home, tier, name, "/".join(inside))
    return f"[{front}, {front}, {_pattern(home, tier, name, levels)}]"


def _filed(kind: Kind) -> str:
    """SQL of `date`, and of `hour` in the hourly tiers, from the name of the file; a filter on them still leaves whole files unread."""
    inner, outer = "parse_filename(parse_dirpath(filename))", "parse_filename(parse_dirpath(parse_dirpath(filename)))"
    if kind == "day":
        return f"substr({inner}, 6)::DATE AS date"
    return f"substr({outer}, 6)::DATE AS date, substr({inner}, 6)::INTEGER AS hour"


def utc_date(column: str) -> str:
    """SQL for the UTC day of a timestamp column, whatever the session's time zone."""
    return f"(DATE '1970-01-01' + (epoch_us({identifier(column)}) // 86400000000)::INTEGER)"


def utc_hour(column: str) -> str:
    """SQL for the UTC hour of day of a timestamp column."""
    return f"((epoch_us({identifier(column)}) // 3600000000) % 24)::INTEGER"


def only_timeframes(wanted: Collection[str]) -> str:
    """Condition that a branch holds these timeframes alone. DuckDB sees no contradiction between an equality and an IN, but between an
    equality and an inequality it does: a filter on one timeframe leaves whole branches out before their files are opened.
    """
    if len(wanted) == 1:
        return f"timeframe = {quoted(next(iter(wanted)))}"
    others = (f"timeframe <> {quoted(each)}" for each in TIMEFRAMES if each not in wanted)
    return " AND ".join([f"timeframe IN ({', '.join(quoted(each) for each in wanted)})", *others])


def listing(home: Home, spec: Dataset, *, at: str) -> list[str]:
    """Common table expressions of the files of one dataset that count at `at`.

    `<name>_days`, `<name>_hours`, `<name>_parts` hold what has appeared, `<name>_live_…` what nothing supersedes, all as (file, name,
    instant, mark, day, hour): `day` is the directory `date=…`, `hour` the directory `hour=…`. Derived datasets have no parts,
    those with a partition a day or a month days alone.
    """
    name = spec.name
    hourly = "parse_filename(parse_dirpath(parse_dirpath(file))) AS day, parse_filename(parse_dirpath(file)) AS hour"
    days = [
        f"{name}_days AS MATERIALIZED (SELECT file, parse_filename(file) AS name, substr(name, 5, 16) AS instant, "
        f"substr(name, 22, 16) AS mark, parse_filename(parse_dirpath(file)) AS day FROM glob({_globs(home, spec, 'day')}) "
        f"WHERE instant <= {at})",
        f"{name}_day_seals AS MATERIALIZED (SELECT day, max(name) AS name, max(mark) AS mark FROM {name}_days GROUP BY day)",
        f"{name}_live_days AS (SELECT f.* FROM {name}_days f JOIN {name}_day_seals d USING (day, name))",
    ]
    hours = [
        f"{name}_hours AS MATERIALIZED (SELECT file, parse_filename(file) AS name, substr(name, 6, 16) AS instant, "
        f"substr(name, 23, 16) AS mark, {hourly} FROM glob({_globs(home, spec, 'hour')}) WHERE instant <= {at})",
        f"{name}_hour_seals AS MATERIALIZED (SELECT day, hour, max(name) AS name, max(mark) AS mark FROM {name}_hours GROUP BY day, hour)",
        f"{name}_live_hours AS (SELECT f.* FROM {name}_hours f JOIN {name}_hour_seals h USING (day, hour, name) "
        f"LEFT JOIN {name}_day_seals d ON d.day = f.day WHERE d.mark IS NULL OR f.instant > d.mark)",
    ]
    parts = [
        f"{name}_parts AS MATERIALIZED (SELECT file, parse_filename(file) AS name, substr(name, 6, 16) AS instant, "
        f"{hourly} FROM glob({_globs(home, spec, 'part')}) WHERE instant <= {at})",
        f"{name}_live_parts AS (SELECT f.* FROM {name}_parts f LEFT JOIN {name}_hour_seals h ON h.day = f.day AND h.hour = f.hour "
        f"LEFT JOIN {name}_day_seals d ON d.day = f.day "
        "WHERE (h.mark IS NULL OR f.instant > h.mark) AND (d.mark IS NULL OR f.instant > d.mark))",
    ]
    return [*days, *(hours if spec.span == "hour" else []), *(parts if spec.landed else [])]


NONE_CONDEMNED: Final[Register] = MappingProxyType({})


def _kept(condemned: Condemned | None, kind: Kind) -> str:
    """Condition on the name that leaves condemned files out; of constants, so that they are not even opened."""
    if condemned is None:
        return ""
    start = 5 if kind == "day" else 6
    text = f" AND substr(parse_filename(filename), {start}, 16) >= {quoted(condemned.floor)}"
    if condemned.paths:
        text += f" AND filename NOT IN ({', '.join(quoted(path) for path in condemned.paths)})"
    return text


def branches(
    home: Home, spec: Dataset, columns: Iterable[str], *, condemned: Register, narrowed: Mapping[str, str] | None = None
) -> list[str]:
    """SELECTs over the live files of each tier, with `date` and `hour` at the end; `narrowed` replaces a tier's list of files.

    Where most files of a tier are not wanted (superseded parts, a narrowed list), a semi join hands the names to the scan, which opens
    no other. Sealed files are nearly all live: there a mark join is kept, because DuckDB guesses the size of a scan from its
    first file, the sentinel of no rows, and may turn a semi join around to hash every row (28 million rows: 1.7 s instead of 0.1 s).
    """
    selected = ", ".join(identifier(column) for column in columns)

    def wanted(kind: Kind) -> str:
        kept = _kept(condemned.get((spec.name, kind)), kind)
        if narrowed and kind in narrowed:
            return f"filename IN ({narrowed[kind]}){kept}"
        live = f"filename IN (SELECT file FROM {spec.name}_live_{kind}s)"
        return (live if kind == "part" else f"coalesce({live}, false)") + kept

    def hourly(kind: Kind) -> str:
        return f"SELECT {selected}, {_filed(kind)} FROM read_parquet({_globs(home, spec, kind)}, {_OPTIONS}) WHERE {wanted(kind)}"

    days = (
        f"SELECT {selected}, {_filed('day')}, {utc_hour(spec.time_column)} AS hour "
        f"FROM read_parquet({_globs(home, spec, 'day')}, {_OPTIONS}) WHERE {wanted('day')}"
    )
    if spec.span != "hour":
        return [days]
    return [*([hourly("part")] if spec.landed else []), hourly("hour"), days]


def wal_branch(spec: Dataset, columns: Iterable[str]) -> str:
    """The rows of the write-ahead log, in the columns of `branches`."""
    selected = ", ".join(identifier(column) for column in columns)
    return f"SELECT {selected}, {utc_date(spec.time_column)} AS date, {utc_hour(spec.time_column)} AS hour FROM {WAL_PREFIX}{spec.name}"


def names_of(spec: Dataset) -> list[str]:
    """The names of a dataset's columns, in order."""
    return [column.name for column in spec.columns]


def union(selects: Iterable[str]) -> str:
    """Several SELECTs as one, rows of all."""
    return "\nUNION ALL\n".join(selects)


def ctes(expressions: Iterable[str]) -> str:
    """The list behind a WITH."""
    return ",\n".join(expressions)
