"""What `tickhouse status` prints: the collectors' status files as one table.

Put here: reading those files and laying them out. Keep out: what the numbers mean (`collectors.status` writes them).
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from lake.paths import Home

STALE_AFTER_SECONDS: Final = 10.0
"""A status file older than this belongs to a collector that no longer runs: live ones replace it each second."""


def collector_states(home: Home) -> list[dict[str, Any]]:
    """The state of every collector that ever ran on this home, with `running` added; the newest first."""
    found = []
    for path in sorted(home.status.glob("*.json")):
        state = json.loads(path.read_text())
        state["age_seconds"] = round(time.time() - path.stat().st_mtime, 1)
        state["running"] = state["age_seconds"] < STALE_AFTER_SECONDS and state.get("state") != "stopped"
        found.append(state)
    return sorted(found, key=lambda state: float(state["age_seconds"]))


def _age(moment: Any, now: float) -> str:
    if moment is None:
        return "-"
    then = datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else float(moment) / 1e6
    return f"{max(0.0, now - then):.1f} s"


def _standing(stream: dict[str, Any]) -> str:
    """The state of a stream; a refused one says why."""
    reason = stream.get("reason", "")
    return f"{stream['state']}: {reason}" if reason else str(stream["state"])


def print_states(states: list[dict[str, Any]], console: Console) -> None:
    """Print one table of streams per collector, and how far its log is behind."""
    if not states:
        console.print("No collector has run on this home yet: start one with `tickhouse collect` or `tickhouse up`.")
        return
    now = time.time()
    for state in states:
        running = "[green]running[/green]" if state["running"] else f"[red]not running[/red] (last seen {state['age_seconds']:.0f} s ago)"
        console.print(f"collector [bold]{state['collector']}[/bold]: {running}")
        sockets = Table("connection", "state", "frames", "reconnects", "last frame")
        for connection in state["connections"]:
            cells = (connection["name"], connection["state"], f"{connection['frames']:,}", f"{connection['reconnects']:,}")
            sockets.add_row(*cells, _age(connection["last_frame"], now))
        console.print(sockets)
        streams = Table("exchange", "symbol", "channel", "state", "rows", "rows/s", "last message", "gaps", "dead letters")
        for stream in state["streams"]:
            counted = (f"{stream['rows']:,}", f"{stream['rows_per_second']:.1f}", _age(stream["last_event"], now))
            faults = (str(stream["gaps"]), str(stream["dead_letters"]))
            streams.add_row(stream["exchange"], stream["symbol"], stream["channel"], _standing(stream), *counted, *faults)
        console.print(streams)
        log = state["wal"]
        console.print(f"write-ahead log: {log['lag_seconds']:.1f} s behind Parquet, {log['bytes'] / 1e6:.1f} MB")
