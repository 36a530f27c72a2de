"""Options that several verbs share, and the parsing of durations and instants people type.

Put here: argument types. Keep out: verbs.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from lake.settings import LakeSettings

HomeOption = Annotated[Path | None, typer.Option("--home", help="Directory of the lake; default is TICKHOUSE_HOME or .tickhouse.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def lake_settings(home: Path | None) -> LakeSettings:
    """The lake's settings, with the home named on the command line if one is."""
    return LakeSettings() if home is None else LakeSettings(home=home)


def duration_seconds(text: str) -> float:
    """Seconds of `30s`, `15m`, `48h` or `7d`; `typer.BadParameter` for anything else."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise typer.BadParameter(f"{text!r} is no duration; allowed is a number and a unit, as 30s, 15m, 48h or 7d")
    return float(found["number"]) * _SECONDS[found["unit"]]


def instant(text: str) -> datetime:
    """An aware UTC datetime from ISO 8601; a time without a zone is UTC. `typer.BadParameter` for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; allowed is ISO 8601, as 2026-11-21 or 2026-11-21T07:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
