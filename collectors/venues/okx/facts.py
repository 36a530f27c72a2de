"""What OKX answers in words (docs/venues/okx.md holds the evidence).

Put here: the answers. Keep out: protocol.
"""

from __future__ import annotations

from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.venue import Instrument

FACTS = VenueFacts(
    name="OKX",
    commands="subscribe with a list of channels and instruments, an event each",
    heartbeat="the text ping after 20 s of silence; 60 s of silence end the socket",
    sides="the taker's as sent",
    sizes="spot: base units; contracts of ctVal x ctMult, inverse ones divided by the price",
    times="milliseconds",
    shutdown="notice 64008, followed by a hand-over",
    markets=(
        MarketFacts(
            example=Instrument(exchange="okx", symbol="BTC/USDT", native="BTC-USDT", market="spot", base="BTC", quote="USDT"),
            sequence="prevSeqId is the last seqId",
            snapshot="in band on subscribe",
            checksum="CRC32 of the best 25 levels where sent and not 0 (until 2023)",
            trade_ids="count up by count a frame: a hole shows",
            backfill="the newest 500 trades, then history-trades, newest page first",
            liquidations=NONE,
            undetectable=NONE,
        ),
        MarketFacts(
            example=Instrument(
                exchange="okx",
                symbol="BTC/USDT:USDT",
                native="BTC-USDT-SWAP",
                market="swap",
                base="BTC",
                quote="USDT",
                settle="USDT",
                contract_size=0.01,
            ),
            sequence="prevSeqId is the last seqId",
            snapshot="in band on subscribe",
            checksum="CRC32 of the best 25 levels where sent and not 0 (until 2023)",
            trade_ids="count up by count a frame: a hole shows",
            backfill="the newest 500 trades, then history-trades, newest page first",
            liquidations="side of the order; sampled, about one a second and contract",
            undetectable="liquidations, derivative states",
        ),
        MarketFacts(
            example=Instrument(
                exchange="okx",
                symbol="BTC/USDT:USDT-261225",
                native="BTC-USDT-261225",
                market="futures",
                base="BTC",
                quote="USDT",
                settle="USDT",
                contract_size=0.01,
            ),
            sequence="prevSeqId is the last seqId",
            snapshot="in band on subscribe",
            checksum="CRC32 of the best 25 levels where sent and not 0 (until 2023)",
            trade_ids="count up by count a frame: a hole shows",
            backfill="the newest 500 trades, then history-trades, newest page first",
            liquidations="side of the order; sampled, about one a second and contract",
            undetectable="liquidations, derivative states",
        ),
    ),
)
