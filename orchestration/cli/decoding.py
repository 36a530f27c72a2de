"""`decode`: recorded frames through the very code that live frames take.

Put here: arguments and the printed table. Keep out: decoding (`collectors.decode`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from orchestration.cli.options import JsonOption


def decode(
    files: Annotated[list[Path], typer.Argument(help="Recordings: JSON lines, optionally .gz or .zst.", exists=True, dir_okay=False)],
    *,
    exchange: Annotated[str, typer.Option("--exchange", help="Whose frames they are, e.g. binance.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the rows here as Parquet, one file per dataset.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Decode recordings, account for every frame, and print what they held."""
    from collectors import decode as decoding

    report = decoding.decode(exchange, files, out=out)
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
        return
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
