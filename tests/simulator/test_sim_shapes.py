"""Every message the simulator sends looks like one recorded from the real venue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.market import Market
from simulator.venues.binance import catalogue as binance
from simulator.venues.binance import frames as binance_frames
from simulator.venues.binance import rest as binance_rest
from simulator.venues.kraken import catalogue as kraken
from simulator.venues.kraken import frames as kraken_frames
from simulator.venues.kraken import rest as kraken_rest
from tests.simulator.shapes import ADDED_SINCE, decode, lines, recorded, same_shape, shape

START = 1_763_700_000_000_000


@pytest.fixture
def spot() -> tuple[binance.Spelling, Market]:
    item = next(item for item in binance.CATALOGUE if item.market == "spot" and item.base == "BTC")
    return binance.Spelling(item), Market(item, seed=1, start_us=START)


@pytest.fixture
def usdm() -> tuple[binance.Spelling, Market]:
    item = next(item for item in binance.CATALOGUE if item.market == "usdm" and item.base == "BTC")
    return binance.Spelling(item), Market(item, seed=1, start_us=START)


@pytest.fixture
def pair() -> tuple[kraken.Spelling, Market]:
    item = next(item for item in kraken.CATALOGUE if item.symbol == "BTC/USD")
    return kraken.Spelling(item), Market(item, seed=1, start_us=START)


def moved(market: Market) -> Any:
    """Changes with levels on both sides."""
    for step in range(1, 200):
        market.move(START + step * 5_000_000, churn=8)
        changes = market.take()
        if changes is not None and changes.bids and changes.asks:
            return changes
    pytest.fail("the market did not move")


SPOT = "binance/spot_btcusdt_depth_trade_bookticker_20240808.jsonl.gz"
USDM = "binance/usdm_btcusdt_depth_trade_bookticker_20240718.jsonl.gz"
MARKS = "binance/usdm_btcusdt_depth_trade_markprice_20230404.jsonl.gz"
MANY = "binance/usdm_multi_depth_aggtrade_kline_20210722.jsonl.gz"


def stream(suffix: str) -> Callable[[Any], bool]:
    return lambda message: str(message.get("stream", "")).endswith(suffix)


def test_spot_trade(recordings: Path, spot: Any) -> None:
    spelling, market = spot
    mine = decode(binance_frames.spot_trade(spelling, market.order(START)[0], START // 1000))
    same_shape(mine, recorded(recordings / SPOT, stream("@trade"))["data"])


def test_spot_aggregate(recordings: Path, spot: Any) -> None:
    spelling, market = spot
    mine = decode(binance_frames.spot_aggregate(spelling, binance_frames.aggregates(market.order(START))[0], START // 1000))
    theirs = recorded(recordings / "binance/message_samples.jsonl", stream("btcusdt@aggTrade"))
    same_shape(mine, theirs["data"])


def test_spot_depth_and_ticker(recordings: Path, spot: Any) -> None:
    spelling, market = spot
    changes = moved(market)
    ticker = binance_frames.spot_ticker(spelling, changes.last, market.book.bids.best(), market.book.asks.best())

    def both_sides(message: Any) -> bool:
        return stream("@depth@100ms")(message) and bool(message["data"]["b"] and message["data"]["a"])

    same_shape(decode(binance_frames.spot_depth(spelling, changes, START // 1000)), recorded(recordings / SPOT, both_sides)["data"])
    same_shape(decode(ticker), recorded(recordings / SPOT, stream("@bookTicker"))["data"])


def test_spot_snapshot(recordings: Path, spot: Any) -> None:
    spelling, market = spot
    mine = decode(binance_rest.depth(spelling, market.image(), limit=1000, now_ms=START // 1000))
    same_shape(mine, recorded(recordings / SPOT, lambda body: "lastUpdateId" in body, http=True))


def test_usdm_trade_depth_ticker_snapshot(recordings: Path, usdm: Any) -> None:
    spelling, market = usdm
    trade = binance_frames.usdm_trade(spelling, market.order(START)[0], START // 1000)
    market.take()
    changes = moved(market)
    best = (market.book.bids.best(), market.book.asks.best())
    ticker = binance_frames.usdm_ticker(spelling, changes.last, *best, engine_ms=START // 1000, event_ms=START // 1000)
    snapshot = binance_rest.depth(spelling, market.image(), limit=1000, now_ms=START // 1000)

    same_shape(decode(trade), recorded(recordings / USDM, stream("@trade"))["data"])
    same_shape(
        decode(binance_frames.usdm_depth(spelling, changes, START // 1000)), recorded(recordings / USDM, stream("@depth@0ms"))["data"]
    )
    same_shape(decode(ticker), recorded(recordings / USDM, stream("@bookTicker"))["data"])
    same_shape(decode(snapshot), recorded(recordings / USDM, lambda body: "lastUpdateId" in body, http=True))


def test_usdm_aggregate(recordings: Path) -> None:
    # The only recorded futures aggregates in today's key order are of coins with five decimals and whole lots.
    item = next(item for item in binance.CATALOGUE if item.market == "usdm" and item.base == "ADA")
    spelling, market = binance.Spelling(item), Market(item, seed=1, start_us=START)
    mine = decode(binance_frames.usdm_aggregate(spelling, binance_frames.aggregates(market.order(START))[0], START // 1000))
    same_shape(mine, recorded(recordings / MANY, stream("ctkusdt@aggTrade"))["data"])


def test_usdm_mark_price(recordings: Path, usdm: Any) -> None:
    mine = decode(binance_frames.mark_price(usdm[0], mark=64_000.5, index=63_990.25, event_ms=START // 1000))
    same_shape(mine, recorded(recordings / MARKS, stream("@markPrice@1s"))["data"])


def test_usdm_force_order(recordings: Path, usdm: Any) -> None:
    spelling, market = usdm
    mine = decode(binance_frames.force_order(spelling, market.order(START, buy=True, dollars=90_000.0), START // 1000))
    same_shape(mine, recorded(recordings / "binance/message_samples.jsonl", stream("btcusdt@forceOrder"))["data"])
    assert mine["o"]["S"] == "BUY"
    assert mine["o"]["q"] == mine["o"]["z"]


def test_open_interest(recordings: Path, usdm: Any) -> None:
    mine = decode(binance_rest.open_interest(*usdm, START))
    same_shape(
        mine, recorded(recordings / "binance/message_samples.jsonl", lambda body: "openInterest" in body and body["symbol"] == "BTCUSDT")
    )


@pytest.mark.parametrize(
    ("market", "file"), [("spot", "binance/spot_multi_depth_aggtrade_kline_20211012.jsonl.gz"), ("usdm", MANY)], ids=["spot", "usdm"]
)
def test_exchange_info(recordings: Path, market: str, file: str) -> None:
    items = [item for item in binance.CATALOGUE if item.market == market]
    mine = decode(binance_rest.exchange_info(items, market=market, now_us=START, weight_limit=6000))
    theirs = recorded(recordings / file, lambda body: "symbols" in body, http=True)
    real = {row["symbol"]: row for row in theirs["symbols"]}

    assert list(mine) == [key for key in theirs if key in mine]
    then = [row for row in mine["symbols"] if row["symbol"] in real]
    assert len(then) > 15  # some coins are younger than the recording
    for row in then:
        reference = real[row["symbol"]]
        assert row.keys() - reference.keys() <= ADDED_SINCE
        for key in row.keys() & reference.keys() - {"filters", "underlyingSubType", "permissions"}:
            assert type(row[key]) is type(reference[key]), key
        filters = {item["filterType"]: item for item in reference["filters"]}
        for item in row["filters"]:
            if item["filterType"] not in ADDED_SINCE:
                assert item.keys() == filters[item["filterType"]].keys()
                assert {key: type(value) for key, value in item.items()} == {key: type(filters[item["filterType"]][key]) for key in item}


def test_klines_and_rest_trades(recordings: Path, spot: Any, usdm: Any) -> None:
    path = recordings / "binance/rest_klines_trades.jsonl.gz"
    bodies = {line["conn"].split("?")[0].removeprefix("https://"): decode(line["raw"]) for line in lines(path) if line["raw"] != "[]"}
    for spelling, market in (spot, usdm):
        market.order(START + 1_000_000)
        host = "api.binance.com/api/v3" if spelling.instrument.market == "spot" else "fapi.binance.com/fapi/v1"
        rows = decode(binance_rest.klines(spelling, market, {"symbol": "BTCUSDT", "interval": "5m", "limit": "3"}, START).body)
        theirs = bodies[f"{host}/klines"][0]
        assert [type(item) for item in rows[0]] == [type(item) for item in theirs]
        aggregates = decode(binance_rest.aggregate_trades(spelling, market, {"limit": "1"}))
        assert {key: type(value) for key, value in aggregates[0].items()} == {
            key: type(value) for key, value in bodies[f"{host}/aggTrades"][0].items()
        }
    raw = decode(binance_rest.raw_trades(*spot, {"limit": "1"}))
    assert shape(sorted(raw[0].items())) == shape(sorted(bodies["api.binance.com/api/v3/trades"][0].items()))


BOOK = "kraken/v2_book_checksum_btcusd_20260802.jsonl.gz"


def test_kraken_book_status_ack(recordings: Path, pair: Any) -> None:
    spelling, market = pair
    changes = moved(market)
    crc = kraken_frames.checksum(market.book)

    def book(kind: str) -> Any:
        bids, asks = list(changes.bids.items()), list(changes.asks.items())
        return decode(kraken_frames.book(spelling, kind=kind, bids=bids, asks=asks, crc=crc, time_us=START))

    for kind in ("snapshot", "update"):
        theirs = recorded(
            recordings / BOOK,
            lambda message, kind=kind: (
                message.get("channel") == "book"
                and message["type"] == kind
                and bool(message["data"][0]["bids"] and message["data"][0]["asks"])
            ),
        )
        same_shape(book(kind), theirs)
        same_shape(book(kind)["data"][0]["bids"][0], theirs["data"][0]["bids"][0])
    same_shape(
        decode(kraken_frames.status(2950167385101900187)), recorded(recordings / BOOK, lambda message: message.get("channel") == "status")
    )
    ack = kraken_frames.acknowledged(
        "subscribe", result='{"channel":"book","depth":25,"snapshot":true,"symbol":"BTC/USD"}', identity="", time_us=START
    )
    same_shape(decode(ack), recorded(recordings / BOOK, lambda message: message.get("method") == "subscribe"))
    same_shape(decode(kraken_frames.HEARTBEAT), recorded(recordings / BOOK, lambda message: message.get("channel") == "heartbeat"))


def test_kraken_trade_and_pong(recordings: Path, pair: Any) -> None:
    spelling, market = pair
    samples = recordings / "kraken/message_samples.jsonl"
    theirs = recorded(samples, lambda body: isinstance(body, dict) and body.get("channel") == "trade" and "ord_type" in body["data"][0])
    mine = decode(kraken_frames.trades(spelling, market.order(START)))

    assert list(mine["data"][0]) == list(theirs["data"][0])
    assert {key: type(value) for key, value in mine["data"][0].items()} == {key: type(value) for key, value in theirs["data"][0].items()}
    pong = decode(kraken_frames.pong(identity="42", time_us=START))
    same_shape(pong, recorded(samples, lambda body: isinstance(body, dict) and body.get("method") == "pong"))


def test_kraken_asset_pairs_and_ohlc(recordings: Path, pair: Any) -> None:
    theirs = recorded(recordings / "kraken/rest_asset_pairs_20210417.jsonl.gz", lambda body: True, http=True)["result"]
    body = kraken_rest.asset_pairs(kraken.CATALOGUE)
    assert body is not None
    mine = decode(body)["result"]
    for key in ("XXBTZUSD", "XETHZUSD", "XBTUSDT", "XLTCZUSD", "XDGUSD", "ADAUSD"):
        assert mine[key].keys() - theirs[key].keys() <= ADDED_SINCE
        for field in ("altname", "wsname", "base", "quote", "lot_decimals"):
            assert mine[key][field] == theirs[key][field]
    candles = decode(kraken_rest.ohlc(*pair, {"interval": "1"}, START).body)["result"]
    real = recorded(recordings / "kraken/rest_ohlc.jsonl", lambda body: True, http=True)["result"]
    rows, real_rows = candles["XXBTZUSD"], real["XBTUSDT"]
    assert [type(item) for item in rows[0]] == [type(item) for item in real_rows[0]]
    assert len(rows) == 720
    assert candles["last"] == rows[-2][0]
    assert real["last"] == real_rows[-2][0]
