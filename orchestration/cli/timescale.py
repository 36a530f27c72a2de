"""`tickhouse timescale migrate | sync | status`: the database beside the lake.

Put here: arguments and printing. Keep out: the schema, syncing and comparing themselves (`lake.timescale`).
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Printed

from orchestration.cli.options import HomeOption, JsonOption, instant, lake_settings

if TYPE_CHECKING:
    from lake.paths import Home
    from lake.timescale.reading import Stretch
    from lake.timescale.settings import TimescaleSettings
    from lake.timescale.tables import Table

app = typer.Typer(
    name="timescale",
    help="Keep TimescaleDB (or PostgreSQL) equal to the lake.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DsnOption = Annotated[
    str | None, typer.Option("--dsn", help="Address of the database; default is TICKHOUSE_TIMESCALE_DSN, or DB_HOST and DB_NAME.")
]


def _settings(dsn: str | None) -> TimescaleSettings:
    from lake.timescale.settings import timescale_settings

    return timescale_settings() if dsn is None else timescale_settings(timescale_dsn=dsn)


@app.command()
def migrate(*, dsn: DsnOption = None, as_json: JsonOption = False) -> None:
    """Make the schema, or bring it up to date; cheap where it is, and safe when several start at once."""
    from lake.timescale.migrate import migrate as migrated

    settings = _settings(dsn)
    done = migrated(settings.required_dsn, settings=settings)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(done)))
        return
    applied = f"applied {', '.join(done.applied)}" if done.applied else "nothing to apply"
    layout = "laid out anew" if done.arranged else "laid out already"
    typer.echo(f"schema version {done.version}: {applied}; {layout} for the {done.edition} edition.")


@app.command()
def sync(
    tables: Annotated[list[str] | None, typer.Argument(help="Tables, e.g. h1_data indicators_hour; default is all.")] = None,
    *,
    start: Annotated[str | None, typer.Option("--from", help="Partitions from this instant on, ISO 8601 UTC; default is all.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Partitions that begin before this instant, ISO 8601 UTC.")] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Compare column sums of every partition, too.")] = False,
    home: HomeOption = None,
    dsn: DsnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make tables equal to the lake, partition by partition; exit code 1 where one is not. Repeat it whenever it was interrupted."""
    from rich.progress import Progress

    from lake.timescale.compare import compare
    from lake.timescale.sync import sync as synced

    settings, house = _settings(dsn), lake_settings(home).house
    address = settings.required_dsn
    work = list(_work(house, tables, start, end))
    partitions = read = written = deleted = 0
    problems: list[str] = []
    console = Console(stderr=True)
    with (
        ThreadPoolExecutor(settings.timescale_pool_size) as pool,
        Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as progress,
    ):
        task = progress.add_task("syncing", total=len(work))
        for table, period, done in pool.map(lambda each: (*each, synced(house, address, each[0].name, each[1], settings=settings)), work):
            partitions, read = partitions + 1, read + done.rows_read
            written, deleted = written + done.rows_written, deleted + done.rows_deleted
            where = f"{table.name} of {done.start:%Y-%m-%d %H:%M}"
            problems += [f"{where} has other {each.name} than the lake" for each in done.checks if not each.equal]
            if check:
                compared = compare(house, address, table.name, period, settings=settings)
                problems += [] if compared.equal else [compared.sentence]
            progress.update(task, description=where, advance=1)
    if as_json:
        numbers = {"partitions": partitions, "rows_read": read, "rows_written": written, "rows_deleted": deleted, "problems": problems}
        typer.echo(json.dumps(numbers))
    else:
        for problem in problems:
            typer.echo(problem)
        typer.echo(f"{partitions:,} partitions, {read:,} rows: {written:,} written, {deleted:,} deleted, the others stood.")
    raise typer.Exit(1 if problems else 0)


def _work(home: Home, names: list[str] | None, start: str | None, end: str | None) -> Iterator[tuple[Table, Stretch]]:
    """Every partition to sync, in order: hours, days and months that the lake has of the tables."""
    from lake.paths import Hour
    from lake.periods import Period
    from lake.timescale.status import partitions
    from lake.timescale.tables import table, tables

    first = Hour.at(instant(start)).start if start else 0
    last = int(instant(end).timestamp() * 1_000_000) if end else 1 << 62
    for each in [table(name) for name in names] if names else tables():
        for found in partitions(home, each):
            period: Stretch = Hour(found) if each.span == "hour" else Period.of(found, each.span)
            if period.end > first and period.start < last:
                yield each, period


@app.command()
def status(*, home: HomeOption = None, dsn: DsnOption = None, as_json: JsonOption = False) -> None:
    """Say which edition runs, how new the schema is, and how far each table is."""
    from lake.timescale.status import status as found

    settings = _settings(dsn)
    state = found(settings.required_dsn, lake_settings(home).house, settings=settings)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(state), default=lambda moment: moment.isoformat()))
        return
    typer.echo(state.sentence)
    if not state.tables:
        return
    shown = Printed("table", "kept as", "partitions", "rows", "newest partition", "synced", "of the lake, never synced")
    for each in state.tables:
        newest = "-" if each.newest is None else f"{each.newest:%Y-%m-%d %H:%M}"
        synced = "-" if each.synced_at is None else f"{each.synced_at:%Y-%m-%d %H:%M:%S}"
        shown.add_row(each.table, each.layout, f"{each.partitions:,}", f"{each.rows:,}", newest, synced, f"{each.missing:,}")
    Console(width=None if sys.stdout.isatty() else 160).print(shown)
    if state.waiting:
        typer.echo(f"{state.waiting:,} partitions wait for their aggregates to be refreshed: the next sync does it.")
