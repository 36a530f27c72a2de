"""Bybit's formats before v5, in use until 2023: `trade`, `orderBookL2_25`, `orderBook_200`, `instrument_info`, spot `trade` and `depth`.

Put here: what those topics mean, over the books and tapes of the v5 session. Keep out: v5. Names come in snake case, on USDC contracts
in camel case; numbers as text or bare; scaled ones say so (_e4, _e6, _e8). Books carry no count: nothing can be told missing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from collectors.books import Level
from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.streamed import BookFrame
from collectors.venue import Outcome
from collectors.venues.bybit.messages import EXCHANGE
from collectors.venues.bybit.session import BybitSession, State, levels_of, sold_by

_SNAKE: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_BOOKS: Final = {"orderBookL2_25": 25, "orderBook_200": 200}
_SPOT_DEPTH: Final = 40


class Trade(Struct, frozen=True, gc=False):
    """`trade` of contracts; `side` is the taker's."""

    symbol: str
    side: str
    size: float
    price: float
    trade_id: str
    timestamp: str = ""
    trade_time_ms: int | None = None


class SpotTrade(Struct, frozen=True, gc=False):
    """`trade` of spot: `m` is true where the taker bought."""

    v: str
    t: int
    p: float
    q: float
    m: bool


class SpotDepth(Struct, frozen=True, gc=False):
    """`depth` of spot: the whole book, 40 levels."""

    t: int
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]


class Level25(Struct, frozen=True, gc=False):
    """One level; a deleted one has no size or 0."""

    price: float
    symbol: str
    side: str
    size: float = 0.0


class Delta(Struct, frozen=True, gc=False):
    """What changed of a book."""

    delete: list[Level25] = []
    update: list[Level25] = []
    insert: list[Level25] = []


def is_former(frame: dict[str, Any]) -> bool:
    """Whether a frame is one of these formats and holds data."""
    topic = str(frame.get("topic", ""))
    name = topic.partition(".")[0]
    if name in ("trade", "depth") and "params" in frame:
        return "data" in frame
    return name in ("trade", "instrument_info", *_BOOKS) and "." in topic and "data" in frame


def take(session: BybitSession, frame: dict[str, Any], received: int | None) -> Outcome:
    """Take one frame; raises `FrameError` when it cannot be decoded."""
    topic = str(frame["topic"])
    name = topic.partition(".")[0]
    try:
        if "params" in frame:
            return _spot(session, name, frame, received=received)
        stamp = frame.get("timestamp_e6") or frame.get("timestampE6")
        time = event_time(EXCHANGE, int(stamp)) if stamp else received
        if name == "trade":
            for trade in msgspec.convert(frame["data"], list[Trade], strict=False):
                milliseconds = trade.trade_time_ms if trade.trade_time_ms is not None else _microseconds(trade.timestamp) // 1000
                session.take_trade(
                    trade.symbol, trade.trade_id, milliseconds, side=trade.side, price=trade.price, size=trade.size, received=received
                )
        elif name == "instrument_info":
            _take_state(session, frame, time=time, received=received)
        else:
            return _take_book(session, frame, depth=_BOOKS[name], time=time, received=received)
    except (msgspec.ValidationError, ValueError, KeyError, IndexError, TypeError) as error:
        raise FrameError(EXCHANGE, f"{topic}: {error!r}") from error
    return Outcome.DECODED


def _spot(session: BybitSession, name: str, frame: dict[str, Any], *, received: int | None) -> Outcome:
    native = str(frame["params"]["symbol"])
    if name == "trade":
        trade = msgspec.convert(frame["data"], SpotTrade, strict=False)
        side = "Buy" if trade.m else "Sell"
        # Nothing says that these ids follow each other.
        session.trade_feed(native).contiguous = False
        session.take_trade(native, trade.v, trade.t, side=side, price=trade.p, size=trade.q, received=received)
        return Outcome.DECODED
    depth = msgspec.convert(frame["data"], SpotDepth, strict=False)
    contract = session.names[native].contract
    book = session.book(native, rank=_SPOT_DEPTH)
    if not book.takes(_SPOT_DEPTH, snapshot=True):
        return Outcome.IGNORED
    bids, asks = levels_of(depth.b, contract), levels_of(depth.a, contract)
    book.snapshot(BookFrame(bids=bids, asks=asks, timestamp=event_time(EXCHANGE, depth.t)), received)
    return Outcome.DECODED


def _take_book(session: BybitSession, frame: dict[str, Any], *, depth: int, time: int | None, received: int | None) -> Outcome:
    data = frame["data"]
    native = str(frame["topic"]).rpartition(".")[2]
    snapshot = frame["type"] == "snapshot"
    if snapshot:
        if not isinstance(data, list):
            named = msgspec.convert(data, dict[str, Any])
            data = named["order_book"] if "order_book" in named else named["orderBook"]
        levels = msgspec.convert(data, list[Level25], strict=False)
    else:
        delta = msgspec.convert(data, Delta, strict=False)
        gone = [Level25(level.price, level.symbol, level.side) for level in delta.delete]
        levels = [*gone, *delta.update, *delta.insert]
    sides: tuple[list[Level], list[Level]] = ([], [])
    for level in levels:
        sides[sold_by(level.side)].append((level.price, level.size))
    contract = session.names[native].contract
    found = BookFrame(bids=levels_of(sides[0], contract), asks=levels_of(sides[1], contract), timestamp=time)
    book = session.book(native, rank=depth)
    if not book.takes(depth, snapshot=snapshot):
        return Outcome.IGNORED
    (book.snapshot if snapshot else book.update)(found, received)
    return Outcome.DECODED


def _take_state(session: BybitSession, frame: dict[str, Any], *, time: int | None, received: int | None) -> None:
    data = frame["data"]
    rows = [data] if frame["type"] == "snapshot" else data["update"]
    for row in msgspec.convert(rows, list[dict[str, Any]]):
        known = {_SNAKE.sub(r"_\1", name).lower(): value for name, value in row.items()}
        native = str(known["symbol"])
        state = session.states.setdefault(session.names[native].symbol, State())
        before = (state.mark, state.index, state.open_interest, state.rate, state.next_funding)
        state.mark = _scaled(known, "mark_price", "_e4", state.mark)
        state.index = _scaled(known, "index_price", "_e4", state.index)
        state.open_interest = _scaled(known, "open_interest", "_e8", state.open_interest)
        state.rate = _scaled(known, "funding_rate", "_e6", state.rate)
        if settles := known.get("next_funding_time"):
            state.next_funding = _microseconds(str(settles))
        if before != (state.mark, state.index, state.open_interest, state.rate, state.next_funding):
            session.land_state(native, time, received)


def _scaled(known: dict[str, Any], name: str, exponent: str, former: float | None) -> float | None:
    """A number sent plainly or scaled by a power of ten; what was known where it was not sent."""
    if known.get(name) not in (None, ""):
        return float(known[name])
    if known.get(name + exponent) not in (None, ""):
        return float(known[name + exponent]) / float(f"1e{exponent[2:]}")
    return former


def _microseconds(text: str) -> int:
    """An ISO time in UTC as microseconds."""
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond
