"""What Coinbase answers in words (docs/venues/coinbase.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="Coinbase",
    commands="one subscribe a channel with a list of products; the answer lists what stands",
    heartbeat="the channel heartbeats; 15 s without any frame end the socket",
    sides="the maker's, turned round",
    sizes="base units; futures: contracts times contract_size",
    times="ISO 8601",
    shutdown=NONE,
    markets=(
        MarketFacts(
            example=Instrument(exchange="coinbase", symbol="BTC/USD", native="BTC-USD", market="spot", base="BTC", quote="USD"),
            sequence="sequence_num counts every frame of the socket",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="count up by one a product: a hole shows",
            backfill="market/products/{id}/ticker, newest page first",
            liquidations=NONE,
            undetectable=NONE,
        ),
        MarketFacts(
            example=Instrument(
                exchange="coinbase",
                symbol="BTC/USD:USD-261228",
                native="BIT-28DEC26-CDE",
                market="futures",
                base="BTC",
                quote="USD",
                settle="USD",
                contract_size=0.01,
            ),
            sequence="sequence_num counts every frame of the socket",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="count up by one a product: a hole shows",
            backfill="market/products/{id}/ticker, newest page first",
            liquidations=NONE,
            undetectable=NONE,
        ),
    ),
)
