"""`demo`: the whole house on a simulated market, on one machine, without a network.

Put here: arguments. Keep out: what the demo does (`orchestration.demo`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.options import HomeOption, duration_seconds


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Run it through, check everything, print a summary and end.")] = False,
    home: HomeOption = None,
    history: Annotated[str, typer.Option("--history", help="Past market laid down first.")] = "48h",
    live: Annotated[str, typer.Option("--live", help="Length of the live market with --once.")] = "20s",
    timescale: Annotated[
        str | None, typer.Option("--timescale", help="With --once: a database to copy everything to, and to ask; its address.")
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Port of the Dagster UI; 0 picks a free one.")] = 3000,
) -> None:
    """Simulated venues, collectors, Dagster: candles and book spreads within two minutes, until Ctrl-C."""
    from orchestration.demo import Demo

    if timescale is not None and not once:
        raise typer.BadParameter("--timescale goes with --once; `tickhouse up` copies to TICKHOUSE_TIMESCALE_DSN as it goes")
    root = home or Path(".tickhouse") / ("demo-once" if once else "demo")
    shown = Demo(root=root, hours=duration_seconds(history) / 3600, timescale=timescale)
    raise typer.Exit(shown.once(live_seconds=duration_seconds(live)) if once else shown.run(port=port))
