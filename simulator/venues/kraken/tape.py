"""Kraken's past: its v2 socket's frames as recorded lines, with the resubscriptions that bring a book back in step.

What belongs here: status, acknowledgements, snapshots, when a client resubscribed. What does not: message texts (frames.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.market import Changes, Market, Trade
from simulator.venues.kraken import frames, rest
from simulator.venues.kraken.catalogue import Spelling
from simulator.venues.tape import Gap, Reel, Tape, answer_line, connect_line, instruments_of, line
from simulator.window import Window

SOCKET = "wss://ws.kraken.com/v2"
PAIRS = "https://api.kraken.com/0/public/AssetPairs"
DEPTH = 100
LATENCY_US = 31_083
RESUBSCRIBE_DELAY_US = 60_000


class KrakenTape(Tape):
    """One pair: trades and the book to a depth of 100 with its checksum."""

    def __init__(self, market: Market, gaps: Sequence[Gap]) -> None:
        super().__init__(market, gaps)
        self.spelling = Spelling(market.instrument)
        self._window: Window | None = None

    def open(self, time_us: int) -> list[str]:
        return self._snapshot(time_us)

    def _snapshot(self, received: int) -> list[str]:
        book = self.market.book
        self._window = Window(book, DEPTH)
        text = frames.book(
            self.spelling,
            kind="snapshot",
            bids=book.bids.levels(DEPTH),
            asks=book.asks.levels(DEPTH),
            crc=frames.checksum(book),
            time_us=received - LATENCY_US,
        )
        return [line(received, SOCKET, text)]

    def order(self, fills: list[Trade]) -> list[str]:
        received = fills[0].time_us + LATENCY_US
        if self.gaps and self.hidden(received):
            return []
        return [line(received, SOCKET, frames.trades(self.spelling, fills))]

    def book(self, changes: Changes) -> list[str]:
        received = changes.time_us + LATENCY_US
        if self.gaps and self.hidden(received):
            self._window = None
            return []
        out_of_step = self._window is None
        window = self._window or Window(self.market.book, DEPTH)
        bids, asks = window.update(changes)
        if not bids and not asks:
            return []
        crc = frames.checksum(self.market.book)
        update = frames.book(self.spelling, kind="update", bids=bids, asks=asks, crc=crc, time_us=changes.time_us)
        lines = [line(received, SOCKET, update)]
        if out_of_step:
            # The client's checksum fails on this update; it resubscribes and gets a snapshot.
            again = received + RESUBSCRIBE_DELAY_US
            lines.append(line(again, SOCKET, acknowledged("unsubscribe", "book", self.spelling.symbol, again)))
            lines.append(line(again + 1, SOCKET, acknowledged("subscribe", "book", self.spelling.symbol, again)))
            lines += self._snapshot(again + 2)
        return lines


def acknowledged(method: str, channel: str, symbol: str, time_us: int) -> str:
    """The venue's yes to one channel of one symbol."""
    depth = f',"depth":{DEPTH}' if channel == "book" else ""
    snapshot = f',"snapshot":{"true" if channel == "book" else "false"}' if method == "subscribe" else ""
    result = f'{{"channel":"{channel}"{depth}{snapshot},"symbol":"{symbol}"}}'
    return frames.acknowledged(method, result=result, identity="", time_us=time_us - LATENCY_US)


class KrakenReel(Reel):
    """The v2 socket; perpetuals have no tape."""

    def __init__(self, markets: Sequence[Market], gaps: Sequence[Gap]) -> None:
        super().__init__([market for market in markets if market.instrument.market == "spot"], gaps)

    def tapes(self) -> Sequence[Tape]:
        return [KrakenTape(market, self.gaps) for market in self.markets]

    def instruments(self, time_us: int) -> list[str]:
        body = rest.asset_pairs(instruments_of(self.markets))
        assert body is not None
        return [answer_line(time_us, PAIRS, body)]

    def connect(self, time_us: int) -> list[str]:
        lines = [connect_line(time_us, SOCKET), line(time_us + 50_000, SOCKET, frames.status(0x2B00_0000_0000_0001))]
        at = time_us + 100_000
        for item in instruments_of(self.markets):
            for channel in ("trade", "book"):
                lines.append(line(at, SOCKET, acknowledged("subscribe", channel, item.symbol, at)))
                at += 1
        return lines
