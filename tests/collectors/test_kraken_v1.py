"""Kraken's retired v1 socket: every checksum of the run, every variant of its array frames, trades by natural key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from collectors.decode import Decoding, decode_files
from collectors.recording import Line

SPOT = "wss://ws.kraken.com"
T0 = 1_617_666_423_000_000
TIME = "1617666422.500000"
ASKS = [["58725.10000", "0.10000000", TIME], ["58726.00000", "2.00000000", TIME]]
BIDS = [["58724.80000", "0.36000000", TIME], ["58719.70000", "0.05000000", TIME]]
TRADE = ["58721.20000", "0.02798644", "1617666422.465618", "s", "m", ""]


def checksum(bids: list[list[str]], asks: list[list[str]]) -> str:
    """The documented rule, written down once more."""
    return str(crc32("".join(text.replace(".", "").lstrip("0") for level in (*asks[:10], *bids[:10]) for text in level[:2]).encode()))


class Socket:
    def __init__(self, conn: str | None = SPOT) -> None:
        self.decoding = Decoding("kraken")
        self.conn = conn
        self.now = T0
        self.number = 0

    def feed(self, frame: object) -> None:
        self.now += 10_000
        self.number += 1
        raw = frame if isinstance(frame, str) else json.dumps(frame, separators=(",", ":"))
        self.decoding.take(Line(ts=self.now / 1e6, dir="in", conn=self.conn, raw=raw), file="made", number=self.number)

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        return list(self.decoding.tables()[dataset].to_pylist())


@pytest.fixture
def book() -> Socket:
    socket = Socket()
    socket.feed([320, {"as": ASKS, "bs": BIDS}, "book-10", "XBT/USD"])
    return socket


def test_every_checksum_of_the_run_verifies_and_no_book_is_crossed_or_lost(recordings: Path) -> None:
    decoding = decode_files("kraken", [recordings / "kraken/v1_book1000_checksum_20210405.jsonl.gz"])
    tables = decoding.tables()
    report = decoding.report(tables)

    assert (report.frames, report.control, report.decoded) == (14636, 130, 14506)
    assert (report.checksums.verified, report.checksums.failed, report.gaps) == (14496, 0, 0)
    assert set(decoding.session.books()) == {
        *("ALGO/BTC", "AUD/USD", "BTC/USD", "DASH/EUR", "FIL/BTC", "ICX/USD", "KAVA/USD", "LSK/USD", "USDC/GBP", "WAVES/ETH"),
    }
    assert all(top["bid_prices"][0] < top["ask_prices"][0] for top in tables["book_snapshots"].to_pylist())


def test_precisions_of_another_day_do_not_disturb_the_spelling(recordings: Path) -> None:
    names = ("rest_asset_pairs_20210417.jsonl.gz", "v1_book1000_checksum_20210405.jsonl.gz")
    decoding = decode_files("kraken", [recordings / "kraken" / name for name in names])
    checksums = decoding.session.checksums
    assert (checksums.verified, checksums.failed) == (14496, 0)


def test_trades_of_the_run_land_with_the_takers_side_and_none_twice(recordings: Path) -> None:
    path = recordings / "kraken/v1_trade_20210405.jsonl"
    once, twice = decode_files("kraken", [path]), decode_files("kraken", [path, path])

    rows = once.tables()["trades"].to_pylist()

    assert len(rows) == 28 == twice.tables()["trades"].num_rows
    assert (rows[0]["symbol"], rows[0]["side"], rows[0]["price"], rows[0]["amount"]) == ("BTC/USD", "sell", 58721.2, 0.02798644)
    assert rows[0]["trade_id"] == "1617666461465618-s-0.02798644-58721.20000"
    assert len({(row["symbol"], row["trade_id"]) for row in rows}) == 28
    assert {gap["kind"] for gap in twice.tables()["gaps"].to_pylist()} == {"disconnect"}


def test_tickers_are_ignored(recordings: Path) -> None:
    decoding = decode_files("kraken", [recordings / "kraken/v1_ticker_20210405.jsonl"])
    report = decoding.report(decoding.tables())
    assert (report.frames, report.control, report.ignored, report.dead_letters) == (152, 130, 22, 0)


def test_both_sides_in_two_objects_are_one_update(book: Socket) -> None:
    asks = [["58725.10000", "0.00000000", TIME], ["58725.50000", "1.00000000", TIME]]
    bids = [["58724.90000", "0.70000000", "1617666422.900000"]]
    check = checksum([bids[0], *BIDS], [asks[1], ASKS[1]])
    book.feed([320, {"a": asks}, {"b": bids, "c": check}, "book-10", "XBT/USD"])

    feed = book.decoding.session.books()["BTC/USD"]
    assert book.decoding.session.checksums.verified == 1
    assert feed.book.top(1) == ([(58724.9, 0.7)], [(58725.5, 1.0)])
    assert book.rows("book_deltas")[-1]["timestamp"].isoformat() == "2021-04-05T23:47:02.900000+00:00"


def test_a_level_sent_again_lends_no_time(book: Socket) -> None:
    bids = [["58724.80000", "0.00000000", "1617666422.700000"], ["55225.00000", "0.50000000", "1617666422.999999", "r"]]
    book.feed([320, {"b": bids, "c": checksum([BIDS[1], bids[1]], ASKS)}, "book-10", "XBT/USD"])
    assert book.decoding.session.checksums.verified == 1
    assert book.rows("book_deltas")[-1]["timestamp"].microsecond == 700_000


def test_a_wrong_checksum_loses_the_book_until_a_snapshot(book: Socket) -> None:
    book.feed([320, {"b": [["58724.80000", "0.37000000", TIME]], "c": "1"}, "book-10", "XBT/USD"])
    assert not book.decoding.session.books()["BTC/USD"].live
    book.feed([320, {"as": ASKS, "bs": BIDS}, "book-10", "XBT/USD"])

    (gap,) = book.rows("gaps")
    assert (gap["symbol"], gap["kind"], gap["healed_by"]) == ("BTC/USD", "checksum", "snapshot")
    assert book.decoding.session.checksums.failed == 1


def test_equal_trades_of_a_frame_are_as_many_trades_and_a_repeated_frame_is_none() -> None:
    socket = Socket(conn=None)
    frame = [321, [TRADE, TRADE], "trade", "XDG/XBT"]
    socket.feed(frame)
    socket.feed(frame)
    rows = socket.rows("trades")
    assert [row["symbol"] for row in rows] == ["DOGE/BTC"] * 2
    assert len({row["trade_id"] for row in rows}) == 2


@pytest.mark.parametrize(
    "frame",
    [
        "[320,",
        [320, "book-10", "XBT/USD"],
        [320, {"b": [["x", "1.0", TIME]]}, "book-10", "XBT/USD"],
        [320, {"b": [["1.0", "nan", TIME]]}, "book-10", "XBT/USD"],
        [320, {"b": [["1.0", "1.0"]]}, "book-10", "XBT/USD"],
        [320, {"b": [["1.0", "1.0", "12.5"]]}, "book-10", "XBT/USD"],
        [320, {"b": [["1.0", "1.0", TIME]], "c": "many"}, "book-10", "XBT/USD"],
        [321, [TRADE, [*TRADE[:3], "x", "m", ""]], "trade", "XBT/USD"],
        [321, [["0.0", *TRADE[1:]]], "trade", "XBT/USD"],
    ],
)
def test_a_frame_that_cannot_be_decoded_is_dead_and_lands_nothing(book: Socket, frame: object) -> None:
    before = len(book.rows("book_deltas"))
    book.feed(frame)
    assert len(book.decoding.dead) == 1
    assert (len(book.rows("book_deltas")), len(book.rows("trades"))) == (before, 0)


def test_acknowledgements_and_heartbeats_are_control() -> None:
    socket = Socket(conn=None)
    socket.feed({"event": "heartbeat"})
    socket.feed({"event": "subscriptionStatus", "status": "error", "errorMessage": "Currency pair not supported", "pair": "X/Y"})
    report = socket.decoding.report(socket.decoding.tables())
    assert (report.frames, report.control) == (2, 2)
