"""Backup and recovery of a lake: what counts at an instant, and the log rows that no file holds yet, while everything goes on.

Put here: what of a home belongs into a snapshot, taking one, and laying one down. Keep out: how contents are kept (`lake.backup_store`).

Every name of the lake is new and stands for the same bytes for ever, so what an earlier snapshot has is not even read again. Superseded
files are left out, and what each process writes anew at its start: catalog, status, locks, Dagster's records.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lake import files, layout
from lake.backup_store import Content, Snapshot, Store
from lake.catalog import publish
from lake.cleanup import remove_superseded
from lake.errors import BackupError
from lake.files import Clock, now_us
from lake.paths import Home, parse_name
from lake.wal import list_segments

Progress = Callable[[int, int, str], None]
"""Files done, files in all, and the one that is next."""

_TRIES: Final = 5
_GROWING: Final = "open-"
"""Beginning of the name of raw frames whose hour is not over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A finished backup: its snapshot, and what of it was new."""

    snapshot: Snapshot
    new_files: int
    new_bytes: int

    @property
    def sentence(self) -> str:
        """What was done, for a person."""
        return (
            f"snapshot {self.snapshot.name}: {len(self.snapshot.contents):,} files of {self.snapshot.bytes / 1e6:,.1f} MB, "
            f"of which {self.new_files:,} of {self.new_bytes / 1e6:,.1f} MB were new"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    path: Path
    name: str
    lasting: bool
    """Whether the name stands for the same bytes for ever."""


def take(home: Home, store: Store, *, progress: Progress | None = None, clock: Clock = time.time) -> Taken:
    """Back up what `home` holds now, beside whoever reads or writes it; killed, the next call goes on.

    What lands meanwhile is in the next one. Raises `LakeFormatError` for a home that is no lake, `BackupError`.
    """
    layout.check_format(home)
    if store.root.resolve().is_relative_to(home.root.resolve()):
        raise BackupError(f"the backup directory {store.root} lies inside the home {home.root}, expected one outside of it")
    with store.held():
        known = (store.read().contents if store.names() else {}) | store.unfinished()
        new_files = new_bytes = 0
        with store.noting() as notes:
            for _ in range(_TRIES):
                at = now_us(clock)
                contents: dict[str, Content] = {}
                try:
                    items = _belonging(home, at)
                    for number, item in enumerate(items):
                        if progress:
                            progress(number, len(items), item.name)
                        content = known.get(item.name) if item.lasting else None
                        if content is None or not store.holds(content):
                            content, new = store.put(item.path)
                            new_files += new > 0
                            new_bytes += new
                            if item.lasting:
                                known[item.name] = content
                                notes.add(item.name, content)
                        contents[item.name] = content
                except FileNotFoundError:
                    # It was superseded, or sealed, and its grace is over: what has taken its place belongs into the snapshot.
                    continue
                break
            else:
                raise BackupError(
                    f"files of {home.root} go faster than they can be copied ({_TRIES} tries), "
                    "expected a longer TICKHOUSE_SUPERSEDED_GRACE_SECONDS"
                )
        return Taken(snapshot=store.write(at, contents), new_files=new_files, new_bytes=new_bytes)


def _belonging(home: Home, at: int) -> list[_Item]:
    """The files that are the lake at an instant, together each event once."""
    found = [_item(home, segment.path, lasting=False) for segment in list_segments(home) if _only_in_log(segment.sealed_at(), at)]
    superseded = set(remove_superseded(home, grace=0, dry_run=True, clock=lambda: at / 1_000_000).files)
    for root, depth in ((home.lake, 3), (home.days, 2)):
        for path in sorted(root.glob("*/" * depth + "*.parquet")):
            name = parse_name(path.name)
            if name is not None and 0 < name.visible_from <= at and path not in superseded:
                found.append(_item(home, path, lasting=True))
    raw = home.root / "raw"
    found += [_item(home, path, lasting=path.is_relative_to(raw) and not path.name.startswith(_GROWING)) for path in _plain(home)]
    return found


def _only_in_log(sealed_at: int | None, at: int) -> bool:
    return sealed_at is None or sealed_at > at


def _plain(home: Home) -> Iterator[Path]:
    """What else would be missed: the format, raw frames, numbers that must not be used again, and what was learnt from outside."""
    yield home.format_file
    for root in (home.root / "raw", home.counters, home.instruments, home.context):
        yield from sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))


def _item(home: Home, path: Path, *, lasting: bool) -> _Item:
    return _Item(path=path, name=path.relative_to(home.root).as_posix(), lasting=lasting)


def restore(store: Store, home: Home, *, name: str | None = None, progress: Progress | None = None) -> Snapshot:
    """Lay a snapshot (by default the newest) down in an empty home; killed, the same call goes on. Every byte is checked on its way.

    Until it is whole every program refuses the home. Raises `BackupError`.
    """
    snapshot = store.read(name)
    kept = home.format_file.relative_to(home.root).as_posix()
    if kept not in snapshot.contents:
        raise BackupError(f"snapshot {snapshot.name} has no {kept}: it is of no lake")
    try:
        _claim(home, snapshot)
        with files.locked(home.locks / "restore"):
            for number, (path, content) in enumerate(sorted(snapshot.contents.items())):
                if progress:
                    progress(number, len(snapshot.contents), path)
                target = home.root / path
                if path != kept and not (target.exists() and target.stat().st_size == content.size):
                    store.take_out(content, target)
            store.take_out(snapshot.contents[kept], home.format_file)
    except OSError as error:
        raise BackupError(f"home {home.root} cannot be restored: {error.strerror or error} ({error.filename})") from error
    publish(home)
    return snapshot


def _claim(home: Home, snapshot: Snapshot) -> None:
    mark = json.dumps({"format": f"being restored from {snapshot.name}"}) + "\n"
    if home.root.exists() and any(home.root.iterdir()):
        if not home.format_file.exists() or home.format_file.read_text(encoding="utf-8") != mark:
            raise BackupError(f"home {home.root} is not empty, expected an empty place or an unfinished restore of {snapshot.name}")
    else:
        files.write_small(home.format_file, mark)


def damages(store: Store, *, progress: Progress | None = None) -> list[str]:
    """Read every byte of every snapshot; a sentence for each content that is gone or has changed. Raises `BackupError`."""
    wanted = {content.sha256: content for name in store.names() for content in store.read(name).contents.values()}
    found = []
    for number, content in enumerate(wanted.values()):
        if progress:
            progress(number, len(wanted), content.sha256[:12])
        if damage := store.damaged(content):
            found.append(damage)
    return found
