"""`sql`, `files`, `status`, `verify`: looking at a lake without touching it.

Put here: arguments and printing. Keep out: queries and checks themselves (`lake`).
"""

from __future__ import annotations

import json
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from orchestration.cli.options import HomeOption, JsonOption, instant, lake_settings


class OutputFormat(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def sql(
    statement: Annotated[str | None, typer.Argument(help="One SQL statement; read from standard input when left out.")] = None,
    *,
    home: HomeOption = None,
    output: Annotated[OutputFormat, typer.Option("--format", help="How rows are printed.")] = OutputFormat.TABLE,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Print at most this many rows.")] = 1000,
    wal: Annotated[bool, typer.Option("--wal/--no-wal", help="See the rows that are seconds old, in the write-ahead log, too.")] = True,
) -> None:
    """Run SQL over every dataset, seconds-old rows included."""
    from lake import query

    result = query.run_sql(lake_settings(home).house, statement or sys.stdin.read(), with_wal=wal, limit=limit)
    table, more = result.table, result.truncated
    if output is OutputFormat.CSV:
        import polars as pl

        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        typer.echo(frame.write_csv(), nl=False)
    elif output is OutputFormat.JSON:
        for row in table.to_pylist():
            typer.echo(json.dumps(row, default=str))
    else:
        shown = Table(*table.column_names)
        for row in table.to_pylist():
            shown.add_row(*(_cell(value) for value in row.values()))
        Console(width=None if sys.stdout.isatty() else 200).print(shown)
    if more:
        typer.echo(f"Only the first {limit:,} rows are shown; --limit shows more.", err=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return f"[{len(value)} values]" if len(value) > 4 else str(value)
    return str(value)


def files(
    dataset: Annotated[str, typer.Argument(help="Dataset, e.g. trades.")],
    *,
    home: HomeOption = None,
    start: Annotated[str | None, typer.Option("--from", help="From this hour on, ISO 8601 UTC.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Up to this instant, ISO 8601 UTC.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the Parquet files that count now: give these, not a glob, to another engine, and each event is seen once."""
    from lake import visible
    from lake.paths import Hour
    from lake.registry import dataset as look_up

    look_up(dataset)
    hours = None
    if start or end:
        first = Hour.at(instant(start)) if start else Hour(0)
        last = Hour.at(instant(end)) if end else Hour.of(time.time_ns() // 1000)
        hours = (first, last)
    found = visible.visible_files(lake_settings(home).house, dataset, at_us=time.time_ns() // 1000, hours=hours)
    if as_json:
        typer.echo(json.dumps([str(file.path) for file in found]))
    else:
        for file in found:
            typer.echo(str(file.path))


def status(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show per exchange and channel: state, rows/s, age of the last message, gaps, dead letters, and the lag of the log."""
    from orchestration.cli.statusboard import collector_states, print_states

    states = collector_states(lake_settings(home).house)
    if as_json:
        typer.echo(json.dumps(states))
    else:
        print_states(states, Console(width=None if sys.stdout.isatty() else 160))


def verify(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Open every file of the lake and check it; exit code 1 with what is wrong."""
    from rich.progress import Progress

    from lake.verify import verify as walk

    house = lake_settings(home).house
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
        task = progress.add_task("verifying", total=None)

        def moved(path: Path) -> None:
            progress.update(task, description=f"verifying {path.parent.relative_to(house.root)}", advance=1)

        report = walk(house, progress=moved)
    if as_json:
        problems = [{"path": str(problem.path), "sentence": problem.sentence} for problem in report.problems]
        typer.echo(json.dumps({"files": report.files, "rows": report.rows, "problems": problems}))
    else:
        for problem in report.problems:
            typer.echo(problem.sentence)
        verdict = "no problem found" if not report.problems else f"{len(report.problems)} problems"
        typer.echo(f"{report.files:,} files, {report.rows:,} rows: {verdict}")
    raise typer.Exit(1 if report.problems else 0)
