"""Bitget's oldest swap frames (`{"table": "swap/trade"}`), in use until 2022.

Put here: what the tables mean. Keep out: v1 and v2. Ids are cmt_btcusdt (linear) and btcusd (inverse, one dollar a contract). Sizes
are contracts: 0.001 for BTC, as volumes of that time show in both units; of others the size is not known, and one is taken for one
base unit.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.streamed import BookFrame
from collectors.venue import Outcome
from collectors.venues.bitget import messages as wire
from collectors.venues.bitget.instruments import futures_market
from collectors.venues.bitget.messages import EXCHANGE
from collectors.venues.bitget.session import BOOKS, BitgetSession, levels_of
from collectors.venues.bitget.v1 import Occurrences, TradeRow

_SIZES: Final = {"BTCUSDT": 0.001}
_DEPTHS: Final = {"depth": BOOKS["books"], "depth5": BOOKS["books5"]}


class Trade(Struct, frozen=True, gc=False):
    """`swap/trade`; `side` is the taker's."""

    instrument_id: str
    price: str
    side: str
    size: str
    timestamp: str


class Depth(Struct, frozen=True, gc=False):
    """`swap/depth` and `swap/depth5`."""

    instrument_id: str
    asks: list[wire.Spelled]
    bids: list[wire.Spelled]
    timestamp: int


class Funding(Struct, frozen=True, gc=False):
    """`swap/funding_rate`."""

    instrument_id: str
    funding_rate: str
    funding_time: str


def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, strict=False)


_trades = _decoder(list[Trade]).decode
_depths = _decoder(list[Depth]).decode
_funding = _decoder(list[Funding]).decode


def take(session: BitgetSession, occurrences: Occurrences, envelope: wire.Envelope, received: int | None) -> Outcome:
    """Take one frame; raises `FrameError` when it cannot be decoded."""
    kind = envelope.table.partition("/")[2]
    data = wire.listed(envelope.data)
    try:
        if kind == "trade":
            by_native: dict[str, list[TradeRow]] = {}
            for trade in _trades(data):
                row = (trade.timestamp, trade.price, trade.size, trade.side)
                by_native.setdefault(_native(trade.instrument_id), []).append(row)
            for native, rows in by_native.items():
                symbol, contract = _known(session, native)
                named = occurrences.named(symbol, rows, history=False)
                based = [(identity, ms, side, price, contract.base(size, price)) for identity, ms, side, price, size in named]
                session.take_trades(symbol, based, received=received, first=False)
            return Outcome.DECODED
        if kind in _DEPTHS:
            return _take_depths(session, envelope.action, _depths(data), rank=_DEPTHS[kind], received=received)
        if kind == "funding_rate":
            for funding in _funding(data):
                symbol, _ = _known(session, _native(funding.instrument_id))
                session.take_state(symbol, received, received, rate=funding.funding_rate, settles=funding.funding_time)
            return Outcome.DECODED
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, f"{envelope.table}: {error}") from error
    return Outcome.IGNORED


def _take_depths(session: BitgetSession, action: str, rows: list[Depth], *, rank: int, received: int | None) -> Outcome:
    outcome = Outcome.IGNORED
    for row in rows:
        native = _native(row.instrument_id)
        contract = _known(session, native)[1]
        sides = [[(price, contract.base(size, price)) for price, size in levels_of(side)] for side in (row.bids, row.asks)]
        frame = BookFrame(bids=sides[0], asks=sides[1], timestamp=event_time(EXCHANGE, row.timestamp))
        book = session.book(futures_market(native), native, rank=rank)
        if book.takes(rank, snapshot=action != "update"):
            (book.update if action == "update" else book.snapshot)(frame, received)
            outcome = Outcome.DECODED
    return outcome


def _native(instrument: str) -> str:
    return instrument.removeprefix("cmt_").upper()


def _known(session: BitgetSession, native: str) -> tuple[str, Contract]:
    market = futures_market(native)
    contract = Contract(1.0, inverse=True) if market == "coin-futures" else Contract(_SIZES.get(native, 1.0))
    return session.names.symbol(market, native), contract
