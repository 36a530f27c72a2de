"""What Gate.io answers in words (docs/venues/gateio.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="Gate.io",
    commands="one subscribe a channel with a payload of symbols, an answer by id; a second subscription of a book is refused",
    heartbeat="an application ping of ours every 15 s; 45 s of silence end the socket",
    sides="spot: the taker's as sent; futures: the sign of the size",
    sizes="spot: base units; futures: contracts times quanto_multiplier",
    times="milliseconds as text with decimals, seconds in older frames",
    shutdown="a restart notice, followed by a hand-over",
    markets=(
        MarketFacts(
            example=Instrument(exchange="gateio", symbol="BTC/USDT", native="BTC_USDT", market="spot", base="BTC", quote="USDT"),
            sequence="U is the last u + 1",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="id_market counts up by one a pair: a hole shows",
            backfill="spot/trades, taken where its count agrees with the stream's",
            liquidations=NONE,
            undetectable=NONE,
        ),
        MarketFacts(
            example=Instrument(
                exchange="gateio",
                symbol="BTC/USDT:USDT",
                native="BTC_USDT",
                market="usdt",
                base="BTC",
                quote="USDT",
                settle="USDT",
                contract_size=0.0001,
            ),
            sequence="U is the last u + 1",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="not known to follow each other: a hole counts once thirty did",
            backfill="futures/{settle}/trades over the time of a cut or hole",
            liquidations="the sign is the order's, held against REST",
            undetectable="single trades, liquidations, tickers",
        ),
        MarketFacts(
            example=Instrument(
                exchange="gateio",
                symbol="BTC/USD:BTC",
                native="BTC_USD",
                market="btc",
                base="BTC",
                quote="USD",
                settle="BTC",
                contract_size=1.0,
                inverse=True,
            ),
            sequence="U is the last u + 1",
            snapshot="in band on subscribe",
            checksum=NONE,
            trade_ids="not known to follow each other: a hole counts once thirty did",
            backfill="futures/{settle}/trades over the time of a cut or hole",
            liquidations="the sign is the order's, held against REST",
            undetectable="single trades, liquidations, tickers",
        ),
    ),
)
