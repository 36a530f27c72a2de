"""A live Binance session fed with frames, answers and time, in the venue's own words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collectors.errors import FrameError
from collectors.rows import EventBuffer
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Outcome, Reconnect, SendText, Session, Wanted
from collectors.venues.binance import VENUE
from lake.paths import HOUR_US
from tests.collectors.answering import Answering

T0 = 1_764_000_000_000_000 - 1_764_000_000_000_000 % HOUR_US + 60_000_000
SPOT = Instrument(exchange="binance", symbol="BTC/USDT", native="BTCUSDT", market="spot", base="BTC", quote="USDT")
PERP = Instrument(exchange="binance", symbol="BTC/USDT:USDT", native="BTCUSDT", market="usdm", base="BTC", quote="USDT", settle="USDT")
ALL = Wanted(symbols=("BTC/USDT", "BTC/USDT:USDT"), channels=("trades", "book", "liquidations", "derivatives"))
PLANS = {plan.name: plan for plan in VENUE.plan(ALL, {each.symbol: each for each in (SPOT, PERP)})}


class Socket(Answering):
    """A session of one plan, and the words to feed it with."""

    def __init__(self, plan: str, events: EventBuffer | None = None, *, at: int = T0) -> None:
        self.events = events or EventBuffer()
        self.plan: ConnectionPlan = PLANS[plan]
        self.session: Session = VENUE.session(self.plan, self.events, ALL)
        self.session.opened(at)
        self.now = at

    def frame(self, stream: str, data: dict[str, Any], *, at: int | None = None) -> Outcome:
        self.now = self.now + 100_000 if at is None else at
        return self.session.feed(json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode(), self.now)

    def trade(self, number: int, *, price: str = "100.5", at: int | None = None, **more: object) -> Outcome:
        data = {"e": "trade", "E": T0 // 1000, "s": "BTCUSDT", "t": number, "p": price, "q": "2", "T": T0 // 1000, "m": True, **more}
        return self.frame("btcusdt@trade", data, at=at)

    def agg(self, number: int) -> Outcome:
        data = {
            "e": "aggTrade",
            "E": T0 // 1000,
            "s": "BTCUSDT",
            "a": number,
            "p": "100.5",
            "q": "2",
            "f": 10,
            "l": 12,
            "T": T0 // 1000,
            "m": False,
        }
        return self.frame("btcusdt@aggTrade", data)

    def depth(
        self, first: int, last: int, *, bids: object = (), asks: object = (), pu: int | None = None, at: int | None = None
    ) -> Outcome:
        data = {"e": "depthUpdate", "E": T0 // 1000, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
        if pu is not None:
            data |= {"T": T0 // 1000 - 1, "pu": pu}
        return self.frame("btcusdt@depth@100ms", data, at=at)

    def asked(self, purpose: str) -> list[HttpGet]:
        found = [action for action in self.session.actions if isinstance(action, HttpGet) and action.purpose == purpose]
        self.session.actions.clear()
        return found

    def snapshot(self, last: int, bids: object, asks: object, *, at: int | None = None) -> Outcome:
        self.now = self.now + 1000 if at is None else at
        body = json.dumps({"lastUpdateId": last, "bids": bids, "asks": asks}).encode()
        return self.session.feed_http(HttpGet(url="", purpose="depth", symbol=self.plan.instruments[0].symbol), body, self.now)

    def ack(self) -> None:
        assert self.session.feed(b'{"result":null,"id":1}', self.now) is Outcome.CONTROL


def us(moment: Any) -> int:
    return round(moment.timestamp() * 1e6)


def aligned(at: int = T0) -> Socket:
    socket = Socket("binance-spot-0", at=at)
    socket.session.actions.clear()
    socket.depth(101, 105, bids=[["99", "1"]])
    socket.snapshot(103, [["98", "5"], ["97", "1"]], [["101", "2"]])
    socket.session.actions.clear()
    return socket


def test_sockets_split_usdm_by_path_and_subscribe_by_command() -> None:
    urls = {name: plan.url for name, plan in PLANS.items()}
    assert urls == {
        "binance-spot-0": "wss://stream.binance.com:9443/stream",
        "binance-usdm-public-0": "wss://fstream.binance.com/public/stream",
        "binance-usdm-market-0": "wss://fstream.binance.com/market/stream",
    }
    socket = Socket("binance-usdm-market-0")
    (command,) = [json.loads(action.text) for action in socket.session.actions if isinstance(action, SendText)]
    assert command == {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade", "btcusdt@forceOrder", "btcusdt@markPrice@1s"], "id": 1}


def test_the_first_update_asks_for_a_snapshot_and_nothing_lands_before_it() -> None:
    socket = Socket("binance-spot-0")
    socket.session.actions.clear()
    assert socket.depth(101, 105, bids=[["99", "1"]]) is Outcome.DECODED
    (request,) = socket.asked("depth")
    assert request.url == "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
    assert request.weight == 50
    assert socket.rows("book_deltas") == []
    socket.depth(106, 107)
    assert socket.asked("depth") == []


def test_a_bridged_snapshot_lands_whole_with_the_updates_that_came_after_it() -> None:
    socket = aligned()
    rows = socket.rows("book_deltas")
    assert {(row["side"], row["price"], row["amount"]) for row in rows} == {
        ("bid", 99.0, 1.0),
        ("bid", 98.0, 5.0),
        ("bid", 97.0, 1.0),
        ("ask", 101.0, 2.0),
    }
    assert all(row["is_snapshot"] and row["sequence"] == 105 and us(row["local_timestamp"]) == socket.now for row in rows)
    socket.depth(106, 108, asks=[["101", "0"], ["102", "1.5"]])
    rows = socket.rows("book_deltas")
    assert [(row["price"], row["amount"], row["is_snapshot"], row["sequence"]) for row in rows] == [
        (101.0, 0.0, False, 108),
        (102.0, 1.5, False, 108),
    ]


def test_a_snapshot_older_than_the_buffer_is_asked_for_again_later_and_the_buffer_stays() -> None:
    socket = Socket("binance-spot-0")
    socket.session.actions.clear()
    socket.depth(101, 105, bids=[["99", "1"]])
    socket.asked("depth")
    socket.snapshot(90, [["98", "5"]], [["101", "2"]])
    socket.session.tick(socket.now + 500_000)
    assert socket.asked("depth") == []
    socket.session.tick(socket.now + 1_100_000)
    assert len(socket.asked("depth")) == 1
    socket.snapshot(104, [["98", "5"]], [["101", "2"]])
    assert {row["price"] for row in socket.rows("book_deltas")} == {98.0, 99.0, 101.0}


def test_a_failed_snapshot_is_asked_for_again_later_each_time() -> None:
    socket = Socket("binance-spot-0")
    socket.session.actions.clear()
    socket.depth(101, 105)
    (request,) = socket.asked("depth")
    for wait in (1_000_000, 2_000_000, 4_000_000):
        socket.session.http_failed(request, "timeout", socket.now)
        socket.session.tick(socket.now + wait - 1)
        assert socket.asked("depth") == []
        socket.session.tick(socket.now + wait)
        assert len(socket.asked("depth")) == 1


def test_a_gap_stops_landing_opens_a_row_and_is_healed_by_the_next_snapshot() -> None:
    socket = aligned()
    socket.rows("gaps")
    last_whole = socket.now
    socket.depth(110, 112, bids=[["90", "1"]])
    noticed = socket.now
    drained = socket.events.drain()
    assert "book_deltas" not in drained
    (opened,) = drained["gaps"].to_pylist()
    assert (opened["channel"], opened["kind"], opened["from_sequence"], opened["to_sequence"]) == ("book_deltas", "sequence", 105, 110)
    assert (us(opened["from_time"]), us(opened["local_timestamp"]), opened["healed_at"]) == (last_whole, noticed, None)
    assert len(socket.asked("depth")) == 1
    socket.depth(113, 114)
    assert socket.rows("book_deltas") == []

    socket.snapshot(113, [["91", "1"]], [["92", "1"]])

    drained = socket.events.drain()
    (healed,) = drained["gaps"].to_pylist()
    assert (healed["from_time"], healed["local_timestamp"]) == (opened["from_time"], opened["local_timestamp"])
    assert (us(healed["healed_at"]), healed["healed_by"]) == (socket.now, "snapshot")
    assert {row["price"] for row in drained["book_deltas"].to_pylist()} == {91.0, 92.0}


def test_usdm_books_follow_pu_although_ids_skip() -> None:
    socket = Socket("binance-usdm-public-0")
    socket.session.actions.clear()
    socket.depth(100, 110, pu=95, bids=[["99", "1"]])
    socket.snapshot(105, [["98", "1"]], [["101", "1"]])
    socket.depth(150, 160, pu=110, bids=[["97", "1"]])
    assert "gaps" not in (drained := socket.events.drain())
    assert drained["book_deltas"].to_pylist()[-1]["sequence"] == 160
    socket.depth(170, 180, pu=165)
    assert [row["from_sequence"] for row in socket.rows("gaps")] == [160]


def test_an_hour_opens_with_the_whole_book_at_exactly_its_start() -> None:
    hour = T0 - T0 % HOUR_US + HOUR_US
    socket = aligned(hour - 5_000_000)
    socket.rows("book_deltas")
    socket.depth(106, 107, bids=[["96", "3"]], at=hour - 10)
    socket.depth(108, 109, bids=[["95", "3"]], at=hour + 70_000)
    rows = socket.rows("book_deltas")
    opening = [row for row in rows if row["is_snapshot"]]
    assert {(row["side"], row["price"]) for row in opening} == {("bid", 99.0), ("bid", 98.0), ("bid", 97.0), ("bid", 96.0), ("ask", 101.0)}
    assert {us(row["local_timestamp"]) for row in opening} == {hour}
    late = next(row for row in rows if row["price"] == 95.0)
    assert us(late["local_timestamp"]) == hour + 70_000
    assert late["ordinal"] > max(row["ordinal"] for row in opening)


def test_the_clock_alone_opens_an_hour_too() -> None:
    hour = T0 - T0 % HOUR_US + HOUR_US
    socket = aligned(hour - 5_000_000)
    socket.rows("book_deltas")
    socket.session.tick(hour + 3)
    assert {us(row["local_timestamp"]) for row in socket.rows("book_deltas")} == {hour}


def test_book_samples_come_once_a_second_and_only_when_changed() -> None:
    socket = aligned()
    assert len(socket.rows("book_snapshots")) == 1
    start = socket.now
    for number in range(9):
        socket.depth(106 + number, 106 + number, bids=[["99", str(number + 2)]], at=start + number * 100_000)
    assert socket.rows("book_snapshots") == []
    socket.session.tick(start + 1_000_000)
    (row,) = socket.rows("book_snapshots")
    assert (row["bid_prices"], row["bid_amounts"]) == ([99.0, 98.0, 97.0], [10.0, 5.0, 1.0])
    socket.session.tick(start + 5_000_000)
    assert socket.rows("book_snapshots") == []


def test_a_book_crossed_for_longer_than_a_second_is_a_gap() -> None:
    socket = aligned()
    start = socket.now
    socket.depth(106, 106, bids=[["105", "1"]], at=start + 1_100_000)
    socket.session.actions.clear()
    socket.session.tick(start + 2_000_000)
    assert socket.rows("gaps") == []
    socket.session.tick(start + 2_200_000)
    assert [row["kind"] for row in socket.rows("gaps")] == ["sequence"]
    assert len(socket.asked("depth")) == 1


def test_a_book_that_drifts_to_the_edge_of_its_snapshot_is_refreshed_without_a_gap() -> None:
    socket = Socket("binance-spot-0")
    socket.session.actions.clear()
    socket.depth(1, 5)
    bids = [[str(1000 - number), "1"] for number in range(1000)]
    asks = [[str(1001 + number), "1"] for number in range(1000)]
    socket.snapshot(5, bids, asks)
    socket.asked("depth")
    socket.session.tick(socket.now + 31_000_000)
    assert socket.asked("depth") == []
    socket.depth(6, 6, asks=[[str(1001 + number), "0"] for number in range(700)], bids=[["1700", "1"]])
    socket.session.tick(socket.now + 31_000_000)
    assert len(socket.asked("depth")) == 1
    socket.depth(7, 7, bids=[["1699", "2"]])
    socket.events.drain()
    socket.snapshot(6, [["1700", "1"]], [["1701", "1"], ["2500", "1"]])
    drained = socket.events.drain()
    assert "gaps" not in drained
    assert {row["price"] for row in drained["book_deltas"].to_pylist()} == {1700.0, 1699.0, 1701.0, 2500.0}


def test_trades_land_once_with_the_takers_side_and_count_their_duplicates() -> None:
    socket = Socket("binance-spot-0")
    socket.trade(7)
    socket.trade(7)
    socket.trade(8, m=False)
    rows = socket.rows("trades")
    assert [(row["trade_id"], row["side"], row["price"], row["amount"], row["ordinal"]) for row in rows] == [
        ("7", "sell", 100.5, 2.0, 7),
        ("8", "buy", 100.5, 2.0, 8),
    ]
    count = socket.events.writers["binance", "binance-spot-0"].trades
    assert (count.landed, count.duplicates) == (2, 1)


def test_aggregate_trades_carry_their_fills() -> None:
    socket = Socket("binance-usdm-market-0")
    socket.agg(5)
    (row,) = socket.rows("trades")
    assert (row["symbol"], row["fill_count"], row["side"]) == ("BTC/USDT:USDT", 3, "buy")


def test_a_trade_from_the_future_is_landed_and_marked() -> None:
    socket = Socket("binance-spot-0")
    socket.trade(1, T=(T0 + 61_000_000) // 1000, at=T0)
    socket.trade(2, T=(T0 + 59_000_000) // 1000, at=T0)
    assert [row["clock_suspect"] for row in socket.rows("trades")] == [True, False]


@pytest.mark.parametrize(
    "change",
    [{"T": 1000}, {"p": "abc"}, {"p": "0"}, {"q": "nan"}, {"q": "-1"}, {"t": "x"}, {"m": None}],
    ids=str,
)
def test_a_trade_that_cannot_be_right_is_a_frame_error_and_lands_nothing(change: dict[str, object]) -> None:
    socket = Socket("binance-spot-0")
    with pytest.raises(FrameError):
        socket.trade(1, **change)
    assert socket.rows("trades") == []


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"stream":"btcusdt@trade","data":{"e":"trade","t":1',
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate"}}',
        b"nonsense",
    ],
)
def test_a_corrupt_frame_is_a_frame_error(frame: bytes) -> None:
    socket = Socket("binance-spot-0")
    with pytest.raises(FrameError):
        socket.session.feed(frame, T0)


def test_a_book_level_that_is_no_finite_number_is_a_frame_error_and_leaves_the_book_whole() -> None:
    socket = aligned()
    with pytest.raises(FrameError):
        socket.depth(106, 106, bids=[["nan", "1"]])
    socket.depth(106, 106, bids=[["98.5", "1"]])
    assert socket.rows("gaps") == []


def test_a_hole_in_the_ids_is_a_gap_that_rest_heals() -> None:
    socket = Socket("binance-usdm-market-0")
    socket.session.actions.clear()
    socket.agg(5)
    socket.agg(8)
    (gap,) = socket.rows("gaps")
    assert (gap["channel"], gap["kind"], gap["from_sequence"], gap["to_sequence"], gap["healed_at"]) == ("trades", "sequence", 5, 8, None)
    (request,) = socket.asked("trades")
    assert request.url == "https://fapi.binance.com/fapi/v1/aggTrades?symbol=BTCUSDT&fromId=6&limit=1000"
    rows = [{"a": number, "p": "1", "q": "1", "f": 1, "l": 1, "T": T0 // 1000, "m": True} for number in (6, 7, 8)]
    assert socket.session.feed_http(request, json.dumps(rows).encode(), socket.now) is Outcome.DECODED
    drained = socket.events.drain()
    assert [(row["trade_id"], row["source"]) for row in drained["trades"].to_pylist()] == [("6", "rest"), ("7", "rest")]
    (healed,) = drained["gaps"].to_pylist()
    assert (healed["healed_by"], healed["from_time"]) == ("rest", gap["from_time"])


def test_missed_trades_are_fetched_page_by_page() -> None:
    socket = Socket("binance-usdm-market-0")
    socket.session.actions.clear()
    socket.agg(5)
    socket.agg(9)
    (request,) = socket.asked("trades")
    rows = [{"a": number, "p": "1", "q": "1", "f": 1, "l": 1, "T": T0 // 1000, "m": True} for number in (6, 7)]
    socket.session.feed_http(request, json.dumps(rows).encode(), socket.now)
    (following,) = socket.asked("trades")
    assert "fromId=8&" in following.url


def test_forced_orders_land_with_the_order_side_once() -> None:
    socket = Socket("binance-usdm-market-0")
    order = {
        "s": "BTCUSDT",
        "S": "SELL",
        "o": "LIMIT",
        "f": "IOC",
        "q": "0.014",
        "p": "91010.5",
        "ap": "91100",
        "X": "FILLED",
        "l": "0.014",
        "z": "0.01",
        "T": T0 // 1000,
    }
    for _ in range(2):
        socket.frame("btcusdt@forceOrder", {"e": "forceOrder", "E": T0 // 1000, "o": order})
    (row,) = socket.rows("liquidations")
    assert (row["side"], row["price"], row["amount"], row["value_usd"], row["sampled"]) == ("sell", 91100.0, 0.01, 911.0, True)
    assert socket.events.writers["binance", "binance-usdm-market-0"].counts["liquidations"].duplicates == 1


def test_mark_price_and_open_interest_become_derivatives() -> None:
    socket = Socket("binance-usdm-market-0")
    socket.session.actions.clear()
    mark = {
        "e": "markPriceUpdate",
        "E": T0 // 1000,
        "s": "BTCUSDT",
        "p": "91239.87",
        "i": "91250.11",
        "P": "1",
        "r": "0.0001",
        "T": 1764028800000,
    }
    socket.frame("btcusdt@markPrice@1s", mark)
    socket.frame("btcusdt@markPrice@1s", mark | {"E": T0 // 1000 + 1000, "r": "", "T": 0})
    first, second = socket.rows("derivatives")
    assert (first["mark_price"], first["index_price"], first["funding_rate"], us(first["next_funding"])) == (
        91239.87,
        91250.11,
        0.0001,
        1764028800000000,
    )
    assert (second["funding_rate"], second["next_funding"]) == (None, None)
    socket.session.tick(T0)
    (request,) = socket.asked("open_interest")
    socket.session.feed_http(request, b'{"openInterest":"10659.509","symbol":"BTCUSDT","time":1764000000000}', socket.now)
    assert [row["open_interest"] for row in socket.rows("derivatives")] == [10659.509]


def test_other_streams_are_ignored_and_an_announced_stop_asks_for_a_graceful_reconnect() -> None:
    socket = Socket("binance-spot-0")
    assert socket.frame("btcusdt@bookTicker", {"u": 1}) is Outcome.IGNORED
    assert socket.frame("ethusdt@trade", {"e": "trade"}) is Outcome.IGNORED
    socket.session.actions.clear()
    assert socket.session.feed('{"e":"serverShutdown","E":1770123456789}', T0) is Outcome.CONTROL
    (action,) = socket.session.actions
    assert isinstance(action, Reconnect)
    assert action.graceful


def test_a_disconnect_opens_gaps_that_the_next_socket_heals_without_loss_when_ids_go_on() -> None:
    socket = aligned()
    socket.trade(10)
    socket.events.drain()
    last = socket.now
    socket.session.closed(last + 5_000_000)
    opened = {row["channel"]: row for row in socket.rows("gaps")}
    assert {channel: (row["kind"], us(row["from_time"])) for channel, row in opened.items()} == {
        "trades": ("disconnect", last),
        "book_deltas": ("disconnect", last - 100_000),
    }

    again = Socket("binance-spot-0", socket.events, at=last + 6_000_000)
    again.trade(11)
    (healed,) = again.rows("gaps")
    assert (healed["channel"], healed["healed_by"], healed["from_sequence"], healed["to_sequence"]) == ("trades", "reconnect", 10, 11)
    again.depth(300, 310)
    again.snapshot(305, [["1", "1"]], [["2", "1"]])
    (healed,) = again.rows("gaps")
    assert (healed["channel"], healed["healed_by"], healed["from_time"]) == ("book_deltas", "snapshot", opened["book_deltas"]["from_time"])


def test_trades_lost_in_a_disconnect_are_fetched() -> None:
    socket = Socket("binance-usdm-market-0")
    socket.agg(10)
    socket.session.closed(socket.now + 1)
    socket.events.drain()
    again = Socket("binance-usdm-market-0", socket.events, at=socket.now + 5_000_000)
    again.session.actions.clear()
    again.agg(12)
    (request,) = again.asked("trades")
    assert "fromId=11&" in request.url
    assert [row["to_sequence"] for row in again.rows("gaps")] == [12]
    body = json.dumps([{"a": 11, "p": "1", "q": "1", "f": 1, "l": 1, "T": T0 // 1000, "m": True}]).encode()
    again.session.feed_http(request, body, again.now)
    assert [row["healed_by"] for row in again.rows("gaps")] == ["rest"]


def test_an_acknowledged_stream_without_trades_counts_as_standing_after_a_minute() -> None:
    socket = Socket("binance-spot-0")
    socket.trade(10)
    socket.session.closed(socket.now)
    again = Socket("binance-spot-0", socket.events, at=socket.now + 1_000_000)
    again.ack()
    again.events.drain()
    again.session.tick(again.now + 59_000_000)
    assert again.rows("gaps") == []
    again.session.tick(again.now + 61_000_000)
    assert [(row["healed_by"], us(row["to_time"])) for row in again.rows("gaps")] == [(None, again.now)]
    (request,) = again.asked("trades")
    again.session.feed_http(request, b"[]", again.now)
    assert [(row["healed_by"], us(row["to_time"])) for row in again.rows("gaps")] == [("rest", again.now)]


def test_a_hand_over_lands_each_trade_once_and_each_book_from_one_socket_only() -> None:
    old = aligned()
    old.trade(10)
    new = Socket("binance-spot-0", old.events, at=old.now)
    old.events.drain()
    old.trade(11)
    new.trade(11)
    new.depth(106, 107, bids=[["96", "1"]])
    old.depth(106, 107, bids=[["96", "1"]])
    drained = old.events.drain()
    assert drained["trades"].num_rows == 1
    assert drained["book_deltas"].num_rows == 1
    new.snapshot(106, [["99", "1"]], [["101", "1"]])
    assert all(row["is_snapshot"] for row in new.rows("book_deltas"))
    old.depth(108, 109, bids=[["95", "1"]])
    assert old.rows("book_deltas") == []
    old.session.closed(new.now)
    assert old.rows("gaps") == []
    new.depth(108, 109, bids=[["95", "1"]])
    assert [row["price"] for row in new.rows("book_deltas")] == [95.0]
