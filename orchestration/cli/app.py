"""The `tickhouse` program: its verbs, and the one place where an error becomes a sentence and an exit code.

Put here: the list of verbs. Keep out: what they do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import typer
from pydantic import ValidationError

from collectors.errors import CollectorError
from lake.errors import LakeError
from orchestration.cli import (
    alerts,
    backup,
    checking,
    collecting,
    decoding,
    demonstrating,
    indicating,
    replay,
    running,
    serve,
    timescale,
    viewing,
)
from orchestration.errors import OrchestrationError

app = typer.Typer(
    name="tickhouse",
    help="A crypto market-data lakehouse: collect, land, derive, query.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

VERBS: Final[dict[str, Callable[..., Any]]] = {
    "demo": demonstrating.demo,
    "up": running.up,
    "collect": collecting.collect,
    "simulate": collecting.simulate,
    "decode": decoding.decode,
    "venues": checking.venues,
    "check": checking.check,
    "backfill": running.backfill,
    "retention": running.retention,
    "indicators": indicating.indicators,
    "sql": viewing.sql,
    "serve": serve.serve,
    "replay": replay.replay,
    "files": viewing.files,
    "status": viewing.status,
    "verify": viewing.verify,
    "backup": backup.backup,
    "restore": backup.restore,
    "backup-database": backup.backup_database,
    "restore-database": backup.restore_database,
}

for _name, _verb in VERBS.items():
    app.command(_name)(_verb)
app.add_typer(timescale.app)
app.add_typer(alerts.app)


def settings_sentence(error: ValidationError) -> str:
    """One sentence per wrong setting: its name, the value, and what is allowed."""
    lines = []
    for problem in error.errors(include_url=False):
        field = "_".join(str(part) for part in problem["loc"])
        allowed = problem["msg"].removeprefix("Input should be ")
        lines.append(f"setting TICKHOUSE_{field.upper()} has the value {problem['input']!r}, allowed is {allowed}")
    return "; ".join(lines)


def main() -> None:
    """Run the program; errors of ours end it with one sentence on standard error and exit code 2."""
    try:
        app()
    except ValidationError as error:
        sys.stderr.write(f"tickhouse: {settings_sentence(error)}\n")
        raise SystemExit(2) from None
    except (CollectorError, LakeError, OrchestrationError) as error:
        sys.stderr.write(f"tickhouse: {error}\n")
        raise SystemExit(2) from None
