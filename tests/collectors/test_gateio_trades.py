"""Trades and liquidations of a live v4 session: sides, sizes, and what ids tell missing."""

from __future__ import annotations

import json

import pytest

from collectors.errors import FrameError
from collectors.venue import HttpGet, Outcome
from tests.collectors.gateio_socket import MS, Socket


def test_spot_trades_count_by_pair_and_times_keep_their_decimals() -> None:
    socket = Socket()
    socket.spot_trade(5)
    socket.spot_trade(5)
    socket.spot_trade(6, side="buy")
    rows = socket.rows("trades")
    assert [(row["trade_id"], row["side"]) for row in rows] == [("5", "sell"), ("6", "buy")]
    assert rows[0]["timestamp"].microsecond == 213_458


def test_a_row_that_covers_several_ids_leaves_no_hole() -> None:
    socket = Socket()
    socket.spot_trade(5)
    socket.spot_trade(8, range="6-8")
    drained = socket.events.drain()
    assert "gaps" not in drained
    assert [row["fill_count"] for row in drained["trades"].to_pylist()] == [1, 3]


def test_a_hole_in_spot_trades_is_fetched_where_rest_counts_as_the_stream_does() -> None:
    socket = Socket()
    socket.commands()
    socket.spot_trade(5)
    socket.spot_trade(8)
    (request,) = socket.requests()
    assert request.url == (
        f"https://api.gateio.ws/api/v4/spot/trades?currency_pair=BTC_USDT&limit=1000&from={MS // 1000}&to={MS // 1000 + 1}"
    )

    def row(own: int, number: int) -> dict[str, str]:
        times = {"create_time": str(MS // 1000), "create_time_ms": f"{MS}.5"}
        return {"id": str(number), "side": "buy", "amount": "1", "price": "2", "sequence_id": str(own), **times}

    other = json.dumps([row(8, 1), row(7, 2), row(6, 3)]).encode()
    with pytest.raises(FrameError, match="counts as 8"):
        socket.session.feed_http(request, other, socket.now)
    assert [row["source"] for row in socket.rows("trades")] == ["stream", "stream"]
    same = json.dumps([row(8, 309_000_024), row(7, 309_000_021), row(6, 309_000_018)]).encode()
    assert socket.session.feed_http(request, same, socket.now) is Outcome.DECODED
    drained = socket.events.drain()
    assert [(row["trade_id"], row["source"]) for row in drained["trades"].to_pylist()] == [("6", "rest"), ("7", "rest")]
    assert [row["healed_by"] for row in drained["gaps"].to_pylist()] == ["rest"]


def test_the_sign_of_a_futures_trade_is_the_takers_side_and_internal_rows_are_left_out() -> None:
    socket = Socket("futures")
    socket.future_trade(5, "-108")
    socket.future_trade(6, "1.5")
    socket.future_trade(7, "100", is_internal=True)
    assert [(row["trade_id"], row["side"], row["amount"]) for row in socket.rows("trades")] == [
        ("5", "sell", 0.0108),
        ("6", "buy", 0.00015),
    ]
    assert socket.events.writers["gateio", "gateio-usdt-0"].trades.discarded == {"internal": 1}


def test_what_a_cut_of_futures_may_have_lost_is_fetched_once_a_trade_ends_it() -> None:
    socket = Socket("futures")
    socket.future_trade(5, "-108")
    socket.session.closed(socket.now + 1_000_000)
    again = Socket("futures", socket.events, at=socket.now + 3_000_000)
    again.commands()
    again.future_trade(7, "1")
    (request,) = again.requests()
    assert request.url.startswith("https://api.gateio.ws/api/v4/futures/usdt/trades?contract=BTC_USDT&limit=1000&from=")
    # REST writes create_time_ms in seconds.
    times = {"create_time": MS // 1000, "create_time_ms": MS / 1000 + 0.111}
    rows = [{"id": number, "contract": "BTC_USDT", "size": "10", "price": "100", **times} for number in (7, 6, 5)]
    again.session.feed_http(request, json.dumps(rows).encode(), again.now)
    drained = socket.events.drain()
    landed = [(row["trade_id"], row["source"], row["timestamp"].microsecond) for row in drained["trades"].to_pylist()]
    assert landed == [("5", "stream", 120_000), ("7", "stream", 120_000), ("6", "rest", 111_000)]
    assert {row["channel"]: row["healed_by"] for row in drained["gaps"].to_pylist()} == {"trades": "rest"}


@pytest.mark.parametrize(("steady", "asked"), [(29, 0), (31, 1)])
def test_a_hole_in_ids_of_futures_counts_once_they_have_followed_each_other(steady: int, asked: int) -> None:
    socket = Socket("futures")
    socket.commands()
    for number in range(1, steady + 1):
        socket.future_trade(number, "1", is_internal=number % 7 == 0)
    socket.events.drain()
    socket.future_trade(steady + 3, "1", create_time_ms=MS + 500)
    requests = socket.requests()
    assert len(requests) == asked
    for request in requests:
        times = {"create_time": MS // 1000, "create_time_ms": MS / 1000 + 0.3}
        rows = [
            {"id": number, "contract": "BTC_USDT", "size": "10", "price": "100", **times} for number in range(steady + 3, steady - 3, -1)
        ]
        socket.session.feed_http(request, json.dumps(rows).encode(), socket.now)
        drained = socket.events.drain()
        healed = [row["trade_id"] for row in drained["trades"].to_pylist() if row["source"] == "rest"]
        assert {str(steady + 1), str(steady + 2)} <= set(healed)
        assert [row["healed_by"] for row in drained["gaps"].to_pylist()] == [None, "rest"]
    socket.future_trade(steady + 9, "1", create_time_ms=MS + 900)
    assert socket.requests() == []


def test_a_hole_in_ids_of_futures_that_rest_does_not_know_makes_later_ones_count_later() -> None:
    socket = Socket("futures")
    socket.commands()
    times = {"create_time": MS // 1000, "create_time_ms": MS / 1000 + 0.12}
    asked = []
    for start in (1, 101, 201):
        for number in range(start, start + 60):
            socket.future_trade(number, "1")
        requests = socket.requests()
        asked.append(len(requests))
        for request in requests:
            rows = [{"id": number, "contract": "BTC_USDT", "size": "1", "price": "91240.4", **times} for number in (101, *range(60, 0, -1))]
            socket.session.feed_http(request, json.dumps(rows).encode(), socket.now)
    assert asked == [0, 1, 0]
    assert [row["healed_by"] for row in socket.rows("gaps")] == [None, "rest"]


def test_pages_of_missed_trades_go_back_by_seconds_and_within_one_by_number() -> None:
    socket = Socket()
    socket.commands()
    socket.spot_trade(5)
    socket.spot_trade(9_000, create_time_ms=str(MS + 9_000))
    (request,) = socket.requests()
    own = 9_000

    def full(milliseconds: int) -> bytes:
        nonlocal own
        rows = []
        for _ in range(1000):
            times = {"create_time": str(milliseconds // 1000), "create_time_ms": str(milliseconds)}
            rows.append({"id": str(309_000_000 + own * 3), "side": "buy", "amount": "1", "price": "2", "sequence_id": str(own), **times})
            own -= 1
        return json.dumps(rows).encode()

    spans = []
    for milliseconds in (MS + 8_500, MS + 8_400, MS + 8_300, MS + 7_000):
        socket.session.feed_http(request, full(milliseconds), socket.now)
        (request,) = socket.requests()
        spans.append(request.url.partition("&to=")[2])
    assert spans == [f"{MS // 1000 + 8}", f"{MS // 1000 + 8}&page=2", f"{MS // 1000 + 8}&page=3", f"{MS // 1000 + 7}"]


def test_a_liquidation_lands_with_the_orders_side_in_base_units() -> None:
    socket = Socket("futures")
    rows = [{"price": "91041.1", "size": "-124", "time": MS + 101, "contract": "BTC_USDT"}]
    rows.append({"price": "91041.2", "size": "10", "time": MS // 1000, "contract": "BTC_USDT"})
    socket.feed("public_liquidates", rows)
    socket.feed("public_liquidates", rows[:1])
    long, short = socket.rows("liquidations")
    assert (long["side"], long["amount"], long["sampled"], long["timestamp"].microsecond) == ("sell", 0.0124, False, 101_000)
    assert (short["side"], short["amount"], short["timestamp"].microsecond) == ("buy", 0.001, 0)
    assert long["value_usd"] == pytest.approx(91041.1 * 0.0124)


def test_liquidations_before_august_2026_are_sampled_and_time_ms_comes_first() -> None:
    socket = Socket("futures")
    row = {"price": "2", "size": -1, "time": 1_700_000_000, "time_ms": 1_700_000_000_123, "contract": "BTC_USDT"}
    socket.feed("public_liquidates", [row])
    (landed,) = socket.rows("liquidations")
    assert (landed["sampled"], landed["timestamp"].microsecond) == (True, 123_000)


def liquidated(order_size: str) -> Socket:
    socket = Socket("futures")
    socket.feed("public_liquidates", [{"price": "91041.1", "size": "-124", "time": MS + 101, "contract": "BTC_USDT"}])
    socket.session.actions.clear()
    socket.session.tick(socket.now)
    (request,) = socket.requests()
    assert request.url == "https://api.gateio.ws/api/v4/futures/usdt/liq_orders?contract=BTC_USDT&limit=100"
    position = str(-int(order_size))
    row = {"contract": "BTC_USDT", "size": position, "order_size": order_size, "time": MS // 1000, "order_price": "1", "fill_price": "1"}
    assert socket.session.feed_http(request, json.dumps([row]).encode(), socket.now) is Outcome.CONTROL
    socket.feed("public_liquidates", [{"price": "91041.1", "size": "-125", "time": MS + 102, "contract": "BTC_USDT"}])
    return socket


@pytest.mark.parametrize(("order_size", "side"), [("-124", "sell"), ("124", "buy")])
def test_the_sign_of_liquidations_is_compared_with_rest_once(order_size: str, side: str) -> None:
    socket = liquidated(order_size)
    assert [row["side"] for row in socket.rows("liquidations")] == ["sell", side]
    socket.session.tick(socket.now + 61_000_000)
    assert not [action for action in socket.session.actions if isinstance(action, HttpGet)]


def test_a_rest_answer_without_that_liquidation_settles_nothing() -> None:
    socket = liquidated("-999")
    socket.session.tick(socket.now + 61_000_000)
    assert [action.purpose for action in socket.session.actions if isinstance(action, HttpGet)] == ["liquidations"]
