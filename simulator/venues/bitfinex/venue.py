"""Bitfinex as the server sees it: one socket path, streams by channel and symbol, heartbeats, REST dispatch.

What belongs here: which client gets what when. What does not: texts (frames.py, rest.py), commands (session.py), books (feed.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from simulator.instruments import Instrument
from simulator.limits import WeightLimit
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket, Stream
from simulator.venues.base import Answer, Pace, Session, Venue
from simulator.venues.bitfinex import frames, rest
from simulator.venues.bitfinex.catalogue import NAME, SPOT
from simulator.venues.bitfinex.feed import Feed, Ladder, tradable
from simulator.venues.bitfinex.session import Asked, BitfinexSession, Channels, acknowledgements

SOCKET_PATH = "/ws/2"
REST_PREFIX = "/v2/"
LIQUIDATIONS = "liq:global"
REQUESTS_PER_MINUTE = 30
FORCED_REQUESTS_PER_MINUTE = 3
SNAPSHOT_TRADES = 30
HEARTBEAT_US = 15_000_000
MEAN_FILLS = 1.4
LEVELS_PER_CHANGE = 7.0
# Books are livelier than trades here, but for the two great pairs.
ORDERS_SHARE = 0.12
GREAT_ORDERS_SHARE = 0.5
GREAT = frozenset({"BTC", "ETH"})


class Bitfinex(Venue):
    """Spot and perpetuals over one socket path."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        "public_ws": (SOCKET_PATH, "wss://api-pub.bitfinex.com/ws/2"),
        "rest": ("", "https://api-pub.bitfinex.com"),
    }

    def prepare(self) -> None:
        self.feeds = {market.instrument: Feed(market, self) for market in self.markets}
        self.forced_stream = Stream(LIQUIDATIONS, exchange=NAME, market="perp", symbol="*", channel="liquidations")
        self.sessions: dict[Socket, BitfinexSession] = {}
        self._by_symbol = {feed.spelling.symbol: feed for feed in self.feeds.values()}
        self._ladders = {ladder.stream: ladder for feed in self.feeds.values() for ladder in feed.ladders.values()}
        self._numbered = {ladder.checks: ladder.stream for ladder in self._ladders.values()}
        self._spoken: dict[Stream, int] = {}
        self._second = 0
        self._requests = self.weight_limit or REQUESTS_PER_MINUTE

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        del query
        if path.rstrip("/") != SOCKET_PATH:
            return None
        channels: Channels = self
        session = self.sessions[socket] = BitfinexSession(socket, channels)
        return session

    def stream(self, asked: Asked) -> Stream | None:
        """The stream of a subscription; None where there is none."""
        if asked.channel == "status":
            if asked.name == LIQUIDATIONS:
                return self.forced_stream
            feed = self._by_symbol.get(asked.name.removeprefix("deriv:"))
            found = asked.name.startswith("deriv:") and feed is not None and tradable(feed.market)
            return feed.status_stream if feed is not None and found else None
        feed = self._by_symbol.get(asked.name)
        if feed is None:
            return None
        return feed.trades_stream if asked.channel == "trades" else feed.ladders[asked.length].stream

    def pair(self, name: str) -> str:
        """The pair of a symbol."""
        return name.removeprefix("t")

    def join(self, session: BitfinexSession, asked: Asked, stream: Stream, *, now_us: int) -> None:
        """Attach a socket to a stream and send it what stands."""
        if asked.channel == "book":
            late = self.snapshot_delay(self._by_symbol[asked.name].market, now_us)
            act = partial(self._begin_book, session, self._ladders[stream], session.numbers[stream])
            if late:
                self.later(now_us + int(late * 1e6), act)
            else:
                act()
            return
        self.hub.attach(session.socket, stream)
        if asked.channel == "trades":
            feed = self._by_symbol[asked.name]
            self._tell(session, stream, frames.trades(feed.spelling, feed.market.last_trades(SNAPSHOT_TRADES)))
        elif asked.name != LIQUIDATIONS:
            self._tell(session, stream, self._by_symbol[asked.name.removeprefix("deriv:")].status(now_us))

    def _begin_book(self, session: BitfinexSession, ladder: Ladder, number: int) -> None:
        if session.socket not in self.hub.sockets or session.numbers.get(ladder.stream) != number:
            return
        body = ladder.begin()
        self.hub.attach(session.socket, ladder.stream)
        if session.checks:
            self.hub.attach(session.socket, ladder.checks)
        self._tell(session, ladder.stream, body)

    def _tell(self, session: BitfinexSession, stream: Stream, body: str) -> None:
        session.socket.send(session.array(session.numbers[stream], body, self.faults.now_us))

    def leave(self, session: BitfinexSession, stream: Stream) -> None:
        """Detach a socket from a stream."""
        self.hub.detach(session.socket, stream)
        if stream in self._ladders:
            self.hub.detach(session.socket, self._ladders[stream].checks)

    def publish(self, stream: Stream, body: str) -> bool:
        """Send a body to whoever listens, each under its own number and count."""
        now_us = self.faults.now_us
        named = self._numbered.get(stream, stream)
        self._spoken[named] = now_us
        sessions = self.sessions
        return self.hub.publish(stream, "", render=lambda socket: sessions[socket].array(sessions[socket].numbers[named], body, now_us))

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        if not path.startswith(REST_PREFIX):
            return None
        parts = path.removeprefix(REST_PREFIX).split("/")
        call = parts[0]
        # Candles name their symbol behind a kind and an interval: trade:1m:tBTCUSD.
        name = parts[1] if len(parts) > 1 else ""
        feed = self._by_symbol.get(f"t{name.partition(':t')[2]}" if call == "candles" else name)
        allowed = FORCED_REQUESTS_PER_MINUTE if call == "liquidations" else self._requests
        self.limits.setdefault(call, WeightLimit(allowed))
        if self.throttled(call, now_us, symbol=feed.market.instrument.symbol if feed else "*"):
            return rest.error(11_010, "ratelimit: error", status=429)
        try:
            return self._answer(parts, feed, params, now_us)
        except ValueError as error:
            return rest.error(10_020, f"{error}: invalid")

    def _answer(self, parts: list[str], feed: Feed | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        match parts:
            case ["conf", keys]:
                return rest.conf(keys, self.listed)
            case ["status", "deriv"]:
                wanted = params.get("keys", "ALL").split(",")
                rows = [
                    each for each in self.feeds.values() if tradable(each.market) and (wanted == ["ALL"] or each.spelling.symbol in wanted)
                ]
                return Answer(200, "[" + ",".join(f'["{each.spelling.symbol}",{each.status(now_us)[1:]}' for each in rows) + "]")
            case ["trades" | "book" | "candles", *_] if feed is None:
                return rest.error(10_020, "symbol: invalid")
            case ["trades", _, "hist"] if feed is not None:
                return Answer(200, rest.trades(feed.spelling, feed.market, params))
            case ["book", _, "P0"] if feed is not None:
                image, late = self.snapshot(feed.market, now_us)
                return Answer(200, rest.book(feed.spelling, image, length=int(params.get("len", "25"))), delay_s=late)
            case ["candles", name, "hist"] if feed is not None:
                return rest.candle_rows(feed.market, name.split(":")[1], params, now_us)
        return None

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        return acknowledgements(text, now_us)

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        # A fill makes two messages, and every order or move some levels and a checksum.
        share = GREAT_ORDERS_SHARE if instrument.market == SPOT and instrument.base in GREAT else ORDERS_SHARE
        return Pace(messages_per_s * share / (2 * MEAN_FILLS + 3.0), messages_per_s * (1 - share) / LEVELS_PER_CHANGE)

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        return self.feeds[market.instrument].trades(fills)

    def changes(self, market: Market, changes: Changes) -> None:
        self.feeds[market.instrument].changes(changes)

    def clock(self, now_us: int) -> None:
        for feed in self.feeds.values():
            feed.clock(now_us)
        if now_us // 1_000_000 != self._second:
            self._second = now_us // 1_000_000
            self._beat(now_us)

    def _beat(self, now_us: int) -> None:
        """A heartbeat on every channel that has been silent for fifteen seconds."""
        self.sessions = {socket: session for socket, session in self.sessions.items() if socket in self.hub.sockets}
        for stream in {stream for session in self.sessions.values() for stream in session.numbers}:
            if stream.wanted and now_us - self._spoken.setdefault(stream, now_us) >= HEARTBEAT_US:
                self.publish(stream, frames.HEARTBEAT)

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        spelling = self.feeds[market.instrument].spelling
        return [str(spelling.trade_id(fill.trade_id)) for fill in fills]

    def shutdown_notice(self, socket: Socket, now_us: int) -> list[str | bytes]:
        del socket, now_us
        return [frames.announcement(frames.RESTART)]

    def liquidation(self, market: Market, fills: list[Trade], now_us: int) -> bool | None:
        if not tradable(market):
            return None
        announced, executed = self.feeds[market.instrument].forced(fills, now_us)
        delivered = self.publish(self.forced_stream, announced)
        self.later(now_us + 300_000, partial(self._executed, executed))
        return delivered

    def _executed(self, body: str) -> None:
        self.publish(self.forced_stream, body)
