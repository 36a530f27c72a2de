"""The command line: one room per verb, none of which imports Dagster before it must.

Belongs here: reading arguments, calling the rooms that do the work, printing. Keep out: the work.
"""

from __future__ import annotations

from orchestration.cli.app import main

__all__ = ["main"]
