"""Bybit's recordings, whole: every frame accounted for, books in sequence and never crossed."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.decode import Decoding, decode_files

RUNS = {
    "v5_linear_btc_eth_20260809.jsonl.gz": (1315, {"BTC/USDT:USDT": (56, 413), "ETH/USDT:USDT": (23, 420)}),
    "v5_spot_btc_20260809.jsonl.gz": (374, {"BTC/USDT": (11, 299)}),
    "v5_linear_orderbook1_20250613.jsonl": (
        202,
        {"AIOZ/USDT:USDT": (0, 0), "BAND/USDT:USDT": (0, 0), "RAD/USDT:USDT": (0, 0), "SNT/USDT:USDT": (0, 0)},
    ),
}


def decoded(recordings: Path, *names: str) -> Decoding:
    return decode_files("bybit", [recordings / "bybit" / name for name in names])


@pytest.mark.parametrize("name", RUNS)
def test_runs_decode_without_a_gap_and_books_are_never_crossed(recordings: Path, name: str) -> None:
    decoding = decoded(recordings, name)
    tables = decoding.tables()

    report = decoding.report(tables)

    frames, symbols = RUNS[name]
    assert report.frames == frames == report.control + report.ignored + report.decoded
    assert report.gaps == report.dead_letters == 0
    assert {symbol: (found.trades, found.book.updates) for symbol, found in report.symbols.items()} == symbols
    assert all(feed.live for feed in decoding.session.books().values())
    tops = tables["book_snapshots"].to_pylist()
    assert tops
    assert all(top["bid_prices"][0] < top["ask_prices"][0] for top in tops)


def test_names_of_the_list_and_names_guessed_agree(recordings: Path) -> None:
    run = "v5_linear_btc_eth_20260809.jsonl.gz"

    plain, listed = (decoded(recordings, *names) for names in ((run,), ("rest_instruments_info_20260809.jsonl.gz", run)))

    assert plain.report(plain.tables()).symbols.keys() == listed.report(listed.tables()).symbols.keys()


def test_tickers_are_merged_into_whole_states(recordings: Path) -> None:
    rows = decoded(recordings, "v5_linear_btc_eth_20260809.jsonl.gz").tables()["derivatives"].to_pylist()

    assert rows
    fields = ("funding_rate", "next_funding_time", "open_interest", "mark_price", "index_price")
    known = [name for name in fields if name in rows[0]]
    assert len(known) >= 4
    assert all(row[name] is not None for row in rows for name in known)


def test_every_sample_is_accounted_for_without_a_dead_letter(recordings: Path) -> None:
    decoding = decoded(recordings, "message_samples.jsonl")

    report = decoding.report(decoding.tables())

    assert report.frames == 108 == report.control + report.ignored + report.decoded
    assert decoding.dead == []


def test_forced_orders_take_the_side_opposite_to_the_position(recordings: Path) -> None:
    rows = decoded(recordings, "message_samples.jsonl").tables()["liquidations"].to_pylist()
    sides = {row["symbol"]: (row["side"], row["sampled"]) for row in rows}

    assert sides["JUP/USDT:USDT"] == ("buy", False)
    assert sides["BEAT/USDT:USDT"] == ("sell", False)
    assert sides["GALA/USDT:USDT"] == ("sell", True)
    assert sides["XRP/USD:XRP"] == ("buy", True)


def test_retired_formats_land_with_base_units(recordings: Path) -> None:
    tables = decoded(recordings, "message_samples.jsonl").tables()
    trades = {row["trade_id"]: row for row in tables["trades"].to_pylist()}

    inverse = trades["e61fb2dc-a658-5a7d-88fb-d166a4bd29b8"]
    spot = trades["2280000000007453966"]

    assert (inverse["symbol"], inverse["side"], inverse["amount"]) == ("BTC/USD:BTC-210625", "buy", pytest.approx(100 / 61094.5))
    assert (spot["symbol"], spot["side"], spot["amount"]) == ("ETH/USDT", "buy", 1.4)
    marks = [row for row in tables["derivatives"].to_pylist() if row["mark_price"] == 29946.34]
    assert [(row["symbol"], row["funding_rate"]) for row in marks] == [("BTC/USD:BTC", 8e-6)]
