"""A live v4 session: subscriptions, refusals, books, states, names."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from collectors.errors import FrameError, UnknownSymbol
from collectors.rows import EventBuffer
from collectors.venue import Outcome, Reconnect, Wanted
from collectors.venues.gateio import VENUE
from collectors.venues.gateio.instruments import guessed_contract, unified
from tests.collectors.gateio_socket import MS, SPOT, T0, Socket, opened


def test_spot_subscribes_to_trades_and_books() -> None:
    trades, book = Socket().commands()
    assert trades == {"time": MS // 1000, "id": 1, "channel": "spot.trades", "event": "subscribe", "payload": ["BTC_USDT"]}
    assert (book["channel"], book["payload"]) == ("spot.obu", ["ob.BTC_USDT.400"])


def test_futures_subscribe_to_all_channels_and_ask_for_sizes_with_decimals() -> None:
    socket = Socket("futures")
    assert [(each["channel"], each["payload"]) for each in socket.commands()] == [
        ("futures.trades", ["BTC_USDT"]),
        ("futures.obu", ["ob.BTC_USDT.400"]),
        ("futures.public_liquidates", ["BTC_USDT"]),
        ("futures.tickers", ["BTC_USDT"]),
    ]
    assert (socket.plan.url, dict(socket.plan.headers)) == ("wss://fx-ws.gateio.ws/v4/ws/usdt", {"X-Gate-Size-Decimal": "1"})


def test_pings_go_out_and_silence_ends_the_socket_once() -> None:
    socket = opened()
    socket.session.tick(socket.now)
    assert [each["channel"] for each in socket.commands()] == ["spot.ping"]
    assert socket.feed("pong", None, event="") is Outcome.CONTROL
    for seconds in (46, 47):
        socket.session.tick(socket.now + seconds * 1_000_000)
    assert len([action for action in socket.session.actions if isinstance(action, Reconnect)]) == 1


def test_a_restart_notice_asks_for_a_successor_while_the_socket_still_delivers() -> None:
    socket = opened()
    assert socket.session.feed(b'{"type":"upgrade","msg":"The connection will soon be closed"}', socket.now) is Outcome.CONTROL
    assert [(action.graceful) for action in socket.session.actions if isinstance(action, Reconnect)] == [True]


def test_acks_without_an_error_confirm_and_those_with_one_do_not() -> None:
    socket = Socket()
    assert socket.feed("trades", {"status": "success"}, event="subscribe", id=1, error=None) is Outcome.CONTROL
    assert socket.session.acked == {"BTC/USDT": socket.now}
    refused = Socket()
    refused.feed("trades", None, event="subscribe", id=1, error={"code": 2, "message": "unknown currency pair"})
    assert refused.session.acked == {}


def refused(socket: Socket, command: dict[str, Any], message: str) -> None:
    error = {"code": 2, "message": message}
    socket.feed(command["channel"].partition(".")[2], None, event="subscribe", id=command["id"], error=error)


def test_a_refused_command_is_asked_again_by_halves_and_a_stream_alone_is_given_up_for_now() -> None:
    events = EventBuffer()
    listed = {symbol: msgspec.structs.replace(SPOT, symbol=symbol, native=symbol.replace("/", "_")) for symbol in ("BTC/USDT", "X/USDT")}
    wanted = Wanted(symbols=tuple(listed), channels=("trades",))
    (plan,) = VENUE.plan(wanted, listed)
    socket = Socket(events=events)
    socket.session = VENUE.session(plan, events, wanted)
    socket.session.opened(T0)
    (both,) = socket.commands()
    refused(socket, both, "unknown currency pair X_USDT")
    one, other = socket.commands()
    assert (one["payload"], other["payload"]) == (["BTC_USDT"], ["X_USDT"])
    refused(socket, other, "unknown currency pair X_USDT")
    socket.feed("trades", {"status": "success"}, event="subscribe", id=one["id"])
    assert {place: refusal.reason for place, refusal in events.continuity("gateio").refusals.items()} == {
        ("X/USDT", "trades"): "unknown currency pair X_USDT"
    }
    assert socket.commands() == []


def test_a_stream_that_is_subscribed_already_is_not_refused() -> None:
    socket = Socket()
    _, book = socket.commands()
    refused(socket, book, "Alert sub ob.BTC_USDT.400")
    assert socket.events.continuity("gateio").refusals == {}


def test_a_book_follows_and_a_missing_side_is_empty() -> None:
    socket = opened()
    socket.book(11, 13, bids=[["100", "5"], ["99", "4"]])
    socket.book(11, 13, bids=[["98", "1"]])
    socket.book(14, 14, asks=[["101", "0"], ["102", "3"]])
    socket.book(15, 15)
    assert socket.session.book_feeds["BTC/USDT"].book.levels() == ([(100.0, 5.0), (99.0, 4.0)], [(102.0, 3.0)])
    assert [row["sequence"] for row in socket.rows("book_deltas")] == [13, 13, 14, 14]


def test_a_gap_unsubscribes_and_subscribes_that_book_alone() -> None:
    socket = opened("futures")
    socket.book(12, 13, bids=[["100", "5"]])
    (gap,) = socket.rows("gaps")
    assert (gap["kind"], gap["from_sequence"], gap["to_sequence"]) == ("sequence", 10, 13)
    assert [(each["event"], each["payload"]) for each in socket.commands()] == [
        ("unsubscribe", ["ob.BTC_USDT.400"]),
        ("subscribe", ["ob.BTC_USDT.400"]),
    ]
    socket.book(14, 14, bids=[["100", "6"]])
    assert socket.rows("book_deltas") == []
    socket.book(None, 20, bids=[["100", "7"]], asks=[["101", "2"]])
    drained = socket.events.drain()
    assert [row["healed_by"] for row in drained["gaps"].to_pylist()] == ["snapshot"]
    assert [row["amount"] for row in drained["book_deltas"].to_pylist()] == [0.0007, 0.0002]


def test_tickers_land_open_interest_in_base_units_and_leave_out_what_is_empty() -> None:
    socket = Socket("futures")
    ticker = {"contract": "BTC_USDT", "mark_price": "50000", "index_price": "", "funding_rate": "-0.00004", "total_size": "754413619"}
    socket.feed("tickers", [ticker])
    (row,) = socket.rows("derivatives")
    assert (row["open_interest"], row["funding_rate"], row["mark_price"], row["index_price"]) == (75441.3619, -0.00004, 50000.0, None)


@pytest.mark.parametrize(
    "change", [{"price": "0"}, {"size": "0"}, {"size": "nan"}, {"create_time_ms": 1}, {"contract": None}, {"id": "x"}], ids=str
)
def test_a_trade_that_cannot_be_right_is_a_frame_error_and_lands_nothing(change: dict[str, object]) -> None:
    socket = Socket("futures")
    with pytest.raises(FrameError):
        socket.future_trade(1, **{"size": "5", **change})
    assert socket.rows("trades") == []


@pytest.mark.parametrize(
    "frame", [b"", b'{"channel":"spot.obu"', b"\xff", b'{"channel":"spot.trades","event":"update","result":{}}', b"[1]"]
)
def test_a_corrupt_frame_is_a_frame_error(frame: bytes) -> None:
    with pytest.raises(FrameError):
        Socket().session.feed(frame, T0)


@pytest.mark.parametrize("body", [{"s": "BTC_USDT", "u": 1, "full": True, "t": MS}, {"s": "ob.BTC_USDT.50", "u": 1, "t": MS}])
def test_a_book_frame_without_a_stream_or_a_first_id_is_a_frame_error(body: dict[str, object]) -> None:
    with pytest.raises(FrameError):
        Socket().feed("obu", body)


def test_names_and_contracts_that_no_list_has_told() -> None:
    futures = ("BTC_USDT", "BTC_USD", "ETH_USD", "BTC_USDT_20210326")
    assert [unified(name, spot=False) for name in futures] == [
        "BTC/USDT:USDT",
        "BTC/USD:BTC",
        "ETH/USD:BTC",
        "BTC/USDT:USDT-210326",
    ]
    assert unified("QTUM3S_USDT", spot=True) == "QTUM3S/USDT"
    assert guessed_contract("BTC_USDT").base(19, 53560.5) == 0.0019
    assert guessed_contract("BTC_USD").base(7, 56000) == 0.000125


def test_instruments_of_both_lists() -> None:
    spot, futures = VENUE.instrument_requests(VENUE.endpoints, ["spot", "usdt"])
    assert futures.url == "https://api.gateio.ws/api/v4/futures/usdt/contracts"
    pair = {"id": "BTC_USDT", "base": "BTC", "quote": "USDT", "precision": 1, "amount_precision": 4, "trade_status": "untradable"}
    (listed,) = VENUE.parse_instruments(spot, json.dumps([pair]).encode())
    assert (listed.symbol, listed.tick_size, listed.lot_size, listed.active) == ("BTC/USDT", 0.1, 0.0001, False)
    contracts = [{"name": "LAB_USDT", "quanto_multiplier": "100", "order_price_round": "0.00001", "order_size_min": "0.1"}]
    contracts.append({"name": "BTC_USD", "quanto_multiplier": "0"})
    found = VENUE.parse_instruments(futures, json.dumps(contracts).encode())
    assert [(each.symbol, each.market, each.contract_size, each.inverse, each.lot_size) for each in found] == [
        ("LAB/USDT:USDT", "usdt", 100.0, False, 10.0),
        ("BTC/USD:BTC", "btc", 1.0, True, None),
    ]
    with pytest.raises(FrameError):
        VENUE.parse_instruments(spot, b'{"label":"INVALID"}')


def test_markets_of_symbols() -> None:
    symbols = ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT:USDT-260327")
    assert [VENUE.market_of(symbol) for symbol in symbols] == ["spot", "usdt", "btc", "usdt"]
    for symbol in ("BTC_USDT", "BTC/USDT:BTC", ""):
        with pytest.raises(UnknownSymbol):
            VENUE.market_of(symbol)
