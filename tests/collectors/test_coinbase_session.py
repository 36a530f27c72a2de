"""A live Advanced Trade session, and both recorded feeds, fed with frames in the venue's own spelling."""

from __future__ import annotations

import json

import pytest

from collectors.decode import Decoding
from collectors.errors import FrameError, UnknownSymbol
from collectors.recording import Line
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Outcome, Reconnect, Wanted
from collectors.venues.coinbase import VENUE
from collectors.venues.coinbase.instruments import unified
from collectors.venues.coinbase.messages import time_us
from tests.collectors.coinbase_socket import FUTURE, STAMP, T0, Socket, level, opened, trade


def test_a_socket_subscribes_to_each_channel_by_itself_and_to_heartbeats() -> None:
    assert Socket().commands() == [
        {"type": "subscribe", "channel": "market_trades", "product_ids": ["BTC-USD", "ETH-USD"]},
        {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD", "ETH-USD"]},
        {"type": "subscribe", "channel": "heartbeats"},
    ]


def test_the_takers_side_is_the_opposite_of_what_the_venue_sends() -> None:
    socket = Socket()
    socket.trades(5, side="BUY")
    socket.trades(6, side="SELL")
    assert [(row["trade_id"], row["side"]) for row in socket.rows("trades")] == [("5", "sell"), ("6", "buy")]


def test_trades_of_a_frame_are_turned_round_and_history_is_counted_once() -> None:
    socket = Socket()
    socket.trades(7, 6, 5, kind="snapshot")
    socket.trades(9, 8)
    socket.session.closed(socket.now)
    again = Socket(socket.events, at=socket.now + 1_000_000)
    again.trades(11, 10, 9, 8, kind="snapshot")
    drained = socket.events.drain()
    assert [row["trade_id"] for row in drained["trades"].to_pylist()] == ["5", "6", "7", "8", "9", "10", "11"]
    assert socket.events.writers["coinbase", "coinbase-spot-0"].trades.duplicates == 2
    trades = [row for row in drained["gaps"].to_pylist() if row["channel"] == "trades"]
    assert [row["healed_by"] for row in trades] == [None, "reconnect"]


def test_a_trade_whose_side_is_not_told_is_left_out_and_not_missed() -> None:
    socket = Socket()
    socket.trades(5)
    socket.trades(6, side="UNKNOWN_ORDER_SIDE")
    socket.trades(7)
    drained = socket.events.drain()
    assert [row["trade_id"] for row in drained["trades"].to_pylist()] == ["5", "7"]
    assert "gaps" not in drained
    assert socket.events.writers["coinbase", "coinbase-spot-0"].trades.discarded == {"unknown side": 1}


def test_a_hole_in_trade_ids_is_fetched_over_rest_with_the_side_turned_round() -> None:
    socket = Socket()
    socket.trades(5)
    socket.trades(9)
    (request,) = [action for action in socket.session.actions if isinstance(action, HttpGet)]
    assert request.url == (
        "https://api.coinbase.com/api/v3/brokerage/market/products/BTC-USD/ticker?limit=1000&start=1786309548&end=1786309549"
    )
    socket.session.actions.clear()
    rows = [trade(9), trade(8, side="BUY"), trade(7), trade(6), trade(5)]
    body = json.dumps({"trades": rows, "best_bid": "1", "best_ask": "2"}).encode()
    assert socket.session.feed_http(request, body, socket.now) is Outcome.DECODED
    drained = socket.events.drain()
    assert [(row["trade_id"], row["side"], row["source"]) for row in drained["trades"].to_pylist()[2:]] == [
        ("6", "buy", "rest"),
        ("7", "buy", "rest"),
        ("8", "sell", "rest"),
    ]
    assert [row["healed_by"] for row in drained["gaps"].to_pylist()] == [None, "rest"]


def test_a_hole_larger_than_a_page_is_fetched_downwards_from_its_end() -> None:
    socket = Socket()
    socket.trades(5)
    socket.trades(1500, time="2026-08-09T21:06:48Z")
    (request,) = [action for action in socket.session.actions if isinstance(action, HttpGet)]
    assert request.url.endswith("start=1786309548&end=1786309609")
    socket.session.actions.clear()
    page = [trade(number, time="2026-08-09T21:06:08Z") for number in range(1500, 500, -1)]
    socket.session.feed_http(request, json.dumps({"trades": page}).encode(), socket.now)
    (more,) = [action for action in socket.session.actions if isinstance(action, HttpGet)]
    assert more.url.endswith("start=1786309548&end=1786309569")
    page = [trade(number) for number in range(501, 4, -1)]
    socket.session.feed_http(more, json.dumps({"trades": page}).encode(), socket.now)
    drained = socket.events.drain()
    assert drained["trades"].num_rows == 1496
    assert [row["healed_by"] for row in drained["gaps"].to_pylist()] == [None, "rest"]


def test_books_lost_again_and_again_are_renewed_once_a_second() -> None:
    socket = opened()
    for _ in range(3):
        socket.number += 1
        socket.frame("heartbeats", {"heartbeat_counter": 1})
    assert [each["type"] for each in socket.commands()] == ["unsubscribe", "subscribe"]
    socket.session.tick(socket.now + 500_000)
    assert socket.commands() == []
    socket.session.tick(socket.now + 1_000_000)
    assert [each["type"] for each in socket.commands()] == ["unsubscribe", "subscribe"]


def test_a_product_the_venue_refuses_is_left_out_and_the_others_are_asked_for_again() -> None:
    socket = Socket()
    socket.commands()
    socket.now += 1
    socket.session.see(socket.now)
    socket.session.feed(b'{"type":"error","message":"Failed to subscribe","reason":"ETH-USD is not a valid product"}', socket.now)
    assert [(each["channel"], each["product_ids"]) for each in socket.commands()] == [
        ("market_trades", ["BTC-USD"]),
        ("level2", ["BTC-USD"]),
    ]
    gaps = socket.rows("gaps")
    assert {(row["symbol"], row["channel"], row["healed_at"]) for row in gaps} == {
        ("ETH/USD", "trades", None),
        ("ETH/USD", "book_deltas", None),
    }
    refusals = socket.session.writer.continuity.refusals
    assert {place: "ETH-USD is not a valid product" in refusal.reason for place, refusal in refusals.items()} == {
        ("ETH/USD", "trades"): True,
        ("ETH/USD", "book"): True,
    }


def test_a_command_without_an_answer_is_sent_again() -> None:
    socket = Socket()
    socket.commands()
    socket.frame("subscriptions", {"subscriptions": {"market_trades": ["BTC-USD"]}})
    socket.session.feed(b'{"type":"error","message":"rate limit exceeded"}', socket.now)
    socket.session.tick(socket.now + 4_000_000)
    assert socket.commands() == []
    socket.session.tick(socket.now + 5_100_000)
    assert [(each["channel"], each["product_ids"]) for each in socket.commands()] == [
        ("market_trades", ["ETH-USD"]),
        ("level2", ["BTC-USD", "ETH-USD"]),
    ]


def test_all_sockets_together_send_seven_messages_a_second_and_the_rest_later() -> None:
    events = EventBuffer()
    sockets = [Socket(events) for _ in range(4)]
    sent = [command for socket in sockets for command in socket.commands()]
    assert [len(sent), {command["channel"] for command in sent[6:]}] == [7, {"market_trades"}]
    for socket in sockets:
        socket.session.tick(T0 + 1_000_000)
        assert socket.commands() == []
    for socket in sockets:
        socket.session.tick(T0 + 1_200_000)
    later = [command["channel"] for socket in sockets for command in socket.commands()]
    assert later == ["level2", "heartbeats", "market_trades", "level2", "heartbeats"]


def test_each_book_has_its_socket_as_long_as_forty_reach() -> None:
    def listed(count: int) -> dict[str, Instrument]:
        return {
            f"A{n}/USD": Instrument(exchange="coinbase", symbol=f"A{n}/USD", native=f"A{n}-USD", market="spot", base=f"A{n}", quote="USD")
            for n in range(count)
        }

    def carried(count: int, channel: str) -> list[int]:
        wanted = Wanted(symbols=tuple(listed(count)), channels=("trades", "book"))
        return [len(plan.streams) for plan in VENUE.plan(wanted, listed(count)) if plan.streams[0].channel == channel]

    assert (carried(3, "trades"), carried(3, "book")) == ([3], [1, 1, 1])
    assert (carried(100, "trades"), carried(100, "book")) == ([50, 50], [3] * 33 + [1])


def test_a_book_takes_bids_and_offers_and_its_time_from_the_events() -> None:
    socket = Socket()
    epoch = {"event_time": "1970-01-01T00:00:00Z"}
    socket.book("snapshot", level("bid", "100", "1", **epoch), level("bid", "99", "3", **epoch), level("offer", "101", "2", **epoch))
    socket.book("update", level("offer", "101", "0"), level("offer", "102", "4", event_time="2026-08-09T21:05:48.2Z"))
    rows = socket.rows("book_deltas")
    assert [(row["side"], row["price"], row["amount"], row["is_snapshot"]) for row in rows] == [
        ("bid", 100.0, 1.0, True),
        ("bid", 99.0, 3.0, True),
        ("ask", 101.0, 2.0, True),
        ("ask", 101.0, 0.0, False),
        ("ask", 102.0, 4.0, False),
    ]
    assert [row["timestamp"].microsecond for row in (rows[0], rows[-1])] == [228568, 200000]
    assert socket.session.book_feeds["BTC/USD"].book.levels() == ([(100.0, 1.0), (99.0, 3.0)], [(102.0, 4.0)])


def test_a_lost_frame_of_any_channel_loses_every_book_of_the_socket_until_fresh_snapshots() -> None:
    socket = opened()
    socket.number += 1
    socket.frame("heartbeats", {"heartbeat_counter": 1})
    assert [(row["symbol"], row["kind"], row["healed_at"]) for row in socket.rows("gaps")] == [
        ("BTC/USD", "sequence", None),
        ("ETH/USD", "sequence", None),
    ]
    assert [(each["type"], each["channel"], each["product_ids"]) for each in socket.commands()] == [
        ("unsubscribe", "level2", ["BTC-USD", "ETH-USD"]),
        ("subscribe", "level2", ["BTC-USD", "ETH-USD"]),
    ]
    socket.acknowledge()
    socket.book("update", level("bid", "100", "9"))
    assert socket.rows("book_deltas") == []
    socket.book("snapshot", level("bid", "100", "1"), level("offer", "101", "2"))
    assert [row["healed_by"] for row in socket.rows("gaps")] == ["snapshot"]
    socket.session.tick(socket.now + 14_000_000)
    assert socket.commands() == []
    socket.session.last_received = socket.now + 16_000_000
    socket.session.tick(socket.now + 16_000_000)
    assert [each["type"] for each in socket.commands()] == ["unsubscribe", "subscribe"]


def test_a_frame_that_comes_again_or_late_changes_no_book() -> None:
    socket = opened()
    socket.book("update", level("bid", "100", "5"))
    number = socket.number
    socket.book("update", level("bid", "100", "7"), number=number)
    socket.book("update", level("bid", "100", "8"), number=number - 1)
    assert [row["amount"] for row in socket.rows("book_deltas")] == [5.0]
    assert socket.book("update", level("bid", "100", "6"), number=number + 1) is Outcome.DECODED
    assert [row["amount"] for row in socket.rows("book_deltas")] == [6.0]


def test_a_count_that_starts_over_is_followed_after_a_while() -> None:
    socket = opened()
    socket.number = 1000
    socket.book("update", level("bid", "100", "5"))
    socket.book("snapshot", level("bid", "100", "1"), level("offer", "101", "2"))
    socket.events.drain()
    for number in range(8):
        socket.frame("heartbeats", {"heartbeat_counter": 1}, number=number)
    assert [row["kind"] for row in socket.rows("gaps")] == ["sequence"]
    socket.book("snapshot", level("bid", "100", "1"), level("offer", "101", "2"))
    assert [row["healed_by"] for row in socket.rows("gaps")] == ["snapshot"]


def test_a_socket_without_heartbeats_is_given_up_once() -> None:
    socket = opened()
    socket.session.tick(socket.now + 14_000_000)
    assert not [action for action in socket.session.actions if isinstance(action, Reconnect)]
    for seconds in (16, 17):
        socket.session.tick(socket.now + seconds * 1_000_000)
    assert len([action for action in socket.session.actions if isinstance(action, Reconnect)]) == 1


def test_sizes_of_futures_are_contracts() -> None:
    wanted = Wanted(symbols=(FUTURE.symbol,), channels=("trades", "book"))
    socket = Socket(wanted=wanted, listed={FUTURE.symbol: FUTURE})
    socket.trades(5, product_id=FUTURE.native, size="3")
    socket.book("snapshot", level("bid", "100", "7"), product=FUTURE.native)
    drained = socket.events.drain()
    assert [row["amount"] for row in drained["trades"].to_pylist() + drained["book_deltas"].to_pylist()] == [0.03, 0.07]


@pytest.mark.parametrize(
    "change",
    [{"price": "0"}, {"size": "-1"}, {"size": "nan"}, {"time": "yesterday"}, {"time": "0001-01-01T00:00:00Z"}, {"trade_id": "x"}],
    ids=str,
)
def test_a_trade_that_cannot_be_right_is_a_frame_error_and_lands_nothing(change: dict[str, object]) -> None:
    socket = Socket()
    with pytest.raises(FrameError):
        socket.frame("market_trades", {"type": "update", "trades": [trade(1), {**trade(2), **change}]})
    assert socket.rows("trades") == []


@pytest.mark.parametrize("frame", [b"", b'{"channel":"l2_data"', b"\xff", b'{"channel":"l2_data","sequence_num":1,"events":[{}]}', b"[1]"])
def test_a_corrupt_frame_is_a_frame_error(frame: bytes) -> None:
    with pytest.raises(FrameError):
        Socket().session.feed(frame, T0)


def test_acks_heartbeats_and_errors_are_control_other_channels_ignored() -> None:
    socket = Socket()
    assert socket.frame("subscriptions", {"subscriptions": {"market_trades": ["BTC-USD"]}}) is Outcome.CONTROL
    assert socket.session.acked == {"BTC/USD": socket.now}
    assert socket.frame("heartbeats", {"heartbeat_counter": 1}) is Outcome.CONTROL
    assert socket.session.feed(b'{"type":"error","message":"rate limited"}', socket.now) is Outcome.CONTROL
    assert socket.frame("ticker", {"type": "snapshot", "tickers": []}) is Outcome.IGNORED


def test_times_of_any_precision_are_read() -> None:
    assert time_us("2026-08-09T21:05:48.228568804Z") == T0 + 228_568
    assert time_us("2026-08-09T21:05:48.1Z") == T0 + 100_000
    assert time_us("2026-08-09T21:05:48Z") == time_us("2026-08-09T21:05:48+00:00") == T0


def test_products_without_aliases_and_with_contracts() -> None:
    spot, future = VENUE.instrument_requests(VENUE.endpoints, ["spot", "futures"])
    assert (spot.url.rpartition("/")[2], future.url.rpartition("/")[2]) == ("products?product_type=SPOT", "products?product_type=FUTURE")
    plain = {"product_id": "BTC-USD", "base_currency_id": "BTC", "quote_currency_id": "USD", "price_increment": "0.01", "status": "online"}
    alias = {**plain, "product_id": "BTC-USDC", "quote_currency_id": "USDC", "alias": "BTC-USD"}
    details = {
        "contract_size": "0.01",
        "contract_root_unit": "BTC",
        "contract_expiry": "2026-08-28T15:00:00Z",
        "contract_expiry_type": "EXPIRING",
    }
    dated = {"product_id": "BIT-28AUG26-CDE", "quote_currency_id": "USD", "product_type": "FUTURE", "future_product_details": details}
    perpetual = {
        "product_id": "ETH-PERP-INTX",
        "quote_currency_id": "USDC",
        "product_type": "FUTURE",
        "future_product_details": {"contract_size": "1", "contract_root_unit": "ETH", "contract_expiry_type": "PERPETUAL"},
    }
    body = json.dumps({"products": [plain, alias, dated, perpetual]}).encode()
    found = VENUE.parse_instruments(spot, body)
    assert [(each.symbol, each.native, each.market, each.contract_size) for each in found] == [
        ("BTC/USD", "BTC-USD", "spot", 1.0),
        ("BTC/USD:USD-260828", "BIT-28AUG26-CDE", "futures", 0.01),
        ("ETH/USDC:USDC", "ETH-PERP-INTX", "futures", 1.0),
    ]
    with pytest.raises(FrameError):
        VENUE.parse_instruments(spot, b'{"error":"x"}')
    assert [unified(name) for name in ("BTC-PERP-INTX", "BIT-28AUG26-CDE", "YFI-BTC")] == ["BTC/USDC:USDC", "BIT/USD:USD-260828", "YFI/BTC"]


@pytest.mark.parametrize("symbol", ["BTCUSD", "BTC/USD:BTC", ""])
def test_a_symbol_no_market_can_hold_is_unknown(symbol: str) -> None:
    with pytest.raises(UnknownSymbol):
        VENUE.market_of(symbol)


def decoded(*frames: dict[str, object], conn: str | None = "wss://ws-feed.pro.coinbase.com", ts: float | None = None) -> Decoding:
    decoding = Decoding("coinbase")
    for number, frame in enumerate(frames, start=1):
        decoding.take(Line(ts=ts, dir="in", conn=conn, raw=json.dumps(frame, separators=(",", ":"))), file="test", number=number)
    assert decoding.dead == []
    return decoding


def match(number: int, kind: str = "match", side: str = "sell") -> dict[str, object]:
    return {"type": kind, "trade_id": number, "side": side, "size": "2", "price": "3", "product_id": "BAND-GBP", "time": STAMP}


def test_the_exchange_feed_sends_the_makers_side_and_its_last_match_again() -> None:
    rows = decoded(match(5), match(6, side="buy"), match(6, "last_match", "buy"), match(8)).tables()
    assert [(row["trade_id"], row["side"]) for row in rows["trades"].to_pylist()] == [("5", "buy"), ("6", "sell"), ("8", "buy")]
    assert [(row["from_sequence"], row["to_sequence"]) for row in rows["gaps"].to_pylist()] == [(6, 8)]


def test_samples_without_a_connection_are_no_stream_so_nothing_is_missing_between_them() -> None:
    assert decoded(match(5), match(8), conn=None).tables()["gaps"].num_rows == 0


def test_a_book_of_the_exchange_feed_opens_with_the_first_time_it_meets_and_keeps_it_when_the_year_is_1() -> None:
    snapshot = {"type": "snapshot", "product_id": "BTC-EUR", "bids": [["10", "1"]], "asks": [["11", "2"]]}
    update = {"type": "l2update", "product_id": "BTC-EUR", "changes": [["buy", "10.5", "3"]], "time": STAMP}
    undated = {**update, "changes": [["sell", "11", "0"], ["sell", "12", "1"]], "time": "0001-01-01T00:00:00.000000Z"}
    decoding = decoded(snapshot, update, undated)
    assert decoding.session.books()["BTC/EUR"].book.levels() == ([(10.5, 3.0), (10.0, 1.0)], [(12.0, 1.0)])
    rows = decoding.tables()["book_deltas"].to_pylist()
    assert [row["is_snapshot"] for row in rows] == [True, True, False, False, False]
    assert {row["timestamp"].microsecond for row in rows} == {228568}


def test_frames_that_lost_their_envelope_are_read_by_their_events() -> None:
    event = {"type": "snapshot", "product_id": "BTC-USD", "updates": [level("bid", "100", "1")]}
    tables = decoded({"channel": "l2_data", "events": [event]}, conn=None).tables()
    assert [row["timestamp"].microsecond for row in tables["book_deltas"].to_pylist()] == [170326]
