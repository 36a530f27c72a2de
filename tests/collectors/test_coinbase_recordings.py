"""Every Coinbase recording through the code live frames take."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from collectors.decode import Decoding, decode_files
from collectors.feeds import BookFeed
from collectors.recording import open_recording, parse

ADVANCED = "advanced_level2_trades_ticker_candles_20260809.jsonl.gz"
EXCHANGE = "exchange_level2_matches_ticker_20210417.jsonl.gz"
COUNTS = {
    ADVANCED: (636, 20, 107, 509),
    EXCHANGE: (5407, 4, 73, 5330),
    "message_samples.jsonl": (31, 4, 10, 12),
    "rest_advanced_products_20260809.jsonl.gz": (1, 1, 0, 0),
}


@pytest.mark.parametrize("name", COUNTS)
def test_every_frame_is_accounted_for_and_only_allowed_lines_are_dead(recordings: Path, name: str) -> None:
    decoding = decode_files("coinbase", [recordings / "coinbase" / name])
    report = decoding.report(decoding.tables())
    entries = tomllib.loads((Path(__file__).parent / "allowed_dead_letters.toml").read_text())["allowed"]
    allowed = {entry["line"] for entry in entries if entry["file"] == f"coinbase/{name}"}

    assert {letter.line for letter in decoding.dead} == allowed
    assert (report.frames, report.control, report.ignored, report.decoded) == COUNTS[name]
    assert report.frames == report.control + report.ignored + report.decoded + report.dead_letters
    assert report.gaps == 0


def test_no_recording_is_left_out(recordings: Path) -> None:
    assert {path.name for path in (recordings / "coinbase").iterdir()} == set(COUNTS)


@pytest.mark.parametrize(("name", "books", "updates"), [(ADVANCED, 2, 464), (EXCHANGE, 7, 5250)])
def test_books_open_with_their_snapshot_take_every_update_and_never_cross(recordings: Path, name: str, books: int, updates: int) -> None:
    decoding = Decoding("coinbase")
    seen: dict[BookFeed, int] = {}
    with open_recording(recordings / "coinbase" / name) as lines:
        for number, raw in enumerate(lines, start=1):
            decoding.take(parse(raw, where=name), file=name, number=number)
            for symbol, feed in decoding.session.books().items():
                if feed.live and seen.get(feed) != feed.updates:
                    seen[feed] = feed.updates
                    bids, asks = feed.book.columns(1)
                    assert bids[0][0] < asks[0][0], f"line {number}: {symbol}"
    found = decoding.session.books()
    assert (len(found), sum(feed.updates for feed in found.values())) == (books, updates)
    assert all(feed.live for feed in found.values())


def test_takers_sides_of_the_recorded_trades(recordings: Path) -> None:
    decoding = decode_files("coinbase", [recordings / "coinbase" / EXCHANGE])
    trades = decoding.tables()["trades"].to_pylist()
    first = next(row for row in trades if row["trade_id"] == "1568268")
    # A sell order was resting at 0.791: whoever took it bought.
    assert (first["symbol"], first["side"], first["price"], first["amount"]) == ("SKL/USD", "buy", 0.791, 450.0)
    report = decoding.report(decoding.tables())
    assert report.symbols["SKL/USD"].trades == 53
