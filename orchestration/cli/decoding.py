"""`decode`: recorded frames through the very code that live frames take; with --diff, an hour made again and compared.

Put here: arguments and the printed tables. Keep out: decoding (`collectors.decode`), making again (`collectors.rediff`).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from orchestration.cli.options import HomeOption, JsonOption, instant, lake_settings

if TYPE_CHECKING:
    from collectors.decode import DecodeReport
    from collectors.rediff import DiffReport


def decode(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Recordings: JSON lines, optionally .gz or .zst.", exists=True, dir_okay=False)
    ] = None,
    *,
    exchange: Annotated[str, typer.Option("--exchange", help="Whose frames they are, e.g. binance.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the rows here as Parquet, one file per dataset.")] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Make an hour again from its raw frames and compare it with its rows.")] = False,
    hour: Annotated[str | None, typer.Option("--hour", help="The hour of --diff, as 2026-11-21T07, UTC.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode recordings, account for every frame, and print what they held; or compare an hour with its raw frames (--diff)."""
    if diff:
        if files or out is not None or hour is None:
            raise typer.BadParameter("--diff takes --hour and no files or --out; it finds the raw frames in the home")
        _diff(home, exchange, instant(hour), as_json=as_json)
        return
    if not files or hour is not None:
        raise typer.BadParameter("decode takes files, or --diff and --hour")
    from collectors import decode as decoding

    report = decoding.decode(exchange, files, out=out)
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        _print_report(exchange, report)


def _diff(home: Path | None, exchange: str, hour: datetime, *, as_json: bool) -> None:
    from collectors import logs, rediff
    from lake.paths import Hour

    logs.configure("error", "auto")
    report = rediff.diff(lake_settings(home).house, exchange, Hour.at(hour))
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        _print_diff(report)
    if not report.equal:
        raise typer.Exit(1)


def _print_diff(report: DiffReport) -> None:
    console = Console()
    title = f"{report.exchange}, {report.hour}: {report.frames:,} frames in {len(report.files)} files"
    table = Table("dataset", "landed", "re-made", "equal", "missing", "extra", "at another place", title=title)
    for name, each in report.datasets.items():
        numbers = (each.landed, each.remade, each.equal, each.missing, each.extra, each.disordered)
        table.add_row(name, *(f"{number:,}" for number in numbers), style=None if each.same else "red")
    console.print(table)
    for name, each in report.datasets.items():
        for row in each.examples:
            console.print(f"{name}, {row['found']} only: { ({key: value for key, value in row.items() if key != 'found'}) }")
    for remark in report.remarks:
        console.print(remark)
    console.print("The rows are equal." if report.equal else "[red]The rows differ.[/red]")


def _print_report(exchange: str, report: DecodeReport) -> None:
    console = Console()
    frames = Table("frames", "control", "ignored", "decoded", "dead letters", "gaps", "checksums verified", "failed", title=exchange)
    numbers = (
        report.frames,
        report.control,
        report.ignored,
        report.decoded,
        report.dead_letters,
        report.gaps,
        report.checksums.verified,
        report.checksums.failed,
    )
    frames.add_row(*(f"{number:,}" for number in numbers))
    console.print(frames)
    if report.rows:
        rows = Table("dataset", "rows")
        for name, count in sorted(report.rows.items()):
            rows.add_row(name, f"{count:,}")
        console.print(rows)
    if report.symbols:
        table = Table("symbol", "trades", "bought", "sold", "first", "last", "best bid", "best ask", "book updates")
        for symbol, seen in sorted(report.symbols.items()):
            bid = f"{seen.book.bids[0][0]:g}" if seen.book.bids else "-"
            ask = f"{seen.book.asks[0][0]:g}" if seen.book.asks else "-"
            first = "-" if seen.first_price is None else f"{seen.first_price:g}"
            last = "-" if seen.last_price is None else f"{seen.last_price:g}"
            cells = (f"{seen.trades:,}", f"{seen.buy_amount:g}", f"{seen.sell_amount:g}", first, last, bid, ask, f"{seen.book.updates:,}")
            table.add_row(symbol, *cells)
        console.print(table)
    if report.dead_letters:
        console.print("[red]Frames that could not be decoded[/red] are in dead_letters, with the reason: write them with --out.")
