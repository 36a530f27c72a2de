"""`venues` and `check`: what each venue publishes and proves, and whether one can be reached from here.

Put here: arguments and printed tables. Keep out: the facts (each venue's facts.py), the check itself (`collectors.checking`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from orchestration.cli.options import JsonOption

if TYPE_CHECKING:
    from collectors.checking import CheckReport
    from collectors.venue import Venue, Wanted

NARROW = 120
"""Columns of a terminal below which the tables are printed this wide all the same."""


def venues(*, as_json: JsonOption = False) -> None:
    """Print every venue and market: channels, how books prove themselves, how missed trades come back, how long sockets live."""
    from collectors import facts
    from collectors.registry import VENUES

    rows = facts.table(VENUES)
    if as_json:
        typer.echo(msgspec.json.encode(rows).decode())
        return
    table = Table("venue", "market", "channels", "books are proved by", "missed trades come from", "socket life")
    for row in rows:
        proofs = [rule for rule in (row.sequence, row.checksum) if rule != facts.NONE]
        life = "-" if row.socket_hours is None else f"{row.socket_hours:g} h"
        table.add_row(row.exchange, row.market, ", ".join(row.channels), "; ".join(proofs), row.backfill, life)
    _console().print(table)


def check(
    *,
    exchange: Annotated[str, typer.Option("--exchange", help="Which exchange, e.g. kraken.")],
    symbols: Annotated[
        str | None, typer.Option("--symbols", help="Comma-separated; default is the configuration, else one a market.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=1, max=3600, help="How long to listen.")] = 30.0,
    config: Annotated[Path | None, typer.Option("--config", help="Where endpoints and symbols are read, if it is there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Connect to one exchange for real, listen for a while, and report each stream; exit code 1 with what is wrong."""
    from collectors import checking, logs, registry
    from collectors.settings import collector_settings

    venue = registry.venue(exchange)
    settings = collector_settings(**({} if config is None else {"config": config}), record=False)
    logs.configure("warning", settings.log_format)
    wanted = checking.narrowed(
        _configured(settings.config, venue, required=config is not None),
        venue,
        [each.strip() for each in (symbols or "").split(",") if each],
    )
    report = checking.check(venue, wanted, seconds=seconds, settings=settings)
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        _print(report)
    if report.problems:
        raise typer.Exit(1)


def _configured(path: Path, venue: Venue, *, required: bool) -> Wanted | None:
    """What a tickhouse.toml wants of an exchange, if there is one and it does."""
    from collectors import config
    from collectors.registry import VENUES

    if not required and not path.exists():
        return None
    return config.load(path, VENUES).exchanges.get(venue.exchange)


def _print(report: CheckReport) -> None:
    console = _console()
    sockets = Table("connection", "state", "frames", "dead letters", "reconnects", "checksums", "url", title=report.exchange)
    for each in report.connections:
        checksums = f"{each.checksums_verified:,} right, {each.checksums_failed:,} wrong" if each.checksums_verified else "-"
        numbers = (f"{each.frames:,}", f"{each.dead_letters:,}", f"{each.reconnects:,}")
        sockets.add_row(each.name, each.state, *numbers, checksums, each.url)
    console.print(sockets)
    streams = Table("symbol", "channel", "subscribed", "acknowledged", "rows", "gaps", "last message", "refused")
    for stream in report.streams:
        age = "-" if stream.last_message_seconds is None else f"{stream.last_message_seconds:.1f} s ago"
        said = ("yes" if stream.subscribed else "no", "yes" if stream.acknowledged else "no")
        streams.add_row(stream.symbol, stream.channel, *said, f"{stream.rows:,}", f"{stream.gaps:,}", age, stream.refused or "-")
    console.print(streams)
    for problem in report.problems:
        console.print(problem, style="red")
    if not report.problems:
        console.print("All is well.")


def _console() -> Console:
    return Console(width=max(NARROW, Console().width))
