"""Every operation on lake files: list, write beside, let appear under its instant, remove.

Put here: the few verbs that a store other than the local disk has to offer too. Keep out: what names mean (`lake.paths`) and what
is in the files.

Files appear by rename only, and before the instant in their name: that is what lets readers decide by name and clock alone.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path
from secrets import token_hex
from typing import Final

Clock = Callable[[], float]
"""Wall clock: seconds since 1970."""

TEMPORARY: Final = ".tmp-"
_MISSING = (FileNotFoundError, NotADirectoryError)


def now_us(clock: Clock = time.time) -> int:
    """The clock in microseconds since 1970."""
    return int(clock() * 1_000_000)


def names(directory: Path) -> list[str]:
    """Names in a directory that are not hidden, sorted; none where there is no directory."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))  # noqa: PTH208 - Path.iterdir builds a Path for each of many
    except _MISSING:
        return []


def leftovers(directory: Path) -> list[Path]:
    """Temporary files in a directory, whoever left them."""
    try:
        return sorted(directory / name for name in os.listdir(directory) if name.startswith(TEMPORARY))  # noqa: PTH208
    except _MISSING:
        return []


@dataclass(frozen=True, slots=True)
class Staged:
    """A whole file under a hidden name in its directory, and the name it will have once its instant is chosen."""

    path: Path
    name: Callable[[int], str]


def stage(directory: Path, name: Callable[[int], str], write: Callable[[Path], None]) -> Staged:
    """Write a file under a hidden name in `directory` (made where needed); on failure nothing is left."""
    temporary = directory / f"{TEMPORARY}{os.getpid()}-{token_hex(6)}"
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
        except FileNotFoundError:
            # `lake.cleanup` removes empty directories: one may go between the mkdir and the write.
            if directory.is_dir():
                raise
            continue
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return Staged(temporary, name)


def appear(staged: list[Staged], *, visible_after: float, clock: Clock, floor: int = 0) -> tuple[int, list[Path]]:
    """Give staged files their names, all with one instant; returns the instant (microseconds) and the paths.

    The instant lies `visible_after` seconds ahead of the clock and above `floor`. A stall that eats more than two thirds of that
    before a rename picks a new instant; one found after the renames moves the files forward.
    """
    ahead = int(visible_after * 1_000_000)
    current = [file.path for file in staged]
    while True:
        instant = max(now_us(clock) + ahead, floor + 1)
        for number, file in enumerate(staged):
            if instant - now_us(clock) < ahead / 3:
                break
            target = file.path.parent / file.name(instant)
            os.rename(current[number], target)  # noqa: PTH104 - one system call, the atomic step
            current[number] = target
        else:
            if now_us(clock) < instant:
                return instant, current


def sync(path: Path) -> None:
    """Have the bytes of a file on the medium."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_small(path: Path, text: str) -> None:
    """Replace a small text file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{token_hex(6)}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def remove(path: Path) -> bool:
    """Remove a file; False where it was gone already."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def remove_if_empty(directory: Path) -> None:
    """Remove a directory if nothing is in it."""
    try:
        directory.rmdir()
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}:
            raise


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock file for the block, waiting for it; shared among holders that say so. The kernel frees it when a holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        flock(descriptor, LOCK_SH if shared else LOCK_EX)
        yield
    finally:
        with suppress(OSError):
            os.close(descriptor)
