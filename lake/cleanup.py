"""Removing what no reader can need any more: superseded files, sealed log segments, files that died half-written.

Put here: what may go, and when. Keep out: retention of data that still counts.

A file goes only when the file that superseded it has counted for the whole grace, and names it among its inputs: a part that
appeared behind a watermark unseen stays until a compaction takes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lake import files
from lake.files import Clock, now_us
from lake.paths import Home, hour_of_directory
from lake.registry import DATASETS
from lake.visible import by_instant, covers, day_files, directory_files
from lake.wal import list_segments

_WRITING_SECONDS: Final = 3600.0


@dataclass(slots=True)
class Removal:
    """What was removed, or would be; `bytes` on disk."""

    files: list[Path] = field(default_factory=list)
    waiting: list[Path] = field(default_factory=list)
    """Superseded long enough, but held back by `may_go`."""
    segments: list[Path] = field(default_factory=list)
    temporary: list[Path] = field(default_factory=list)
    bytes: int = 0


def remove_superseded(
    home: Home, *, grace: float, dry_run: bool = False, may_go: Callable[[Path], bool] | None = None, clock: Clock = time.time
) -> Removal:
    """Remove what has been superseded, or sealed, for `grace` seconds; with `dry_run` only say what that is.

    Readers that took their instant within the grace still find every file they listed. `may_go` can hold a superseded file back.
    Raises `UnreadableFile`.
    """
    now = now_us(clock)
    before = now - int(grace * 1_000_000)
    removal = Removal()
    for name in DATASETS:
        for date_name in files.names(home.lake / name):
            for hour_name in files.names(home.lake / name / date_name):
                removal.files += _superseded_in(home, name, home.lake / name / date_name / hour_name, before)
        for date_name in files.names(home.days / name):
            counting = [file for file in directory_files(home.days / name / date_name) if file.visible_from <= before]
            removal.files += [file.path for file in counting[:-1]]
    if may_go is not None:
        removal.waiting = [path for path in removal.files if not may_go(path)]
        removal.files = [path for path in removal.files if path not in set(removal.waiting)]
    for segment in list_segments(home):
        sealed = segment.sealed_at()
        if sealed is not None and sealed <= before:
            removal.segments.append(segment.path)
    # A compaction that still writes its temporary file must not lose it, however short the grace.
    dead = now / 1_000_000 - max(grace, _WRITING_SECONDS)
    for root in (home.lake, home.days, home.wal):
        removal.temporary += [path for path in root.glob(f"**/{files.TEMPORARY}*") if path.stat().st_mtime <= dead]
    removal.bytes = sum(path.stat().st_size for path in (*removal.files, *removal.segments, *removal.temporary))
    if not dry_run:
        _remove(removal)
    return removal


def _superseded_in(home: Home, name: str, directory: Path, before: int) -> list[Path]:
    """Files of an hour that sealed files which count since `before` hold."""
    hour = hour_of_directory(directory)
    listed = directory_files(directory)
    if hour is None or not any(file.visible_from for file in listed):
        return []
    hours = [file for file in listed if file.kind == "hour" and file.visible_from <= before]
    day = max((file for file in day_files(home, name, hour.date) if file.visible_from <= before), key=by_instant, default=None)
    gone = [file.path for file in hours[:-1]]
    sealed = hours[-1:]
    if day is not None:
        gone += [file.path for file in sealed if file.visible_from <= day.watermark]
        sealed.append(day)
    for part in listed:
        if part.kind == "part" and any(part.visible_from <= file.watermark and part.id in covers(file, hour)[0] for file in sealed):
            gone.append(part.path)
    return gone


def _remove(removal: Removal) -> None:
    for path in (*removal.files, *removal.temporary):
        files.remove(path)
        files.remove_if_empty(path.parent)
        files.remove_if_empty(path.parent.parent)
    for path in removal.segments:
        # The marker goes last: a segment without one would be sealed once more.
        files.remove(path)
        files.remove(path.with_suffix(".sealed"))
