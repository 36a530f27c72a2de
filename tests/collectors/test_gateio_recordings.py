"""Every Gate.io recording through the code live frames take."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.decode import Decoding, decode_files
from collectors.feeds import BookFeed
from collectors.recording import open_recording, parse
from collectors.venues.gateio.instruments import guessed_contract, parse_instruments

SPOT = "spot_v4_orderbookupdate_trades_candles_20210422.jsonl.gz"
FUTURES = "futures_v4_orderbookupdate_20230524.jsonl.gz"
COUNTS = {SPOT: (161, 23, 25, 113), FUTURES: (260, 23, 62, 175), "message_samples.jsonl": (91, 7, 46, 38)}


@pytest.mark.parametrize("name", COUNTS)
def test_every_frame_is_accounted_for_and_none_is_dead(recordings: Path, name: str) -> None:
    decoding = decode_files("gateio", [recordings / "gateio" / name])
    report = decoding.report(decoding.tables())
    assert decoding.dead == []
    assert (report.frames, report.control, report.ignored, report.decoded) == COUNTS[name]
    assert report.frames == report.control + report.ignored + report.decoded
    assert report.gaps == 0


def test_no_recording_is_left_out(recordings: Path) -> None:
    assert {path.name for path in (recordings / "gateio").iterdir()} == set(COUNTS)


@pytest.mark.parametrize(("name", "books"), [(SPOT, 7), (FUTURES, 6)])
def test_books_bridge_their_snapshots_and_never_cross(recordings: Path, name: str, books: int) -> None:
    decoding = Decoding("gateio")
    seen: dict[BookFeed, int] = {}
    with open_recording(recordings / "gateio" / name) as lines:
        for number, raw in enumerate(lines, start=1):
            decoding.take(parse(raw, where=name), file=name, number=number)
            for symbol, feed in decoding.session.books().items():
                if feed.live and seen.get(feed) != feed.updates:
                    seen[feed] = feed.updates
                    bids, asks = feed.book.columns(1)
                    assert bids[0][0] < asks[0][0], f"line {number}: {symbol}"
    found = decoding.session.books()
    assert len(found) == books
    assert all(feed.live for feed in found.values())


def test_recorded_futures_amounts_are_base_units_by_the_recorded_list(recordings: Path) -> None:
    decoding = decode_files("gateio", [recordings / "gateio" / FUTURES])
    with open_recording(recordings / "gateio" / FUTURES) as lines:
        first = parse(next(iter(lines)), where=FUTURES)
    listed = {each.symbol: each.contract_size for each in parse_instruments(first.payload)}
    # The first frame tells 962 contracts bid at 0.7376.
    rows = [row for row in decoding.tables()["book_deltas"].to_pylist() if row["symbol"] == "PHB/USDT:USDT" and row["price"] == 0.7376]
    assert rows[0]["amount"] == 962 * listed["PHB/USDT:USDT"]


def test_contracts_without_a_list_hold_what_was_listed_in_2023(recordings: Path) -> None:
    with open_recording(recordings / "gateio" / FUTURES) as lines:
        first = parse(next(iter(lines)), where=FUTURES)
    listed = parse_instruments(first.payload)
    assert len(listed) == 302
    for each in listed:
        guessed = guessed_contract(each.native)
        assert (guessed.size, guessed.inverse) == (each.contract_size, False), each.native


def test_recorded_samples_keep_sides_signs_and_names(recordings: Path) -> None:
    tables = decode_files("gateio", [recordings / "gateio" / "message_samples.jsonl"]).tables()
    trades = {row["trade_id"]: (row["symbol"], row["side"], row["amount"]) for row in tables["trades"].to_pylist()}
    assert trades["1638417041"] == ("BTC/USDT", "buy", 0.00052)
    assert trades["48081"] == ("BTC/USDT:USDT-210326", "sell", 0.0019)
    assert trades["19910126"] == ("BTC/USD:BTC", "buy", 7 / 56155.2)
    assert trades["643716793"] == ("BTC/USDT", "sell", 0.0037)
    assert trades["13654527"] == ("BTC/USDT:USDT", "buy", 0.2)
