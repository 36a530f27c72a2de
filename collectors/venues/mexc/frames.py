"""Any MEXC frame to the format it is of.

Put here: telling formats apart by content. Keep out: what they mean.
"""

from __future__ import annotations

import msgspec

from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.venue import Outcome
from collectors.venues.mexc import messages as wire
from collectors.venues.mexc import perp, retired, schema, spot
from collectors.venues.mexc.messages import EXCHANGE
from collectors.venues.mexc.session import MexcSession


def feed(session: MexcSession, frame: bytes | str, received: int | None) -> tuple[Outcome, wire.Envelope | None]:
    """Take one frame; an answer to a command is handed back with it. Raises `FrameError` when it cannot be decoded."""
    if received is not None:
        session.see(received)
    raw = frame.encode() if isinstance(frame, str) else frame
    try:
        if raw[:1] == b"[":
            return retired.take_array(session, raw, received), None
        if raw[:1] != b"{":
            return spot.take(session, schema.decode(raw), received), None
        return _object(session, raw, received)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FrameError(EXCHANGE, str(error)) from error


def _object(session: MexcSession, raw: bytes, received: int | None) -> tuple[Outcome, wire.Envelope | None]:
    envelope = wire.decode_envelope(raw)
    if envelope.c:
        return retired.take_v3(session, envelope, received), None
    if envelope.channel.startswith("spot@"):
        if bytes(envelope.publicAggreDepthsSnapshot):
            # A recorder's own frame: the REST snapshot of the moment.
            depth = wire.decode_spot_depth(envelope.publicAggreDepthsSnapshot)
            take_spot_depth(session, envelope.symbol, depth, received)
            return Outcome.DECODED, None
        return spot.take(session, schema.from_json(wire.decode_object(raw)), received), None
    if envelope.channel.startswith("rs.") or envelope.channel == "pong":
        return Outcome.CONTROL, envelope
    if envelope.channel:
        take = retired.take_v2 if retired.is_v2(envelope) else perp.take
        return take(session, envelope, received), None
    if envelope.msg or envelope.id is not None:
        return Outcome.CONTROL, envelope
    return Outcome.IGNORED, None


def take_spot_depth(session: MexcSession, native: str, depth: wire.SpotDepth, received: int | None) -> None:
    """A REST depth answer of a spot pair."""
    instrument = session.find(native)
    if instrument is not None:
        now = received if received is not None else None if depth.timestamp is None else event_time(EXCHANGE, depth.timestamp)
        session.take_snapshot(instrument, depth.lastUpdateId, bids=depth.bids, asks=depth.asks, received=now)
