"""What HTX answers in words (docs/venues/htx.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="HTX",
    commands="one sub a topic, one answer a topic; frames are gzip",
    heartbeat="the venue pings in its frames every 5 s, the answer is pong; four missing pings end the socket",
    sides="direction is the taker's",
    sizes="spot: base units; swaps: quantity, else contracts times size",
    times="milliseconds",
    shutdown=NONE,
    markets=(
        MarketFacts(
            example=Instrument(exchange="htx", symbol="BTC/USDT", native="btcusdt", market="spot", base="BTC", quote="USDT"),
            sequence="prevSeqNum is the last seqNum",
            snapshot="asked for on the same socket (req)",
            checksum=NONE,
            trade_ids="tradeId, without a promise to leave no hole: none shows",
            backfill="history/trade after every silence, the newest 2,000 orders' trades of a symbol",
            liquidations=NONE,
            undetectable="single trades",
        ),
        MarketFacts(
            example=Instrument(
                exchange="htx",
                symbol="BTC/USDT:USDT",
                native="BTC-USDT",
                market="linear",
                base="BTC",
                quote="USDT",
                settle="USDT",
                contract_size=0.001,
            ),
            sequence="version is the last version + 1",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="id, without a promise to leave no hole: none shows",
            backfill="history/trade after every silence, the newest 2,000 orders' trades of a symbol",
            liquidations="side of the order; whether all are sent is not stated",
            undetectable="single trades, liquidations, derivative states",
        ),
    ),
)
