"""Every error `assets` raises, as one tree.

AssetError
└── OutsidePartitions      an hour that the partitions do not hold
"""


class AssetError(Exception):
    """Root of everything this package raises."""


class OutsidePartitions(AssetError):
    """A partition key that stands for no hour."""

    def __init__(self, *, key: str) -> None:
        self.key = key
        super().__init__(f"partition key {key!r} was received, expected an hour such as 2026-11-21-07:00")
