"""`collect` and `simulate`: getting market events into a lake.

Put here: arguments of these verbs. Keep out: sockets and landing (`collectors`), the pretended market (`simulator`).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.options import HomeOption, duration_seconds, instant, lake_settings


def collect(
    *,
    home: HomeOption = None,
    config: Annotated[Path | None, typer.Option("--config", help="Which markets; default is TICKHOUSE_CONFIG or tickhouse.toml.")] = None,
    collector: Annotated[str | None, typer.Option("--collector", help="Name of this collector; one process a name and home.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Keep every raw frame beside the rows, under HOME/raw.")] = False,
) -> None:
    """Collect what tickhouse.toml names until stopped; SIGTERM and Ctrl-C drain and seal first."""
    from collectors.__main__ import main

    given = {"--home": home, "--config": config, "--collector": collector}
    words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    raise typer.Exit(main([*words, "--record"] if record else words))


def simulate(
    *,
    home: HomeOption = None,
    history: Annotated[str | None, typer.Option("--history", help="Land this much past market at once, as 48h; then end.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="End of the history, ISO 8601 UTC; default is now.")] = None,
    exchanges: Annotated[str | None, typer.Option("--exchanges", help="Comma-separated; default is every simulated venue.")] = None,
    symbols: Annotated[str | None, typer.Option("--symbols", help="Comma-separated CCXT symbols.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Messages a second of the live market, all venues together.")] = None,
    port: Annotated[int, typer.Option("--port", help="Port of the live market on this machine; 0 picks a free one.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed and times give the same market.")] = 1,
    playback: Annotated[list[Path] | None, typer.Option("--playback", help="Play recorded frames instead of the market model.")] = None,
    speed: Annotated[float, typer.Option("--speed", help="Pace of the playback; 0 is as fast as possible.")] = 1.0,
) -> None:
    """Pretend to be the venues on this machine, live; or land a past market with --history."""
    common = ["--seed", str(seed)]
    if exchanges:
        common += ["--exchanges", exchanges]
    if symbols:
        common += ["--symbols", symbols]
    if history is not None:
        from orchestration.simulation import land_history

        hours = duration_seconds(history) / 3600
        landed = land_history(lake_settings(home), hours=hours, end=instant(end) if end else None, arguments=common)
        typer.echo(landed.sentence)
        return
    command = [sys.executable, "-m", "simulator", "serve", "--port", str(port), *common]
    if rate is not None:
        command += ["--rate", str(rate)]
    for file in playback or []:
        command += ["--playback", str(file), "--speed", str(speed)]
    process = subprocess.Popen(command)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        code = process.wait()
    raise typer.Exit(code)
