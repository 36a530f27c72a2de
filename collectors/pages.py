"""Missed trades as they are asked for: what is missing of a symbol, what a REST answer held, who makes the request.

Put here: the words between a healer and the sessions. Keep out: when to ask (healing.py), URLs (venues).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from collectors.venue import HttpGet


@dataclass(slots=True)
class Page:
    """The trades of REST answers since the page was last taken: how many, how many of them new, ids and times (us) they span."""

    rows: int = 0
    new: int = 0
    lowest: int | None = None
    highest: int | None = None
    oldest: int | None = None
    newest: int | None = None

    def add(self, number: int | None, timestamp: int) -> None:
        """Count one trade; `number` is None where ids are no numbers."""
        self.rows += 1
        if number is not None:
            self.lowest = number if self.lowest is None else min(self.lowest, number)
            self.highest = number if self.highest is None else max(self.highest, number)
        self.oldest = timestamp if self.oldest is None else min(self.oldest, timestamp)
        self.newest = timestamp if self.newest is None else max(self.newest, timestamp)

    def join(self, other: Page) -> None:
        """Count the trades of another page, too."""
        self.rows += other.rows
        self.new += other.new
        for name, choose in (("lowest", min), ("oldest", min), ("highest", max), ("newest", max)):
            both = [value for value in (getattr(self, name), getattr(other, name)) if value is not None]
            setattr(self, name, choose(both, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What is to be fetched of one symbol. Ids are exclusive bounds, None where ids are no numbers or none was seen; times in us."""

    symbol: str
    after: int | None
    """Id of the last trade before the hole."""
    before: int | None
    """Id of the first trade after it; None also where no trade has come since."""
    first: int | None
    """Least id that is missing; moves on with what has been fetched. None where ids need not follow each other."""
    since: int
    """Event time of the last trade before the hole, or a time that surely lies before it."""
    until: int
    """Event time of the first trade after it."""


TradePages: TypeAlias = Callable[[Missing, Page | None], HttpGet | None]
"""The request (purpose `trades`) for the first page of what is missing (None), or for the page after one; None where there is none.

Pages may go up from where the hole starts or down from where it ends; those that go down begin so that the trade `before` itself is
in the first.
"""
