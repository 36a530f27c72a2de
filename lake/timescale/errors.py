"""Every error of `lake.timescale`, as one tree below `LakeError`; no message holds a password.

TimescaleError
├── TimescaleSettingError   a setting that is none, or no address where one is needed
├── UnknownTable            a table that is not synced
├── ServerUnavailable       a server that could not be reached, or gave up, after every attempt
├── ServerRefused           a server that answered no: a wrong password, a missing right, a statement it does not take
├── SchemaMismatched        the schema on the server is not the one of this version
│   ├── SchemaTooNew        it is of a newer version
│   └── SchemaTooOld        it was never made, or is of an older version
└── BehindRetention         a partition that the server's retention has already let go
"""

from __future__ import annotations

from lake.errors import LakeError


class TimescaleError(LakeError):
    """Root of everything this package raises of its own."""


class TimescaleSettingError(TimescaleError):
    """A setting that is none, or no address where one is needed."""


class UnknownTable(TimescaleError):
    """A table that is not synced."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known
        super().__init__(f"table {name!r} is unknown; tables that are synced are {', '.join(known)}")


class ServerUnavailable(TimescaleError):
    """A server that could not be reached, or gave up, after every attempt; the next call may find it well."""

    def __init__(self, *, address: str, doing: str, attempts: int, reason: str) -> None:
        self.address = address
        self.attempts = attempts
        times = "once" if attempts == 1 else f"{attempts} times"
        super().__init__(f"{doing} on {address} was tried {times} and failed: {reason}")


class ServerRefused(TimescaleError):
    """A server that answered no; trying again would not help."""

    def __init__(self, *, address: str, doing: str, reason: str) -> None:
        self.address = address
        super().__init__(f"{doing} on {address} was refused: {reason}")


class SchemaMismatched(TimescaleError):
    """The schema on the server is not the one of this version."""


class SchemaTooNew(SchemaMismatched):
    """The schema on the server is of a newer version."""

    def __init__(self, *, address: str, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(f"the schema on {address} has version {found}, this version of Tickhouse knows up to {known}: use the newer one")


class SchemaTooOld(SchemaMismatched):
    """The schema on the server was never made, or is of an older version."""

    def __init__(self, *, address: str, found: int, known: int) -> None:
        self.found = found
        self.known = known
        what = "no schema of Tickhouse yet" if found == 0 else f"its schema in version {found}, expected {known}"
        super().__init__(f"the database on {address} has {what}: run `tickhouse timescale migrate`")


class BehindRetention(TimescaleError):
    """A partition that the server's retention has already let go."""

    def __init__(self, *, table: str, start: str, days: float, setting: str) -> None:
        self.table = table
        self.days = days
        super().__init__(
            f"{table} of {start} lies behind the retention of {days:g} days, expected a later partition: "
            f"writing it would be undone, and refreshing aggregates there would delete their history ({setting} sets it)"
        )
