"""MEXC perpetuals: JSON pushes.

Put here: what each push means. Keep out: subscriptions, spot. There is no public stream of forced orders.
"""

from __future__ import annotations

import msgspec

from collectors.books import Level
from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.venue import Instrument, Outcome
from collectors.venues.mexc import messages as wire
from collectors.venues.mexc.messages import EXCHANGE
from collectors.venues.mexc.session import MexcSession, Trade


def take(session: MexcSession, push: wire.Envelope, received: int | None) -> Outcome:
    """Take one push; raises `FrameError` or a decoding error when it cannot be decoded."""
    instrument = session.find(push.symbol) if push.symbol else None
    if instrument is None or not push.channel.startswith("push."):
        return Outcome.IGNORED
    time = None if push.ts is None else event_time(EXCHANGE, push.ts)
    match push.channel.removeprefix("push."):
        case "deal":
            # A batch comes newest first.
            session.take_trades(instrument, sorted(trades_of(push.data), key=_when), received)
        case "depth":
            depth = wire.decode_depth(push.data)
            first, last = depth.begin or depth.version, depth.end or depth.version
            bids, asks = _side(depth.bids), _side(depth.asks)
            session.take_diff(instrument, first, last, bids=bids, asks=asks, time=_time(depth) or time, received=received)
        case "depth.full":
            depth = wire.decode_depth(push.data)
            bids, asks = _side(depth.bids), _side(depth.asks)
            taken = session.take_full(instrument, depth.version, bids=bids, asks=asks, time=_time(depth) or time, received=received)
            return Outcome.DECODED if taken else Outcome.IGNORED
        case "depth.snapshot":
            # A recorder's own frame: the REST snapshot of the moment.
            take_depth(session, instrument, push.data, received)
        case "ticker" | "funding.rate" | "fair.price" | "index.price":
            _take_state(session, instrument, push, time=time, received=received)
        case _:
            return Outcome.IGNORED
    return Outcome.DECODED


def trades_of(data: bytes | msgspec.Raw) -> list[Trade]:
    """The trades of a push or a REST answer, as they come."""
    deals = wire.decode_deals(data) if bytes(data)[:1] == b"[" else [wire.decode_deal(data)]
    return [Trade(deal.t, deal.p, deal.v, deal.T, "" if deal.i is None else str(deal.i)) for deal in deals]


def take_depth(session: MexcSession, instrument: Instrument, data: bytes | msgspec.Raw, received: int | None) -> None:
    """A REST depth answer's payload."""
    depth = wire.decode_depth(data)
    now = received if received is not None else _time(depth)
    session.take_snapshot(instrument, depth.version, bids=_side(depth.bids), asks=_side(depth.asks), received=now)


def take_funding(session: MexcSession, data: bytes | msgspec.Raw, received: int | None) -> bool:
    """A REST funding answer's payload: one row or several; True when one of them is wanted."""
    rows = wire.decode_fundings(data) if bytes(data)[:1] == b"[" else [wire.decode_funding(data)]
    taken = False
    for row in rows:
        instrument = session.find(row.symbol)
        if instrument is not None and row.fundingRate is not None:
            time = None if row.timestamp is None else event_time(EXCHANGE, row.timestamp)
            _land(session, instrument, "funding", time=time, received=received, rate=row.fundingRate, settles=row.nextSettleTime)
            taken = True
    return taken


def _take_state(session: MexcSession, instrument: Instrument, push: wire.Envelope, *, time: int | None, received: int | None) -> None:
    match push.channel:
        case "push.ticker":
            ticker = wire.decode_ticker(push.data)
            mark, interest = ticker.fairPrice, None
            if ticker.holdVol is not None and mark:
                interest = Contract.of(instrument).base(ticker.holdVol, mark)
            _land(
                session,
                instrument,
                "ticker",
                time=event_time(EXCHANGE, ticker.timestamp),
                received=received,
                rate=ticker.fundingRate,
                interest=interest,
                mark=mark,
                index=ticker.indexPrice,
            )
        case "push.funding.rate":
            funding = wire.decode_funding(push.data)
            _land(session, instrument, "funding", time=time, received=received, rate=funding.rate, settles=funding.nextSettleTime)
        case "push.fair.price":
            _land(session, instrument, "mark", time=time, received=received, mark=wire.decode_price(push.data).price)
        case _:
            _land(session, instrument, "index", time=time, received=received, index=wire.decode_price(push.data).price)


def _land(
    session: MexcSession,
    instrument: Instrument,
    kind: str,
    *,
    time: int | None,
    received: int | None,
    rate: float | None = None,
    settles: int | None = None,
    interest: float | None = None,
    mark: float | None = None,
    index: float | None = None,
) -> None:
    when = time if time is not None else received
    if when is None:
        raise FrameError(EXCHANGE, f"{kind} of {instrument.native} has neither a time of its own nor a receive time")
    writer, symbol = session.writer, instrument.symbol
    local = received if received is not None else when
    session.carries(symbol, "derivatives", now=local)
    if not writer.continuity.recent("derivatives").add((symbol, kind, when, rate, interest, mark, index)):
        writer.duplicate("derivatives")
        return
    writer.continuity.latest[symbol] = when
    writer.derivative(
        symbol,
        when,
        local=local,
        funding_rate=rate,
        next_funding=event_time(EXCHANGE, settles) if settles else None,
        open_interest=interest,
        mark_price=mark,
        index_price=index,
    )


def _side(rows: list[list[float]]) -> list[Level]:
    if any(len(row) < 2 for row in rows):
        raise FrameError(EXCHANGE, "book level has fewer than two columns, expected price, contracts, orders")
    return [(row[0], row[1]) for row in rows]


def _time(depth: wire.Depth) -> int | None:
    value = depth.cts or depth.timestamp
    return event_time(EXCHANGE, value) if value else None


def _when(trade: Trade) -> tuple[int, str]:
    return trade.milliseconds, trade.identity.rjust(20, "0")
