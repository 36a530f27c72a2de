"""MEXC spot frames of today: one protobuf wrapper each.

Put here: what each body of the wrapper means. Keep out: the schema, JSON formats that are gone (`retired`).
"""

from __future__ import annotations

from typing import Any

from collectors.books import Level
from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.venue import Outcome
from collectors.venues.mexc.messages import EXCHANGE
from collectors.venues.mexc.session import MexcSession, Trade


def take(session: MexcSession, wrapper: Any, received: int | None) -> Outcome:
    """Take one wrapper; bodies that are no trades and no book, and empty ones, are ignored. Raises `FrameError`."""
    native = wrapper.symbol or next((part for part in reversed(wrapper.channel.split("@")) if part.isupper() and part.isalnum()), "")
    instrument = session.find(native) if native else None
    if instrument is None:
        return Outcome.IGNORED
    sent = wrapper.sendTime or wrapper.createTime
    time = event_time(EXCHANGE, sent) if sent else None
    for name in ("publicAggreDeals", "publicDeals"):
        if wrapper.HasField(name):
            session.take_trades(instrument, [_trade(deal) for deal in getattr(wrapper, name).deals], received)
            return Outcome.DECODED
    if wrapper.HasField("publicAggreDepths"):
        body = wrapper.publicAggreDepths
        first, last = number(body.fromVersion), number(body.toVersion)
        session.take_diff(instrument, first, last, bids=_side(body.bids), asks=_side(body.asks), time=time, received=received)
        return Outcome.DECODED
    if wrapper.HasField("publicIncreaseDepths"):
        body = wrapper.publicIncreaseDepths
        version = number(body.version)
        session.take_diff(instrument, version, version, bids=_side(body.bids), asks=_side(body.asks), time=time, received=received)
        return Outcome.DECODED
    if wrapper.HasField("publicLimitDepths"):
        body = wrapper.publicLimitDepths
        version = number(body.version)
        taken = session.take_full(instrument, version, bids=_side(body.bids), asks=_side(body.asks), time=time, received=received)
        return Outcome.DECODED if taken else Outcome.IGNORED
    return Outcome.IGNORED


def number(text: str) -> int:
    """A version, which is sent as text; raises `FrameError` when it is none."""
    if not text.isdecimal() or len(text) > 18:
        raise FrameError(EXCHANGE, f"version {text!r} is no number")
    return int(text)


def _trade(deal: Any) -> Trade:
    return Trade(deal.time, _float(deal.price), _float(deal.quantity), deal.tradeType, deal.tradeId)


def _side(levels: Any) -> list[Level]:
    return [(_float(level.price), _float(level.quantity)) for level in levels]


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise FrameError(EXCHANGE, f"{text!r} is no number") from error
