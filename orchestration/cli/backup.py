"""`backup`, `restore`, `backup-database`, `restore-database`: one command each way for the lake and for the database.

Put here: arguments, a bar and a sentence. Keep out: what a backup is (`lake.backup`, `lake.backup_database`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orchestration.cli.options import HomeOption, lake_settings

DsnOption = Annotated[str | None, typer.Option("--dsn", help="Which database; default is TICKHOUSE_TIMESCALE_DSN.")]
ToolsOption = Annotated[Path | None, typer.Option("--tools", help="Directory of pg_dump and pg_restore; default is the PATH.")]


def backup(
    directory: Annotated[Path, typer.Argument(help="Where backups lie; made where needed, outside of the home.")],
    *,
    home: HomeOption = None,
    keep: Annotated[int | None, typer.Option("--keep", min=1, help="Then remove all but the newest snapshots.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Take none; read every byte of those there are.")] = False,
) -> None:
    """Back up the lake beside whoever uses it: what is new since the last time. Killed, the same command goes on."""
    from lake import backup as lake_backup
    from lake.backup_store import Store

    store = Store(directory)
    if check:
        store.check()
        with _bar("checking") as progress:
            damages = lake_backup.damages(store, progress=progress)
        for damage in damages:
            typer.echo(damage)
        typer.echo(f"{len(store.names()):,} snapshots, {len(damages):,} damaged contents")
        raise typer.Exit(1 if damages else 0)
    with _bar("backing up") as progress:
        taken = lake_backup.take(lake_settings(home).house, store, progress=progress)
    typer.echo(taken.sentence)
    if keep is not None:
        with store.held():
            gone, freed = store.forget(keep)
        typer.echo(f"{gone:,} older snapshots removed, {freed / 1e6:,.1f} MB freed")


def restore(
    directory: Annotated[Path, typer.Argument(help="Where backups lie.")],
    *,
    home: HomeOption = None,
    snapshot: Annotated[str | None, typer.Option("--snapshot", help="Which one, by name; default is the newest.")] = None,
    names: Annotated[bool, typer.Option("--list", help="Print the names of the snapshots there are, oldest first.")] = False,
) -> None:
    """Lay a backup down in an empty home, every byte checked. Killed, the same command goes on."""
    from lake import backup as lake_backup
    from lake.backup_store import Store

    store = Store(directory)
    if names:
        store.check()
        for name in store.names():
            typer.echo(name)
        return
    house = lake_settings(home).house
    with _bar("restoring") as progress:
        laid = lake_backup.restore(store, house, name=snapshot, progress=progress)
    amount = f"{len(laid.contents):,} files of {laid.bytes / 1e6:,.1f} MB"
    typer.echo(f"snapshot {laid.name}: {amount} are in {house.root}; `tickhouse verify` opens every one")


def backup_database(
    file: Annotated[Path, typer.Argument(help="The dump; a note about it appears beside it.")],
    *,
    dsn: DsnOption = None,
    tools: ToolsOption = None,
) -> None:
    """Dump the whole database with pg_dump, as it is at one instant, beside whoever uses it."""
    from lake import backup_database as database

    made = database.dump(_dsn(dsn), file, tools=tools)
    typer.echo(f"{file}: {made.size / 1e6:,.1f} MB of PostgreSQL {made.server}, TimescaleDB {made.timescaledb or 'none'}")


def restore_database(
    file: Annotated[Path, typer.Argument(help="A dump that backup-database made.")], *, dsn: DsnOption = None, tools: ToolsOption = None
) -> None:
    """Fill an empty database from a dump with pg_restore, between TimescaleDB's pre_restore and post_restore."""
    from lake import backup_database as database

    made = database.load(file, _dsn(dsn), tools=tools)
    typer.echo(f"{made.size / 1e6:,.1f} MB of TimescaleDB {made.timescaledb or 'none'} are restored")


def _dsn(given: str | None) -> str:
    from lake.timescale.settings import timescale_settings

    return timescale_settings().required_dsn if given is None else given


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[path]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=None, path="")
        yield lambda done, total, path: shown.update(task, completed=done, total=total, path=os.path.basename(path))  # noqa: PTH119 - a name in an archive
