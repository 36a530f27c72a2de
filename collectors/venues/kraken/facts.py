"""What Kraken answers in words (docs/venues/kraken.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="Kraken",
    commands="spot: one subscribe a channel with all symbols, an answer a symbol; Futures: one subscribe a feed, an event a product",
    heartbeat="spot: the venue says heartbeat each second; Futures: a ping of ours every 30 s",
    sides="the taker's as sent",
    sizes="spot: base units; Futures: base units (PF, FF) or contracts of one dollar (PI, FI)",
    times="spot: ISO 8601; Futures: milliseconds",
    shutdown=NONE,
    markets=(
        MarketFacts(
            example=Instrument(exchange="kraken", symbol="BTC/USD", native="BTC/USD", market="spot", base="BTC", quote="USD"),
            sequence=NONE,
            snapshot="in band on subscribe",
            checksum="CRC32 of the best 10 levels a side after every update",
            trade_ids="count up by one a pair: a hole shows",
            backfill="Trades since the last one seen, up to 50,000 trades",
            liquidations=NONE,
            undetectable=NONE,
        ),
        MarketFacts(
            example=Instrument(
                exchange="kraken", symbol="BTC/USD:USD", native="PF_XBTUSD", market="futures", base="BTC", quote="USD", settle="USD"
            ),
            sequence="seq is the last seq + 1",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="uid tells trades apart, seq counts up by one a product: a hole shows",
            backfill="history, a hundred trades a page downwards, up to seven days",
            liquidations="side of the order, which is the taker; complete as far as the trades are",
            undetectable="derivative states",
        ),
    ),
)
