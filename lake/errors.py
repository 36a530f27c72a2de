"""Every error `lake` raises, as one tree; the message of each is one sentence that names the thing, the value and what is allowed.

LakeError
├── UnknownDataset         a dataset name that the registry does not know
├── UnknownTimeframe       a timeframe that is none of the known ones
├── TimeframeMismatch      candles that cannot be put together to longer ones
├── CandleTableError       a table of candles from elsewhere that cannot be understood
├── IndicatorError         candles, or a study, that indicators cannot be computed from
├── BucketSizeError        a bucket size of the heatmap that is none
├── LakeFormatError        the home was written by a newer version, or is no lake
├── SchemaMismatch         columns that do not fit the dataset's schema
├── WalError               a write-ahead log segment that cannot be used
│   ├── WalLocked          another process collects under the same name
│   └── SealError          a background seal failed; its segment stays in the log and is tried again
├── CompactionError        an hour or day that cannot be written
│   ├── PeriodError        a day or month that is no partition of the dataset, or rows outside it
│   └── UnreadableFile     a lake file that cannot be read
├── RetentionError         a retention that is none
├── AlertRuleError         an alert rule, or a file of them, that cannot be used
├── BackupError            a backup or a recovery that cannot be done
├── CatalogError           the catalog cannot be built
└── QueryError             a statement that DuckDB refused, or that took too long
"""

from __future__ import annotations

from pathlib import Path


class LakeError(Exception):
    """Root of everything this package raises."""


class UnknownDataset(LakeError):
    """A dataset name that the registry does not know."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known
        super().__init__(f"dataset {name!r} is unknown; known datasets are {', '.join(known)}")


class UnknownTimeframe(LakeError):
    """A timeframe that is none of the known ones."""

    def __init__(self, timeframe: str, known: tuple[str, ...]) -> None:
        self.timeframe = timeframe
        self.known = known
        super().__init__(f"timeframe {timeframe!r} is unknown; known timeframes are {', '.join(known)}")


class TimeframeMismatch(LakeError):
    """Candles that cannot be put together to longer ones."""

    def __init__(self, shorter: str, longer: str) -> None:
        self.shorter = shorter
        self.longer = longer
        super().__init__(f"candles of {longer} cannot be made from candles of {shorter}: their intervals do not nest")


class CandleTableError(LakeError):
    """A table of candles from elsewhere that cannot be understood."""


class IndicatorError(LakeError):
    """Candles, or a study, that indicators cannot be computed from."""


class BucketSizeError(LakeError):
    """A bucket size of the heatmap that is none, or a configuration it cannot be read from."""


class LakeFormatError(LakeError):
    """The lake on disk has a format this version cannot use."""

    def __init__(self, *, home: str, found: str, supported: int) -> None:
        self.home = home
        self.found = found
        self.supported = supported
        super().__init__(
            f"the lake at {home} has format {found}, this version of Tickhouse reads up to format {supported}: "
            "use the version that wrote it, or a new home"
        )


class SchemaMismatch(LakeError):
    """Columns that do not fit the dataset's schema."""

    def __init__(self, dataset: str, *, received: str, expected: str) -> None:
        self.dataset = dataset
        self.received = received
        self.expected = expected
        super().__init__(f"rows for dataset {dataset!r} have {received}, expected {expected}")


class WalError(LakeError):
    """A write-ahead log segment that cannot be used."""


class WalLocked(WalError):
    """Another process holds the write-ahead log of this collector name."""

    def __init__(self, *, collector: str, path: str) -> None:
        self.collector = collector
        self.path = path
        super().__init__(
            f"collector {collector!r} is already running on this home (its lock {path} is held): stop it, or choose another name"
        )


class SealError(WalError):
    """Turning a closed segment into parts failed; the segment stays in the log and is tried again at the next roll."""

    def __init__(self, *, segment: str, reason: str) -> None:
        self.segment = segment
        self.reason = reason
        super().__init__(f"log segment {segment} could not be turned into parts: {reason}")


class CompactionError(LakeError):
    """An hour or day that cannot be written."""


class PeriodError(CompactionError):
    """A day or month that is no partition of the dataset, or rows that lie outside of it."""


class UnreadableFile(CompactionError):
    """A lake file that cannot be read; `path` says which."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path} cannot be read: {reason}")


class RetentionError(LakeError):
    """A retention in tickhouse.toml that is none."""


class AlertRuleError(LakeError):
    """An alert rule, or a file of them, that cannot be used."""


class BackupError(LakeError):
    """A backup that cannot be taken, is damaged, or cannot be laid down where it was asked to."""


class CatalogError(LakeError):
    """The catalog cannot be built."""


class QueryError(LakeError):
    """A statement that DuckDB refused, or that took too long."""
