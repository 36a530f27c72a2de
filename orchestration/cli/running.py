"""`up` and `backfill`: running the house.

Put here: arguments of these verbs. Keep out: process supervision and materialisation (`orchestration`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lake.paths import Hour
from orchestration.cli.options import HomeOption, instant, lake_settings


def up(
    *,
    home: HomeOption = None,
    config: Annotated[Path, typer.Option("--config", help="Which exchanges, symbols and channels.")] = Path("tickhouse.toml"),
    port: Annotated[int, typer.Option("--port", help="Port of the Dagster UI on this machine; 0 picks a free one.")] = 3000,
) -> None:
    """Start collectors, the Dagster UI and its daemon, and stop them together on Ctrl-C."""
    from orchestration.house import run_house

    raise typer.Exit(run_house(lake_settings(home), config, port=port))


def backfill(
    asset: Annotated[str, typer.Argument(help="Asset, e.g. candles_1m, or `all`.")],
    *,
    start: Annotated[str, typer.Option("--from", help="First hour, ISO 8601 UTC.")],
    end: Annotated[str, typer.Option("--to", help="End of the range, ISO 8601 UTC, exclusive.")],
    home: HomeOption = None,
) -> None:
    """Materialise an asset, or all, over a range of hours as one run."""
    from orchestration.run import materialize_range

    first, last = Hour.at(instant(start)), Hour.of(int(instant(end).timestamp() * 1_000_000) - 1)
    if last < first:
        raise typer.BadParameter(f"--to {end!r} is not after --from {start!r}; allowed is a later time")
    names = None if asset == "all" else [asset]
    summary = materialize_range(lake_settings(home), names, first, last)
    typer.echo(summary.sentence)
    raise typer.Exit(0 if summary.success else 1)
