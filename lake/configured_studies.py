"""The studies that tickhouse.toml names.

Put here: reading `[indicators]` of that file. Keep out: what studies there are (`lake.transforms.indicators.studies`), the other tables.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from lake.errors import IndicatorError
from lake.transforms.indicators.studies import Study, parse_studies

_KEYS: Final = ("studies",)


def configured_studies(path: Path) -> tuple[Study, ...]:
    """Studies of `[indicators] studies` in `path`, none where the file or the table is absent. Raises `IndicatorError`."""
    if not path.exists():
        return ()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise IndicatorError(f"configuration {path} cannot be read: {error}") from error
    table = found.get("indicators", {})
    if not isinstance(table, dict):
        raise IndicatorError(f"indicators in {path} is {table!r}, expected a table")
    unknown = next((key for key in table if key not in _KEYS), None)
    if unknown is not None:
        raise IndicatorError(f"key {unknown!r} in indicators of {path} is unknown, allowed are {', '.join(_KEYS)}")
    studies = table.get("studies", [])
    if not isinstance(studies, list):
        raise IndicatorError(f"indicators.studies in {path} is {studies!r}, expected a list")
    return parse_studies(studies)
