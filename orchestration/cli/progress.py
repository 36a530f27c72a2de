"""The progress bar of a back-fill: partitions done of those to be made, and the one that was made last.

Put here: how progress looks. Keep out: counting it (`assets.progress` tells).
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from rich.console import Console

    from assets.progress import Listener


class Bar:
    """A bar on a terminal, nothing where there is none; use it as a context manager."""

    def __init__(self, console: Console, *, hidden: bool = False) -> None:
        columns = (TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal)

    def begin(self, total: int) -> Listener:
        """Show the bar with `total` partitions to make; the listener moves it."""
        task = self._progress.add_task("planning", total=total)

        def made(asset: str, key: str) -> None:
            self._progress.update(task, description=f"{asset} {key}", advance=1)

        return made

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()
