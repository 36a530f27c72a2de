"""OKX (then OKEx) v3 frames, in use until the end of 2021 and retired since: `{"table": "spot/trade", "data": […]}`.

Put here: what the tables mean, over the books and tapes of the v5 session. Keep out: v5. Times are ISO text, numbers come as text or
bare, futures and swaps call the size `size` or `qty`. Updates carry no sequence, only the checksum.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from collectors.errors import FrameError
from collectors.feeds import GENESIS
from collectors.streamed import BookFrame
from collectors.venue import Outcome
from collectors.venues.okx.messages import EXCHANGE, Envelope
from collectors.venues.okx.session import OkxSession, levels_of, spelling_of

DEPTHS: Final = {"depth_l2_tbt": 401, "depth": 400, "depth5": 5}
_SIDES: Final = {"buy": False, "sell": True}
_CLOSES: Final = {"3": "sell", "4": "buy"}
"""Order types of liquidations: 3 closes a long, 4 a short."""


class Trade(Struct, frozen=True, gc=False):
    """`trade`; `side` is the taker's."""

    instrument_id: str
    trade_id: int
    price: float
    side: str
    timestamp: str
    size: float | None = None
    qty: float | None = None


class Depth(Struct, frozen=True, gc=False):
    """`depth` and its relatives."""

    instrument_id: str
    asks: list[list[str]]
    bids: list[list[str]]
    timestamp: str
    checksum: int | None = None


class Mark(Struct, frozen=True, gc=False):
    """`mark_price`."""

    instrument_id: str
    mark_price: float
    timestamp: str


class Funding(Struct, frozen=True, gc=False):
    """`funding_rate`: `funding_time` is the coming settlement, for which `estimated_rate` is not yet final."""

    instrument_id: str
    funding_rate: str
    funding_time: str
    timestamp: str = ""


class Liquidation(Struct, frozen=True, gc=False):
    """`liquidation`, as recorders made it of REST answers."""

    instrument_id: str
    price: str
    size: str
    type: str
    created_at: str


def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, strict=False)


_trades = _decoder(list[Trade]).decode
_depths = _decoder(list[Depth]).decode
_raw_depths = _decoder(list[dict[str, Raw]]).decode
_levels = _decoder(list[list[Raw]]).decode
_marks = _decoder(list[Mark]).decode
_funding = _decoder(list[Funding]).decode
_liquidations = _decoder(list[Liquidation]).decode


def take(session: OkxSession, envelope: Envelope, received: int | None) -> Outcome:
    """Take one v3 frame; raises `FrameError` when it cannot be decoded."""
    kind = envelope.table.partition("/")[2]
    try:
        match kind:
            case "trade":
                for trade in _trades(envelope.data):
                    _take_trade(session, trade, received)
            case "depth" | "depth_l2_tbt" | "depth5":
                return _take_depth(session, envelope, kind, received=received)
            case "mark_price":
                for mark in _marks(envelope.data):
                    row = {"instId": mark.instrument_id, "markPx": mark.mark_price, "ts": _milliseconds(mark.timestamp)}
                    session.take_derivatives("mark-price", msgspec.json.encode([row]), received)
            case "funding_rate":
                for funding in _funding(envelope.data):
                    state = {
                        "instId": funding.instrument_id,
                        "fundingRate": funding.funding_rate,
                        "fundingTime": _milliseconds(funding.funding_time),
                        "ts": _milliseconds(funding.timestamp) if funding.timestamp else None,
                    }
                    session.take_derivatives("funding-rate", msgspec.json.encode([state]), received)
            case "liquidation":
                for forced in _liquidations(envelope.data):
                    _take_liquidation(session, forced, received)
            case _:
                return Outcome.IGNORED
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, f"v3 {envelope.table}: {error}") from error
    return Outcome.DECODED


def _take_trade(session: OkxSession, trade: Trade, received: int | None) -> None:
    amount = trade.size if trade.size is not None else trade.qty
    if amount is None or trade.side not in _SIDES:
        raise FrameError(EXCHANGE, f"trade {trade.trade_id} has side {trade.side!r} and size {amount}, expected buy or sell and a size")
    session.trade_feed(trade.instrument_id).take(
        trade.trade_id,
        _milliseconds(trade.timestamp) * 1000,
        received=received,
        sold=_SIDES[trade.side],
        price=trade.price,
        amount=session.names[trade.instrument_id].contract.base(amount, trade.price),
    )


def _take_depth(session: OkxSession, envelope: Envelope, kind: str, *, received: int | None) -> Outcome:
    outcome = Outcome.IGNORED
    for row in _spelled(envelope.data):
        contract = session.names[row.instrument_id].contract
        frame = BookFrame(
            bids=levels_of(row.bids, contract),
            asks=levels_of(row.asks, contract),
            timestamp=_milliseconds(row.timestamp) * 1000,
            checksum=row.checksum,
            spelled=None if row.checksum is None else (spelling_of(row.bids), spelling_of(row.asks)),
        )
        book = session.book(row.instrument_id, rank=DEPTHS[kind])
        if book.takes(DEPTHS[kind], snapshot=envelope.action != "update"):
            (book.update if envelope.action == "update" else book.snapshot)(frame, received)
            outcome = Outcome.DECODED
    return outcome


def _spelled(data: Raw) -> list[Depth]:
    """Rows of a depth table; levels that are bare numbers keep their spelling as text."""
    try:
        found: list[Depth] = _depths(data)
    except msgspec.ValidationError:
        found = []
        for row in _raw_depths(data):
            sides = {side: [[_text(part) for part in level] for level in _levels(row[side])] for side in ("asks", "bids") if side in row}
            rest = {name: msgspec.json.decode(value) for name, value in row.items() if name not in sides}
            found.append(msgspec.convert(sides | rest, Depth, strict=False))
    return found


def _text(part: Raw) -> str:
    return bytes(part).decode().strip('"')


def _take_liquidation(session: OkxSession, forced: Liquidation, received: int | None) -> None:
    side = _CLOSES.get(forced.type)
    if side is None:
        raise FrameError(EXCHANGE, f"liquidation has type {forced.type!r}, expected 3 (closes a long) or 4 (closes a short)")
    session.take_former_liquidation(
        forced.instrument_id, side, price=forced.price, size=forced.size, milliseconds=_milliseconds(forced.created_at), received=received
    )


def _milliseconds(text: str) -> int:
    """An ISO time in UTC as milliseconds; raises `FrameError` when it is none of these markets."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise FrameError(EXCHANGE, f"time {text!r} is no ISO time") from error
    found = int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000
    if found * 1000 < GENESIS:
        raise FrameError(EXCHANGE, f"time {text!r} lies before 2009, expected a time of these markets")
    return found
