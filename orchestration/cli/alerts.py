"""`alerts`: rules, and what they say.

Put here: arguments and printing of the verbs of `tickhouse alerts`. Keep out: rules and their evaluation (`lake.alerts`), delivery.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestration.cli.options import HomeOption, JsonOption, instant, lake_settings

if TYPE_CHECKING:
    from lake.alerts.backtest import Backtest
    from lake.alerts.firing import Alert

app = typer.Typer(name="alerts", help="Rules that turn conditions into messages.", no_args_is_help=True)

RulesOption = Annotated[Path | None, typer.Option("--rules", help="File of rules; default is TICKHOUSE_ALERTS or alerts.toml.")]


@app.command()
def backtest(
    *,
    start: Annotated[str | None, typer.Option("--from", help="From this instant on, ISO 8601 UTC.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Up to this instant, ISO 8601 UTC; default is now.")] = None,
    rules: RulesOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Files of decode --out instead of the lake; --from and --to default to all of it.")
    ] = None,
    candles: Annotated[Path | None, typer.Option("--candles", help="A candle file, whose indicators stand for the lake's.")] = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", help="The market of --candles, e.g. BTC/USDT, where no column names it.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what would have fired: the rules over history, dry."""
    from lake import query
    from lake.alerts import backtest as running
    from lake.alerts.rules import load_rules
    from lake.alerts.settings import AlertSettings

    known = load_rules(AlertSettings() if rules is None else AlertSettings(alerts=rules))
    given = data is not None or candles is not None
    if not given and start is None:
        raise typer.BadParameter("backtest takes --from, or files (--data, --candles) whose whole length it runs over")
    connection = running.connect_files(data, candles, symbol=symbol) if given else query.connect(lake_settings(home).house)
    with closing(connection):
        first, last = running.span(connection) if given else (0, time.time_ns() // 1000)
        since = _us(instant(start)) if start else first
        until = _us(instant(end)) if end else last
        if until <= since:
            raise typer.BadParameter(f"--to is {end}, allowed is an instant after --from")
        found = running.backtest(connection, known, since=since, until=until)
    if as_json:
        typer.echo(json.dumps({"alerts": [asdict(alert) for alert in found.alerts], "left_out": found.left_out}, default=str))
    else:
        _print(found, rules=len(known))


def _print(found: Backtest, *, rules: int) -> None:
    console = Console(width=None if Console().is_terminal else 160)
    table = Table("time", "severity", "rule", "message")
    for alert in found.alerts:
        table.add_row(_time(alert), alert.severity, alert.rule, alert.message)
    console.print(table)
    for name, reason in found.left_out.items():
        console.print(f"{name} is left out: {reason}", markup=False)
    groups = len({alert.group_key for alert in found.alerts})
    console.print(f"{len(found.alerts):,} alerts of {rules - len(found.left_out)} rules in {groups:,} messages")


def _time(alert: Alert) -> str:
    return datetime.fromtimestamp(alert.timestamp / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
