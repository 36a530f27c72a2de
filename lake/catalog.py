"""Publishing the catalog: `lake.duckdb`, a database of views and macros that any DuckDB opens read-only.

Put here: building and replacing that file. Keep out: the SQL in it (`lake.views`), and rows that are not in Parquet yet (`lake.query`).

The file holds no data and is never written again: a new one replaces it by rename. Readers of the old one keep theirs until they close it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Final

import duckdb

from lake import condemned, layout, views
from lake.context_views import CONTEXT_VIEWS
from lake.errors import CatalogError
from lake.indicator_views import INDICATOR_VIEWS
from lake.listing import NOW, identifier, quoted
from lake.macros import CANDLES_NOW, MACROS, candles_now
from lake.paths import Home
from lake.registry import CANDLE_COLUMNS, DATASETS

MODE: Final = 0o444
_WORD: Final = re.compile(r"\w+")
_CATALOG_WORDS: Final = frozenset({"information_schema", "show", "pragma", "sqlite_master", "pg_catalog"})


def publish(home: Home) -> Path:
    """Build the catalog of `home` and put it in place; returns its path.

    Lays down what an empty lake needs. Safe beside readers and other publishers: the last one wins, each file is whole. Raises
    `LakeFormatError` for a home of a newer version, `CatalogError` if DuckDB refuses the build.
    """
    layout.ensure(home)
    temporary = home.root / f".tmp-{os.getpid()}-{token_hex(6)}.duckdb"
    log = temporary.with_name(temporary.name + ".wal")
    try:
        _build(home, temporary)
        if log.exists():
            raise CatalogError(f"the catalog was built at {temporary} but left {log.name} behind: it would not open read-only")
        temporary.chmod(MODE)
        # A log left beside an older catalog would be replayed into this one, and make it unopenable.
        stale = home.catalog.with_name(home.catalog.name + ".wal")
        stale.unlink(missing_ok=True)
        temporary.replace(home.catalog)
        stale.unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
    return home.catalog


def condemn(home: Home, paths: Iterable[Path]) -> list[Path]:
    """Publish a catalog whose views do not open these superseded files; returns those of them that may now be removed.

    Remove them when the queries that began before this call have ended. A connection that keeps an older catalog open does not know
    of it, and may meet a file in the instant it goes: it should be closed and opened anew (DuckDB hands out the same database
    again while one is open in the process), or ask again.
    """
    gone = condemned.write(home, paths)
    publish(home)
    return gone


def _build(home: Home, path: Path) -> None:
    try:
        with duckdb.connect(str(path)) as connection:
            # One transaction: as many commits as comments would take ten times as long.
            connection.execute("BEGIN")
            define(connection, home)
            for statement in comments():
                connection.execute(statement)
            connection.execute("COMMIT")
            connection.execute("CHECKPOINT")
    except duckdb.Error as error:
        raise CatalogError(f"the catalog {home.catalog} cannot be built: {str(error).splitlines()[0]}") from error


def definitions(home: Home, *, at: str = NOW, wal: bool = False, statement: str | None = None) -> dict[str, str]:
    """CREATE statements of views and macros by name, each after those it needs; `at` and `wal` as in `lake.views`.

    With a `statement` only of what it may need, by the words in it: binding all views takes many times as long as most statements.
    """
    leave = condemned.read(home)
    creates = {
        name: f"CREATE VIEW {identifier(name)} AS {select}" for name, select in views.views(home, at=at, wal=wal, condemned=leave).items()
    }
    creates |= {macro.name: macro.create for macro in (candles_now(home, at=at, wal=wal, condemned=leave), *MACROS)}
    return creates if statement is None else _needed(creates, statement)


def define(connection: duckdb.DuckDBPyConnection, home: Home) -> None:
    """Create every view and macro in an empty database."""
    for create in definitions(home).values():
        connection.execute(create)


def _needed(creates: Mapping[str, str], statement: str) -> dict[str, str]:
    """Those that a statement, or what it needs, mentions; all where it looks at the catalog itself."""
    words = set(_WORD.findall(statement.lower()))
    if words & _CATALOG_WORDS or any(word.startswith("duckdb_") for word in words):
        return dict(creates)
    needed: set[str] = set()
    waiting = [name for name in creates if name.lower() in words]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += creates.keys() & set(_WORD.findall(creates[name]))
    return {name: create for name, create in creates.items() if name in needed}


def comments() -> list[str]:
    """COMMENT statements with the registry's descriptions and units, for every view and column."""
    described: dict[str, tuple[str, dict[str, str]]] = {
        name: (dataset.description, {column.name: column.comment for column in dataset.columns}) for name, dataset in DATASETS.items()
    }
    columns = {column.name: column.comment for column in CANDLE_COLUMNS}
    described["candles"] = (
        "Candles of all timeframes, up to the last visible trade: stored ones as far as they cover the trades, else computed on the fly.",
        columns,
    )
    described["book_spreads"] = ("Best bid and ask, mid and spread of each book snapshot.", dict(views.BOOK_SPREADS_COMMENTS))
    described["listings_now"] = (
        "The newest state of every instrument that was ever listed.",
        {column.name: column.comment for column in DATASETS["listings"].columns},
    )
    described |= {view.name: (view.says, dict(view.columns)) for view in (*INDICATOR_VIEWS, *CONTEXT_VIEWS)}
    statements = []
    for name, (description, comments_of) in described.items():
        statements.append(f"COMMENT ON VIEW {identifier(name)} IS {quoted(description)}")
        statements += [
            f"COMMENT ON COLUMN {identifier(name)}.{identifier(column)} IS {quoted(comment)}"
            for column, comment in {**comments_of, **views.PARTITION_COMMENTS}.items()
        ]
    statements += [f"COMMENT ON MACRO TABLE {identifier(macro.name)} IS {quoted(macro.says)}" for macro in (CANDLES_NOW, *MACROS)]
    return statements
