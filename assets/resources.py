"""What assets need in their hands, as Dagster resources: the lake, and the knobs of what is derived.

Put here: resources. Keep out: reading settings (that is `orchestration.resources`).
"""

from pathlib import Path

import dagster as dg

from lake.bucket_sizes import read_bucket_sizes
from lake.paths import Home


class LakeResource(dg.ConfigurableResource["LakeResource"]):
    """The home directory of the lake, and the seconds between a file's appearance and the instant it counts from."""

    home: str
    visible_after_seconds: float = 3.0

    @property
    def house(self) -> Home:
        """The path layout of the home."""
        return Home(Path(self.home))


class FlowResource(dg.ConfigurableResource["FlowResource"]):
    """How flow, books and liquidation windows are computed; values in US dollars. `config` is the path of tickhouse.toml."""

    config: str = "tickhouse.toml"
    window_seconds: int = 300
    liquidation_threshold_usd: float = 100_000.0
    large_trade_usd: float = 100_000.0

    @property
    def bucket_sizes(self) -> dict[str, float]:
        """Bucket sizes as they are configured now. Raises `BucketSizeError`."""
        return read_bucket_sizes(Path(self.config))
