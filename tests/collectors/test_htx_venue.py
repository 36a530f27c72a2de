"""HTX: every recording accounted for, gzip, contracts to base units, mbp and high_freq rules, pings, notifications, healing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from collectors.decode import Decoding, decode_files
from collectors.errors import FrameError, UnknownSymbol
from collectors.recording import Line, open_recording, parse
from collectors.registry import exchange_of, venue
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Outcome, Reconnect, Stream, Wanted
from collectors.venues.htx import VENUE
from tests.collectors.answering import Answering

T0 = 1_785_640_000_000_000
MS = T0 // 1000
FILES = ("linear_swap_depth_step0_trade_20220219.jsonl.gz", "message_samples.jsonl", "spot_depth_step0_trade_20210417.jsonl.gz")
BTC = Instrument(exchange="htx", symbol="BTC/USDT", native="btcusdt", market="spot", base="BTC", quote="USDT")
SWAP = Instrument(
    exchange="htx", symbol="BTC/USDT:USDT", native="BTC-USDT", market="linear", base="BTC", quote="USDT", settle="USDT", contract_size=0.001
)
INSTRUMENTS = {each.symbol: each for each in (BTC, SWAP)}


@pytest.mark.parametrize("name", FILES)
def test_every_frame_is_accounted_for_and_none_is_dead(recordings: Path, name: str) -> None:
    decoding = decode_files("htx", [recordings / "htx" / name])
    report = decoding.report(decoding.tables())
    assert report.frames == report.control + report.ignored + report.decoded > 0
    assert decoding.dead == []
    # The samples are single frames of several runs: one high_freq update does not follow the snapshot before it.
    assert report.gaps == (1 if name.startswith("message") else 0)


def test_no_recording_is_left_out(recordings: Path) -> None:
    assert {path.name for path in (recordings / "htx").iterdir()} == set(FILES)


@pytest.mark.parametrize("name", [FILES[0], FILES[2]])
def test_full_books_never_cross(recordings: Path, name: str) -> None:
    decoding = Decoding("huobi")
    seen = 0
    with open_recording(recordings / "htx" / name) as lines:
        for number, raw in enumerate(lines, start=1):
            decoding.take(parse(raw, where=name), file=name, number=number)
            for feed in decoding.session.books().values():
                bids, asks = feed.book.columns(1)
                seen += 1
                assert not (bids[0] and asks[0]) or bids[0][0] < asks[0][0], f"line {number}: {feed.symbol}"
    assert seen > 1000
    assert all(feed.live for feed in decoding.session.books().values())


def test_contracts_become_base_units_by_the_recorded_list(recordings: Path) -> None:
    decoding = decode_files("htx", [recordings / "htx" / FILES[0]])
    tables = decoding.tables()
    sold = [row for row in tables["trades"].to_pylist() if row["symbol"] == "GRT/USDT:USDT" and row["side"] == "buy"]
    # Four contracts of ten.
    assert (sold[0]["trade_id"], sold[0]["amount"], sold[0]["price"]) == ("431311833130000", 40.0, 0.41912)
    first = next(row for row in tables["book_deltas"].to_pylist() if row["symbol"] == "GRT/USDT:USDT")
    assert (first["side"], first["price"], first["amount"], first["is_snapshot"]) == ("bid", 0.41887, 2500.0, True)


def test_spot_trades_keep_their_trade_id_and_side(recordings: Path) -> None:
    decoding = decode_files("htx", [recordings / "htx" / FILES[2]])
    row = next(row for row in decoding.tables()["trades"].to_pylist() if row["symbol"] == "TRIO/ETH")
    assert (row["trade_id"], row["side"], row["price"], row["amount"]) == ("100045088885", "buy", 9.2e-07, 20995.88)


def test_ids_beyond_64_bits_inverse_contracts_and_a_missing_side(recordings: Path) -> None:
    decoding = decode_files("htx", [recordings / "htx/message_samples.jsonl"])
    trades = {row["trade_id"]: row for row in decoding.tables()["trades"].to_pylist()}
    assert trades["10020171792852100010452"]["symbol"] == "XMR/BTC"
    # Eight contracts of ten dollars at 177.3.
    assert trades["95306843320000"]["amount"] == pytest.approx(80 / 177.3)
    assert trades["842306997050000"]["symbol"] == "BTC/USD:BTC"
    assert "1186558919990000" not in trades
    assert decoding.events.writers["htx", "htx-recorded"].trades.discarded == {"no side": 1}


def test_forced_orders_have_the_side_of_the_order(recordings: Path) -> None:
    decoding = decode_files("htx", [recordings / "htx/message_samples.jsonl"])
    rows = decoding.tables()["liquidations"].to_pylist()
    linear = next(row for row in rows if row["symbol"] == "BTC/USDT:USDT")
    assert (linear["side"], linear["amount"], linear["price"], linear["value_usd"]) == ("sell", 0.227, 23350.5, 5300.5635)
    assert linear["sampled"] is None
    inverse = next(row for row in rows if row["symbol"] == "BTC/USD:BTC-200703" and row["side"] == "buy")
    assert inverse["amount"] == pytest.approx(218 * 100 / 9244.08)


def test_states_of_contracts(recordings: Path) -> None:
    decoding = decode_files("htx", [recordings / "htx/message_samples.jsonl"])
    rows = [row for row in decoding.tables()["derivatives"].to_pylist() if row["symbol"] == "BTC/USDT:USDT"]
    assert [row["funding_rate"] for row in rows if row["funding_rate"]] == [0.000754108135233895, 0.0001]
    assert [row["index_price"] for row in rows if row["index_price"]] == [19695.41]


class Socket(Answering):
    def __init__(self, role: str, *, channels: tuple[str, ...] = VENUE.channels, events: EventBuffer | None = None, at: int = T0) -> None:
        self.events = events or EventBuffer()
        wanted = Wanted(symbols=("BTC/USDT", "BTC/USDT:USDT"), channels=channels, depth=150)
        self.plan = next(plan for plan in VENUE.plan(wanted, INSTRUMENTS) if plan.name == f"htx-{role}-0")
        self.session = VENUE.session(self.plan, self.events, wanted)
        self.now = at
        self.session.opened(at)
        self.opening = self.commands()

    def feed(self, **frame: Any) -> Outcome:
        self.now += 10_000
        return self.session.feed(gzip.compress(json.dumps(frame).encode()), self.now)

    def mbp(self, previous: int, sequence: int, bids: list[list[float]] | None = None, asks: list[list[float]] | None = None) -> Outcome:
        tick = {"seqNum": sequence, "prevSeqNum": previous, "bids": bids, "asks": asks or []}
        return self.feed(ch="market.btcusdt.mbp.150", ts=self.now // 1000, tick=tick)

    def snapshot(self, sequence: int) -> Outcome:
        data = {"seqNum": sequence, "bids": [[100, 1]], "asks": [[101, 1]]}
        return self.feed(rep="market.btcusdt.mbp.150", id="r", status="ok", ts=self.now // 1000, data=data)

    def swap(self, event: str, version: int, bids: list[list[float]]) -> Outcome:
        channel = "market.BTC-USDT.depth.size_150.high_freq"
        return self.feed(ch=channel, ts=self.now // 1000, tick={"event": event, "version": version, "bids": bids, "asks": None, "ts": MS})


def test_each_kind_of_topic_has_its_path() -> None:
    urls = {
        Socket(role).plan.url: [list(each.values())[:2] for each in Socket(role).opening] for role in ("spot", "feed", "linear", "index")
    }
    assert urls == {
        "wss://api.htx.com/ws": [["market.btcusdt.trade.detail", "1"]],
        "wss://api.htx.com/feed": [["market.btcusdt.mbp.150", "1"]],
        "wss://api.hbdm.com/linear-swap-ws": [["market.BTC-USDT.trade.detail", "1"], ["market.BTC-USDT.depth.size_150.high_freq", "2"]],
        "wss://api.hbdm.com/ws_index": [["market.BTC-USDT.mark_price.1min", "1"], ["market.BTC-USDT.basis.1min.close", "2"]],
    }
    assert Socket("linear").opening[1]["data_type"] == "incremental"
    assert Socket("notification").opening == [
        {"op": "sub", "cid": "1", "topic": "public.*.liquidation_orders"},
        {"op": "sub", "cid": "2", "topic": "public.*.funding_rate"},
    ]


def test_pings_are_answered_with_their_own_number_in_plain_text() -> None:
    socket = Socket("spot")
    assert socket.feed(ping=1764000000000) is Outcome.CONTROL
    assert socket.commands() == [{"pong": 1764000000000}]
    notified = Socket("notification")
    notified.feed(op="ping", ts="1764000000000")
    assert notified.commands() == [{"op": "pong", "ts": "1764000000000"}]


def test_an_mbp_book_asks_for_its_snapshot_on_the_socket_and_follows() -> None:
    socket = Socket("feed")
    socket.mbp(5, 9, bids=[[99, 2]])
    assert socket.commands() == [{"req": "market.btcusdt.mbp.150", "id": "snapshot-btcusdt"}]
    socket.mbp(9, 12, asks=[[102, 3]])
    assert socket.snapshot(9) is Outcome.DECODED
    feed = socket.session.book_feeds["BTC/USDT"]
    assert feed.live
    assert feed.book.levels() == ([(100.0, 1.0)], [(101.0, 1.0), (102.0, 3.0)])
    socket.mbp(12, 13, bids=[[100, 0]])
    assert feed.book.levels()[0] == []
    assert socket.rows("gaps") == []


def test_an_old_snapshot_is_asked_for_again_and_a_gap_begins_anew() -> None:
    socket = Socket("feed")
    socket.mbp(5, 9)
    socket.commands()
    socket.snapshot(3)
    assert not socket.session.diff_books["BTC/USDT"].feed.live
    socket.session.tick(socket.now + 1_500_000)
    assert [next(iter(each)) for each in socket.commands()] == ["req"]
    socket.snapshot(9)
    socket.mbp(9, 10)
    socket.mbp(12, 14)
    (gap,) = socket.rows("gaps")
    assert (gap["kind"], gap["from_sequence"], gap["healed_at"]) == ("sequence", 10, None)
    assert len(socket.commands()) == 1
    socket.snapshot(12)
    assert [row["healed_by"] for row in socket.rows("gaps")] == ["snapshot"]


def test_a_snapshot_that_never_comes_is_asked_for_again() -> None:
    socket = Socket("feed")
    socket.mbp(5, 9)
    socket.commands()
    socket.session.tick(socket.now + 11_000_000)
    socket.session.tick(socket.now + 13_000_000)
    assert [next(iter(each)) for each in socket.commands()] == ["req"]
    assert socket.feed(rep="market.btcusdt.mbp.150", id="r", status="ok", data=None) is Outcome.CONTROL


def test_a_swap_book_counts_versions_and_holds_base_units() -> None:
    socket = Socket("linear")
    socket.swap("snapshot", 7, [[91250.7, 33]])
    socket.swap("update", 8, [[91250.6, 12]])
    assert socket.session.book_feeds["BTC/USDT:USDT"].book.levels()[0] == [(91250.7, 0.033), (91250.6, 0.012)]
    socket.swap("update", 8, [[91250.6, 99]])
    assert socket.rows("gaps") == []
    socket.swap("update", 10, [])
    assert [next(iter(each)) for each in socket.commands()] == ["unsub", "sub"]
    assert [row["to_sequence"] for row in socket.rows("gaps")] == [10]
    socket.swap("snapshot", 20, [[91250.7, 1]])
    assert [row["healed_by"] for row in socket.rows("gaps")] == ["snapshot"]


def test_full_depth_frames_stand_back_while_an_incremental_book_lives() -> None:
    decoding = Decoding("htx")
    tick = {"bids": [[1, 1]], "asks": [[2, 1]], "ts": MS}

    def take(**frame: Any) -> None:
        decoding.take(Line(T0 / 1e6, "in", None, raw=json.dumps(frame)), file="", number=1)

    take(ch="market.btcusdt.mbp.150", ts=MS, tick={"seqNum": 5, "prevSeqNum": 4, "bids": []})
    take(rep="market.btcusdt.mbp.150", status="ok", data={"seqNum": 5, "bids": [[1, 3]], "asks": [[2, 3]]})
    take(ch="market.btcusdt.depth.step0", ts=MS, tick={**tick, "version": 9})
    assert decoding.session.books()["BTC/USDT"].book.levels() == ([(1.0, 3.0)], [(2.0, 3.0)])
    take(ch="market.ethusdt.depth.step0", ts=MS, tick={**tick, "version": 9})
    take(ch="market.ethusdt.depth.step0", ts=MS, update=True, tick={"bids": [[1, 0]], "version": 10})
    assert decoding.session.books()["ETH/USDT"].book.levels() == ([], [(2.0, 1.0)])
    assert decoding.dead == []


def test_trades_missed_while_the_socket_was_gone_are_fetched() -> None:
    def trade(number: int, at: int, **more: Any) -> dict[str, Any]:
        return {"id": number, "ts": at, "amount": 0.1, "price": 91000, "direction": "sell", **more}

    first = Socket("spot")
    first.feed(ch="market.btcusdt.trade.detail", ts=MS, tick={"data": [trade(1, MS, tradeId=10)]})
    first.session.closed(first.now)
    second = Socket("spot", events=first.events, at=first.now + 60_000_000)
    # The venue repeats its last trades on subscribe; that they are known says nothing.
    second.feed(ch="market.btcusdt.trade.detail", ts=MS, tick={"data": [trade(1, MS, tradeId=10)]})
    second.feed(id="1", status="ok", subbed="market.btcusdt.trade.detail", ts=MS)
    second.session.tick(second.now)
    assert not any(isinstance(action, HttpGet) for action in second.session.actions)
    second.feed(ch="market.btcusdt.trade.detail", ts=MS, tick={"data": [trade(4, MS + 9, tradeId=13)]})
    (request,) = [action for action in second.session.actions if isinstance(action, HttpGet)]
    assert request.url == "https://api.htx.com/market/history/trade?symbol=btcusdt&size=2000"
    groups = [
        {"data": [{**trade(4, MS + 9), "trade-id": 13}]},
        {"data": [{**trade(3, MS + 5), "trade-id": 12}]},
        {"data": [{**trade(2, MS - 5), "trade-id": 9}, {**trade(1, MS), "trade-id": 10}]},
    ]
    second.session.feed_http(request, json.dumps({"status": "ok", "data": groups}).encode(), second.now)
    drained = second.events.drain()
    landed = [(row["trade_id"], row["source"]) for row in drained["trades"].to_pylist()]
    assert landed == [("10", "stream"), ("13", "stream"), ("9", "rest"), ("12", "rest")]
    assert drained["gaps"].to_pylist()[-1]["healed_by"] == "rest"


def test_behind_frames_nobody_can_read_the_newest_trades_are_fetched() -> None:
    socket = Socket("spot")
    socket.feed(ch="market.btcusdt.trade.detail", ts=MS, tick={"data": [{"id": 1, "ts": MS, "amount": 1, "price": 2, "direction": "buy"}]})
    for _ in range(2):
        with pytest.raises(FrameError):
            socket.session.feed(b"\x00\xff", socket.now)
    socket.session.tick(socket.now + 400_000)
    found = [action.url for action in socket.session.actions if isinstance(action, HttpGet)]
    assert found == ["https://api.htx.com/market/history/trade?symbol=btcusdt&size=2000"]


def test_numbers_that_start_over_are_a_gap_and_repeated_ones_are_none() -> None:
    spot = Socket("feed")
    spot.mbp(5, 6, bids=[[99, 1]])
    spot.snapshot(5)
    spot.mbp(5, 6, bids=[[99, 1]])
    spot.mbp(6, 7)
    assert spot.rows("gaps") == []
    spot.commands()
    spot.mbp(7, 3)
    assert [row["kind"] for row in spot.rows("gaps")] == ["sequence"]
    assert spot.commands() == [{"req": "market.btcusdt.mbp.150", "id": "snapshot-btcusdt"}]
    swap = Socket("linear")
    swap.swap("snapshot", 10, [[99, 1]])
    swap.swap("update", 11, [[98, 1]])
    swap.swap("update", 11, [[98, 1]])
    assert swap.rows("gaps") == []
    swap.swap("update", 1, [[97, 1]])
    assert [row["kind"] for row in swap.rows("gaps")] == ["sequence"]
    channel = "market.BTC-USDT.depth.size_150.high_freq"
    assert [next(iter(command.items())) for command in swap.commands()] == [("unsub", channel), ("sub", channel)]


def test_levels_pushed_beyond_the_depth_land_as_deleted() -> None:
    socket = Socket("linear")
    name = "market.BTC-USDT.depth.size_20.high_freq"

    def take(event: str, version: int, bids: list[list[float]]) -> None:
        tick = {"event": event, "version": version, "bids": bids, "asks": [[200, 1000]], "ts": MS}
        socket.feed(ch=name, ts=MS, tick=tick)

    take("snapshot", 1, [[100 - place, 1000] for place in range(21)])
    take("update", 2, [[101, 2000], [95, 0]])
    take("update", 3, [[102, 1000], [103, 1000]])
    feed = socket.session.book_feeds["BTC/USDT:USDT"]
    assert [price for price, _ in feed.book.levels()[0]] == [103, 102, 101, 100, 99, 98, 97, 96, 94, *range(93, 82, -1)]
    rows = [row for row in socket.rows("book_deltas") if not row["is_snapshot"] and row["side"] == "bid"]
    assert [(row["price"], row["amount"]) for row in rows] == [
        *((101.0, 2.0), (95.0, 0.0)),
        *((102.0, 1.0), (103.0, 1.0), (82.0, 0.0), (81.0, 0.0)),
    ]


def test_a_refused_topic_is_a_refused_stream_once_none_of_its_topics_is_left() -> None:
    spot = Socket("spot")
    spot.feed(ts=MS, status="error", **{"err-code": "bad-request", "err-msg": "invalid trade.detail.symbol btcusdt"}, id="1")
    assert spot.events.continuity("htx").refusals["BTC/USDT", "trades"].reason == "invalid trade.detail.symbol btcusdt"
    assert [(row["channel"], row["kind"]) for row in spot.rows("gaps")] == [("trades", "stall")]
    index = Socket("index")
    for number in ("1", "2"):
        assert index.events.continuity("htx").refusals == {}
        index.feed(ts=MS, status="error", **{"err-code": "bad-request", "err-msg": "no"}, id=number)
    assert list(index.events.continuity("htx").refusals) == [("BTC/USDT:USDT", "derivatives")]
    index.feed(id="1", subbed="market.BTC-USDT.mark_price.1min", ts=MS, status="ok")
    assert index.events.continuity("htx").refusals == {}
    notification = Socket("notification")
    notification.feed(op="sub", cid="1", topic="public.*.liquidation_orders", ts=MS, **{"err-code": 2011, "err-msg": "no such topic"})
    assert list(notification.events.continuity("htx").refusals) == [("BTC/USDT:USDT", "liquidations")]


def test_a_silent_stream_is_subscribed_anew_alone() -> None:
    socket = Socket("linear")
    assert socket.session.resubscribe([Stream("trades", "BTC/USDT:USDT")]) == [Stream("trades", "BTC/USDT:USDT")]
    topics = [next(iter(command.items())) for command in socket.commands()]
    assert topics == [("unsub", "market.BTC-USDT.trade.detail"), ("sub", "market.BTC-USDT.trade.detail")]


def test_open_interest_is_asked_for_each_minute_and_only_wanted_contracts_land() -> None:
    socket = Socket("index")
    socket.session.tick(socket.now)
    (request,) = [action for action in socket.session.actions if isinstance(action, HttpGet)]
    rows = [{"contract_code": "BTC-USDT", "volume": 5000, "amount": 5.0}, {"contract_code": "ETH-USDT", "volume": 1, "amount": 1.0}]
    socket.session.feed_http(request, json.dumps({"status": "ok", "data": rows, "ts": MS}).encode(), socket.now)
    socket.feed(ch="market.BTC-USDT.mark_price.1min", ts=MS, tick={"id": MS // 1000, "close": "91000.5"})
    assert [(row["open_interest"], row["mark_price"]) for row in socket.rows("derivatives")] == [(5.0, None), (None, 91000.5)]


def test_a_liquidation_without_a_price_is_told_by_its_turnover_and_repeats_count_once() -> None:
    socket = Socket("notification")
    row = {
        "contract_code": "BTC-USDT",
        "direction": "buy",
        "offset": "close",
        "volume": 2,
        "price": 0,
        "created_at": MS,
        "amount": 0.002,
        "trade_turnover": 126.0,
    }
    for _ in range(2):
        assert socket.feed(op="notify", topic="public.*.liquidation_orders", ts=MS, data=[row]) is Outcome.DECODED
    assert (
        socket.feed(op="notify", topic="public.*.liquidation_orders", ts=MS, data=[{**row, "contract_code": "X-USDT"}]) is Outcome.IGNORED
    )
    assert [(each["side"], each["price"], each["amount"], each["value_usd"]) for each in socket.rows("liquidations")] == [
        ("buy", 63000.0, 0.002, 126.0)
    ]


def test_a_socket_without_pings_is_given_up() -> None:
    socket = Socket("spot")
    socket.session.tick(socket.now + 19_000_000)
    assert socket.session.actions == []
    socket.session.tick(socket.now + 21_000_000)
    assert isinstance(socket.session.actions[0], Reconnect)


@pytest.mark.parametrize(
    "frame",
    [
        b"\x1f\x8b\x00",
        gzip.compress(b'{"ping":1}')[:-6],
        b"{",
        b'{"ch":"market.btcusdt.trade.detail","tick":{"data":[{"id":1,"ts":1785640000000,"amount":1,"price":0,"direction":"buy"}]}}',
        b'{"ch":"market.btcusdt.mbp.150","ts":1785640000000,"tick":{"bids":[[1,1]]}}',
        b'{"op":"notify","topic":"public.*.liquidation_orders","data":[{"contract_code":"BTC-USDT","direction":"long","volume":1,"price":1,"created_at":1785640000000}]}',
        b'{"ch":"market.btcusdt.mbp.150","ts":1785640000000,"tick":{"seqNum":99999999999999999999,"prevSeqNum":1}}',
        b'{"subbed":"market.\xff"}',
    ],
    ids=["gzip", "cut", "json", "price", "sequence", "side", "number", "text"],
)
def test_a_frame_that_cannot_be_right_is_a_frame_error(frame: bytes) -> None:
    session = VENUE.recorded_session(EventBuffer())
    with pytest.raises(FrameError):
        session.feed(None, frame, T0)


def test_instruments_by_long_and_short_keys_and_contracts() -> None:
    spot, linear = VENUE.instrument_requests(VENUE.endpoints, ["spot", "linear"])
    long = {
        "base-currency": "btc",
        "quote-currency": "usdt",
        "price-precision": 2,
        "amount-precision": 6,
        "symbol": "btcusdt",
        "state": "online",
    }
    short = {"sc": "ethhusd", "bc": "eth", "qc": "husd", "tpp": 2, "tap": 4, "state": "offline"}
    listed = VENUE.parse_instruments(spot, json.dumps({"status": "ok", "data": [long, short]}).encode())
    assert [(each.symbol, each.tick_size, each.active) for each in listed] == [("BTC/USDT", 0.01, True), ("ETH/HUSD", 0.01, False)]
    row = {"symbol": "BTC", "contract_code": "BTC-USDT-211231", "contract_size": 0.001, "price_tick": 0.1, "contract_status": 1}
    (dated,) = VENUE.parse_instruments(linear, json.dumps({"status": "ok", "data": [row]}).encode())
    assert (dated.symbol, dated.market, dated.contract_size) == ("BTC/USDT:USDT-211231", "linear", 0.001)
    with pytest.raises(FrameError):
        VENUE.parse_instruments(linear, b'{"status":"error"}')


def test_markets_aliases_and_hosts() -> None:
    assert (VENUE.market_of("BTC/USDT"), VENUE.market_of("BTC/USDT:USDT")) == ("spot", "linear")
    with pytest.raises(UnknownSymbol):
        VENUE.market_of("BTC/USD:BTC")
    assert venue("huobi") is VENUE
    assert {exchange_of(url) for url in ("wss://api.huobi.pro/ws", "wss://api.hbdm.com/linear-swap-ws", "wss://api.htx.com/feed")} == {
        "htx"
    }
