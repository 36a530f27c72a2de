"""Kraken as the server sees it: the v2 socket, windows per depth, REST dispatch; perpetuals are handed to futures.py.

What belongs here: which client sees which trades and levels. What does not: texts (frames.py, rest.py), commands (session.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.instruments import Instrument
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket, Stream
from simulator.venues.base import Answer, Pace, Session, Venue, standing
from simulator.venues.kraken import frames, futures_rest, rest
from simulator.venues.kraken.catalogue import NAME, Spelling
from simulator.venues.kraken.futures import CHARTS_PREFIX, SOCKET_PATH, Futures
from simulator.venues.kraken.futures import REST_PREFIX as FUTURES_PREFIX
from simulator.venues.kraken.futures_session import acknowledgements as futures_acknowledgements
from simulator.venues.kraken.session import DEPTHS, KrakenSession, acknowledgements
from simulator.window import Window

REST_PREFIX = "/spot/0/public/"
# Kraken counts calls, about one a second over time; a minute's worth here so that a burst at start is allowed.
CALLS_PER_MINUTE = 600
SNAPSHOT_TRADES = 50


class Pair:
    """One market's streams and the windows that are being watched."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.spelling = Spelling(market.instrument)
        self.trades = self._stream("trade", "trades")
        self.books = {depth: self._stream(f"book-{depth}", "book") for depth in DEPTHS}
        self.windows: dict[int, Window] = {}

    def _stream(self, name: str, channel: str) -> Stream:
        return Stream(name, exchange=NAME, market="spot", symbol=self.market.instrument.symbol, channel=channel)


class Kraken(Venue):
    """Spot pairs over WebSocket v2, linear perpetuals over the Futures socket."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        "spot_ws": ("/spot/v2", "wss://ws.kraken.com/v2"),
        "spot_rest": ("/spot", "https://api.kraken.com"),
        "futures_ws": (SOCKET_PATH, "wss://futures.kraken.com/ws/v1"),
        "futures_rest": ("/futures", "https://futures.kraken.com"),
    }
    weights: Mapping[str, int] = {"spot": CALLS_PER_MINUTE}

    def prepare(self) -> None:
        self.pairs = {market.instrument.symbol: Pair(market) for market in self.markets if market.instrument.market == "spot"}
        self.futures = Futures(
            [market for market in self.markets if market.instrument.market != "spot"],
            [item for item in self.listed if item.market != "spot"],
            hub=self.hub,
            weight_limit=self.weight_limit,
            delay=self.snapshot_delay,
            later=self.later,
        )
        self.limits["futures"] = self.futures.limit
        self.instruments = Stream("instrument", exchange=NAME, market="spot", symbol="*", channel="instruments")
        self._sessions: dict[Socket, KrakenSession] = {}
        self._delayed: set[tuple[Socket, str, int]] = set()

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        del query
        if path.rstrip("/") == SOCKET_PATH:
            return self.futures.connect(socket)
        if path.rstrip("/") != "/spot/v2":
            return None
        socket.market = "spot"
        session = KrakenSession(socket, self)
        self._sessions[socket] = session
        return session

    def has(self, symbol: str) -> bool:
        """Whether a v2 symbol is traded here."""
        return symbol in self.pairs

    def subscribe(self, socket: Socket, *, channel: str, symbol: str, depth: int, snapshot: bool, now_us: int) -> None:
        """Attach a socket to a channel and send it the snapshot it asked for."""
        if channel == "instrument":
            self.hub.attach(socket, self.instruments)
            if snapshot:
                socket.send(f'{{"channel":"instrument","type":"snapshot","data":{rest.instrument_channel(self.listed)}}}')
            return
        pair = self.pairs[symbol]
        if channel == "trade":
            self.hub.attach(socket, pair.trades)
            recent = list(pair.market.recent)[-SNAPSHOT_TRADES:]
            if snapshot and recent:
                socket.send(frames.trades(pair.spelling, recent, kind="snapshot"))
            return
        late = self.snapshot_delay(pair.market, now_us)
        if late:
            self._delayed.add((socket, symbol, depth))
            self.later(now_us + int(late * 1e6), lambda: self._start_late(socket, symbol, depth))
            return
        self._start_book(socket, symbol, depth=depth, snapshot=snapshot)

    def _start_late(self, socket: Socket, symbol: str, depth: int) -> None:
        if (socket, symbol, depth) in self._delayed:
            self._delayed.discard((socket, symbol, depth))
            if socket in self.hub.sockets:
                self._start_book(socket, symbol, depth=depth, snapshot=True)

    def _start_book(self, socket: Socket, symbol: str, *, depth: int, snapshot: bool) -> None:
        pair = self.pairs[symbol]
        if depth not in pair.windows or not pair.books[depth].wanted:
            pair.windows[depth] = Window(pair.market.book, depth)
        self.hub.attach(socket, pair.books[depth])
        if snapshot:
            book = pair.market.book
            text = frames.book(
                pair.spelling,
                kind="snapshot",
                bids=book.bids.levels(depth),
                asks=book.asks.levels(depth),
                crc=frames.checksum(book),
                time_us=pair.market.time_us,
            )
            socket.send(text)

    def unsubscribe(self, socket: Socket, *, channel: str, symbol: str, depth: int) -> None:
        """Detach a socket from a channel."""
        if channel == "instrument":
            stream = self.instruments
        else:
            pair = self.pairs[symbol]
            stream = pair.trades if channel == "trade" else pair.books[depth]
        self.hub.detach(socket, stream)
        self._delayed.discard((socket, symbol, depth))

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        if path.startswith((FUTURES_PREFIX, CHARTS_PREFIX)):
            wait = self.throttled("futures", now_us, symbol=self.futures.symbol_of(path, params))
            if wait:
                return futures_rest.failed(429, "apiLimitExceeded", now_us, headers={"Retry-After": str(wait)})
            return self.futures.answer(path, params, now_us, self.snapshot)
        if not path.startswith(REST_PREFIX):
            return None
        call = path.removeprefix(REST_PREFIX)
        pair = next((pair for pair in self.pairs.values() if params.get("pair") in self._names(pair)), None)
        symbol = pair.market.instrument.symbol if pair else "*"
        wait = self.throttled("spot", now_us, symbol=symbol)
        if wait:
            return Answer(429, '{"error":["EAPI:Rate limit exceeded"]}', headers={"Retry-After": str(wait)})
        try:
            return self._answer(call, pair, params, now_us)
        except ValueError:
            return rest.failed("EGeneral:Invalid arguments")

    @staticmethod
    def _names(pair: Pair) -> set[str]:
        return {pair.spelling.key, pair.spelling.altname, pair.spelling.wsname, pair.spelling.symbol}

    def _answer(self, call: str, pair: Pair | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        if call == "AssetPairs":
            body = rest.asset_pairs(self.listed, only=set(params["pair"].split(",")) if "pair" in params else None)
            return rest.unknown_pair() if body is None else Answer(200, body)
        if call == "Time":
            return Answer(200, rest.result({"unixtime": now_us // 1_000_000, "rfc1123": ""}))
        if call not in {"Trades", "OHLC", "Depth"}:
            return None
        if pair is None:
            return rest.unknown_pair()
        if call == "Trades":
            return Answer(200, rest.trades(pair.spelling, pair.market, params))
        if call == "OHLC":
            return rest.ohlc(pair.spelling, pair.market, params, now_us)
        image, late = self.snapshot(pair.market, now_us)
        return Answer(200, rest.depth(pair.spelling, image, count=int(params.get("count", 100))), delay_s=late)

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        return futures_acknowledgements(text) if '"event"' in text else acknowledgements(text, now_us)

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        if instrument.market != "spot":
            # Every fill and every level is a message of its own: about three of an order and four of a move.
            return Pace(0.15 * messages_per_s, 0.15 * messages_per_s)
        # An order makes two messages, its trades and its book change; a move makes one.
        return Pace(0.3 * messages_per_s, 0.4 * messages_per_s)

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        if market.instrument.market != "spot":
            return self.futures.wire_ids(market, fills)
        return super().wire_ids(market, fills)

    def restart_sequence(self, market: Market, now_us: int) -> None:
        super().restart_sequence(market, now_us)
        if market.instrument.market != "spot":
            self.futures.restart_sequence(market)

    def forced(self, market: Market, fills: list[Trade]) -> list[bool]:
        return self.futures.trades(market, fills, kind="liquidation")

    def liquidation(self, market: Market, fills: list[Trade], now_us: int) -> bool | None:
        """Forced orders have no message beside their trades."""
        del fills, now_us
        return self.futures.told(market)

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        if market.instrument.market != "spot":
            return self.futures.trades(market, fills)
        pair = self.pairs[market.instrument.symbol]
        sent = pair.trades.wanted and self.hub.publish(pair.trades, frames.trades(pair.spelling, fills))
        return [sent] * len(fills)

    def changes(self, market: Market, changes: Changes) -> None:
        if market.instrument.market != "spot":
            self.futures.changes(market, changes)
            return
        pair = self.pairs[market.instrument.symbol]
        crc = -1
        for depth, window in list(pair.windows.items()):
            stream = pair.books[depth]
            if not stream.wanted:
                del pair.windows[depth]
                continue
            bids, asks = window.update(changes)
            if not bids and not asks:
                continue
            if crc < 0:
                crc = frames.checksum(market.book)
            self.hub.publish(stream, frames.book(pair.spelling, kind="update", bids=bids, asks=asks, crc=crc, time_us=changes.time_us))

    def clock(self, now_us: int) -> None:
        self.futures.clock(now_us)
        for _, session in standing(self._sessions, self.hub):
            session.beat(now_us)
