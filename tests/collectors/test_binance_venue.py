from __future__ import annotations

import json

import pytest

from collectors.decode import Decoding
from collectors.errors import FrameError, UnknownSymbol
from collectors.recording import Line
from collectors.symbols import split_native
from collectors.venue import HttpGet, Wanted
from collectors.venues.binance import VENUE

INFO = {
    "symbols": [
        {
            "symbol": "1000SHIBUSDT",
            "status": "TRADING",
            "baseAsset": "1000SHIB",
            "quoteAsset": "USDT",
            "marginAsset": "USDT",
            "contractType": "PERPETUAL",
            "pricePrecision": 9,
            "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.000001"}, {"filterType": "LOT_SIZE", "stepSize": "1"}],
        },
        {
            "symbol": "BTCUSDT_260925",
            "status": "SETTLING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "marginAsset": "USDT",
            "contractType": "CURRENT_QUARTER",
            "filters": [],
        },
    ]
}


def test_instruments_take_tick_and_lot_from_the_filters() -> None:
    request = HttpGet(url="https://fapi.binance.com/fapi/v1/exchangeInfo", purpose="instruments")
    shib, dated = VENUE.parse_instruments(request, json.dumps(INFO).encode())
    assert (shib.symbol, shib.tick_size, shib.lot_size, shib.price_decimals, shib.amount_decimals) == (
        "1000SHIB/USDT:USDT",
        1e-6,
        1.0,
        6,
        0,
    )
    assert (dated.symbol, dated.active) == ("BTC/USDT:USDT-260925", False)
    with pytest.raises(FrameError):
        VENUE.parse_instruments(request, b'{"code":-1121}')


@pytest.mark.parametrize(("symbol", "market"), [("BTC/USDT", "spot"), ("BTC/USDT:USDT", "usdm")])
def test_the_market_of_a_symbol_is_in_its_name(symbol: str, market: str) -> None:
    assert VENUE.market_of(symbol) == market


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USD:BTC", "/USDT", ""])
def test_a_symbol_no_market_can_hold_is_unknown(symbol: str) -> None:
    with pytest.raises(UnknownSymbol):
        VENUE.market_of(symbol)


def test_planning_an_unlisted_symbol_is_unknown() -> None:
    with pytest.raises(UnknownSymbol):
        VENUE.plan(Wanted(symbols=("NO/USDT",), channels=("trades",)), {})


def test_endpoints_can_be_overridden() -> None:
    request = HttpGet(url="https://fapi.binance.com/fapi/v1/exchangeInfo", purpose="instruments")
    listed = {each.symbol: each for each in VENUE.parse_instruments(request, json.dumps(INFO).encode())}
    wanted = Wanted(symbols=("1000SHIB/USDT:USDT",), channels=("trades",), endpoints={"usdm_ws": "ws://127.0.0.1:1/u"})
    (plan,) = VENUE.plan(wanted, listed)
    assert (plan.url, plan.max_age_seconds) == ("ws://127.0.0.1:1/u/market/stream", 82800.0)


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("BTCFDUSD", ("BTC", "FDUSD")),
        ("ETHBTC", ("ETH", "BTC")),
        ("RUNEEUR", ("RUNE", "EUR")),
        ("QQQ", ("QQQ", "")),
    ],
)
def test_ids_split_by_the_longest_known_quote(native: str, expected: tuple[str, str]) -> None:
    assert split_native(native) == expected


def frame(data: object, conn: str | None = None, stream: str | None = None) -> Line:
    return Line(ts=None, dir="in", conn=conn, raw=json.dumps({"stream": stream, "data": data} if stream else data))


def decoded(*lines: Line) -> Decoding:
    decoding = Decoding("binance")
    for number, line in enumerate(lines, start=1):
        decoding.take(line, file="test", number=number)
    return decoding


def symbols(decoding: Decoding) -> set[str]:
    return set(decoding.report(decoding.tables()).symbols)


AGG = {"e": "aggTrade", "E": 1764000000200, "s": "BTCUSDT", "a": 1, "p": "1", "q": "1", "f": 1, "l": 1, "T": 1764000000110, "m": True}
TRADE = {"e": "trade", "E": 1764000000200, "s": "BTCUSDT", "t": 1, "p": "1", "q": "1", "T": 1764000000110, "m": True}


def test_without_a_url_content_tells_the_market() -> None:
    assert symbols(decoded(frame(AGG | {"M": True}))) == {"BTC/USDT"}
    assert symbols(decoded(frame(AGG, stream="btcusdt@aggTrade"))) == {"BTC/USDT:USDT"}
    assert symbols(decoded(frame(TRADE | {"M": True}))) == {"BTC/USDT"}
    assert symbols(decoded(frame(TRADE | {"X": "MARKET"}))) == {"BTC/USDT:USDT"}


def test_the_url_tells_the_market_where_there_is_one() -> None:
    assert symbols(decoded(frame(AGG, "wss://stream.binance.com:9443/ws"))) == {"BTC/USDT"}
    assert symbols(decoded(frame(AGG | {"M": True}, "wss://fstream.binance.com/market/ws"))) == {"BTC/USDT:USDT"}


def test_inverse_contracts_are_ignored_for_now() -> None:
    decoding = decoded(frame(AGG | {"s": "BTCUSD_PERP"}, stream="btcusd_perp@aggTrade"), frame(AGG, "wss://dstream.binance.com/ws"))
    report = decoding.report(decoding.tables())
    assert (report.frames, report.ignored, report.symbols) == (2, 2, {})


def test_the_first_kind_of_trade_met_is_the_one_that_lands() -> None:
    conn = "wss://stream.binance.com:9443/stream"
    decoding = decoded(
        frame(AGG, conn, "btcusdt@aggTrade"), frame(TRADE, conn, "btcusdt@trade"), frame(TRADE | {"s": "ETHUSDT"}, conn, "ethusdt@trade")
    )
    report = decoding.report(decoding.tables())
    assert (report.decoded, report.ignored) == (2, 1)
    assert {symbol: each.trades for symbol, each in report.symbols.items()} == {"BTC/USDT": 1, "ETH/USDT": 1}


def test_off_market_fills_are_discarded_by_reason_and_their_ids_leave_no_gap() -> None:
    conn = "wss://fstream.binance.com/stream"
    lines = [
        frame(TRADE | {"t": number, "X": kind}, conn, "btcusdt@trade")
        for number, kind in enumerate(("MARKET", "ADL", "NA", "INSURANCE_FUND", "RPI"), start=1)
    ]
    decoding = decoded(*lines)
    report = decoding.report(decoding.tables())
    assert (report.decoded, report.rows, report.gaps) == (5, {"trades": 2}, 0)
    assert decoding.events.writers["binance", "binance-usdm-recorded"].trades.discarded == {"adl": 1, "na": 1, "insurance_fund": 1}


def test_partial_depth_streams_are_no_diffs() -> None:
    partial = {
        "e": "depthUpdate",
        "E": 1764000000101,
        "T": 1764000000095,
        "s": "BTCUSDT",
        "U": 1,
        "u": 2,
        "pu": 0,
        "b": [["1", "1"]],
        "a": [],
    }
    report = (decoding := decoded(frame(partial, stream="btcusdt@depth20@100ms"))).report(decoding.tables())
    assert (report.ignored, report.decoded) == (1, 0)


def test_a_new_socket_in_a_recording_resets_its_book_and_opens_gaps() -> None:
    conn = "wss://stream.binance.com:9443/stream"
    rest = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"

    def depth(first: int, last: int) -> Line:
        data = {"e": "depthUpdate", "E": 1764000000101, "s": "BTCUSDT", "U": first, "u": last, "b": [["1", "1"]], "a": []}
        return frame(data, conn, "btcusdt@depth@100ms")

    snapshot = Line(
        ts=None, dir="in", conn=rest, kind="http", raw=json.dumps({"lastUpdateId": 5, "bids": [["1", "2"]], "asks": [["3", "1"]]})
    )
    decoding = decoded(depth(4, 6), snapshot, Line(ts=None, dir="out", conn=conn, kind="connect"), depth(900, 901))
    report = decoding.report(decoding.tables())
    assert (report.frames, report.decoded, report.gaps) == (3, 3, 1)
    assert report.symbols["BTC/USDT"].book.bids == []
