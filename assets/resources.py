"""The lake as a Dagster resource: where it lies and how far ahead of their appearance new files count.

Put here: what an asset body needs in its hands. Keep out: reading settings (that is `orchestration.resources`).
"""

from pathlib import Path

import dagster as dg

from lake.paths import Home


class LakeResource(dg.ConfigurableResource["LakeResource"]):
    """The home directory of the lake, and the seconds between a file's appearance and the instant it counts from."""

    home: str
    visible_after_seconds: float = 3.0

    @property
    def house(self) -> Home:
        """The path layout of the home."""
        return Home(Path(self.home))
