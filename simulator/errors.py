"""Every error the simulator raises on purpose.

SimulatorError
├── UnknownSymbol     a symbol or exchange that is not in the catalogue
├── InvalidFault      a fault description that cannot be read
├── InvalidGap        a history gap that cannot be read
└── InvalidRecording  a playback file that is not a recording
"""

from __future__ import annotations


class SimulatorError(Exception):
    """Root of the simulator's errors; the message is one sentence for the person who typed the command."""


class UnknownSymbol(SimulatorError):
    """A symbol or exchange was asked for that no simulated venue has."""

    def __init__(self, kind: str, received: str, *, expected: str) -> None:
        super().__init__(f"unknown {kind} {received!r}: expected one of {expected}")
        self.received = received
        self.expected = expected


class InvalidFault(SimulatorError):
    """A fault was described in a way that cannot be carried out."""

    def __init__(self, received: str, *, expected: str) -> None:
        super().__init__(f"fault {received!r} cannot be read: expected {expected}")
        self.received = received
        self.expected = expected


class InvalidGap(SimulatorError):
    """A gap of the history was described in a way that cannot be carried out."""

    def __init__(self, received: str, *, expected: str) -> None:
        super().__init__(f"gap {received!r} cannot be read: expected {expected}")
        self.received = received
        self.expected = expected


class InvalidRecording(SimulatorError):
    """A playback file holds a line that is no recorded frame."""

    def __init__(self, path: str, line: int, *, reason: str) -> None:
        super().__init__(f"recording {path} line {line} was {reason}: expected JSON with ts, dir, conn and raw")
        self.path = path
        self.line = line
