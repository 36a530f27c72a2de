"""Bitget sessions: links of updates, checksums, history on subscribe, heartbeat, missed trades. Frames have the recorded shapes."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

import pytest

from collectors.errors import FrameError, UnknownSymbol
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Outcome, Reconnect, SendText, Stream, Wanted
from collectors.venues.bitget import VENUE
from collectors.venues.bitget.live import MOST_FETCHED, LiveSession

START = 1_764_000_000_000_000
LINEAR = Instrument(
    exchange="bitget", symbol="BTC/USDT:USDT", native="BTCUSDT", market="usdt-futures", base="BTC", quote="USDT", settle="USDT"
)
ARG = {"instType": "USDT-FUTURES", "channel": "books", "instId": "BTCUSDT"}


def opened(events: EventBuffer, *channels: str) -> LiveSession:
    wanted = Wanted(symbols=(LINEAR.symbol,), channels=channels)
    (plan,) = VENUE.plan(wanted, {LINEAR.symbol: LINEAR})
    session = VENUE.session(plan, events, wanted)
    assert isinstance(session, LiveSession)
    session.opened(START)
    return session


def book(action: str, *, bids: list[list[str]], asks: list[list[str]] | None = None, **more: int) -> bytes:
    row = {"asks": asks or [], "bids": bids, "ts": "1764000000600", **more}
    return json.dumps({"action": action, "arg": ARG, "data": [row], "ts": 1764000000601}).encode()


def snapshot(**more: int) -> bytes:
    return book("snapshot", bids=[["91250.0", "0.10"]], asks=[["91250.1", "0.86"]], **more)


def trades(action: str, *numbers: int, side: str = "buy") -> bytes:
    rows = [{"ts": str(START // 1000 + n), "price": "91250.01", "size": "0.05", "side": side, "tradeId": str(10**18 + n)} for n in numbers]
    return json.dumps({"action": action, "arg": {**ARG, "channel": "trade"}, "data": rows, "ts": START // 1000}).encode()


def sent(session: LiveSession) -> list[Any]:
    texts = [
        action.text if action.text == "ping" else json.loads(action.text) for action in session.actions if isinstance(action, SendText)
    ]
    session.actions.clear()
    return texts


def checksum(text: str) -> int:
    found = crc32(text.encode())
    return found - (1 << 32) if found >= 1 << 31 else found


def test_updates_name_the_one_before_and_a_dropped_one_is_one_gap_and_one_renewal() -> None:
    events = EventBuffer()
    session = opened(events, "book")
    sent(session)

    session.feed(snapshot(seq=702294703025), START)
    session.feed(book("update", bids=[["91249.0", "2"]], seq=702294710791, pseq=702294703025), START)
    session.feed(book("update", bids=[["91249.0", "2"]], seq=702294710791, pseq=702294703025), START)
    assert session.book_feeds[LINEAR.symbol].live
    session.feed(book("update", bids=[["91249.0", "3"]], seq=702294710999, pseq=702294710900), START)
    session.feed(book("update", bids=[["91249.0", "4"]], seq=702294711000, pseq=702294710999), START)
    asked = sent(session)
    session.feed(snapshot(seq=702294720000), START + 1)

    assert asked == [{"op": "unsubscribe", "args": [ARG]}, {"op": "subscribe", "args": [ARG]}]
    gaps = events.drain()["gaps"].to_pylist()
    assert [(gap["from_sequence"], gap["healed_by"]) for gap in gaps] == [(702294710791, None), (702294710791, "snapshot")]


def test_an_update_without_a_link_only_has_to_grow() -> None:
    session = opened(EventBuffer(), "book")

    session.feed(snapshot(seq=5), START)
    session.feed(book("update", bids=[["91249.0", "2"]], seq=9), START)
    session.feed(book("update", bids=[["91248.0", "2"]], seq=8), START)

    feed = session.book_feeds[LINEAR.symbol]
    assert (feed.live, feed.updates) == (False, 1)


def test_a_checksum_is_verified_only_where_one_is_sent() -> None:
    session = opened(EventBuffer(), "book")
    good = checksum("91250.0:0.10:91250.1:0.86:91249.5:1.50")

    session.feed(snapshot(checksum=0), START)
    session.feed(book("update", bids=[["91249.5", "1.50"]], checksum=good), START)
    session.feed(book("update", bids=[["91249.5", "1.50"]], checksum=0), START)
    before = session.book_feeds[LINEAR.symbol].live
    session.feed(book("update", bids=[["91249.5", "1.60"]], checksum=good), START)

    assert before
    assert not session.book_feeds[LINEAR.symbol].live
    assert (session.checksums.verified, session.checksums.failed) == (1, 1)


def test_history_of_a_subscription_lands_oldest_first_and_once() -> None:
    events = EventBuffer()
    session = opened(events, "trades")

    for frame in (trades("snapshot", 3, 2, 1), trades("update", 3, side="sell"), trades("update", 4, side="sell")):
        assert session.feed(frame, START) is Outcome.DECODED

    rows = events.drain()["trades"].to_pylist()
    assert [(int(row["trade_id"]) - 10**18, row["side"]) for row in rows] == [(1, "buy"), (2, "buy"), (3, "buy"), (4, "sell")]


@pytest.mark.parametrize(("history", "asked", "healed"), [((9, 8, 2), 0, "reconnect"), ((9, 8, 7), 1, "rest")])
def test_after_a_cut_rest_is_asked_only_where_the_history_does_not_reach_back(history: tuple[int, ...], asked: int, healed: str) -> None:
    events = EventBuffer()
    first = opened(events, "trades")
    first.feed(trades("update", 1, 2), START)
    first.closed(START + 1_000_000)
    second = opened(events, "trades")
    second.actions.clear()

    second.feed(trades("snapshot", *history), START + 2_000_000)
    requests = [action for action in second.actions if isinstance(action, HttpGet)]
    for request in requests:
        assert f"idLessThan={10**18 + 8}&" in request.url
        rows = [
            {"tradeId": str(10**18 + n), "price": "91250", "size": "0.1", "side": "Sell", "ts": str(START // 1000 + n), "symbol": "BTCUSDT"}
            for n in (7, 6, 5, 2, 1)
        ]
        second.feed_http(request, json.dumps({"code": "00000", "msg": "success", "data": rows}).encode(), START + 2_000_000)

    drained = events.drain()
    landed = {int(row["trade_id"]) - 10**18: (row["source"], row["side"]) for row in drained["trades"].to_pylist()}
    assert len(requests) == asked
    assert sorted(landed) == sorted({1, 2, *history, *((5, 6) if asked else ())})
    assert not asked or landed[5] == ("rest", "sell")
    assert drained["gaps"].to_pylist()[-1]["healed_by"] == healed


def fills(*numbers: int) -> bytes:
    rows = [
        {"tradeId": str(10**18 + n), "price": "91250.01", "size": "0.05", "side": "Buy", "ts": str(START // 1000 + n), "symbol": "BTCUSDT"}
        for n in sorted(numbers, reverse=True)
    ]
    return json.dumps({"code": "00000", "msg": "success", "data": rows}).encode()


def test_missed_trades_are_paged_down_to_the_last_one_landed_and_no_further() -> None:
    events = EventBuffer()
    first = opened(events, "trades")
    first.feed(trades("update", 5), START)
    first.closed(START + 1_000_000)
    second = opened(events, "trades")
    second.feed(trades("update", 3_000), START + 4_000_000)

    asked = []
    for numbers in (range(2_001, 3_001), range(1_001, 2_001), range(1, 1_001)):
        (request,) = [action for action in second.actions if isinstance(action, HttpGet)]
        second.actions.clear()
        asked.append(request.url.partition("idLessThan=")[2].partition("&")[0])
        second.feed_http(request, fills(*numbers), START + 4_500_000)

    drained = events.drain()
    assert [int(below) - 10**18 for below in asked] == [3_001, 2_001, 1_001]
    assert sorted(int(row["trade_id"]) - 10**18 for row in drained["trades"].to_pylist()) == list(range(5, 3_001))
    assert drained["gaps"].to_pylist()[-1]["healed_by"] == "rest"
    assert second.actions == []


def test_a_hole_of_more_trades_than_are_remembered_stays_a_gap() -> None:
    events = EventBuffer()
    first = opened(events, "trades")
    first.feed(trades("update", 5), START)
    first.closed(START + 1_000_000)
    second = opened(events, "trades")
    newest = MOST_FETCHED + 5_000
    second.feed(trades("update", newest), START + 10_000_000)

    pages = 0
    while requests := [action for action in second.actions if isinstance(action, HttpGet)]:
        second.actions.clear()
        pages += 1
        second.feed_http(requests[0], fills(*range(newest + 1 - 1_000 * pages, newest + 1_001 - 1_000 * pages)), START + 11_000_000)

    assert pages == MOST_FETCHED // 1_000
    assert [gap["healed_at"] for gap in events.drain()["gaps"].to_pylist()][-1] is None


def test_while_a_stream_is_silent_its_history_ends_nothing_and_the_next_update_asks_rest() -> None:
    events = EventBuffer()
    session = opened(events, "trades")
    session.feed(trades("update", 1, 2), START)
    session.stalled(Stream("trades", LINEAR.symbol), since=START, now=START + 5_000_000)
    session.actions.clear()

    session.feed(trades("snapshot", 4, 3, 2, 1), START + 5_000_000)
    assert session.actions == []
    session.feed(trades("update", 7), START + 6_000_000)
    (request,) = session.actions
    assert isinstance(request, HttpGet)
    session.feed_http(request, fills(2, 3, 4, 5, 7), START + 6_500_000)

    drained = events.drain()
    landed = {int(row["trade_id"]) - 10**18: row["source"] for row in drained["trades"].to_pylist()}
    assert landed == {1: "stream", 2: "stream", 3: "rest", 4: "rest", 5: "rest", 7: "stream"}
    assert [(gap["kind"], gap["healed_by"]) for gap in drained["gaps"].to_pylist()][-1] == ("stall", "rest")


def test_behind_an_unreadable_frame_the_newest_trades_are_fetched() -> None:
    events = EventBuffer()
    session = opened(events, "trades")
    session.feed(trades("update", 1), START)
    session.actions.clear()
    with pytest.raises(FrameError):
        session.feed(b"\x00\xff", START + 1_000_000)
    session.tick(START + 2_000_000)
    (request,) = [action for action in session.actions if isinstance(action, HttpGet)]
    session.feed_http(request, fills(-20_000, 1, 2, 900), START + 2_100_000)

    drained = events.drain()
    landed = [(int(row["trade_id"]) - 10**18, row["source"]) for row in drained["trades"].to_pylist()]
    assert request.url.endswith("fills-history?productType=USDT-FUTURES&symbol=BTCUSDT&limit=500")
    assert landed == [(1, "stream"), (2, "rest"), (900, "rest")]
    assert "gaps" not in drained


def test_a_refusal_names_the_stream_that_will_not_come() -> None:
    events = EventBuffer()
    session = opened(events, "trades", "book")
    error = {"event": "error", "arg": ARG, "code": 30001, "msg": "instType:USDT-FUTURES,channel:books,instId:BTCUSDT doesn't exist"}
    session.feed(json.dumps(error), START)

    refusals = events.continuity("bitget").refusals
    assert list(refusals) == [(LINEAR.symbol, "book")]
    assert "30001" in refusals[LINEAR.symbol, "book"].reason
    session.feed(json.dumps({"event": "subscribe", "arg": ARG}), START)
    assert not refusals


def test_one_stream_is_subscribed_anew_without_the_others() -> None:
    session = opened(EventBuffer(), "trades", "book", "derivatives")
    sent(session)

    session.resubscribe([Stream("derivatives", LINEAR.symbol)])

    arg = {"instType": "USDT-FUTURES", "channel": "ticker", "instId": "BTCUSDT"}
    assert sent(session) == [{"op": "unsubscribe", "args": [arg]}, {"op": "subscribe", "args": [arg]}]


def test_pings_are_plain_text_and_silence_ends_the_socket() -> None:
    session = opened(EventBuffer(), "trades")
    sent(session)

    session.tick(START + 24_000_000)
    session.tick(START + 25_000_000)
    session.tick(START + 26_000_000)
    assert sent(session) == ["ping"]
    assert session.feed(b"pong", START + 26_000_000) is Outcome.CONTROL
    session.tick(START + 102_000_000)

    assert [type(action) for action in session.actions] == [SendText, Reconnect]


def test_liquidations_have_a_socket_of_their_own_for_the_whole_market() -> None:
    wanted = Wanted(symbols=(LINEAR.symbol,), channels=VENUE.channels)

    plans = VENUE.plan(wanted, {LINEAR.symbol: LINEAR})
    session = VENUE.session(plans[1], EventBuffer(), wanted)
    session.opened(START)

    assert [(plan.name, plan.url.split("/")[3]) for plan in plans] == [
        ("bitget-usdt-futures-0", "v2"),
        ("bitget-usdt-futures-liquidations-0", "v3"),
    ]
    (action,) = session.actions
    assert isinstance(action, SendText)
    assert json.loads(action.text) == {"op": "subscribe", "args": [{"instType": "usdt-futures", "topic": "liquidation"}]}


@pytest.mark.parametrize(
    "frame",
    [
        b"{",
        trades("update", 1, side="up"),
        book("snapshot", bids=[["nan", "1"]]),
        book("snapshot", bids=[["0", "1"]]),
        book("snapshot", bids=[["1"]]),
    ],
)
def test_what_cannot_be_decoded_is_refused(frame: bytes) -> None:
    with pytest.raises(FrameError):
        opened(EventBuffer(), "trades", "book").feed(frame, START)


@pytest.mark.parametrize(
    ("symbol", "market"),
    [("BTC/USDT", "spot"), ("BTC/USDT:USDT", "usdt-futures"), ("BTC/USDC:USDC", "usdc-futures"), ("BTC/USD:BTC", "coin-futures")],
)
def test_markets_of_symbols(symbol: str, market: str) -> None:
    assert VENUE.market_of(symbol) == market


def test_a_symbol_of_no_market_is_refused() -> None:
    with pytest.raises(UnknownSymbol):
        VENUE.market_of("BTC/EUR:EUR")
