"""What Bitfinex answers in words (docs/venues/bitfinex.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="Bitfinex",
    commands="one subscribe a channel and symbol, at most 25 a socket; the answer names the channel's number",
    heartbeat="the venue says hb on every channel",
    sides="the sign of the amount is the taker's",
    sizes="base units",
    times="milliseconds",
    shutdown="info info 20051, followed by a hand-over; 20061 ends a maintenance: a new socket",
    markets=(
        MarketFacts(
            example=Instrument(exchange="bitfinex", symbol="BTC/USDT", native="tBTCUST", market="spot", base="BTC", quote="USDT"),
            sequence="counts up by one over every array frame of the socket",
            snapshot="in band on subscribe",
            checksum="CRC32 of the best 25 levels in frames of their own",
            trade_ids="grow over all symbols: only the socket's sequence shows a hole",
            backfill="trades/{symbol}/hist over the time of a silence or a hole",
            liquidations="the sign is the margin position's, the order is on the other side; whether all are sent is not stated",
            undetectable=NONE,
        ),
        MarketFacts(
            example=Instrument(
                exchange="bitfinex", symbol="BTC/USDT:USDT", native="tBTCF0:USTF0", market="perp", base="BTC", quote="USDT", settle="USDT"
            ),
            sequence="counts up by one over every array frame of the socket",
            snapshot="in band on subscribe",
            checksum="CRC32 of the best 25 levels in frames of their own",
            trade_ids="grow over all symbols: only the socket's sequence shows a hole",
            backfill="trades/{symbol}/hist over the time of a silence or a hole",
            liquidations="the sign is the position's, the order is on the other side; whether all are sent is not stated",
            undetectable=NONE,
        ),
    ),
)
