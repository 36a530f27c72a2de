"""Every error `assets` raises, as one tree.

AssetError
└── OutsidePartitions      a key that stands for no partition of the lake
"""


class AssetError(Exception):
    """Root of everything this package raises."""


class OutsidePartitions(AssetError):
    """A partition key that stands for no hour, day or month."""

    def __init__(self, *, key: str) -> None:
        self.key = key
        allowed = "an hour such as 2026-11-21-07:00, a day such as 2026-11-21, or the first of a month"
        super().__init__(f"partition key {key!r} was received, expected {allowed}")
