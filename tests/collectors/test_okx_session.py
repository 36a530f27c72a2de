"""OKX sessions: sequences, liquidations, heartbeat, subscriptions, missed trades. Frames have the recorded shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collectors.errors import FrameError, UnknownSymbol
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Outcome, Reconnect, SendText, Wanted
from collectors.venues.okx import VENUE
from collectors.venues.okx.live import LiveSession

START = 1_783_079_411_000_000
SWAP = Instrument(
    exchange="okx",
    symbol="BTC/USDT:USDT",
    native="BTC-USDT-SWAP",
    market="swap",
    base="BTC",
    quote="USDT",
    settle="USDT",
    contract_size=0.01,
)
BOOK = {"channel": "books", "instId": "BTC-USDT-SWAP"}


def opened(events: EventBuffer, *channels: str) -> LiveSession:
    wanted = Wanted(symbols=(SWAP.symbol,), channels=channels)
    (plan,) = VENUE.plan(wanted, {SWAP.symbol: SWAP})
    session = VENUE.session(plan, events, wanted)
    assert isinstance(session, LiveSession)
    session.opened(START)
    return session


def book(action: str, previous: int, sequence: int, *, bids: list[list[str]], asks: list[list[str]] | None = None) -> bytes:
    row = {"asks": asks or [], "bids": bids, "ts": "1783079411709", "checksum": 0, "prevSeqId": previous, "seqId": sequence}
    return json.dumps({"arg": BOOK, "action": action, "data": [row]}).encode()


def trade(number: int, count: int, side: str = "buy") -> bytes:
    row = {
        "instId": "BTC-USDT-SWAP",
        "tradeId": str(number),
        "px": "62010",
        "sz": "200",
        "side": side,
        "ts": "1783079412162",
        "count": str(count),
    }
    return json.dumps({"arg": {"channel": "trades", "instId": "BTC-USDT-SWAP"}, "data": [row]}).encode()


def sent(session: LiveSession) -> list[Any]:
    texts = [json.loads(action.text) if action.text != "ping" else "ping" for action in session.actions if isinstance(action, SendText)]
    session.actions.clear()
    return texts


def rows(events: EventBuffer, dataset: str) -> list[dict[str, Any]]:
    drained = events.drain()
    return drained[dataset].to_pylist() if dataset in drained else []


def snapshot() -> bytes:
    return book("snapshot", -1, 100, bids=[["62009.9", "883.58", "0", "42"]], asks=[["62010", "190.13", "0", "10"]])


def test_updates_follow_by_the_id_before_and_amounts_are_base_units() -> None:
    events = EventBuffer()
    session = opened(events, "book")

    session.feed(snapshot(), START)
    session.feed(book("update", 100, 105, bids=[["62009.9", "0", "0", "0"], ["62008", "5", "0", "1"]]), START)
    session.feed(book("update", 105, 105, bids=[]), START)
    session.feed(book("update", 105, 3, bids=[["62007", "7", "0", "1"]]), START)

    feed = session.book_feeds[SWAP.symbol]
    assert feed.live
    assert feed.book.top(5) == ([(62008.0, 0.05), (62007.0, 0.07)], [(62010.0, 1.9013)])
    assert rows(events, "gaps") == []


def test_a_frame_twice_is_left_out_and_one_dropped_is_a_gap_that_a_single_renewal_heals() -> None:
    events = EventBuffer()
    session = opened(events, "book")
    session.feed(snapshot(), START)
    session.feed(book("update", 100, 105, bids=[["62008", "5", "0", "1"]]), START)
    sent(session)

    session.feed(book("update", 100, 105, bids=[["62008", "5", "0", "1"]]), START)
    assert session.book_feeds[SWAP.symbol].live
    session.feed(book("update", 110, 115, bids=[["62008", "6", "0", "1"]]), START + 1)
    session.feed(book("update", 115, 120, bids=[["62008", "7", "0", "1"]]), START + 2)
    asked = sent(session)
    session.feed(snapshot(), START + 3)

    assert [command["op"] for command in asked] == ["unsubscribe", "subscribe"]
    assert asked[1]["args"] == [BOOK]
    first, healed = rows(events, "gaps")
    assert (first["kind"], first["from_sequence"], first["to_sequence"], first["healed_by"]) == ("sequence", 105, 115, None)
    assert healed["healed_by"] == "snapshot"


def test_merged_trades_count_their_ids_and_a_missing_one_is_fetched() -> None:
    events = EventBuffer()
    session = opened(events, "trades")
    sent(session)

    session.feed(trade(2760725237, 11), START)
    session.feed(trade(2760725239, 2, "sell"), START)
    assert session.actions == []
    session.feed(trade(2760725245, 3), START)
    (request,) = session.actions
    session.actions.clear()
    missed = [
        {"instId": "BTC-USDT-SWAP", "tradeId": str(number), "px": "62009", "sz": "1", "side": "sell", "ts": "1783079412200"}
        for number in (2760725242, 2760725241, 2760725240, 2760725239)
    ]
    assert isinstance(request, HttpGet)
    session.feed_http(request, json.dumps({"code": "0", "msg": "", "data": missed}).encode(), START)

    drained = events.drain()
    landed = [(row["trade_id"][-2:], row["side"], row["amount"], row["source"]) for row in drained["trades"].to_pylist()]
    assert request.url.endswith("/api/v5/market/trades?instId=BTC-USDT-SWAP&limit=500")
    assert landed == [
        ("37", "buy", 2.0, "stream"),
        ("39", "sell", 2.0, "stream"),
        ("45", "buy", 2.0, "stream"),
        *((number, "sell", 0.01, "rest") for number in ("40", "41", "42")),
    ]
    assert drained["gaps"].to_pylist()[-1]["healed_by"] == "rest"


def test_a_hole_beyond_the_newest_trades_is_paged_through_downwards() -> None:
    events = EventBuffer()
    session = opened(events, "trades")
    session.feed(trade(1_000, 1), START)
    sent(session)
    session.feed(trade(1_301, 1), START)
    session.feed(trade(1_880, 579), START)

    def answer(newest: int, count: int) -> str:
        """Give `count` trades to the request that waits; the next one's path."""
        (request,) = session.actions
        assert isinstance(request, HttpGet)
        session.actions.clear()
        known = {"instId": "BTC-USDT-SWAP", "px": "62009", "sz": "1", "side": "sell", "ts": "1783079412200"}
        found = [known | {"tradeId": str(number)} for number in range(newest, newest - count, -1)]
        session.feed_http(request, json.dumps({"code": "0", "msg": "", "data": found}).encode(), START)
        return next((action.url.partition("market/")[2] for action in session.actions if isinstance(action, HttpGet)), "")

    # So much was traded meanwhile that the newest trades end above the hole.
    assert answer(1_900, 500) == "history-trades?instId=BTC-USDT-SWAP&type=1&after=1302&limit=100"
    assert answer(1_301, 100) == "history-trades?instId=BTC-USDT-SWAP&type=1&after=1202&limit=100"
    assert answer(1_201, 100) == "history-trades?instId=BTC-USDT-SWAP&type=1&after=1102&limit=100"
    assert answer(1_101, 100).startswith("history-trades")
    assert answer(1_001, 100) == ""
    assert rows(events, "gaps")[-1]["healed_by"] == "rest"


def test_forced_orders_keep_the_side_of_the_order_and_old_ones_are_left_out() -> None:
    events = EventBuffer()
    session = opened(events, "liquidations")
    details = [{"side": "sell", "posSide": "long", "bkPx": "90771.5", "sz": "12", "bkLoss": "0", "ccy": "", "ts": str(START // 1000 + 5)}]
    old = [{**details[0], "ts": str(START // 1000 - 60_000)}]
    frames = [
        json.dumps({"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [{"instId": native, "details": of}]})
        for native, of in (("BTC-USDT-SWAP", old), ("BTC-USDT-SWAP", details), ("BTC-USDT-SWAP", details), ("ETH-USDT-SWAP", details))
    ]

    assert [session.feed(frame, START) for frame in frames] == [Outcome.DECODED] * 4

    (row,) = rows(events, "liquidations")
    assert (row["symbol"], row["side"], row["amount"], row["sampled"]) == ("BTC/USDT:USDT", "sell", 0.12, True)


def test_derivative_states_land_once_each() -> None:
    events = EventBuffer()
    session = opened(events, "derivatives")
    channels = [arg["channel"] for command in sent(session) for arg in command["args"]]
    frames = {
        "funding-rate": {"instId": "BTC-USDT-SWAP", "fundingRate": "0.0001", "fundingTime": "1783123200000", "ts": "1783079411000"},
        "open-interest": {"instId": "BTC-USDT-SWAP", "oi": "3133727.94", "oiCcy": "31337.2794", "ts": "1783079411000"},
        "mark-price": {"instId": "BTC-USDT-SWAP", "markPx": "62010.5", "ts": "1783079411000"},
        "index-tickers": {"instId": "BTC-USDT", "idxPx": "62011.5", "ts": "1783079411000"},
    }

    for channel, row in frames.items():
        frame = json.dumps({"arg": {"channel": channel, "instId": row["instId"]}, "data": [row]})
        assert session.feed(frame, START) is session.feed(frame, START) is Outcome.DECODED

    assert sorted(channels) == sorted(frames)
    funding, interest, mark, index = rows(events, "derivatives")
    assert funding["funding_rate"] == 0.0001
    assert (interest["open_interest"], mark["mark_price"], index["index_price"]) == (31337.2794, 62010.5, 62011.5)
    assert {row["symbol"] for row in (funding, interest, mark, index)} == {"BTC/USDT:USDT"}


def test_a_silent_socket_is_pinged_in_plain_text_then_given_up_and_a_notice_hands_over() -> None:
    session = opened(EventBuffer(), "trades")
    sent(session)

    session.tick(START + 19_000_000)
    assert session.actions == []
    session.tick(START + 21_000_000)
    session.tick(START + 22_000_000)
    assert sent(session) == ["ping"]
    assert session.feed(b"pong", START + 22_000_000) is Outcome.CONTROL
    session.tick(START + 90_000_000)
    assert [type(action) for action in session.actions] == [Reconnect]
    session.actions.clear()
    session.feed('{"event":"notice","code":"64008","msg":"The connection will soon be closed.","connId":"a4d3ae55"}', START)

    assert session.actions == [Reconnect("the venue announced a service upgrade", graceful=True)]


def refusal(command: str, message: str) -> bytes:
    named = {"id": command} if command else {}
    return json.dumps({**named, "event": "error", "code": "60018", "msg": message, "connId": "a4d3ae55"}).encode()


@pytest.mark.parametrize("command", ["1", ""])
def test_a_refusal_that_names_its_argument_concerns_that_stream_alone(command: str) -> None:
    events = EventBuffer()
    session = opened(events, "trades", "book")
    sent(session)

    session.feed(refusal(command, "Wrong URL or channel:books,instId:BTC-USDT-SWAP-2 doesn't exist."), None)
    assert events.continuity("okx").refusals == {}
    session.feed(refusal(command, "Wrong URL or channel:books,instId:BTC-USDT-SWAP doesn't exist."), START)
    session.feed(json.dumps({"id": "1", "event": "subscribe", "arg": {"channel": "trades", "instId": "BTC-USDT-SWAP"}}), START)

    assert list(events.continuity("okx").refusals) == [(SWAP.symbol, "book")]
    assert rows(events, "gaps")[0]["channel"] == "book_deltas"


def test_after_a_refusal_that_names_nothing_each_argument_is_asked_for_alone() -> None:
    events = EventBuffer()
    session = opened(events, "trades", "book")
    sent(session)

    session.feed(refusal("1", "Invalid request"), START)
    session.tick(START + 2_000_000)
    apart = sent(session)
    session.feed(refusal(apart[1]["id"], "Invalid request"), START + 2_100_000)

    assert [command["args"][0]["channel"] for command in apart] == ["trades", "books"]
    assert list(events.continuity("okx").refusals) == [(SWAP.symbol, "book")]


def test_derivative_states_are_refused_when_none_of_their_channels_is_left() -> None:
    events = EventBuffer()
    session = opened(events, "derivatives")
    (command,) = sent(session)

    for arg in command["args"]:
        assert (SWAP.symbol, "derivatives") not in events.continuity("okx").refusals
        session.feed(refusal("1", f"channel:{arg['channel']},instId:{arg['instId']} doesn't exist."), START)

    assert (SWAP.symbol, "derivatives") in events.continuity("okx").refusals


@pytest.mark.parametrize(
    "frame",
    [
        b"not json",
        trade(5, 1, "up"),
        book("snapshot", -1, 1, bids=[["-3", "1", "0", "1"]]),
        book("snapshot", -1, 1, bids=[["nan", "1", "0", "1"]]),
        book("snapshot", -1, 1, bids=[["3"]]),
    ],
)
def test_what_cannot_be_decoded_is_refused(frame: bytes) -> None:
    with pytest.raises(FrameError):
        opened(EventBuffer(), "trades", "book").feed(frame, START)


def test_markets_and_instruments() -> None:
    body = {
        "code": "0",
        "msg": "",
        "data": [
            {
                "instId": "BTC-USDT",
                "instType": "SPOT",
                "baseCcy": "BTC",
                "quoteCcy": "USDT",
                "tickSz": "0.1",
                "lotSz": "0.00000001",
                "state": "live",
            },
            {
                "instId": "BTC-USD-SWAP",
                "instType": "SWAP",
                "uly": "BTC-USD",
                "settleCcy": "BTC",
                "ctVal": "100",
                "ctMult": "1",
                "ctValCcy": "USD",
            },
            {
                "instId": "BTC-USDT-261225",
                "instType": "FUTURES",
                "instFamily": "BTC-USDT",
                "settleCcy": "USDT",
                "ctVal": "0.01",
                "ctMult": "1",
            },
        ],
    }
    (request,) = VENUE.instrument_requests(VENUE.endpoints, ["spot"])

    spot, inverse, dated = VENUE.parse_instruments(request, json.dumps(body).encode())

    assert (spot.symbol, spot.contract_size, spot.tick_size, spot.active) == ("BTC/USDT", 1.0, 0.1, True)
    assert (inverse.symbol, inverse.contract_size, inverse.inverse) == ("BTC/USD:BTC", 100.0, True)
    assert (dated.symbol, dated.contract_size, dated.inverse) == ("BTC/USDT:USDT-261225", 0.01, False)
    assert [VENUE.market_of(each.symbol) for each in (spot, inverse, dated)] == ["spot", "swap", "futures"]
    with pytest.raises(UnknownSymbol):
        VENUE.market_of("BTCUSDT")
