"""Bybit's past: its spot socket's frames as recorded lines, with the resubscriptions that bring a book back in step.

What belongs here: the connection, acknowledgements, snapshots, when a client resubscribed. What does not: message texts (frames.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.market import Changes, Market, Trade
from simulator.venues.bybit import frames, rest
from simulator.venues.bybit.catalogue import SPOT, Spelling
from simulator.venues.bybit.feed import Levels, told
from simulator.venues.bybit.session import connection_id
from simulator.venues.tape import Gap, Reel, Tape, answer_line, connect_line, instruments_of, line

SOCKET = "wss://stream.bybit.com/v5/public/spot"
INFO = "https://api.bybit.com/v5/market/instruments-info?category=spot"
DEPTH = 200
LATENCY_US = 24_377
RESUBSCRIBE_DELAY_US = 60_000


class BybitTape(Tape):
    """One pair: trades and the book to a depth of 200, whose frames the topic counts."""

    def __init__(self, market: Market, gaps: Sequence[Gap]) -> None:
        super().__init__(market, gaps)
        self.spelling = Spelling(market.instrument)
        self._update = 1_000 + market.sequence % 100_000_000
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._in_step = False

    def open(self, time_us: int) -> list[str]:
        return self._snapshot(time_us)

    def order(self, fills: list[Trade]) -> list[str]:
        received = fills[0].time_us + LATENCY_US
        if self.gaps and self.hidden(received):
            return []
        text = frames.trades(self.spelling, fills, sequence=self.market.sequence, now_ms=fills[0].time_us // 1000 + 1)
        return [line(received, SOCKET, text)]

    def book(self, changes: Changes) -> list[str]:
        received = changes.time_us + LATENCY_US
        if self.gaps and self.hidden(received):
            # The topic counts on while nobody hears it: that is how the client notices.
            self._update += 1
            self._in_step = False
            return []
        held, out_of_step = (self._bids, self._asks), not self._in_step
        self._take()
        bids, asks = (told(before, list(now.items())) for before, now in zip(held, (self._bids, self._asks), strict=True))
        if not bids and not asks:
            return []
        self._update += 1
        lines = [self._line(received, "delta", bids, asks)]
        if out_of_step:
            again = received + RESUBSCRIBE_DELAY_US
            lines += [acknowledged("unsubscribe", again), acknowledged("subscribe", again + 1), *self._snapshot(again + 2)]
        return lines

    def _snapshot(self, received: int) -> list[str]:
        self._take()
        self._in_step = True
        return [self._line(received, "snapshot", list(self._bids.items()), list(self._asks.items()))]

    def _take(self) -> None:
        book = self.market.book
        self._bids, self._asks = dict(book.bids.levels(DEPTH)), dict(book.asks.levels(DEPTH))

    def _line(self, received: int, kind: str, bids: Levels, asks: Levels) -> str:
        sent_ms = (received - LATENCY_US) // 1000
        text = frames.book(
            self.spelling,
            depth=DEPTH,
            kind=kind,
            bids=bids,
            asks=asks,
            update=self._update,
            sequence=self.market.sequence,
            matched_ms=self.market.time_us // 1000,
            now_ms=sent_ms,
        )
        return line(received, SOCKET, text)


def acknowledged(op: str, time_us: int) -> str:
    """The venue's yes to a whole command."""
    text = frames.answer(market=SPOT, op=op, success=True, message=op, connection=connection_id(1), identity="1")
    return line(time_us, SOCKET, text)


class BybitReel(Reel):
    """The spot socket; contracts have no tape."""

    def __init__(self, markets: Sequence[Market], gaps: Sequence[Gap]) -> None:
        super().__init__([market for market in markets if market.instrument.market == SPOT], gaps)

    def tapes(self) -> Sequence[Tape]:
        return [BybitTape(market, self.gaps) for market in self.markets]

    def instruments(self, time_us: int) -> list[str]:
        body = rest.answered(rest.instruments(instruments_of(self.markets), SPOT, {}), time_us).body
        return [answer_line(time_us, INFO, body)]

    def connect(self, time_us: int) -> list[str]:
        return [connect_line(time_us, SOCKET), acknowledged("subscribe", time_us + 100_000)]
