"""What Binance answers in words (docs/venues/binance.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="Binance",
    commands="SUBSCRIBE with up to 100 stream names; one answer by id, which confirms unknown streams too",
    heartbeat="the venue pings on the protocol's level, the library answers",
    sides="m true: the buyer is the maker, so the taker sold",
    sizes="base units",
    times="milliseconds",
    shutdown="serverShutdown, followed by a hand-over",
    markets=(
        MarketFacts(
            example=Instrument(exchange="binance", symbol="BTC/USDT", native="BTCUSDT", market="spot", base="BTC", quote="USDT"),
            sequence="U is the last u + 1",
            snapshot="REST depth, bridged by U <= lastUpdateId + 1 <= u",
            checksum=NONE,
            trade_ids="count up by one a symbol: a hole shows",
            backfill="historicalTrades from the first missing id, up to 50,000 trades",
            liquidations=NONE,
            undetectable=NONE,
        ),
        MarketFacts(
            example=Instrument(
                exchange="binance", symbol="BTC/USDT:USDT", native="BTCUSDT", market="usdm", base="BTC", quote="USDT", settle="USDT"
            ),
            sequence="pu is the last u",
            snapshot="REST depth, bridged by U <= lastUpdateId <= u",
            checksum=NONE,
            trade_ids="aggregate ids count up by one a symbol: a hole shows",
            backfill="aggTrades from the first missing id, up to 50,000 aggregates",
            liquidations="side of the order; sampled, one a second and symbol",
            undetectable="forced orders, mark prices",
        ),
    ),
)
