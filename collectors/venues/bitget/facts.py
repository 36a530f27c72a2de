"""What Bitget answers in words (docs/venues/bitget.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="Bitget",
    commands="subscribe with a list of channels and instruments, an event each",
    heartbeat="the text ping every 25 s; 75 s of silence end the socket",
    sides="the taker's as sent",
    sizes="base units; liquidations count the quote and are divided by the price",
    times="milliseconds",
    shutdown=NONE,
    markets=(
        MarketFacts(
            example=Instrument(exchange="bitget", symbol="BTC/USDT", native="BTCUSDT", market="spot", base="BTC", quote="USDT"),
            sequence="pseq is the last seq; where it is absent seq grows",
            snapshot="in band on subscribe",
            checksum="CRC32 of the best 25 levels where sent and not 0 (until 2024)",
            trade_ids="grow without following each other: a hole does not show",
            backfill="the history on subscribe, then fills-history by id",
            liquidations=NONE,
            undetectable="single trades",
        ),
        MarketFacts(
            example=Instrument(
                exchange="bitget", symbol="BTC/USDT:USDT", native="BTCUSDT", market="usdt-futures", base="BTC", quote="USDT", settle="USDT"
            ),
            sequence="pseq is the last seq; where it is absent seq grows",
            snapshot="in band on subscribe",
            checksum="CRC32 of the best 25 levels where sent and not 0 (until 2024)",
            trade_ids="grow without following each other: a hole does not show",
            backfill="the history on subscribe, then fills-history by id",
            liquidations="the side names the position, the order is on the other side; sampled, about one a second and symbol",
            undetectable="single trades, liquidations, tickers",
        ),
        MarketFacts(
            example=Instrument(
                exchange="bitget", symbol="BTC/USDC:USDC", native="BTCPERP", market="usdc-futures", base="BTC", quote="USDC", settle="USDC"
            ),
            sequence="pseq is the last seq; where it is absent seq grows",
            snapshot="in band on subscribe",
            checksum="CRC32 of the best 25 levels where sent and not 0 (until 2024)",
            trade_ids="grow without following each other: a hole does not show",
            backfill="the history on subscribe, then fills-history by id",
            liquidations="the side names the position, the order is on the other side; sampled, about one a second and symbol",
            undetectable="single trades, liquidations, tickers",
        ),
        MarketFacts(
            example=Instrument(
                exchange="bitget", symbol="BTC/USD:BTC", native="BTCUSD", market="coin-futures", base="BTC", quote="USD", settle="BTC"
            ),
            sequence="pseq is the last seq; where it is absent seq grows",
            snapshot="in band on subscribe",
            checksum="CRC32 of the best 25 levels where sent and not 0 (until 2024)",
            trade_ids="grow without following each other: a hole does not show",
            backfill="the history on subscribe, then fills-history by id",
            liquidations="the side names the position, the order is on the other side; sampled, about one a second and symbol",
            undetectable="single trades, liquidations, tickers",
        ),
    ),
)
