"""Bybit sessions: count of updates, restarts, subscriptions, heartbeat, missed trades. Frames have the recorded shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collectors.errors import FrameError, UnknownSymbol
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Outcome, Reconnect, SendText, Stream, Wanted
from collectors.venues.bybit import VENUE
from collectors.venues.bybit.live import LiveSession

START = 1_783_076_454_000_000
LINEAR = Instrument(exchange="bybit", symbol="BTC/USDT:USDT", native="BTCUSDT", market="linear", base="BTC", quote="USDT", settle="USDT")
SPOT = Instrument(exchange="bybit", symbol="BTC/USDT", native="BTCUSDT", market="spot", base="BTC", quote="USDT")
FIRST_ID = 2_290_000_001_189_048_101
UUID = "ebc3fe68-97c4-5243-b076-09a6d33e5b5{}"


def opened(events: EventBuffer, *channels: str, instrument: Instrument = LINEAR) -> LiveSession:
    wanted = Wanted(symbols=(instrument.symbol,), channels=channels)
    (plan,) = VENUE.plan(wanted, {instrument.symbol: instrument})
    session = VENUE.session(plan, events, wanted)
    assert isinstance(session, LiveSession)
    session.opened(START)
    return session


def book(kind: str, u: int, *, bids: list[list[str]], asks: list[list[str]] | None = None) -> bytes:
    data = {"s": "BTCUSDT", "b": bids, "a": asks or [], "u": u, "seq": 653084522928}
    return json.dumps({"topic": "orderbook.1000.BTCUSDT", "type": kind, "ts": 1783076454308, "data": data, "cts": 1783076454306}).encode()


def trade(last: int, milliseconds: int = 1783076486560, *, side: str = "Buy", block: bool = False) -> bytes:
    row = {"T": milliseconds, "s": "BTCUSDT", "S": side, "v": "0.008", "p": "61855.20", "i": UUID.format(last), "BT": block}
    return json.dumps({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": milliseconds, "data": [row]}).encode()


def spot_trade(*numbers: int, block: bool = False) -> bytes:
    """Trades with ids counted from FIRST_ID on, one millisecond apart."""
    rows = [
        {"i": str(FIRST_ID + n), "T": START // 1000 + n, "p": "65140.5", "v": "0.002705", "S": "Buy", "seq": 1, "s": "BTCUSDT", "BT": block}
        for n in numbers
    ]
    return json.dumps({"topic": "publicTrade.BTCUSDT", "ts": START // 1000, "type": "snapshot", "data": rows}).encode()


def recent(*numbers: int) -> bytes:
    """A REST answer with spot trades, newest first."""
    rows = [
        {
            "execId": str(FIRST_ID + n),
            "symbol": "BTCUSDT",
            "price": "65140.5",
            "size": "0.002705",
            "side": "Buy",
            "time": str(START // 1000 + n),
            "isBlockTrade": False,
        }
        for n in sorted(numbers, reverse=True)
    ]
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": {"category": "spot", "list": rows}}).encode()


def sent(session: LiveSession) -> list[Any]:
    texts = [json.loads(action.text) for action in session.actions if isinstance(action, SendText)]
    session.actions.clear()
    return texts


def snapshot(u: int = 100) -> bytes:
    return book("snapshot", u, bids=[["61855.00", "4.588"]], asks=[["61856.00", "1.5"]])


def test_updates_count_by_one_and_a_restart_replaces_the_book() -> None:
    events = EventBuffer()
    session = opened(events, "book")

    session.feed(snapshot(), START)
    session.feed(book("delta", 101, bids=[["61855.00", "0"], ["61854.00", "2"], ["1.0", "0"]]), START)
    session.feed(book("delta", 101, bids=[["61855.00", "9"]]), START)
    feed = session.book_feeds[LINEAR.symbol]
    before = feed.book.top(3)
    session.feed(snapshot(1), START)
    session.feed(book("delta", 2, bids=[["61853.00", "1"]]), START)

    assert before == ([(61854.0, 2.0)], [(61856.0, 1.5)])
    assert feed.book.top(3) == ([(61855.0, 4.588), (61853.0, 1.0)], [(61856.0, 1.5)])
    assert "gaps" not in events.drain()


def test_one_dropped_update_is_one_gap_and_one_renewal() -> None:
    events = EventBuffer()
    session = opened(events, "book")
    session.feed(snapshot(), START)
    sent(session)

    session.feed(book("delta", 102, bids=[["61854.00", "2"]]), START)
    session.feed(book("delta", 103, bids=[["61854.00", "3"]]), START)
    asked = sent(session)
    session.feed(snapshot(200), START + 1)

    assert [(command["op"], command["args"]) for command in asked] == [
        ("unsubscribe", ["orderbook.1000.BTCUSDT"]),
        ("subscribe", ["orderbook.1000.BTCUSDT"]),
    ]
    gaps = events.drain()["gaps"].to_pylist()
    assert [(gap["from_sequence"], gap["healed_by"]) for gap in gaps] == [(100, None), (100, "snapshot")]


def test_a_refused_command_is_split_and_an_accepted_one_confirms_its_topics() -> None:
    session = opened(EventBuffer(), "trades", "book", "liquidations", "derivatives")
    (command,) = sent(session)

    session.feed(json.dumps({"success": False, "ret_msg": "Invalid topic", "op": "subscribe", "req_id": command["req_id"]}), START)
    split = sent(session)
    answers = [
        session.feed(json.dumps({"success": True, "ret_msg": "", "op": "subscribe", "req_id": each["req_id"]}), START) for each in split
    ]

    topics = ["publicTrade.BTCUSDT", "orderbook.1000.BTCUSDT", "allLiquidation.BTCUSDT", "tickers.BTCUSDT"]
    assert command["args"] == topics
    assert [each["args"] for each in split] == [[topic] for topic in topics]
    assert answers == [Outcome.CONTROL] * 4
    assert LINEAR.symbol in session.acked


def test_trades_are_told_apart_by_id_and_block_trades_are_left_out() -> None:
    events = EventBuffer()
    session = opened(events, "trades")

    for frame in (trade(1), trade(1), trade(2, side="Sell"), trade(3, block=True)):
        assert session.feed(frame, START) is Outcome.DECODED

    rows = events.drain()["trades"].to_pylist()
    assert [(row["trade_id"][-1], row["side"]) for row in rows] == [("1", "buy"), ("2", "sell")]


def test_after_a_cut_missed_trades_come_from_rest_once() -> None:
    events = EventBuffer()
    first = opened(events, "trades")
    first.feed(trade(1, 1783076486000), 1783076486000_000)
    first.closed(1783076486500_000)
    second = opened(events, "trades")
    second.actions.clear()

    second.feed(trade(3, 1783076546000), 1783076546000_000)
    (request,) = second.actions
    rows = [
        {"execId": UUID.format(last), "symbol": "BTCUSDT", "price": "61855.2", "size": "0.008", "side": "Sell", "time": str(milliseconds)}
        for last, milliseconds in ((3, 1783076546000), (2, 1783076500000), (1, 1783076486000), (0, 1783076400000))
    ]
    assert isinstance(request, HttpGet)
    second.feed_http(request, json.dumps({"retCode": 0, "retMsg": "OK", "result": {"list": rows}}).encode(), 1783076546100_000)

    drained = events.drain()
    assert request.url.endswith("/v5/market/recent-trade?category=linear&symbol=BTCUSDT&limit=1000")
    assert [(row["trade_id"][-1], row["source"]) for row in drained["trades"].to_pylist()] == [
        ("1", "stream"),
        ("3", "stream"),
        ("2", "rest"),
    ]
    assert [gap["healed_by"] for gap in drained["gaps"].to_pylist()] == [None, None, "rest"]


def test_spot_ids_count_up_so_that_a_lost_frame_is_a_gap_which_rest_heals() -> None:
    events = EventBuffer()
    session = opened(events, "trades", instrument=SPOT)
    session.actions.clear()

    for frame in (spot_trade(0, 1), spot_trade(2, block=True), spot_trade(3), spot_trade(6)):
        session.feed(frame, START + 6_000)
    (request,) = session.actions
    session.actions.clear()
    assert isinstance(request, HttpGet)
    session.feed_http(request, recent(0, 1, 2, 3, 4, 5, 6), START + 7_000)

    drained = events.drain()
    landed = [(int(row["trade_id"]) - FIRST_ID, row["source"]) for row in drained["trades"].to_pylist()]
    assert request.url.endswith("category=spot&symbol=BTCUSDT&limit=60")
    assert landed == [(0, "stream"), (1, "stream"), (3, "stream"), (6, "stream"), (4, "rest"), (5, "rest")]
    (opening, healed) = drained["gaps"].to_pylist()
    assert (opening["kind"], opening["from_sequence"], opening["to_sequence"]) == ("sequence", FIRST_ID + 3, FIRST_ID + 6)
    assert healed["healed_by"] == "rest"
    assert session.actions == []


def test_spot_ids_that_a_page_shows_to_skip_prove_nothing_any_more() -> None:
    events = EventBuffer()
    session = opened(events, "trades", instrument=SPOT)
    session.feed(spot_trade(0), START)
    session.feed(spot_trade(7), START + 7_000)
    requests = [action for action in session.actions if isinstance(action, HttpGet)]
    session.feed_http(requests[0], recent(0, 7, 9), START + 8_000)
    session.actions.clear()
    session.tick(START + 20_000_000)
    (again,) = [action for action in session.actions if isinstance(action, HttpGet)]
    session.feed_http(again, recent(0, 7, 9), START + 20_100_000)
    session.actions.clear()

    session.feed(spot_trade(30), START + 21_000_000)

    gaps = events.drain()["gaps"].to_pylist()
    assert [gap["healed_by"] for gap in gaps] == [None, "rest"]
    assert session.actions == []


def test_a_hole_beyond_the_sixty_trades_of_spot_stays_a_gap() -> None:
    events = EventBuffer()
    session = opened(events, "trades", instrument=SPOT)
    session.feed(spot_trade(0), START)
    session.feed(spot_trade(100), START + 100_000)
    requests = [action for action in session.actions if isinstance(action, HttpGet)]
    session.feed_http(requests[0], recent(*range(41, 101)), START + 110_000)
    session.actions.clear()
    session.tick(START + 400_000_000)

    drained = events.drain()
    assert drained["trades"].num_rows == 2 + 59
    assert [gap["healed_at"] for gap in drained["gaps"].to_pylist()] == [None]
    assert not [action for action in session.actions if isinstance(action, HttpGet)]


def test_behind_an_unreadable_frame_the_newest_contract_trades_are_fetched_once_and_no_older_ones() -> None:
    events = EventBuffer()
    session = opened(events, "trades")
    session.feed(trade(1, START // 1000), START)
    session.actions.clear()
    for frame in (b"\x00\xff", b"\x00\xfe"):
        with pytest.raises(FrameError):
            session.feed(frame, START + 1_000_000)
    session.tick(START + 2_000_000)
    (request,) = [action for action in session.actions if isinstance(action, HttpGet)]
    rows = [
        {"execId": UUID.format(last), "symbol": "BTCUSDT", "price": "61855.2", "size": "0.008", "side": "Sell", "time": str(milliseconds)}
        for last, milliseconds in ((2, START // 1000 + 900), (1, START // 1000), (0, START // 1000 - 60_000))
    ]
    session.feed_http(request, json.dumps({"retCode": 0, "retMsg": "OK", "result": {"list": rows}}).encode(), START + 2_100_000)

    drained = events.drain()
    assert [(row["trade_id"][-1], row["source"]) for row in drained["trades"].to_pylist()] == [("1", "stream"), ("2", "rest")]
    assert "gaps" not in drained


def test_a_refused_topic_shows_as_refused_and_one_that_stands_already_does_not() -> None:
    events = EventBuffer()
    session = opened(events, "trades", "book")
    for number, reason in (
        ("s1", "error:handler not found"),
        ("s2", "error:already subscribed,topic:publicTrade.BTCUSDT"),
        ("s3", "no such"),
    ):
        session.feed(json.dumps({"success": False, "ret_msg": reason, "op": "subscribe", "req_id": number}), START)

    refusals = events.continuity("bybit").refusals
    assert {place: refusal.reason for place, refusal in refusals.items()} == {(LINEAR.symbol, "book"): "no such"}
    session.feed(json.dumps({"success": True, "ret_msg": "", "op": "subscribe", "req_id": "s3"}), START)
    assert LINEAR.symbol in session.acked


def test_one_stream_is_subscribed_anew_without_the_others() -> None:
    session = opened(EventBuffer(), "trades", "book", "liquidations", "derivatives")
    sent(session)

    renewed = session.resubscribe([Stream("derivatives", LINEAR.symbol)])

    assert [stream.channel for stream in renewed] == ["derivatives"]
    assert [(each["op"], each["args"]) for each in sent(session)] == [
        ("unsubscribe", ["tickers.BTCUSDT"]),
        ("subscribe", ["tickers.BTCUSDT"]),
    ]


def test_pings_go_out_every_twenty_seconds_and_silence_ends_the_socket() -> None:
    session = opened(EventBuffer(), "trades")
    sent(session)

    session.tick(START + 19_000_000)
    session.tick(START + 20_000_000)
    session.tick(START + 21_000_000)
    assert sent(session) == [{"op": "ping"}]
    pong = b'{"success":true,"ret_msg":"pong","conn_id":"d8bu1olkndm7crnfs1e0-f2y01","req_id":"","op":"ping"}'
    assert session.feed(pong, START + 21_000_000) is Outcome.CONTROL
    session.tick(START + 82_000_000)

    assert [type(action) for action in session.actions] == [SendText, Reconnect]


@pytest.mark.parametrize(
    "frame",
    [
        b"[broken",
        trade(1, side="Up"),
        trade(1, 5),
        book("snapshot", 5, bids=[["nan", "1"]]),
        book("snapshot", 5, bids=[["-1", "1"]]),
    ],
)
def test_what_cannot_be_decoded_is_refused(frame: bytes) -> None:
    with pytest.raises(FrameError):
        opened(EventBuffer(), "trades", "book").feed(frame, START)


@pytest.mark.parametrize(
    ("symbol", "market"),
    [("BTC/USDT", "spot"), ("BTC/USDT:USDT", "linear"), ("BTC/USD:BTC", "inverse"), ("BTC/USDC:USDC-261225", "linear")],
)
def test_markets_of_symbols(symbol: str, market: str) -> None:
    assert VENUE.market_of(symbol) == market


def test_a_symbol_of_no_market_is_refused() -> None:
    with pytest.raises(UnknownSymbol):
        VENUE.market_of("BTC/USDT:ETH")
