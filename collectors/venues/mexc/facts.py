"""What MEXC answers in words (docs/venues/mexc.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="MEXC",
    commands="spot: up to 30 subscriptions a socket, the answer names what stands; perpetuals: one command a topic and contract",
    heartbeat="a ping of ours every 15 s; 45 s of silence end the socket",
    sides="1 is a taker's buy",
    sizes="spot: base units; perpetuals: contracts times contract size",
    times="milliseconds",
    shutdown=NONE,
    markets=(
        MarketFacts(
            example=Instrument(exchange="mexc", symbol="BTC/USDT", native="BTCUSDT", market="spot", base="BTC", quote="USDT"),
            sequence="fromVersion is the last toVersion + 1",
            snapshot="REST depth, bridged by its version",
            checksum=NONE,
            trade_ids="tradeId, without an order: a hole does not show",
            backfill="api/v3/trades after every silence, the newest 1,000, merged by natural key as rows have no id",
            liquidations=NONE,
            undetectable="single trades",
        ),
        MarketFacts(
            example=Instrument(
                exchange="mexc",
                symbol="BTC/USDT:USDT",
                native="BTC_USDT",
                market="perp",
                base="BTC",
                quote="USDT",
                settle="USDT",
                contract_size=0.0001,
            ),
            sequence="version is the last version + 1",
            snapshot="REST depth, bridged by its version",
            checksum=NONE,
            trade_ids="natural keys, numbers since 2025: a hole does not show",
            backfill="contract/deals after every silence, the newest 100, merged by natural key",
            liquidations=NONE,
            undetectable="single trades, contract states",
        ),
    ),
)
