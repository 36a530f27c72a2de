"""OKX as the server sees it: sockets, subscriptions, limits per call, REST dispatch.

What belongs here: which client hears of what, which path leads where. What does not: texts (frames.py, rest.py), commands
(session.py), when channels speak (board.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.instruments import Instrument
from simulator.limits import WeightLimit
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket, Stream
from simulator.venues.base import Answer, Pace, Session, Venue, standing
from simulator.venues.okx import frames, rest
from simulator.venues.okx.board import BOOKS, EACH_TRADE, STATES, Board
from simulator.venues.okx.catalogue import NAME, SPOT, SWAP
from simulator.venues.okx.session import OkxSession, acknowledgements

PUBLIC, BUSINESS = "/ws/v5/public", "/ws/v5/business"
FORCED = "liquidation-orders"
TYPES = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"})
# Call to requests in two seconds.
CALLS = {
    "public/instruments": 20,
    "public/open-interest": 20,
    "public/funding-rate": 20,
    "public/mark-price": 10,
    "public/time": 10,
    "market/index-tickers": 20,
    "market/trades": 100,
    "market/history-trades": 20,
    "market/books": 40,
    "market/candles": 40,
    "market/history-candles": 20,
}
WINDOW_S = 2
ROWS_PER_ORDER = 1.2
BOOK_FRAMES_PER_S = 10.0
SECOND_US = 1_000_000


class Okx(Venue):
    """Spot and linear swaps."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        "public_ws": (PUBLIC, "wss://ws.okx.com:8443/ws/v5/public"),
        "rest": ("", "https://www.okx.com"),
    }

    def prepare(self) -> None:
        self.limits = {call: WeightLimit(self.weight_limit or most, seconds=WINDOW_S) for call, most in CALLS.items()}
        self.boards = {market.instrument: Board(market, self.hub) for market in self.markets}
        self.forced_orders = Stream(FORCED, exchange=NAME, market=SWAP, symbol="*", channel="liquidations")
        self._last_forced = ""
        self._forced_second: dict[str, int] = {}
        self._by_native = {board.spelling.native: board for board in self.boards.values()}
        self._by_index = {board.spelling.index: board for board in self.boards.values() if board.swap}
        self._sessions: dict[Socket, OkxSession] = {}

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        del query
        if path not in {PUBLIC, BUSINESS}:
            return None
        socket.market = "public" if path == PUBLIC else "business"
        session = OkxSession(socket, self, path=path)
        self._sessions[socket] = session
        return session

    def has(self, path: str, wanted: dict[str, Any]) -> bool:
        """Whether a path carries what an argument names."""
        channel = wanted.get("channel")
        if channel == FORCED:
            return path == PUBLIC and wanted.get("instType") in TYPES - {"SPOT"}
        board = self._board(wanted)
        if board is None or channel not in board.streams:
            return False
        return (channel == EACH_TRADE) == (path == BUSINESS)

    def _board(self, wanted: dict[str, Any]) -> Board | None:
        boards = self._by_index if wanted.get("channel") == "index-tickers" else self._by_native
        return boards.get(str(wanted.get("instId")))

    def subscribe(self, socket: Socket, wanted: dict[str, Any], now_us: int) -> None:
        """Attach a socket to a channel that `has` knows, with whatever the venue says first."""
        channel = str(wanted["channel"])
        board = self._board(wanted)
        if board is None:
            if wanted.get("instType") == "SWAP":
                self.hub.attach(socket, self.forced_orders)
                if self._last_forced:
                    socket.send(self._last_forced)
            return
        if channel != BOOKS:
            self.hub.attach(socket, board.streams[channel])
            if channel in STATES:
                socket.send(board.state(channel, now_us))
            return
        image, late = self.snapshot(board.market, now_us)
        stale = image if image is board.market.opening else None
        if late:
            self.later(now_us + int(late * 1e6), lambda: self._join_late(socket, board, wanted))
        else:
            board.join(socket, stale)
        count = sum(("books" in key) for session in self._sessions.values() for key in session.subscribed)
        socket.send(frames.channel_count(channel, count, connection=frames.connection_id(socket.identity)))

    def _join_late(self, socket: Socket, board: Board, wanted: dict[str, Any]) -> None:
        session = self._sessions.get(socket)
        if session is not None and wanted in session.subscribed.values() and board.streams[BOOKS] not in socket.streams:
            board.join(socket, None)

    def unsubscribe(self, socket: Socket, wanted: dict[str, Any]) -> None:
        """Detach a socket from a channel."""
        board = self._board(wanted)
        if board is None:
            self.hub.detach(socket, self.forced_orders)
        elif wanted["channel"] == BOOKS:
            board.leave(socket)
        else:
            self.hub.detach(socket, board.streams[wanted["channel"]])

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        call = path.removeprefix("/api/v5/")
        if call == path or call not in CALLS:
            return None
        board = self._by_native.get(params.get("instId", ""))
        symbol = board.market.instrument.symbol if board else "*"
        if self.throttled(call, now_us, symbol=symbol):
            return rest.too_many()
        try:
            return self._answer(call, board, params, now_us)
        except ValueError:
            return rest.wrong("limit")

    def _answer(self, call: str, board: Board | None, params: Mapping[str, str], now_us: int) -> Answer:
        kind = params.get("instType", "")
        if call == "public/time":
            return rest.result(f'[{{"ts":"{now_us // 1000}"}}]')
        if call == "public/instruments":
            if kind not in TYPES:
                return rest.wrong("instType")
            markets = {"SPOT": SPOT, "SWAP": SWAP}
            return rest.instruments(item for item in self.listed if item.market == markets.get(kind))
        if call in {"public/open-interest", "public/mark-price", "public/funding-rate", "market/index-tickers"}:
            return self._states(call.partition("/")[2], board, params, now_us)
        if board is None:
            return rest.unknown_instrument()
        market, spelling = board.market, board.spelling
        if call == "market/books":
            image, late = self.snapshot(market, now_us)
            answer = rest.depth(spelling, image, params)
            answer.delay_s = late
            return answer
        if call.endswith("candles"):
            return rest.kline(spelling, market, params, now_us=now_us, history=call == "market/history-candles")
        name = call.partition("/")[2]
        # Only the history can be paged.
        wanted = params if name == "history-trades" else {"limit": params.get("limit", "100")}
        return rest.trades(spelling, market, wanted, most=rest.MOST_TRADES[name])

    def _states(self, channel: str, board: Board | None, params: Mapping[str, str], now_us: int) -> Answer:
        if channel == "index-tickers":
            board = self._by_index.get(params.get("instId", ""))
        elif "instId" not in params:
            swaps = [board for board in self.boards.values() if board.swap and params.get("instType") == "SWAP"]
            return rest.result("[" + ",".join(board.state_row(channel, now_us) for board in swaps) + "]")
        if board is None or not board.swap:
            return rest.unknown_instrument()
        return rest.result(f"[{board.state_row(channel, now_us)}]")

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        del now_us
        return acknowledgements(text)

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        del instrument
        books = min(BOOK_FRAMES_PER_S, messages_per_s / 2)
        return Pace((messages_per_s - books) / ROWS_PER_ORDER, books)

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        return self.boards[market.instrument].trades(fills)

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        # Rows that were sent are known by the last id they hold; REST, which has the rest, names every fill.
        return self.boards[market.instrument].wire_ids(fills)

    def changes(self, market: Market, changes: Changes) -> None:
        """Books are looked at when a frame is due."""

    def clock(self, now_us: int) -> None:
        for _, session in standing(self._sessions, self.hub):
            session.beat(now_us)
        for board in self.boards.values():
            board.clock(now_us)

    def shutdown_notice(self, socket: Socket, now_us: int) -> list[str | bytes]:
        del now_us
        return [frames.upgrade(frames.connection_id(socket.identity))]

    def liquidation(self, market: Market, fills: list[Trade], now_us: int) -> bool | None:
        if market.instrument.market != SWAP:
            return None
        spelling = self.boards[market.instrument].spelling
        # At most one order per contract and second is published.
        if now_us // SECOND_US <= self._forced_second.get(spelling.native, 0):
            return False
        self._forced_second[spelling.native] = now_us // SECOND_US
        self._last_forced = frames.liquidation(spelling, fills, now_us=now_us)
        return self.hub.publish(self.forced_orders, self._last_forced)
