"""A live session of the unified gateway, and the classic protocol as recordings carry it, fed with frames in the venue's own spelling."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from collectors.decode import Decoding
from collectors.errors import FrameError, UnknownSymbol
from collectors.recording import Line
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Outcome, Reconnect, Wanted
from collectors.venues.kucoin import VENUE
from collectors.venues.kucoin.instruments import guessed_contract, unified
from tests.collectors.answering import Answering

Levels = Sequence[Sequence[str]]

T0 = 1_787_348_155_000_000
WELCOME = {"sessionId": "s", "message": "welcome", "pingInterval": 18000}
SPOT = Instrument(exchange="kucoin", symbol="BTC/USDT", native="BTC-USDT", market="spot", base="BTC", quote="USDT")
PERP = Instrument(
    exchange="kucoin",
    symbol="BTC/USDT:USDT",
    native="XBTUSDTM",
    market="futures",
    base="BTC",
    quote="USDT",
    settle="USDT",
    contract_size=0.001,
)
LISTED = {"BTC/USDT": SPOT, "BTC/USDT:USDT": PERP}
CONTRACT = {
    "symbol": "XBTUSDTM",
    "baseCurrency": "XBT",
    "quoteCurrency": "USDT",
    "settleCurrency": "USDT",
    "type": "FFWCSX",
    "multiplier": 0.001,
    "isInverse": False,
    "tickSize": 0.1,
    "lotSize": 1,
    "status": "Open",
    "openInterest": "9295921",
    "fundingFeeRate": 0.000038,
    "nextFundingRateTime": 10561278,
    "markPrice": 39995.94,
    "indexPrice": 39999.2,
    "expireDate": None,
}


class Socket(Answering):
    def __init__(self, market: str = "spot", events: EventBuffer | None = None, *, at: int = T0) -> None:
        self.events = events or EventBuffer()
        symbol = "BTC/USDT" if market == "spot" else "BTC/USDT:USDT"
        wanted = Wanted(symbols=(symbol,), channels=VENUE.channels)
        (self.plan,) = VENUE.plan(wanted, LISTED)
        self.session = VENUE.session(self.plan, self.events, wanted)
        self.session.opened(at)
        self.now = at

    def feed(self, frame: dict[str, object]) -> Outcome:
        self.now += 10_000
        return self.session.feed(json.dumps(frame).encode(), self.now)

    def trade(self, number: str, **more: object) -> Outcome:
        kind = self.plan.market.upper()
        native = self.plan.instruments[0].native
        data = {"E": 1, "M": (T0 + 897_000) * 1000, "S": "sell", "p": "91313.6", "q": "0.5", "s": native, "ti": number, **more}
        return self.feed({"T": f"trade.{kind}", "P": T0 * 1000, "d": data})

    def book(self, kind: str, first: int, last: int, *, bids: Levels = (), asks: Levels = (), depth: str = "increment@10ms") -> Outcome:
        data = {"C": last, "O": first, "M": T0 * 1000, "s": self.plan.instruments[0].native, "a": asks, "b": bids}
        return self.feed({"T": f"obu.{self.plan.market.upper()}", "dp": depth, "t": kind, "P": T0 * 1000, "d": data})


def opened(market: str = "spot") -> Socket:
    socket = Socket(market)
    socket.feed(WELCOME)
    socket.commands()
    socket.book("snapshot", 10, 10, bids=[["100", "1"]], asks=[["101", "2"]])
    socket.events.drain()
    return socket


def test_subscriptions_wait_for_the_welcome() -> None:
    socket = Socket()
    assert socket.commands() == []
    assert socket.feed(WELCOME) is Outcome.CONTROL
    assert socket.commands() == [
        {"id": "1", "action": "subscribe", "channel": "trade", "tradeType": "SPOT", "symbol": "BTC-USDT"},
        {"id": "2", "action": "subscribe", "channel": "obu", "tradeType": "SPOT", "symbol": "BTC-USDT", "depth": "increment@10ms"},
    ]
    assert socket.feed({"id": "1", "result": True}) is Outcome.CONTROL
    assert socket.session.acked == {"BTC/USDT": socket.now}
    assert socket.feed({"id": "2", "result": "false", "message": "no such symbol"}) is Outcome.CONTROL


def test_pings_go_out_in_half_the_interval_and_silence_ends_the_socket() -> None:
    socket = opened()
    socket.session.tick(socket.now)
    assert [each["type"] for each in socket.commands()] == ["ping"]
    socket.session.tick(socket.now + 8_000_000)
    assert socket.commands() == []
    socket.session.tick(socket.now + 9_000_000)
    assert [each["type"] for each in socket.commands()] == ["ping"]
    socket.session.tick(socket.now + 37_000_000)
    assert len([action for action in socket.session.actions if isinstance(action, Reconnect)]) == 1


def test_a_socket_without_a_welcome_is_given_up() -> None:
    socket = Socket()
    socket.session.tick(T0 + 11_000_000)
    (action,) = socket.session.actions
    assert isinstance(action, Reconnect)


def test_trades_land_with_their_side_nanoseconds_and_ids_beyond_2_to_the_53() -> None:
    socket = Socket()
    socket.trade("24021490985222144")
    socket.trade("24021490985222144")
    socket.trade("24021490985222145", S="BUY")
    rows = socket.rows("trades")
    assert [(row["trade_id"], row["side"], row["amount"]) for row in rows] == [
        ("24021490985222144", "sell", 0.5),
        ("24021490985222145", "buy", 0.5),
    ]
    assert rows[0]["timestamp"].microsecond == 897_000


def test_sizes_of_futures_are_contracts() -> None:
    socket = opened("futures")
    socket.trade("1814377247397", q="5")
    socket.book("delta", 11, 12, bids=[["100", "7"]])
    drained = socket.events.drain()
    assert [row["amount"] for row in drained["trades"].to_pylist() + drained["book_deltas"].to_pylist()] == [0.005, 0.007]


def test_a_book_follows_from_sequence_to_sequence_and_one_price_may_come_twice() -> None:
    socket = opened()
    socket.book("delta", 11, 13, bids=[["100", "5"], ["100", "0"], ["99", "4"]])
    socket.book("delta", 11, 13, bids=[["98", "1"]])
    socket.book("delta", 14, 14, asks=[["101", "0"], ["102", "3"]])
    assert socket.session.book_feeds["BTC/USDT"].book.levels() == ([(99.0, 4.0)], [(102.0, 3.0)])
    assert [row["sequence"] for row in socket.rows("book_deltas")] == [13, 13, 13, 14, 14]


def test_a_gap_renews_that_book_alone_and_nothing_lands_until_its_snapshot() -> None:
    socket = opened()
    socket.book("delta", 12, 13, bids=[["100", "5"]])
    (gap,) = socket.rows("gaps")
    assert (gap["kind"], gap["from_sequence"], gap["to_sequence"], gap["healed_at"]) == ("sequence", 10, 13, None)
    assert [(each["action"], each["channel"], each["symbol"]) for each in socket.commands()] == [
        ("unsubscribe", "obu", "BTC-USDT"),
        ("subscribe", "obu", "BTC-USDT"),
    ]
    socket.book("delta", 14, 14, bids=[["100", "6"]])
    assert socket.rows("book_deltas") == []
    socket.book("snapshot", 20, 20, bids=[["100", "7"]], asks=[["101", "2"]])
    drained = socket.events.drain()
    assert [row["healed_by"] for row in drained["gaps"].to_pylist()] == ["snapshot"]
    assert drained["book_deltas"].num_rows == 2


def test_books_of_a_fixed_depth_are_left_out() -> None:
    assert opened().book("snapshot", 20, 20, bids=[["100", "7"]], depth="50") is Outcome.IGNORED


def test_states_of_contracts_are_polled_and_land_in_base_units() -> None:
    socket = opened("futures")
    socket.session.tick(socket.now)
    (request,) = [action for action in socket.session.actions if isinstance(action, HttpGet)]
    assert request.url == "https://api-futures.kucoin.com/api/v1/contracts/active"
    socket.session.actions.clear()
    body = json.dumps({"code": "200000", "data": [CONTRACT, {**CONTRACT, "symbol": "ETHUSDTM"}]}).encode()
    assert socket.session.feed_http(request, body, T0) is Outcome.DECODED
    (row,) = socket.rows("derivatives")
    assert (row["symbol"], row["open_interest"], row["funding_rate"]) == ("BTC/USDT:USDT", 9295.921, 0.000038)
    assert (row["mark_price"], row["index_price"]) == (39995.94, 39999.2)
    assert round((row["next_funding"] - row["timestamp"]).total_seconds(), 3) == 10561.278
    socket.session.tick(socket.now + 59_000_000)
    assert not [action for action in socket.session.actions if isinstance(action, HttpGet)]


def listed(number: int, at: int, *, side: str = "sell") -> dict[str, object]:
    """A row of the unified list of trades; `at` in microseconds after T0."""
    return {"sequence": str(number), "tradeId": str(number), "price": "91313.6", "size": "0.5", "side": side, "ts": (T0 + at) * 1000}


@pytest.mark.parametrize(("rows", "healed"), [([5, 7, 9], "rest"), ([7, 9], None)], ids=["reaching back", "too late"])
def test_a_reconnect_asks_for_the_newest_trades_and_heals_only_what_they_reach(rows: list[int], healed: str | None) -> None:
    socket = Socket()
    socket.trade("5", M=T0 * 1000)
    socket.session.closed(socket.now + 1_000_000)
    again = Socket(events=socket.events, at=socket.now + 3_000_000)
    again.trade("9", M=(T0 + 900_000) * 1000)
    (request,) = [action for action in again.session.actions if isinstance(action, HttpGet) and action.purpose == "trades"]
    assert request.url == "https://api.kucoin.com/api/ua/v1/market/trade?tradeType=SPOT&symbol=BTC-USDT"
    answer = {"code": "200000", "data": {"tradeType": "SPOT", "list": [listed(number, number * 100_000) for number in rows]}}
    assert again.session.feed_http(request, json.dumps(answer).encode(), again.now) is Outcome.DECODED
    drained = socket.events.drain()
    landed = [(row["trade_id"], row["source"]) for row in drained["trades"].to_pylist()]
    assert landed == [("5", "stream"), ("9", "stream"), ("7", "rest")]
    assert drained["gaps"].to_pylist()[-1]["healed_by"] == healed


def test_an_answer_that_is_no_list_of_trades_is_a_frame_error() -> None:
    socket = opened()
    request = HttpGet(url="u", purpose="trades", symbol="BTC/USDT")
    with pytest.raises(FrameError):
        socket.session.feed_http(request, b'{"code":"900001","msg":"symbol not exists"}', socket.now)


def test_behind_frames_nobody_can_read_the_newest_trades_are_fetched() -> None:
    socket = opened("futures")
    socket.trade("5")
    for _ in range(2):
        with pytest.raises(FrameError):
            socket.session.feed(b"\x00\xff", socket.now)
    socket.session.tick(socket.now + 400_000)
    found = [action.url for action in socket.session.actions if isinstance(action, HttpGet) and action.purpose == "trades"]
    assert found == ["https://api.kucoin.com/api/ua/v1/market/trade?tradeType=FUTURES&symbol=XBTUSDTM"]


def test_a_refused_stream_is_told_and_accepted_again() -> None:
    socket = Socket()
    socket.feed(WELCOME)
    socket.feed({"id": "1", "result": False, "message": "topic does not exist"})
    continuity = socket.events.continuity("kucoin")
    assert {place: refusal.reason for place, refusal in continuity.refusals.items()} == {("BTC/USDT", "trades"): "topic does not exist"}
    socket.commands()
    assert socket.session.resubscribe(socket.plan.streams[:1]) == [socket.plan.streams[0]]
    assert [(each["action"], each["channel"]) for each in socket.commands()] == [("unsubscribe", "trade"), ("subscribe", "trade")]
    socket.feed({"id": "4", "result": True})
    assert continuity.refusals == {}


def test_numbers_that_start_over_are_a_gap_and_old_ones_are_none() -> None:
    socket = opened()
    socket.book("delta", 11, 12)
    socket.book("delta", 11, 12)
    socket.book("delta", 9, 10)
    assert socket.rows("gaps") == []
    socket.book("delta", 1, 2)
    assert [row["kind"] for row in socket.rows("gaps")] == ["sequence"]
    assert [(each["action"], each["channel"]) for each in socket.commands()] == [("unsubscribe", "obu"), ("subscribe", "obu")]


@pytest.mark.parametrize("change", [{"p": "0"}, {"q": "-1"}, {"q": "nan"}, {"S": "up"}, {"M": 1}, {"M": None}], ids=str)
def test_a_trade_that_cannot_be_right_is_a_frame_error_and_lands_nothing(change: dict[str, object]) -> None:
    socket = Socket()
    with pytest.raises(FrameError):
        socket.trade("1", **change)
    assert socket.rows("trades") == []


@pytest.mark.parametrize("frame", [b"", b'{"T":"obu.SPOT"', b"\xff", b'{"T":"trade.SPOT","d":{}}', b"[1]"])
def test_a_corrupt_frame_is_a_frame_error(frame: bytes) -> None:
    with pytest.raises(FrameError):
        Socket().session.feed(frame, T0)


def test_names_and_contracts_that_no_list_has_told() -> None:
    names = ("BTC-USDT", "XBTUSDTM", "XBTUSDM", "ETHUSDCM", "XBTMH21", "XBTMM22")
    expected = ["BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC", "ETH/USDC:USDC", "BTC/USD:BTC-210326", "BTC/USD:BTC-220624"]
    assert [unified(name) for name in names] == expected
    assert guessed_contract("XBTUSDTM").base(16, 57850) == 0.016
    assert guessed_contract("XBTMH21").base(1510, 60400) == 0.025
    assert guessed_contract("BTC-USDT").is_base


def test_instruments_of_each_list() -> None:
    spot, futures = VENUE.instrument_requests(VENUE.endpoints, ["spot", "futures"])
    assert (spot.url, futures.url) == ("https://api.kucoin.com/api/v2/symbols", "https://api-futures.kucoin.com/api/v1/contracts/active")
    pair = {"symbol": "BCHSV-USDT", "baseCurrency": "BSV", "quoteCurrency": "USDT", "baseIncrement": "0.0001", "priceIncrement": "0.01"}
    (listed,) = VENUE.parse_instruments(spot, json.dumps({"code": "200000", "data": [{**pair, "enableTrading": False}]}).encode())
    assert (listed.symbol, listed.native, listed.lot_size, listed.active) == ("BSV/USDT", "BCHSV-USDT", 0.0001, False)
    inverse = {**CONTRACT, "symbol": "XBTUSDM", "quoteCurrency": "USD", "settleCurrency": "XBT", "multiplier": -1.0, "isInverse": True}
    dated = {**inverse, "symbol": "XBTMM22", "type": "FFICSX", "expireDate": 1656057600000}
    found = VENUE.parse_instruments(futures, json.dumps({"code": "200000", "data": [CONTRACT, inverse, dated]}).encode())
    assert [(each.symbol, each.contract_size, each.inverse) for each in found] == [
        ("BTC/USDT:USDT", 0.001, False),
        ("BTC/USD:BTC", 1.0, True),
        ("BTC/USD:BTC-220624", 1.0, True),
    ]
    with pytest.raises(FrameError):
        VENUE.parse_instruments(spot, b'{"code":"400100","msg":"no"}')


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT:ETH", ""])
def test_a_symbol_no_market_can_hold_is_unknown(symbol: str) -> None:
    with pytest.raises(UnknownSymbol):
        VENUE.market_of(symbol)


CONN = "wss://ws-api-spot.kucoin.com/?token=TOKEN"


def level2(first: int, last: int, *, bids: Levels = (), asks: Levels = (), symbol: str = "BTC-USDT") -> dict[str, object]:
    data = {"sequenceStart": first, "symbol": symbol, "changes": {"asks": asks, "bids": bids}, "sequenceEnd": last}
    return {"data": data, "subject": "trade.l2update", "topic": f"/market/level2:{symbol}", "type": "message"}


def change(number: int, text: str) -> dict[str, object]:
    data = {"sequence": number, "change": text, "timestamp": T0 // 1000}
    return {"topic": "/contractMarket/level2:XBTUSDTM", "type": "message", "subject": "level2", "data": data}


def decoded(*frames: dict[str, object], conn: str | None = CONN) -> Decoding:
    decoding = Decoding("kucoin")
    for number, frame in enumerate(frames, start=1):
        answer = "code" in frame
        url = "https://api.kucoin.com/api/v3/market/orderbook/level2?symbol=BTC-USDT" if answer else conn
        line = Line(ts=T0 / 1e6 + number, dir="in", conn=url, kind="http" if answer else None, raw=json.dumps(frame))
        decoding.take(line, file="test", number=number)
    assert decoding.dead == []
    return decoding


def snapshot(sequence: int) -> dict[str, object]:
    return {"code": "200000", "data": {"time": T0 // 1000, "sequence": str(sequence), "bids": [["10", "1"]], "asks": [["11", "2"]]}}


def test_inside_the_bridging_frame_only_levels_newer_than_the_snapshot_count() -> None:
    bridging = level2(9, 12, bids=[["10", "5", "9"], ["9", "6", "12"]], asks=[["0", "0", "11"], ["11", "0", "10"], ["12", "3", "11"]])
    for frames in ((bridging, snapshot(10)), (level2(8, 8), snapshot(10), bridging)):
        decoding = decoded(*frames)
        assert decoding.session.books()["BTC/USDT"].book.levels() == ([(10.0, 1.0), (9.0, 6.0)], [(11.0, 2.0), (12.0, 3.0)])
        assert [row["price"] for row in decoding.tables()["book_deltas"].to_pylist() if not row["is_snapshot"]] in ([], [9.0, 12.0])


def test_a_classic_book_with_a_hole_lands_nothing_until_the_next_snapshot() -> None:
    frames = (level2(10, 10), snapshot(10), level2(11, 11, bids=[["10", "4", "11"]]), level2(13, 13, bids=[["10", "9", "13"]]))
    decoding = decoded(*frames)
    assert not decoding.session.books()["BTC/USDT"].live
    (gap,) = decoding.tables()["gaps"].to_pylist()
    assert (gap["kind"], gap["from_sequence"], gap["to_sequence"]) == ("sequence", 11, 13)
    decoding = decoded(*frames, snapshot(13))
    assert decoding.session.books()["BTC/USDT"].live
    assert [row["healed_by"] for row in decoding.tables()["gaps"].to_pylist()] == ["snapshot"]


def test_a_classic_futures_book_takes_one_level_a_message_in_contracts() -> None:
    whole = {
        "code": "200000",
        "data": {"symbol": "XBTUSDTM", "sequence": 10, "bids": [[100, 1000]], "asks": [[101, 2000]], "ts": T0 * 1000},
    }
    decoding = decoded(change(10, "100,buy,1000"), whole, change(11, "101,sell,0"), change(12, "102,sell,82"))
    assert decoding.session.books()["BTC/USDT:USDT"].book.levels() == ([(100.0, 1.0)], [(102.0, 0.082)])


@pytest.mark.parametrize("text", ["100,buy", "100,up,3", "x,buy,3", "0,buy,3", "100,buy,nan"])
def test_a_change_that_is_none_is_a_dead_letter(text: str) -> None:
    decoding = Decoding("kucoin")
    decoding.take(Line(ts=None, dir="in", conn=CONN, raw=json.dumps(change(1, text))), file="test", number=1)
    assert len(decoding.dead) == 1


def test_the_unified_list_of_spot_and_of_futures_is_read() -> None:
    pair = {"symbol": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT", "tickSize": "0.1", "baseOrderStep": "0.0001"}
    contract = {"symbol": "XBTUSDM", "baseCurrency": "XBT", "quoteCurrency": "USD", "settlementCurrency": "XBT", "unitSize": "1"}
    (request, _) = VENUE.instrument_requests(VENUE.endpoints, ["spot", "futures"])
    found = []
    for kind, rows in (("SPOT", [pair]), ("FUTURES", [{**contract, "isInverse": True}])):
        found += VENUE.parse_instruments(request, json.dumps({"code": "200000", "data": {"tradeType": kind, "list": rows}}).encode())
    assert [(each.symbol, each.market, each.lot_size, each.contract_size, each.inverse) for each in found] == [
        ("BTC/USDT", "spot", 0.0001, 1.0, False),
        ("BTC/USD:BTC", "futures", None, 1.0, True),
    ]
