"""MEXC spot formats that are no longer sent: v3 JSON (until August 2025) and v2 JSON (until 2023, ids like BTC_USDT).

Put here: those two alone, for recordings. Keep out: protobuf (`spot`), perpetuals (`perp`), whose v2-like pushes have plain rows.
"""

from __future__ import annotations

from typing import Any

import msgspec

from collectors.books import Level
from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.venue import Outcome
from collectors.venues.mexc import messages as wire
from collectors.venues.mexc.instruments import spot
from collectors.venues.mexc.messages import EXCHANGE
from collectors.venues.mexc.session import MexcSession, Trade


def take_v3(session: MexcSession, frame: wire.Envelope, received: int | None) -> Outcome:
    """`{"c":"spot@public.deals.v3.api@BTCUSDT","d":{…},"s":"BTCUSDT","t":…}`; rows p, v, S (1 buy, 2 sell), t; r is the version."""
    parts = frame.c.split("@")
    instrument = session.find(frame.s)
    if instrument is None or len(parts) < 2:
        return Outcome.IGNORED
    body = wire.decode_object(frame.d)
    time = None if frame.t is None else event_time(EXCHANGE, frame.t)
    try:
        match parts[1]:
            case "public.deals.v3.api":
                trades = [Trade(_version(row["t"]), float(row["p"]), float(row["v"]), int(row["S"]), "") for row in body["deals"]]
                session.take_trades(instrument, trades, received)
            case "public.increase.depth.v3.api":
                version, bids, asks = _version(body["r"]), _side(body.get("bids"), "v"), _side(body.get("asks"), "v")
                session.take_diff(instrument, version, version, bids=bids, asks=asks, time=time, received=received)
            case "public.limit.depth.v3.api":
                version, bids, asks = _version(body["r"]), _side(body.get("bids"), "v"), _side(body.get("asks"), "v")
                taken = session.take_full(instrument, version, bids=_standing(bids), asks=_standing(asks), time=time, received=received)
                return Outcome.DECODED if taken else Outcome.IGNORED
            case _:
                return Outcome.IGNORED
    except (KeyError, TypeError, ValueError) as error:
        raise FrameError(EXCHANGE, f"frame of {frame.c} has another shape: {error!r}") from error
    return Outcome.DECODED


def is_v2(push: wire.Envelope) -> bool:
    """Whether a push is of v2 spot: its rows are objects with a quantity q (perpetuals send arrays, and volumes v)."""
    if push.channel == "push.limit.depth":
        return True
    data = bytes(push.data)
    return push.channel in ("push.deal", "push.depth", "push.symbol") and (b'"deals":' in data or b'"q":' in data)


def take_v2(session: MexcSession, push: wire.Envelope, received: int | None) -> Outcome:
    """Pushes of v2 spot: deals (p, q, T 1 buy or 2 sell, t), changes of the book (p, q), the top of the book as pairs."""
    instrument = spot(push.symbol)
    body = wire.decode_object(push.data)
    time = None if push.ts is None else event_time(EXCHANGE, push.ts)
    taken = False
    try:
        if body.get("deals"):
            trades = [Trade(_version(row["t"]), float(row["p"]), float(row["q"]), int(row["T"]), "") for row in body["deals"]]
            session.take_trades(instrument, trades, received)
            taken = True
        now = received if received is not None else time if time is not None else session.trade_feed(instrument.symbol).tape.last_time
        if now is None or not ("bids" in body or "asks" in body):
            # The book frames of v2 carry no time: without a receive time they cannot be placed.
            return Outcome.DECODED if taken else Outcome.IGNORED
        version = body.get("version") or push.version
        if push.channel == "push.limit.depth":
            bids, asks = _pairs(body.get("bids")), _pairs(body.get("asks"))
            return (
                Outcome.DECODED if session.take_full(instrument, None, bids=bids, asks=asks, time=time, received=now) else Outcome.IGNORED
            )
        if version is None:
            return Outcome.DECODED if taken else Outcome.IGNORED
        bids, asks = _side(body.get("bids"), "q"), _side(body.get("asks"), "q")
        session.take_diff(instrument, _version(version), _version(version), bids=bids, asks=asks, time=time, received=now)
    except (KeyError, TypeError, ValueError) as error:
        raise FrameError(EXCHANGE, f"frame of {push.channel} has another shape: {error!r}") from error
    return Outcome.DECODED


def take_array(session: MexcSession, frame: bytes, received: int | None) -> Outcome:
    """The oldest v2 frames are arrays of a name and a push: `["push.symbol",{…}]`."""
    name, payload = msgspec.json.decode(frame, type=tuple[str, msgspec.Raw])
    if name != "push.symbol":
        return Outcome.IGNORED
    push = wire.decode_envelope(payload)
    return take_v2(session, wire.Envelope(channel=name, symbol=push.symbol, data=push.data, ts=push.ts), received)


def _version(value: Any) -> int:
    """A whole number, written as one or as text, that fits its column."""
    number = int(value)
    if not 0 <= number < 1 << 63:
        raise ValueError(value)
    return number


def _side(rows: Any, amount: str) -> list[Level]:
    return [(float(row["p"]), float(row[amount])) for row in rows or ()]


def _pairs(rows: Any) -> list[Level]:
    return [(float(row[0]), float(row[1])) for row in rows or ()]


def _standing(levels: list[Level]) -> list[Level]:
    return [level for level in levels if level[1] > 0]
