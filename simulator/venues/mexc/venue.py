"""MEXC as the server sees it: two kinds of sockets, two REST hosts, limits per host.

What belongs here: which client hears of what, which path leads where. What does not: bytes and texts, commands (session.py), when
channels speak (board.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.instruments import Instrument
from simulator.limits import WeightLimit
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket, Stream
from simulator.venues.base import Answer, Pace, Session, Venue, standing
from simulator.venues.mexc import rest
from simulator.venues.mexc.board import Board
from simulator.venues.mexc.catalogue import NAME, PERP, SPOT
from simulator.venues.mexc.session import MexcSession, PerpSession, SpotSession, acknowledgements

SOCKETS = {"/spot/ws": SPOT, "/perp/edge": PERP}
SPOT_PREFIX, PERP_PREFIX = "/spot/api/v3/", "/perp/api/v1/contract/"
# Weight (spot) or requests (contracts) in so many seconds.
LIMITS = {SPOT: (300, 10), PERP: (20, 2)}
SPOT_WEIGHTS = {"exchangeInfo": 10, "depth": 1, "trades": 5, "klines": 1, "time": 1, "ping": 1}
BOOK_FRAMES_PER_S = 10.0


class Mexc(Venue):
    """Spot and linear perpetuals."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        "spot_ws": ("/spot", "wss://wbs-api.mexc.com"),
        "spot_rest": ("/spot", "https://api.mexc.com"),
        "perp_ws": ("/perp", "wss://contract.mexc.com"),
        "perp_rest": ("/perp", "https://contract.mexc.com"),
    }

    def prepare(self) -> None:
        self.limits = {host: WeightLimit(self.weight_limit or most, seconds=seconds) for host, (most, seconds) in LIMITS.items()}
        self.boards = {market.instrument: Board(market, self.hub) for market in self.markets}
        self._by_native = {board.spelling.native: board for board in self.boards.values()}
        self._boards_of = {stream: board for board in self.boards.values() for stream in board.streams.values()}
        self._sessions: dict[Socket, MexcSession] = {}

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        del query
        market = SOCKETS.get(path)
        if market is None:
            return None
        socket.market = market
        session = SpotSession(socket, self) if market == SPOT else PerpSession(socket, self)
        self._sessions[socket] = session
        return session

    def find(self, market: str, name: str) -> Stream | None:
        """The stream of a channel with its symbol."""
        parts = name.split("@")
        board = next((self._by_native[part] for part in parts if part in self._by_native), None)
        if board is None or board.market.instrument.market != market:
            return None
        return board.streams.get("@".join(part for part in parts if part != board.spelling.native))

    def join(self, socket: Socket, stream: Stream, now_us: int) -> None:
        """Let a socket listen."""
        self._boards_of[stream].joined(stream, socket, now_us)

    def leave(self, socket: Socket, stream: Stream) -> None:
        """Let a socket listen no more."""
        self.hub.detach(socket, stream)

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        try:
            if path.startswith(SPOT_PREFIX):
                return self._spot(path.removeprefix(SPOT_PREFIX), params, now_us)
            if path.startswith(PERP_PREFIX):
                call, _, native = path.removeprefix(PERP_PREFIX).partition("/")
                return self._perp(call, native, params, now_us)
        except ValueError:
            return rest.failed(-1100, "Illegal characters found in a parameter.")
        return None

    def _board(self, native: str, market: str) -> Board | None:
        board = self._by_native.get(native)
        return board if board is not None and board.market.instrument.market == market else None

    def _spot(self, call: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        if call not in SPOT_WEIGHTS:
            return None
        board = self._board(params.get("symbol", ""), SPOT)
        symbol = board.market.instrument.symbol if board else "*"
        wait = self.throttled(SPOT, now_us, weight=SPOT_WEIGHTS[call], symbol=symbol)
        if wait:
            return rest.too_many(rest.failed(429, "Too many requests", status=429), wait)
        if call == "ping":
            return Answer(200, "{}")
        if call == "time":
            return Answer(200, f'{{"serverTime":{now_us // 1000}}}')
        if call == "exchangeInfo":
            return rest.exchange_info((item for item in self.listed if item.market == SPOT), now_us=now_us)
        if board is None:
            return rest.failed(-1121, "Invalid symbol.")
        if call == "trades":
            limit = min(int(params.get("limit", 500)), rest.MOST_TRADES)
            return Answer(200, rest.spot_trades(board.spelling, board.market, limit=limit))
        if call == "klines":
            return rest.spot_klines(board.spelling, board.market, params, now_us=now_us)
        image, late = self.snapshot(board.market, now_us)
        limit = min(int(params.get("limit", 100)), rest.MOST_LEVELS)
        return Answer(200, rest.spot_depth(board.spelling, image, limit=limit), delay_s=late)

    def _perp(self, call: str, native: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        board = self._board(native or params.get("symbol", ""), PERP)
        symbol = board.market.instrument.symbol if board else "*"
        wait = self.throttled(PERP, now_us, symbol=symbol)
        if wait:
            return rest.too_many(rest.perp_failed(510, "Requests are too frequent", status=429), wait)
        if call == "ping":
            return rest.perp_result(str(now_us // 1000))
        if call == "detail":
            if params.get("symbol") and board is None:
                return rest.perp_failed(1001, "Contract does not exist")
            return rest.contract_detail([board.market.instrument] if board else [item for item in self.listed if item.market == PERP])
        if call not in {"depth", "deals", "kline", "funding_rate"}:
            return None
        if board is None:
            return rest.perp_failed(1001, "Contract does not exist")
        if call == "deals":
            return rest.perp_deals(board.spelling, board.market, limit=int(params.get("limit", rest.MOST_DEALS)))
        if call == "kline":
            return rest.perp_klines(board.spelling, board.market, params, now_us=now_us)
        if call == "funding_rate":
            return rest.funding_rate(board.spelling, rate=board.mark(now_us)[2], now_us=now_us)
        image, late = self.snapshot(board.market, now_us)
        answer = rest.perp_depth(board.spelling, image, limit=int(params.get("limit", rest.MOST_LEVELS)))
        answer.delay_s = late
        return answer

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        return acknowledgements(text, now_us)

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        del instrument
        books = min(BOOK_FRAMES_PER_S, messages_per_s / 2)
        return Pace(messages_per_s - books, books)

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        return self.boards[market.instrument].trades(fills)

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        # Streams name trades, REST does not: only time, price, amount and side can be compared.
        del market
        return [""] * len(fills)

    def changes(self, market: Market, changes: Changes) -> None:
        self.boards[market.instrument].changes(changes)

    def clock(self, now_us: int) -> None:
        for _, session in standing(self._sessions, self.hub):
            session.beat(now_us)
        for board in self.boards.values():
            board.clock(now_us)
