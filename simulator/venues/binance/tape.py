"""Binance's past: its three sockets' frames as recorded lines, with the depth snapshots that bridge them.

What belongs here: connection URLs, acknowledgements, when a snapshot was fetched. What does not: message texts (frames.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.market import Changes, Market, Trade
from simulator.prices import index_price
from simulator.venues.binance import frames, rest
from simulator.venues.binance.catalogue import SPOT, USDM, Spelling
from simulator.venues.binance.venue import Binance
from simulator.venues.tape import Gap, Reel, Tape, answer_line, connect_line, instruments_of, line

SOCKETS = {
    SPOT: ("wss://stream.binance.com:9443/stream",),
    USDM: ("wss://fstream.binance.com/public/stream", "wss://fstream.binance.com/market/stream"),
}
INFO = {SPOT: "https://api.binance.com/api/v3/exchangeInfo", USDM: "https://fapi.binance.com/fapi/v1/exchangeInfo"}
DEPTH = {SPOT: "https://api.binance.com/api/v3/depth", USDM: "https://fapi.binance.com/fapi/v1/depth"}
LATENCY_US = {SPOT: 18_251, USDM: 22_417}
SNAPSHOT_LEVELS = 1000
SNAPSHOT_DELAY_US = 40_000


class BinanceTape(Tape):
    """One market: trades (spot raw, futures aggregated), depth@100ms, futures' mark price and forced orders."""

    def __init__(self, market: Market, gaps: Sequence[Gap]) -> None:
        super().__init__(market, gaps)
        kind = market.instrument.market
        self.spelling = Spelling(market.instrument)
        self.spot = kind == SPOT
        self.marks = not self.spot
        self.latency_us = LATENCY_US[kind]
        self.book_socket, self.trade_socket = SOCKETS[kind][0], SOCKETS[kind][-1]
        self._depth_url = f"{DEPTH[kind]}?symbol={self.spelling.upper}&limit={SNAPSHOT_LEVELS}"
        self._in_step = False
        lower = self.spelling.lower
        self._trade_head = f'{{"stream":"{lower}@{"trade" if self.spot else "aggTrade"}","data":'
        self._depth_head = f'{{"stream":"{lower}@depth@100ms","data":'

    def open(self, time_us: int) -> list[str]:
        del time_us
        self._in_step = False
        return []

    def order(self, fills: list[Trade]) -> list[str]:
        at_us = fills[0].time_us
        received = at_us + self.latency_us
        if self.gaps and self.hidden(received):
            return []
        event_ms = at_us // 1000 + 1
        head, conn, spelling = self._trade_head, self.trade_socket, self.spelling
        if self.spot:
            return [line(received + n, conn, f"{head}{frames.spot_trade(spelling, fill, event_ms)}}}") for n, fill in enumerate(fills)]
        groups = frames.aggregates(fills)
        return [line(received + n, conn, f"{head}{frames.usdm_aggregate(spelling, group, event_ms)}}}") for n, group in enumerate(groups)]

    def book(self, changes: Changes) -> list[str]:
        received = changes.time_us + self.latency_us
        if self.gaps and self.hidden(received):
            self._in_step = False
            return []
        event_ms = changes.time_us // 1000
        depth = frames.spot_depth if self.spot else frames.usdm_depth
        lines = [line(received, self.book_socket, f"{self._depth_head}{depth(self.spelling, changes, event_ms)}}}")]
        if not self._in_step:
            self._in_step = True
            body = rest.depth(self.spelling, self.market.image(), limit=SNAPSHOT_LEVELS, now_ms=event_ms + 20)
            lines.append(answer_line(received + SNAPSHOT_DELAY_US, self._depth_url, body))
        return lines

    def mark(self, time_us: int) -> list[str]:
        if self.gaps and self.hidden(time_us + self.latency_us):
            return []
        index = index_price(self.market.instrument.base, self.market.seed, time_us)
        text = frames.mark_price(self.spelling, mark=self.market.path.at(time_us), index=index, event_ms=time_us // 1000)
        return [line(time_us + self.latency_us, self.trade_socket, f'{{"stream":"{self.spelling.lower}@markPrice@1s","data":{text}}}')]

    def forced(self, fills: list[Trade]) -> list[str]:
        at_us = fills[0].time_us
        if self.gaps and self.hidden(at_us + self.latency_us):
            return []
        text = frames.force_order(self.spelling, fills, at_us // 1000 + 2)
        return [line(at_us + self.latency_us + 900, self.trade_socket, f'{{"stream":"{self.spelling.lower}@forceOrder","data":{text}}}')]


class BinanceReel(Reel):
    """Spot and USD-M sockets."""

    def _kinds(self) -> list[str]:
        present = {item.market for item in instruments_of(self.markets)}
        return [kind for kind in SOCKETS if kind in present]

    def tapes(self) -> Sequence[Tape]:
        return [BinanceTape(market, self.gaps) for market in self.markets]

    def instruments(self, time_us: int) -> list[str]:
        lines = []
        for number, kind in enumerate(self._kinds()):
            listed = [item for item in instruments_of(self.markets) if item.market == kind]
            body = rest.exchange_info(listed, market=kind, now_us=time_us, weight_limit=Binance.weights[kind])
            lines.append(answer_line(time_us + number, INFO[kind], body))
        return lines

    def connect(self, time_us: int) -> list[str]:
        lines = []
        for number, conn in enumerate(conn for kind in self._kinds() for conn in SOCKETS[kind]):
            lines.append(connect_line(time_us + number, conn))
            lines.append(line(time_us + 100_000 + number, conn, '{"result":null,"id":1}'))
        return lines
