"""OKX's recordings, whole: every frame accounted for, every checksum verified, amounts in base units."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.decode import Decoding, decode_files

RUNS = {
    "v5_books_checksum_trades_btcusdt_20220513.jsonl.gz": (198, 98),
    "v5_bookstbt_checksum_trades_20220227.jsonl.gz": (3777, 3679),
}


def decoded(recordings: Path, *names: str) -> Decoding:
    return decode_files("okx", [recordings / "okx" / name for name in names])


@pytest.mark.parametrize("name", RUNS)
def test_every_checksum_of_2022_verifies_and_no_book_is_crossed_or_lost(recordings: Path, name: str) -> None:
    decoding = decoded(recordings, name)
    tables = decoding.tables()

    report = decoding.report(tables)

    assert (report.frames, report.checksums.verified, report.checksums.failed) == (*RUNS[name], 0)
    assert report.frames == report.control + report.ignored + report.decoded
    assert report.gaps == report.dead_letters == 0
    tops = tables["book_snapshots"].to_pylist()
    assert all(not (top["bid_prices"] and top["ask_prices"]) or top["bid_prices"][0] < top["ask_prices"][0] for top in tops)


def test_every_sample_is_accounted_for_without_a_dead_letter(recordings: Path) -> None:
    decoding = decoded(recordings, "message_samples.jsonl")

    report = decoding.report(decoding.tables())

    assert report.frames == 113 == report.control + report.ignored + report.decoded
    assert decoding.dead == []


def test_contracts_are_base_units_with_the_list_and_without(recordings: Path) -> None:
    run = "v5_bookstbt_checksum_trades_20220227.jsonl.gz"
    plain, listed = decoded(recordings, run), decoded(recordings, "rest_instruments_20220227.jsonl.gz", run)

    amounts = [
        {row["trade_id"]: (row["symbol"], row["amount"]) for row in decoding.tables()["trades"].to_pylist()} for decoding in (plain, listed)
    ]

    assert amounts[0] == amounts[1]
    assert amounts[1]["12118545"] == ("UNI/USD:UNI", pytest.approx(10 / 9.615))
    assert amounts[1]["19"] == ("BTC/USD:BTC-220325-40000-C", pytest.approx(10.0))


def test_retired_v3_tables_land_like_v5_ones(recordings: Path) -> None:
    tables = decoded(recordings, "message_samples.jsonl").tables()

    trades = [row for row in tables["trades"].to_pylist() if row["symbol"] == "BCH/USDT"]
    forced = {row["symbol"]: (row["side"], row["sampled"]) for row in tables["liquidations"].to_pylist()}

    assert [(row["side"], row["price"], row["amount"]) for row in trades] == [("sell", 328.74, 0.12)] * 2
    assert forced["BTC/USD:BTC-210326"] == ("buy", True)
    assert forced["BTC/USDT:USDT"] == ("sell", True)
    assert forced["BTC/USDT:USDT-211231"] == ("buy", True)


def test_a_frame_that_is_no_json_becomes_a_dead_letter_and_the_book_stands(recordings: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"ts": 1.0, "dir": "in", "conn": null, "raw": "{\\"arg\\":"}\n')

    decoding = decoded(recordings, "v5_books_checksum_trades_btcusdt_20220513.jsonl.gz", str(broken))

    assert len(decoding.dead) == 1
    assert decoding.session.books()["BTC/USDT"].live
