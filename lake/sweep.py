"""The sweep: superseded files leave the catalog in one round and the disk in the next, so that no query meets one as it goes.

Put here: the two rounds. Keep out: which files may go (`lake.cleanup`) and how views leave them out (`lake.condemned`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from lake import condemned
from lake.catalog import condemn
from lake.cleanup import Removal, remove_superseded
from lake.files import Clock
from lake.paths import Home

LINGER_SECONDS: Final = 60.0
"""Between the rounds: longer than the queries that began before the catalog left a file out."""


def sweep(home: Home, *, grace: float, linger: float = LINGER_SECONDS, clock: Clock = time.time) -> Removal:
    """Remove what an earlier sweep left out of the catalog, and leave out what has been superseded for `grace` seconds since.

    `Removal.waiting` are the files that go with the next sweep. A sweep within `linger` seconds of the last removes no file of the
    lake. Raises `UnreadableFile`, `CatalogError`.
    """
    leave = condemned.read(home)
    rested = leave and clock() - home.condemned.stat().st_mtime >= linger

    def may_go(path: Path) -> bool:
        tier = leave.get(condemned.tier_of(home, path))
        return bool(rested) and tier is not None and tier.covers(path)

    removal = remove_superseded(home, grace=grace, may_go=may_go, clock=clock)
    if removal.waiting and (rested or not leave):
        condemn(home, removal.waiting)
    return removal
