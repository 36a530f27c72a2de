"""Every Binance and Kraken recording through the code live frames take: all accounted for, books whole, nothing dead without a reason."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from collectors.decode import Decoding, decode_files
from collectors.feeds import BookFeed
from collectors.recording import open_recording, parse

HERE = Path(__file__).parent
FILES = (
    "binance/message_samples.jsonl",
    "binance/rest_klines_trades.jsonl.gz",
    "binance/spot_btcusdt_depth_trade_bookticker_20240808.jsonl.gz",
    "binance/spot_multi_depth_aggtrade_20210405.jsonl.gz",
    "binance/spot_multi_depth_aggtrade_kline_20211012.jsonl.gz",
    "binance/usdm_btcusdt_depth_trade_bookticker_20240718.jsonl.gz",
    "binance/usdm_btcusdt_depth_trade_bookticker_20240808.jsonl.gz",
    "binance/usdm_btcusdt_depth_trade_markprice_20230404.jsonl.gz",
    "binance/usdm_multi_depth_aggtrade_kline_20210722.jsonl.gz",
    "kraken/futures_book_trade_ticker_20210722.jsonl.gz",
    "kraken/message_samples.jsonl",
    "kraken/rest_asset_pairs_20210417.jsonl.gz",
    "kraken/rest_ohlc.jsonl",
    "kraken/v1_book1000_checksum_20210405.jsonl.gz",
    "kraken/v1_ticker_20210405.jsonl",
    "kraken/v1_trade_20210405.jsonl",
    "kraken/v2_book_checksum_btcusd_20260802.jsonl.gz",
    "kraken/v2_book_checksum_xrpusd_20260802.jsonl.gz",
)
WITH_SNAPSHOTS = tuple(name for name in FILES if name.startswith("binance/") and "depth" in name)


def allowed() -> set[tuple[str, int]]:
    entries = tomllib.loads((HERE / "allowed_dead_letters.toml").read_text())["allowed"]
    assert all(entry["reason"].strip() for entry in entries)
    return {(entry["file"], entry["line"]) for entry in entries}


@pytest.mark.parametrize("name", FILES)
def test_every_frame_is_accounted_for_and_only_allowed_lines_are_dead(recordings: Path, name: str) -> None:
    decoding = decode_files(name.partition("/")[0], [recordings / name])
    report = decoding.report(decoding.tables())

    assert report.frames > 0
    assert report.frames == report.control + report.ignored + report.decoded + report.dead_letters
    dead = {(Path(letter.file).relative_to(recordings).as_posix(), letter.line) for letter in decoding.dead}
    assert dead == {entry for entry in allowed() if entry[0] == name}
    for writer in decoding.events.writers.values():
        for dataset, count in writer.counts.items():
            if dataset not in ("gaps", "dead_letters"):
                assert count.decoded == count.landed + count.duplicates + sum(count.discarded.values())


def test_the_allow_list_names_only_lines_of_recordings_that_are_checked() -> None:
    assert {name for name, _ in allowed() if name.startswith(("binance/", "kraken/"))} <= set(FILES)


def test_no_recording_of_these_venues_is_left_out(recordings: Path) -> None:
    found = {f"{venue}/{path.name}" for venue in ("binance", "kraken") for path in (recordings / venue).iterdir()}
    assert found == set(FILES)


@pytest.mark.parametrize(
    ("name", "frames"),
    [("kraken/v2_book_checksum_btcusd_20260802.jsonl.gz", 2052), ("kraken/v2_book_checksum_xrpusd_20260802.jsonl.gz", 1147)],
)
def test_every_kraken_checksum_verifies(recordings: Path, name: str, frames: int) -> None:
    decoding = decode_files("kraken", [recordings / name])
    report = decoding.report(decoding.tables())
    assert (report.checksums.verified, report.checksums.failed) == (frames, 0)
    assert report.gaps == 0


@pytest.mark.parametrize("name", WITH_SNAPSHOTS)
def test_books_bridge_their_snapshot_and_never_cross_afterwards(recordings: Path, name: str) -> None:
    decoding = Decoding("binance")
    seen: dict[BookFeed, int] = {}
    crossings: list[str] = []
    with open_recording(recordings / name) as lines:
        for number, raw in enumerate(lines, start=1):
            decoding.take(parse(raw, where=name), file=name, number=number)
            for symbol, feed in decoding.session.books().items():
                if feed.live and seen.get(feed) != feed.updates:
                    seen[feed] = feed.updates
                    bids, asks = feed.book.columns(1)
                    if bids[0] and asks[0] and bids[0][0] >= asks[0][0]:
                        crossings.append(f"line {number}: {symbol} {bids[0][0]} >= {asks[0][0]}")

    books = decoding.session.books()
    assert books
    assert all(feed.live for feed in books.values())
    assert crossings == []
    assert decoding.report(decoding.tables()).gaps == 0


@pytest.mark.parametrize(
    "name",
    [
        "binance/usdm_multi_depth_aggtrade_kline_20210722.jsonl.gz",
        "bitfinex/v2_book_trades_ticker_20250815.jsonl.gz",
        "bitfinex/v2_book_trades_ticker_seq_20210405.jsonl.gz",
        "bitget/v1_spot_books_checksum_trade_candle_20220407.jsonl.gz",
        "bybit/v5_linear_btc_eth_20260809.jsonl.gz",
        "coinbase/advanced_level2_trades_ticker_candles_20260809.jsonl.gz",
        "gateio/futures_v4_orderbookupdate_20230524.jsonl.gz",
        "htx/linear_swap_depth_step0_trade_20220219.jsonl.gz",
        "kraken/futures_book_trade_ticker_20210722.jsonl.gz",
        "kraken/v1_book1000_checksum_20210405.jsonl.gz",
        "kraken/v2_book_checksum_btcusd_20260802.jsonl.gz",
        "kraken/v2_book_checksum_xrpusd_20260802.jsonl.gz",
        "kucoin/spot_level2_match_ticker_candles_20210425.jsonl.gz",
        "okx/v5_bookstbt_checksum_trades_20220227.jsonl.gz",
    ],
)
def test_the_book_rebuilt_from_landed_rows_is_the_book_that_was_kept(recordings: Path, name: str) -> None:
    decoding = decode_files(name.partition("/")[0], [recordings / name])
    tables = decoding.tables()

    rebuilt: dict[str, dict[str, dict[float, float]]] = {}
    frame: tuple[object, ...] | None = None
    for row in (
        tables["book_deltas"].sort_by([("symbol", "ascending"), ("local_timestamp", "ascending"), ("ordinal", "ascending")]).to_pylist()
    ):
        sides = rebuilt.setdefault(row["symbol"], {"bid": {}, "ask": {}})
        stamp = (row["symbol"], row["local_timestamp"], row["is_snapshot"])
        if row["is_snapshot"] and frame != stamp:
            sides["bid"].clear()
            sides["ask"].clear()
        frame = stamp
        if row["amount"]:
            sides[row["side"]][row["price"]] = row["amount"]
        else:
            sides[row["side"]].pop(row["price"], None)

    kept = {symbol: feed for symbol, feed in decoding.session.books().items() if feed.live}
    assert kept
    for symbol, feed in kept.items():
        bids, asks = feed.book.levels()
        assert sorted(rebuilt[symbol]["bid"].items(), reverse=True) == bids
        assert sorted(rebuilt[symbol]["ask"].items()) == asks


def test_known_totals_of_a_recording(recordings: Path) -> None:
    decoding = decode_files("binance", [recordings / "binance/usdm_btcusdt_depth_trade_markprice_20230404.jsonl.gz"])
    report = decoding.report(decoding.tables())
    perpetual = report.symbols["BTC/USDT:USDT"]
    assert list(report.symbols) == ["BTC/USDT:USDT"]
    assert (perpetual.trades, report.rows["derivatives"], perpetual.book.updates) == (12934, 514, 16110)
    assert decoding.events.writers["binance", "binance-usdm-recorded"].trades.discarded == {"insurance_fund": 1}
    assert len(perpetual.book.bids) == len(perpetual.book.asks) == 10
