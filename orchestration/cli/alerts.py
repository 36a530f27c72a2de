"""`alerts`: rules, and what they say.

Put here: arguments and printing of the verbs of `tickhouse alerts`. Keep out: rules and their evaluation (`lake.alerts`), and delivery
(`orchestration.alerting`).
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

from orchestration.cli.options import HomeOption, JsonOption, duration_seconds, instant, lake_settings

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
    from lake.alerts import backtest as running
    from lake.alerts.rules import load_rules
    from lake.alerts.settings import AlertSettings

    known = load_rules(AlertSettings() if rules is None else AlertSettings(alerts=rules))
    given = data is not None or candles is not None
    if not given and start is None:
        raise typer.BadParameter("backtest takes --from, or files (--data, --candles) whose whole length it runs over")
    connection = running.connect_files(data, candles, symbol=symbol) if given else running.connect_lake(lake_settings(home).house, known)
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


@app.command("test")
def try_out(*, as_json: JsonOption = False) -> None:
    """Send a test message through every configured channel; exit code 1 where one does not take it."""
    from orchestration.alerting.configured import opened
    from orchestration.alerting.report import try_channels
    from orchestration.alerting.settings import AlertingSettings

    settings = AlertingSettings()
    with opened(settings) as channels:
        outcomes = try_channels(channels, settings)
    if as_json:
        typer.echo(json.dumps({name: asdict(outcome) for name, outcome in outcomes.items()}))
    else:
        for name, outcome in outcomes.items():
            tries = f" after {outcome.tries} tries" if outcome.tries > 1 else ""
            typer.echo(f"{name}: {outcome.state}{tries}{f': {outcome.reason}' if outcome.reason else ''}")
        if not outcomes:
            typer.echo("no channel is configured: set DISCORD_WEBHOOK_URL, TICKHOUSE_ALERT_URLS or TICKHOUSE_ALERT_LOG")
    raise typer.Exit(0 if outcomes and all(outcome.state == "sent" for outcome in outcomes.values()) else 1)


@app.command("list")
def list_alerts(
    *,
    since: Annotated[str, typer.Option("--since", help="How far back, as 30m, 24h or 7d.")] = "24h",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most this many, the newest.")] = 50,
    rules: RulesOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List recent alerts, and what became of each over every channel."""
    from lake.alerts.rules import load_rules
    from lake.alerts.settings import AlertSettings
    from orchestration.alerting.configured import channel_names
    from orchestration.alerting.report import listed
    from orchestration.alerting.settings import AlertingSettings

    known = load_rules(AlertSettings() if rules is None else AlertSettings(alerts=rules))
    start = time.time_ns() // 1000 - round(duration_seconds(since) * 1_000_000)
    found = listed(lake_settings(home).house, known, channel_names(AlertingSettings()), since=start, limit=limit)
    if as_json:
        typer.echo(json.dumps([{**each.row, "channels": each.channels, "attempts": each.attempts} for each in found]))
        return
    table = Table("fired", "severity", "rule", "message", "channels")
    for each in found:
        states = ", ".join(f"{name}: {state}" for name, state in each.channels.items()) or "none"
        table.add_row(_clock(each.row["local_timestamp"]), each.row["severity"], each.row["rule"], each.row["message"], states)
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
    console.print(f"{len(found):,} alerts since {_clock(start)} UTC")


@app.command("rules")
def list_rules(*, rules: RulesOption = None, as_json: JsonOption = False) -> None:
    """Show the rules in force: what each watches, from which values on, and where its alerts go."""
    from lake.alerts.rules import load_rules
    from lake.alerts.settings import AlertSettings
    from orchestration.alerting.configured import channel_names
    from orchestration.alerting.ledger import channels_of
    from orchestration.alerting.settings import AlertingSettings

    known = load_rules(AlertSettings() if rules is None else AlertSettings(alerts=rules))
    configured = channel_names(AlertingSettings())
    places = {name: channels_of(known, name, configured) for name in known}
    if as_json:
        typer.echo(
            json.dumps([{**rule.model_dump(mode="json"), "unit": rule.unit, "goes_to": places[name]} for name, rule in known.items()])
        )
        return
    table = Table("rule", "kind", "fires from", "cooldown", "markets", "channels")
    for name, rule in known.items():
        conditions = getattr(rule, "where", None)
        steps = conditions or {level: f"{value:g} {rule.unit}" for level, value in rule.thresholds.items()}
        markets = f"{' '.join(rule.exchanges)} : {' '.join(rule.symbols)}"
        levels = "; ".join(f"{level} {step}" for level, step in steps.items())
        table.add_row(name, rule.kind, levels, f"{rule.cooldown_seconds:g} s", markets, ", ".join(places[name]) or "none")
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
    console.print(f"{len(known)} rules; channels: {', '.join(configured) or 'none'}")


def _clock(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


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
