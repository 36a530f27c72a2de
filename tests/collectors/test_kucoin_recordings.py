"""Every KuCoin recording through the code live frames take."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.decode import Decoding, decode_files
from collectors.feeds import BookFeed
from collectors.recording import open_recording, parse

RUN = "spot_level2_match_ticker_candles_20210425.jsonl.gz"
COUNTS = {RUN: (3538, 15, 551, 2972), "message_samples.jsonl": (72, 7, 32, 33), "rest_bullet_public.jsonl": (2, 1, 1, 0)}


@pytest.mark.parametrize("name", COUNTS)
def test_every_frame_is_accounted_for_and_none_is_dead(recordings: Path, name: str) -> None:
    decoding = decode_files("kucoin", [recordings / "kucoin" / name])
    report = decoding.report(decoding.tables())
    assert decoding.dead == []
    assert (report.frames, report.control, report.ignored, report.decoded) == COUNTS[name]
    assert report.frames == report.control + report.ignored + report.decoded
    assert report.gaps == 0


def test_no_recording_is_left_out(recordings: Path) -> None:
    assert {path.name for path in (recordings / "kucoin").iterdir()} == set(COUNTS)


def test_books_bridge_their_snapshot_take_every_update_and_never_cross(recordings: Path) -> None:
    decoding = Decoding("kucoin")
    seen: dict[BookFeed, int] = {}
    with open_recording(recordings / "kucoin" / RUN) as lines:
        for number, raw in enumerate(lines, start=1):
            decoding.take(parse(raw, where=RUN), file=RUN, number=number)
            for symbol, feed in decoding.session.books().items():
                if feed.live and seen.get(feed) != feed.updates:
                    seen[feed] = feed.updates
                    bids, asks = feed.book.columns(1)
                    assert bids[0][0] < asks[0][0], f"line {number}: {symbol}"
    books = decoding.session.books()
    assert {symbol: feed.updates for symbol, feed in books.items()} == {
        # The id is BCHSV-USDT; its base has been BSV ever since.
        "BSV/USDT": 2342,
        "CAPP/BTC": 92,
        "ANKR/BTC": 243,
        "FET/BTC": 218,
        "EQZ/BTC": 40,
    }
    assert all(feed.live and feed.sequence is not None for feed in books.values())


def test_recorded_trades_keep_the_takers_side_and_contracts_become_base_units(recordings: Path) -> None:
    decoding = decode_files("kucoin", [recordings / "kucoin" / "message_samples.jsonl"])
    tables = decoding.tables()
    rows = {row["trade_id"]: (row["symbol"], row["side"], row["amount"]) for row in tables["trades"].to_pylist()}
    assert rows["6057bb822e113d292396c272"] == ("BTC/USDT", "buy", 0.00013064)
    assert rows["6057bc953c7feb667195bac9"] == ("BTC/USDT:USDT", "buy", 0.016)
    assert rows["6057be2677a0c431d1d1f5b6"] == ("BTC/USD:BTC-210326", "sell", 1510 / 57963.0)
    assert rows["1814377247397"] == ("ETH/USDT:USDT", "sell", 0.05)
    states = [(row["symbol"], row["funding_rate"], row["mark_price"]) for row in tables["derivatives"].to_pylist()]
    assert ("BTC/USDT:USDT", 0.000039, None) in states
    assert ("BTC/USDT:USDT", None, 39610.11) in states
