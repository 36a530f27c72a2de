"""Figures of data health that no row of the market holds: partitions, checks, runs, disks, silent streams.

Put here: one pure function a kind, from plain facts to `Measured`; instants are microseconds. Keep out: asking Dagster or a disk for
the facts.
"""

from __future__ import annotations

from lake.alerts.firing import Measured


def silent_channel(exchange: str, symbol: str, channel: str, *, last: int, now: int) -> Measured:
    """A stream that delivered last at `last`: seconds of silence at `now`."""
    return Measured(
        timestamp=now, value=max(0, now - last) / 1e6, exchange=exchange, symbol=symbol, subject=channel, details={"last": last}
    )


def stale_partition(asset: str, partition: str, *, due: int, now: int) -> Measured:
    """A partition that should have been there at `due`: seconds it is overdue at `now`."""
    return Measured(timestamp=now, value=max(0, now - due) / 1e6, subject=asset, details={"partition": partition, "due": due})


def failed_check(asset: str, check: str, *, at: int, failures: int = 1, partition: str = "", sentence: str = "") -> Measured:
    """A check that failed at `at`, `failures` times of late."""
    details = {"partition": partition, "sentence": sentence}
    return Measured(timestamp=at, value=float(failures), subject=f"{asset}:{check}", details=details)


def failed_run(job: str, run_id: str, *, at: int, failures: int = 1) -> Measured:
    """A run that failed at `at`; `failures` of its job of late."""
    return Measured(timestamp=at, value=float(failures), subject=job, details={"run_id": run_id})


def disk(*, used: int, total: int, now: int) -> Measured:
    """A disk with `used` of `total` bytes taken: per cent."""
    return Measured(timestamp=now, value=100.0 * used / total, subject="disk", details={"used_bytes": used, "total_bytes": total})
