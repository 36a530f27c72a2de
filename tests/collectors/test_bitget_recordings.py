"""Bitget's recordings, whole: every frame accounted for, every checksum of v1 verified, the retired formats beside the new ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.decode import Decoding, decode_files

RUNS = {
    "v1_mix_books_checksum_trade_candle_20220407.jsonl.gz": (473, 194, {"DASH/USDT:USDT": (59, 97), "UNI/USDT:USDT": (66, 95)}),
    "v1_spot_books_checksum_trade_candle_20220407.jsonl.gz": (
        687,
        443,
        {
            "AVAX/USDT": (55, 55),
            "CULT/USDT": (52, 51),
            "EOS/USDT": (55, 55),
            "GOG/USDT": (55, 56),
            "HOT/USDT": (53, 54),
            "STG/USDT": (52, 55),
            "SUN/USDT": (54, 55),
            "VVS/USDT": (54, 54),
        },
    ),
}


def decoded(recordings: Path, *names: str) -> Decoding:
    return decode_files("bitget", [recordings / "bitget" / name for name in names])


@pytest.mark.parametrize("name", RUNS)
def test_every_checksum_of_v1_verifies_and_no_book_is_crossed_or_lost(recordings: Path, name: str) -> None:
    decoding = decoded(recordings, name)
    tables = decoding.tables()

    report = decoding.report(tables)

    frames, checksums, symbols = RUNS[name]
    assert (report.frames, report.checksums.verified, report.checksums.failed) == (frames, checksums, 0)
    assert report.frames == report.control + report.ignored + report.decoded
    assert report.gaps == report.dead_letters == 0
    assert {symbol: (found.trades, found.book.updates) for symbol, found in report.symbols.items()} == symbols
    tops = tables["book_snapshots"].to_pylist()
    assert tops
    assert all(top["bid_prices"][0] < top["ask_prices"][0] for top in tops)


def test_a_history_sent_again_counts_no_trade_twice(recordings: Path) -> None:
    name = "v1_mix_books_checksum_trade_candle_20220407.jsonl.gz"

    once, twice = decoded(recordings, name), decoded(recordings, name, name)

    assert once.tables()["trades"].num_rows == twice.tables()["trades"].num_rows == 125


def test_tickers_of_v1_say_funding_and_open_interest(recordings: Path) -> None:
    rows = decoded(recordings, "v1_mix_books_checksum_trade_candle_20220407.jsonl.gz").tables()["derivatives"].to_pylist()

    first = next(row for row in rows if row["symbol"] == "DASH/USDT:USDT")

    assert (first["funding_rate"], first["open_interest"], first["mark_price"], first["index_price"]) == (
        -0.0001,
        21957.17,
        113.381,
        113.427,
    )


def test_every_sample_is_accounted_for_without_a_dead_letter(recordings: Path) -> None:
    decoding = decoded(recordings, "message_samples.jsonl")

    report = decoding.report(decoding.tables())

    assert report.frames == 74 == report.control + report.ignored + report.decoded
    assert decoding.dead == []
    assert report.checksums.failed == 0


def test_forced_orders_take_the_side_opposite_to_the_position_and_base_units(recordings: Path) -> None:
    rows = decoded(recordings, "message_samples.jsonl").tables()["liquidations"].to_pylist()

    ape, other = rows

    assert (ape["symbol"], ape["side"], ape["sampled"], ape["value_usd"]) == ("APE/USDT:USDT", "sell", True, 13.70319)
    assert ape["amount"] == pytest.approx(13.70319 / 0.1649)
    assert other["symbol"] == "IP/USDT:USDT"


def test_the_oldest_tables_land_in_base_units(recordings: Path) -> None:
    trades = decoded(recordings, "message_samples.jsonl").tables()["trades"].to_pylist()

    old = [row for row in trades if row["price"] == 58784.0]

    assert [(row["symbol"], row["side"], row["amount"]) for row in old] == [
        ("BTC/USDT:USDT", "sell", 1.265),
        ("BTC/USDT:USDT", "sell", 0.025),
        ("BTC/USDT:USDT", "sell", 0.181),
    ]
