"""Every error `sources` raises, as one tree; the message of each is one sentence. None of them ever holds a key.

SourceError
├── SourceUnavailable      no usable answer after all attempts
├── SourceRefused          an answer that asking again will not change: a wrong key, an unknown symbol
├── UnexpectedAnswer       an answer that is not what the source documents
├── QuotaSpent             the month's calls are used up, or ahead of their pace
└── DeclarationError       a declarations or flags file that says something else than it may
"""

from __future__ import annotations

from pathlib import Path


class SourceError(Exception):
    """Root of everything this package raises."""


class SourceUnavailable(SourceError):
    """No usable answer after all attempts."""


class SourceRefused(SourceError):
    """An answer that asking again will not change."""


class UnexpectedAnswer(SourceError):
    """An answer that is not what the source documents."""


class QuotaSpent(SourceError):
    """The month's calls are used up, or ahead of their pace."""


class DeclarationError(SourceError):
    """A declarations or flags file that says something else than it may; `path` says which."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        super().__init__(f"{path}: {what}")
