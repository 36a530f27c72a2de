"""What KuCoin answers in words (docs/venues/kucoin.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="KuCoin",
    commands="after the welcome, one subscribe a channel and symbol, an answer by id",
    heartbeat="a ping in half the interval that the welcome names; 36 s of silence end the socket",
    sides="the taker's as sent",
    sizes="spot: base units; futures: contracts times multiplier, inverse ones divided by the price",
    times="nanoseconds",
    shutdown=NONE,
    markets=(
        MarketFacts(
            example=Instrument(exchange="kucoin", symbol="BTC/USDT", native="BTC-USDT", market="spot", base="BTC", quote="USDT"),
            sequence="O is the last C + 1",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="numbers with holes by nature: none shows",
            backfill="market/trade after every silence, the newest 100 of a symbol",
            liquidations=NONE,
            undetectable="single trades",
        ),
        MarketFacts(
            example=Instrument(
                exchange="kucoin",
                symbol="BTC/USDT:USDT",
                native="XBTUSDTM",
                market="futures",
                base="BTC",
                quote="USDT",
                settle="USDT",
                contract_size=0.001,
            ),
            sequence="O is the last C + 1",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="numbers with holes by nature: none shows",
            backfill="market/trade after every silence, the newest 100 of a symbol",
            liquidations=NONE,
            undetectable="single trades, contract states",
        ),
    ),
)
