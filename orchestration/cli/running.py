"""`up` and `backfill`: running the house.

Put here: arguments of these verbs. Keep out: process supervision and materialisation (`orchestration`).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from lake.paths import Hour
from orchestration.cli.options import HomeOption, JsonOption, instant, lake_settings


def up(
    *,
    home: HomeOption = None,
    config: Annotated[Path, typer.Option("--config", help="Which exchanges, symbols and channels.")] = Path("tickhouse.toml"),
    port: Annotated[int, typer.Option("--port", help="Port of the Dagster UI on this machine; 0 picks a free one.")] = 3000,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Also the API and the dashboard, on TICKHOUSE_API_PORT.")] = True,
) -> None:
    """Start collectors, the Dagster UI and its daemon, the dashboard, and stop them together on Ctrl-C."""
    from orchestration.house import run_house

    raise typer.Exit(run_house(lake_settings(home), config, port=port, serve=serve))


def backfill(
    asset: Annotated[str, typer.Argument(help="Asset, e.g. candles_1m, or `all` that are made of the lake.")],
    *,
    start: Annotated[str, typer.Option("--from", help="Begin of the range, ISO 8601 UTC.")],
    end: Annotated[str, typer.Option("--to", help="End of the range, ISO 8601 UTC, exclusive.")],
    force: Annotated[bool, typer.Option("--force", help="Make again what stands already.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make what is missing of an asset, or of all, in a range: every hour, day or month that touches it, as one run.

    Killed half-way, the same command goes on where it was.
    """
    from rich.console import Console

    from orchestration.cli.progress import Bar
    from orchestration.instance import open_instance
    from orchestration.run import materialize_range
    from orchestration.settings import OrchestrationSettings

    first, last = Hour.at(instant(start)), Hour.of(int(instant(end).timestamp() * 1_000_000) - 1)
    if last < first:
        raise typer.BadParameter(f"--to {end!r} is not after --from {start!r}; allowed is a later time")
    lake, settings = lake_settings(home), OrchestrationSettings()
    names = None if asset == "all" else [asset]
    with open_instance(lake, settings) as dagster, Bar(Console(stderr=True), hidden=as_json) as bar:
        summary = materialize_range(lake, names, first, last, settings=settings, instance=dagster, force=force, listener=bar.begin)
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(summary), "success": summary.success}))
    else:
        typer.echo(summary.sentence)
    raise typer.Exit(0 if summary.success else 1)


def retention(
    *,
    home: HomeOption = None,
    config: Annotated[Path, typer.Option("--config", help="Where `[retention]` stands.")] = Path("tickhouse.toml"),
    dry_run: Annotated[bool, typer.Option("--dry-run/--apply", help="Only say what would go, or let it go.")] = True,
) -> None:
    """Say, or with --apply remove, what is older than `[retention]` of tickhouse.toml allows; nothing where that names no dataset."""
    from lake.retention import expire, expired, retention_days

    days = retention_days(config)
    house = lake_settings(home).house
    found = expired(house, days) if dry_run else expire(house, days)
    for name, paths in found.files.items():
        typer.echo(f"{name}: {len(paths):,} files older than {days[name]} days")
    total = sum(len(paths) for paths in found.files.values())
    waits = (
        "" if dry_run else f", {len(found.removed):,} removed, {total - len(found.removed):,} left out of views and removed by a later call"
    )
    typer.echo(f"{total:,} files, {found.bytes:,} bytes are older than they need be{waits}.")
