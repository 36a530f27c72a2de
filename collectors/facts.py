"""What a venue answers in words: the questions that no other part of its code answers as data.

Put here: the shapes of the answers. Keep out: the answers (each venue's facts.py), what can be asked of the code itself (channels,
sockets and their life come from `Venue.plan`, limits from `Venue.limits`).

The list of questions, and where each answer lives, is docs/adding-a-venue.md; `tickhouse venues` prints the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from collectors.venue import Instrument, Wanted

if TYPE_CHECKING:
    from collectors.venue import Venue

NONE = "none"
"""The answer of a venue that has no such thing, as distinct from a question nobody has answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """One market of a venue. Each text is a short sentence, or `NONE`."""

    example: Instrument
    """An instrument every reader knows; it names the market."""
    sequence: str
    """How one update of a book follows the last one."""
    snapshot: str
    """Where a whole book comes from."""
    checksum: str
    """What proves a book, and over what."""
    trade_ids: str
    """What tells one trade from another, and whether a lost one shows."""
    backfill: str
    """How missed trades are fetched, and how far back."""
    liquidations: str
    """Whose side is sent, and whether all are."""
    undetectable: str
    """What can be lost without anyone being able to notice."""

    @property
    def market(self) -> str:
        return self.example.market

    @property
    def integrity(self) -> str:
        """What proves a book: sequence, checksum, both or none."""
        proofs = [name for name, rule in (("sequence", self.sequence), ("checksum", self.checksum)) if rule != NONE]
        return " + ".join(proofs) or NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueFacts:
    """What holds for all markets of a venue. Each text is a short sentence, or `NONE`."""

    name: str
    """As the exchange writes itself."""
    commands: str
    """How streams are subscribed, and what acknowledges them."""
    heartbeat: str
    """Who has to say what to keep a socket open, and after which silence it is given up."""
    sides: str
    """Whose side a trade names, and how it becomes the taker's."""
    sizes: str
    """In what amounts are sent, and how they become base units."""
    times: str
    """Units of the venue's times."""
    shutdown: str
    """How a planned end of a socket is announced."""
    markets: tuple[MarketFacts, ...]


class MarketRow(msgspec.Struct, kw_only=True):
    """One row of `tickhouse venues`. `socket_hours` is the planned life of a socket, None where the venue plans no cut."""

    exchange: str
    name: str
    market: str
    example: str
    channels: list[str]
    integrity: str
    sequence: str
    snapshot: str
    checksum: str
    trade_ids: str
    backfill: str
    liquidations: str
    undetectable: str
    sockets: int
    """Sockets that one symbol with all channels takes."""
    socket_hours: float | None


def table(venues: Mapping[str, Venue]) -> list[MarketRow]:
    """A row for each market of each venue: its facts, and what its plan says."""
    return [_row(exchange, venue, facts) for exchange, venue in sorted(venues.items()) for facts in venue.facts.markets]


def _row(exchange: str, venue: Venue, facts: MarketFacts) -> MarketRow:
    symbol = facts.example.symbol
    plans = venue.plan(Wanted(symbols=(symbol,), channels=tuple(venue.channels)), {symbol: facts.example})
    ages = [plan.max_age_seconds for plan in plans if plan.max_age_seconds is not None]
    carried = {stream.channel for plan in plans for stream in plan.streams}
    return MarketRow(
        exchange=exchange,
        name=venue.facts.name,
        market=facts.market,
        example=symbol,
        channels=[channel for channel in venue.channels if channel in carried],
        integrity=facts.integrity,
        sequence=facts.sequence,
        snapshot=facts.snapshot,
        checksum=facts.checksum,
        trade_ids=facts.trade_ids,
        backfill=facts.backfill,
        liquidations=facts.liquidations,
        undetectable=facts.undetectable,
        sockets=len(plans),
        socket_hours=min(ages) / 3600 if ages else None,
    )
