"""What Bybit answers in words (docs/venues/bybit.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="Bybit",
    commands="subscribe with a list of topics, one answer a command; a refused command is tried topic by topic",
    heartbeat="a JSON ping of ours every 20 s; 60 s of silence end the socket",
    sides="S is the taker's",
    sizes="base units; inverse contracts of one dollar, divided by the price",
    times="milliseconds",
    shutdown=NONE,
    markets=(
        MarketFacts(
            example=Instrument(exchange="bybit", symbol="BTC/USDT", native="BTCUSDT", market="spot", base="BTC", quote="USDT"),
            sequence="u is the last u + 1, a topic",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="count up by one a symbol: a hole shows",
            backfill="recent-trade, at most 60 trades",
            liquidations=NONE,
            undetectable=NONE,
        ),
        MarketFacts(
            example=Instrument(
                exchange="bybit", symbol="BTC/USDT:USDT", native="BTCUSDT", market="linear", base="BTC", quote="USDT", settle="USDT"
            ),
            sequence="u is the last u + 1, a topic",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="UUIDs without an order: a hole does not show",
            backfill="recent-trade after a cut or a silence, at most 1,000 trades",
            liquidations="S names the position, the order is on the other side; complete by the venue's word",
            undetectable="single trades, liquidations",
        ),
        MarketFacts(
            example=Instrument(
                exchange="bybit",
                symbol="BTC/USD:BTC",
                native="BTCUSD",
                market="inverse",
                base="BTC",
                quote="USD",
                settle="BTC",
                contract_size=1.0,
                inverse=True,
            ),
            sequence="u is the last u + 1, a topic",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="UUIDs without an order: a hole does not show",
            backfill="recent-trade after a cut or a silence, at most 1,000 trades",
            liquidations="S names the position, the order is on the other side; complete by the venue's word",
            undetectable="single trades, liquidations",
        ),
    ),
)
