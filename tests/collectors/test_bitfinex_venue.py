"""Bitfinex: every recording accounted for, checksums over the wire's spelling, te and tu, sides of forced closings, live sessions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from collectors.decode import Decoding, decode_files
from collectors.errors import FrameError, UnknownSymbol
from collectors.recording import Line, open_recording, parse
from collectors.registry import exchange_of
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Outcome, Reconnect, SendText, Wanted
from collectors.venues.bitfinex import VENUE
from collectors.venues.bitfinex.instruments import Names, parse_conf
from tests.collectors.answering import Answering

T0 = 1_785_640_000_000_000
MS = T0 // 1000
FILES = (
    "message_samples.jsonl",
    "rest_conf_lists_20210417.jsonl",
    "v2_book_checksum_vectors.jsonl",
    "v2_book_trades_ticker_20250815.jsonl.gz",
    "v2_book_trades_ticker_seq_20210405.jsonl.gz",
)
STREAMS = FILES[3:]
BTC = Instrument(exchange="bitfinex", symbol="BTC/USDT", native="tBTCUST", market="spot", base="BTC", quote="USDT")
PERP = Instrument(
    exchange="bitfinex", symbol="BTC/USDT:USDT", native="tBTCF0:USTF0", market="perp", base="BTC", quote="USDT", settle="USDT"
)
INSTRUMENTS = {each.symbol: each for each in (BTC, PERP)}


@pytest.mark.parametrize("name", FILES)
def test_every_frame_is_accounted_for_and_none_is_dead(recordings: Path, name: str) -> None:
    decoding = decode_files("bitfinex", [recordings / "bitfinex" / name])
    report = decoding.report(decoding.tables())
    assert report.frames == report.control + report.ignored + report.decoded > 0
    assert (decoding.dead, report.gaps, report.checksums.failed) == ([], 0, 0)


def test_no_recording_is_left_out(recordings: Path) -> None:
    assert {path.name for path in (recordings / "bitfinex").iterdir()} == set(FILES)


@pytest.mark.parametrize("name", STREAMS)
def test_books_never_cross(recordings: Path, name: str) -> None:
    decoding = Decoding("bitfinex")
    taken = 0
    with open_recording(recordings / "bitfinex" / name) as lines:
        for number, raw in enumerate(lines, start=1):
            decoding.take(parse(raw, where=name), file=name, number=number)
            for feed in decoding.session.books().values():
                if feed.updates != taken and feed.live:
                    bids, asks = feed.book.columns(1)
                    assert not (bids[0] and asks[0]) or bids[0][0] < asks[0][0], f"line {number}: {feed.symbol}"
            taken = sum(feed.updates for feed in decoding.session.books().values())
    assert taken > 3000
    assert all(feed.live for feed in decoding.session.books().values())


def test_checksums_over_the_wires_spelling_verify_exponents_included(recordings: Path) -> None:
    decoding = decode_files("bitfinex", [recordings / "bitfinex/v2_book_checksum_vectors.jsonl"])
    assert (decoding.session.checksums.verified, decoding.session.checksums.failed) == (1, 0)
    # The second case ends without its cs frame: send it.
    decoding.take(Line(None, "in", "wss://api-pub.bitfinex.com/ws/2", raw='[123,"cs",1770440002]'), file="", number=1)
    assert (decoding.session.checksums.verified, decoding.session.checksums.failed) == (2, 0)


def test_known_totals_of_a_numbered_recording(recordings: Path) -> None:
    report = (decoding := decode_files("bitfinex", [recordings / "bitfinex" / STREAMS[1]])).report(decoding.tables())
    assert set(report.symbols) == {"CHZ/USDT", "ETH/JPY", "ETH2X/ETH", "GTX/USDT", "KNC/BTC", "LRC/BTC", "REQ/USD", "ZRX/ETH"}
    assert sum(each.book.updates for each in report.symbols.values()) == 22466
    # Eight snapshots of thirty, and eight trades that each came as te and as tu.
    assert report.rows["trades"] == 248
    assert decoding.events.writers["bitfinex", "bitfinex-recorded"].trades.duplicates == 8


def test_sides_of_real_trades_follow_the_sign(recordings: Path) -> None:
    decoding = decode_files("bitfinex", [recordings / "bitfinex" / STREAMS[0]])
    trades = {row["trade_id"]: row for row in decoding.tables()["trades"].to_pylist()}
    bought = trades["1795583311"]
    assert (bought["side"], bought["price"], bought["amount"]) == ("buy", 118950.0, 0.00014761)
    assert {row["side"] for row in trades.values()} == {"buy", "sell"}
    assert not any(row["symbol"].startswith("f") for row in trades.values())


def test_forced_closings_name_the_position_and_executions_are_left_out(recordings: Path) -> None:
    decoding = decode_files("bitfinex", [recordings / "bitfinex/message_samples.jsonl"])
    rows = {row["liquidation_id"]: row for row in decoding.tables()["liquidations"].to_pylist()}
    assert set(rows) == {"143683674", "143679087"}
    long, short = rows["143683674"], rows["143679087"]
    assert (long["symbol"], long["side"], long["price"], long["amount"]) == ("BTC/USDT:USDT", "sell", 9080.0, 0.00268657)
    assert (short["symbol"], short["side"], short["price"], short["amount"]) == ("ETH/USDT:USDT", "buy", 222.248906484356, 8.6007)
    assert long["sampled"] is None


def test_derivative_status_of_several_ages(recordings: Path) -> None:
    decoding = decode_files("bitfinex", [recordings / "bitfinex/message_samples.jsonl"])
    rows = decoding.tables()["derivatives"].to_pylist()
    assert [row["funding_rate"] for row in rows] == [None, 0.00196337, 0.0, 0.0]
    assert [row["mark_price"] for row in rows][2:] == [8196.973333333333, 8208.893333333333]
    assert rows[0]["index_price"] == 173.57


def test_codes_become_names() -> None:
    names = Names()
    assert [names.symbol(native) for native in ("tBTCUST", "tDOGE:USD", "tBTCF0:USTF0", "tDOTF0:BTCF0", "tDSHBTC")] == [
        "BTC/USDT",
        "DOGE/USD",
        "BTC/USDT:USDT",
        "DOT/BTC:BTC",
        "DASH/BTC",
    ]


def test_the_venues_own_map_of_codes_rules_and_test_pairs_are_left_out() -> None:
    (request,) = VENUE.instrument_requests(VENUE.endpoints, ["spot", "perp"])
    assert request.url == "https://api-pub.bitfinex.com/v2/conf/pub:info:pair,pub:info:pair:futures,pub:map:currency:sym"
    spot = [["BTCUST", [None, None, None, "0.00004", "2000"]], ["GTXUST", [None]], ["TESTBTC:TESTUSD", [None]]]
    body = json.dumps([spot, [["BTCF0:USTF0", [None]]], [["GTX", "GT"], ["UST", "USDt"]]]).encode()
    listed = VENUE.parse_instruments(request, body)
    assert [(each.symbol, each.native, each.market) for each in listed] == [
        ("BTC/USDT", "tBTCUST", "spot"),
        ("GT/USDT", "tGTXUST", "spot"),
        ("BTC/USDT:USDT", "tBTCF0:USTF0", "perp"),
    ]
    with pytest.raises(FrameError):
        parse_conf(request.url, b"[[]]", Names())


class Socket(Answering):
    def __init__(
        self, *symbols: str, channels: tuple[str, ...] = ("trades", "book"), events: EventBuffer | None = None, at: int = T0
    ) -> None:
        self.events = events or EventBuffer()
        wanted = Wanted(symbols=symbols or ("BTC/USDT",), channels=channels, depth=25)
        self.plan = VENUE.plan(wanted, INSTRUMENTS)[-1]
        self.session = VENUE.session(self.plan, self.events, wanted)
        self.now = at
        self.session.opened(at)
        self.opening = self.commands()
        self.sequence = 0

    def feed(self, *frame: Any, skip: int = 0) -> Outcome:
        self.now += 10_000
        self.sequence += 1 + skip
        return self.session.feed(json.dumps([*frame, self.sequence, self.now // 1000]), self.now)

    def event(self, **event: Any) -> None:
        assert self.session.feed(json.dumps(event), self.now) is Outcome.CONTROL

    def subscribed(self) -> Socket:
        self.event(event="subscribed", channel="trades", chanId=1, symbol="tBTCUST", pair="BTCUST")
        self.event(event="subscribed", channel="book", chanId=2, symbol="tBTCUST", prec="P0", freq="F0", len="25")
        return self


def test_a_socket_is_configured_before_it_subscribes() -> None:
    conf, trades, book = Socket().opening
    assert conf == {"event": "conf", "flags": 229376}
    assert trades == {"event": "subscribe", "channel": "trades", "symbol": "tBTCUST"}
    assert book == {"event": "subscribe", "channel": "book", "symbol": "tBTCUST", "prec": "P0", "freq": "F0", "len": "25"}


def test_the_plan_keeps_below_the_venues_channels_and_closings_have_their_own_socket() -> None:
    many = {
        f"A{n}/USD": Instrument(exchange="bitfinex", symbol=f"A{n}/USD", native=f"tA{n}:USD", market="spot", base="A", quote="USD")
        for n in range(30)
    }
    wanted = Wanted(symbols=tuple(many), channels=VENUE.channels)
    plans = VENUE.plan(wanted, many)
    assert [len(plan.streams) for plan in plans] == [24, 24, 12, 30]
    closings = VENUE.session(plans[-1], EventBuffer(), wanted)
    closings.opened(T0)
    assert [json.loads(a.text).get("key") for a in closings.actions if isinstance(a, SendText)] == [None, "liq:global"]
    with pytest.raises(UnknownSymbol):
        VENUE.plan(Wanted(symbols=("X/USD",), channels=("trades",)), many)


def test_te_and_tu_of_a_trade_land_once() -> None:
    socket = Socket().subscribed()
    socket.feed(1, [[12, MS, 0.5, 91000], [11, MS, -0.25, 90999]])
    socket.feed(1, "te", [13, MS, -0.05, 91248])
    socket.feed(1, "tu", [13, MS, -0.05, 91248])
    assert [(row["trade_id"], row["side"], row["amount"]) for row in socket.rows("trades")] == [
        ("11", "sell", 0.25),
        ("12", "buy", 0.5),
        ("13", "sell", 0.05),
    ]


def test_count_zero_deletes_whatever_the_amount_says() -> None:
    socket = Socket().subscribed()
    socket.feed(2, [[100, 1, 2.0], [101, 1, -3.0]])
    socket.feed(2, [99, 2, 4.0])
    socket.feed(2, [100, 0, 1])
    feed = socket.session.book_feeds["BTC/USDT"]
    assert feed.book.levels() == ([(99.0, 4.0)], [(101.0, 3.0)])
    assert [(row["price"], row["amount"], row["sequence"]) for row in socket.rows("book_deltas")][2:] == [(99.0, 4.0, 2), (100.0, 0.0, 3)]


def test_a_checksum_mismatch_subscribes_that_book_anew_and_late_frames_are_ignored() -> None:
    socket = Socket().subscribed()
    socket.feed(2, [[100, 1, 2.0], [101, 1, -3.0]])
    right = crc32(b"100:2.0:101:-3.0")
    assert socket.feed(2, "cs", right - (1 << 32) if right >= 1 << 31 else right) is Outcome.DECODED
    assert socket.session.checksums.verified == 1
    socket.feed(2, "cs", 7)
    unsubscribe, subscribe = socket.commands()
    assert unsubscribe == {"event": "unsubscribe", "chanId": 2}
    assert (subscribe["channel"], subscribe["symbol"]) == ("book", "tBTCUST")
    assert socket.feed(2, [99, 1, 1.0]) is Outcome.IGNORED
    assert [(row["kind"], row["healed_at"]) for row in socket.rows("gaps")] == [("checksum", None)]
    socket.event(event="subscribed", channel="book", chanId=3, symbol="tBTCUST", prec="P0", freq="F0", len="25")
    socket.feed(3, [[100, 1, 2.0], [101, 1, -3.0]])
    assert [row["healed_by"] for row in socket.rows("gaps")] == ["snapshot"]


def test_without_checksums_a_sequence_gap_loses_every_book_and_asks_for_a_fresh_socket() -> None:
    socket = Socket().subscribed()
    socket.feed(1, "te", [13, MS, -0.05, 91248])
    socket.feed(2, [[100, 1, 2.0], [101, 1, -3.0]])
    socket.feed(1, "hb")
    assert socket.session.actions == []
    socket.feed(1, "hb", skip=1)
    (reconnect,) = socket.session.actions
    assert isinstance(reconnect, Reconnect)
    assert sorted((row["channel"], row["kind"]) for row in socket.rows("gaps")) == [("book_deltas", "sequence"), ("trades", "sequence")]


def checked() -> Socket:
    """A socket with a book, a trade and checksums."""
    socket = Socket().subscribed()
    socket.event(event="conf", status="OK", flags=229376)
    socket.feed(1, "te", [13, MS, -0.05, 91248])
    socket.feed(2, [[100, 1, 2.0], [101, 1, -3.0]])
    return socket


def signed(text: str) -> int:
    found = crc32(text.encode())
    return found - (1 << 32) if found >= 1 << 31 else found


def calm(socket: Socket) -> list[dict[str, Any]]:
    """Commands once no more frames were lost for a while."""
    socket.now += 3_000_000
    socket.session.tick(socket.now)
    found = [json.loads(action.text) for action in socket.session.actions if isinstance(action, SendText)]
    socket.session.actions.clear()
    return found


def test_with_checksums_one_lost_frame_costs_the_trades_nothing_and_books_go_on_until_a_new_snapshot_replaces_them() -> None:
    socket = checked()
    socket.feed(1, "hb", skip=1)
    socket.feed(2, "cs", signed("100:2.0:101:-3.0"))
    socket.feed(2, [99, 1, 1.0])
    assert socket.session.actions == []
    assert socket.rows("gaps") == []
    assert [(each["event"], each.get("channel")) for each in calm(socket)] == [("unsubscribe", None), ("subscribe", "book")]
    socket.event(event="subscribed", channel="book", chanId=3, symbol="tBTCUST", prec="P0", freq="F0", len="25")
    socket.feed(3, [[100, 1, 2.0], [101, 1, -3.0]])
    assert {(row["channel"], row["kind"], row["healed_by"]) for row in socket.rows("gaps")} == {
        ("book_deltas", "sequence", None),
        ("book_deltas", "sequence", "snapshot"),
    }


def test_a_checksum_after_a_loss_tells_which_book_it_was() -> None:
    socket = checked()
    socket.feed(1, "hb", skip=1)
    socket.feed(2, "cs", signed("100:2.5:101:-3.0"))
    assert [(row["channel"], row["kind"]) for row in socket.rows("gaps")] == [("book_deltas", "sequence")]
    unsubscribe, subscribe = (json.loads(action.text) for action in socket.session.actions)
    assert (unsubscribe["chanId"], subscribe["channel"]) == (2, "book")


def test_a_loss_that_a_later_checksum_shows_is_told_from_when_the_frame_was_lost() -> None:
    socket = checked()
    socket.feed(1, "hb", skip=1)
    lost = socket.now
    socket.feed(2, "cs", signed("100:2.0:101:-3.0"))
    socket.now += 500_000
    socket.feed(2, [100, 0, 1])
    socket.feed(2, "cs", signed("99:1.0:101:-3.0"))
    assert [(row["kind"], round(row["from_time"].timestamp() * 1e6)) for row in socket.rows("gaps")] == [("sequence", lost)]


def test_a_book_whose_snapshot_does_not_come_after_a_loss_is_lost_at_last() -> None:
    socket = checked()
    socket.feed(1, "hb", skip=1)
    socket.feed(2, "cs", signed("100:2.0:101:-3.0"))
    calm(socket)
    socket.now += 20_000_000
    socket.session.tick(socket.now)
    assert [(row["channel"], row["healed_at"]) for row in socket.rows("gaps")] == [("book_deltas", None)]


@pytest.mark.parametrize(("oldest", "healed"), [(13, "snapshot"), (15, None)])
def test_two_lost_frames_may_have_been_one_trade_and_a_new_subscription_tells(oldest: int, healed: str | None) -> None:
    socket = checked()
    socket.feed(1, "hb", skip=2)
    assert [(row["channel"], row["to_time"]) for row in socket.rows("gaps")] == [("trades", None)]
    commands = calm(socket)
    assert [(each["event"], each.get("channel")) for each in commands[:2]] == [("unsubscribe", None), ("subscribe", "trades")]
    socket.event(event="subscribed", channel="trades", chanId=4, symbol="tBTCUST")
    rows = [[number, MS + number, 0.5, 91000] for number in (16, 15, 14, 13) if number >= oldest]
    socket.feed(4, rows)
    drained = socket.events.drain()
    assert [row["trade_id"] for row in drained["trades"].to_pylist()] == [str(row[0]) for row in rows[::-1] if row[0] != 13]
    gaps = [row for row in drained["gaps"].to_pylist() if row["channel"] == "trades"]
    assert gaps[-1]["healed_by"] == healed
    socket.session.tick(socket.now + 1_000_000)
    requests = [action for action in socket.session.actions if isinstance(action, HttpGet)]
    assert len(requests) == (0 if healed else 1)
    if requests:
        assert requests[0].url.startswith(
            f"https://api-pub.bitfinex.com/v2/trades/tBTCUST/hist?start={MS}&end={MS + 16}&limit=10000&sort=1"
        )
        answer = [[number, MS + number, 0.5, 91000] for number in (13, 14, 15)]
        socket.session.feed_http(requests[0], json.dumps(answer).encode(), socket.now)
        drained = socket.events.drain()
        assert [(row["trade_id"], row["source"]) for row in drained["trades"].to_pylist()] == [("14", "rest")]
        assert [row["healed_by"] for row in drained["gaps"].to_pylist()] == ["rest"]


def test_after_a_new_subscription_one_lost_frame_costs_nothing_again_and_the_second_opens_a_gap() -> None:
    socket = checked()
    socket.feed(1, "hb", skip=2)
    calm(socket)
    socket.event(event="subscribed", channel="trades", chanId=4, symbol="tBTCUST")
    socket.feed(4, [[14, MS + 14, 0.5, 91000], [13, MS, -0.05, 91248]])
    assert [row["healed_by"] for row in socket.rows("gaps") if row["channel"] == "trades"] == [None, "snapshot"]
    socket.feed(1, "hb", skip=1)
    assert [row for row in socket.rows("gaps") if row["channel"] == "trades"] == []
    socket.feed(1, "hb", skip=1)
    (row,) = [row for row in socket.rows("gaps") if row["channel"] == "trades"]
    assert row["from_sequence"] == 14


def test_a_book_that_lost_a_frame_leaves_one_gap_though_its_checksum_and_the_calm_after_it_both_renew() -> None:
    socket = checked()
    socket.feed(1, "hb", skip=1)
    socket.feed(2, "cs", signed("100:2.5:101:-3.0"))
    socket.session.actions.clear()
    socket.event(event="subscribed", channel="book", chanId=3, symbol="tBTCUST", prec="P0", freq="F0", len="25")
    socket.feed(3, [[100, 1, 2.5], [101, 1, -3.0]])
    assert calm(socket) == []
    assert [row["healed_by"] for row in socket.rows("gaps")] == [None, "snapshot"]


def test_lost_frames_far_apart_are_no_trade_together() -> None:
    socket = checked()
    socket.feed(1, "hb", skip=1)
    socket.now += 40_000_000
    socket.feed(1, "hb", skip=1)
    assert [row for row in socket.rows("gaps") if row["channel"] == "trades"] == []


def test_a_socket_that_ends_in_doubt_leaves_a_gap_whose_end_is_known() -> None:
    socket = checked()
    socket.feed(1, "hb", skip=2)
    socket.session.closed(socket.now + 5)
    gaps = [row for row in socket.rows("gaps") if row["kind"] == "sequence" and row["channel"] == "trades"]
    assert [row["to_time"] is None for row in gaps] == [True, False]


def test_a_refused_stream_is_named_and_one_that_stands_is_not_refused() -> None:
    socket = Socket()
    socket.event(event="error", msg="symbol: invalid", code=10300, channel="trades", symbol="tBTCUST")
    socket.event(event="error", msg="subscribe: dup", code=10301, channel="book", symbol="tBTCUST")
    socket.event(event="error", msg="subscribe: limit", code=10305)
    refusals = socket.events.continuity("bitfinex").refusals
    assert {place: refusal.reason for place, refusal in refusals.items()} == {("BTC/USDT", "trades"): "symbol: invalid"}


def test_a_frame_sent_twice_changes_nothing() -> None:
    socket = Socket().subscribed()
    socket.feed(2, [[100, 1, 2.0], [101, 1, -3.0]])
    socket.sequence -= 1
    assert socket.feed(2, [99, 1, 2.0]) is Outcome.IGNORED
    assert socket.session.actions == []


@pytest.mark.parametrize(("oldest", "fetched"), [(13, False), (15, True)])
def test_trades_missed_while_the_socket_was_gone_are_fetched_unless_the_subscription_begins_before(oldest: int, *, fetched: bool) -> None:
    first = Socket().subscribed()
    first.feed(1, "te", [13, MS, -0.05, 91248])
    first.session.closed(first.now)
    second = Socket(events=first.events, at=first.now + 60_000_000).subscribed()
    second.feed(1, [[number, MS + number, 0.5, 91000] for number in (15, 14, 13) if number >= oldest])
    requests = [action for action in second.session.actions if isinstance(action, HttpGet)]
    assert len(requests) == fetched
    for request in requests:
        second.session.feed_http(
            request, json.dumps([[13, MS, -0.05, 91248], [14, MS + 14, 0.5, 91000], [15, MS + 15, 0.5, 91000]]).encode(), second.now
        )
    drained = second.events.drain()
    assert sorted(row["trade_id"] for row in drained["trades"].to_pylist()) == ["13", "14", "15"]
    assert drained["gaps"].to_pylist()[-1]["healed_by"] == ("rest" if fetched else "snapshot")


def test_maintenance_and_restart_ask_for_a_fresh_socket() -> None:
    socket = Socket()
    socket.event(event="info", code=20060, msg="maintenance")
    assert socket.session.actions == []
    for code, graceful in ((20051, True), (20061, False)):
        socket.event(event="info", code=code, msg="")
        action = socket.session.actions.pop()
        assert isinstance(action, Reconnect)
        assert action.graceful is graceful


def test_derivatives_and_closings_of_a_live_socket() -> None:
    socket = Socket("BTC/USDT:USDT", channels=("derivatives",))
    assert socket.opening[1]["key"] == "deriv:tBTCF0:USTF0"
    socket.event(event="subscribed", channel="status", chanId=5, key="deriv:tBTCF0:USTF0")
    status = [MS, None, 91000, 90990, None, 1e6, None, MS + 1000, 1e-5, 3, None, 0.0001, None, None, 90995.5, None, None, 123.5]
    socket.feed(5, status)
    (row,) = socket.rows("derivatives")
    assert (row["funding_rate"], row["index_price"], row["mark_price"], row["open_interest"]) == (0.0001, 90990.0, 90995.5, 123.5)
    closings = Socket("BTC/USDT:USDT", channels=("liquidations",))
    closings.event(event="subscribed", channel="status", chanId=6, key="liq:global")
    closings.feed(6, [["pos", 7, MS, None, "tBTCF0:USTF0", -0.8, 90868, None, 0, 0, None, None]])
    closings.feed(6, [["pos", 8, MS, None, "tETHF0:USTF0", -0.8, 90868, None, 0, 0, None, None]])
    assert [(row["side"], row["amount"], row["value_usd"]) for row in closings.rows("liquidations")] == [
        ("buy", 0.8, pytest.approx(72694.4))
    ]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "[",
        "[1]",
        '[1,"te"]',
        '[1,"te",[1,2]]',
        '[1,"te",[13,1785640000000,0,5]]',
        '[1,"te",[13,5,1,5]]',
        "[2,[100,1,0]]",
        '[1,"te",[99999999999999999999,1785640000000,1,5]]',
        '{"event":"subscribed","channel":"book","chanId":9,"symbol":"tBTCUST","len":"many"}',
        '[2,["x",1,1]]',
        '[2,"cs","a"]',
    ],
)
def test_a_frame_that_cannot_be_right_is_a_frame_error(frame: str) -> None:
    socket = Socket().subscribed()
    socket.feed(2, [[100, 1, 2.0]])
    with pytest.raises(FrameError):
        socket.session.feed(frame, socket.now)
    assert socket.rows("trades") == []


def test_markets_and_hosts() -> None:
    assert (VENUE.market_of("BTC/USDT"), VENUE.market_of("BTC/USDT:USDT")) == ("spot", "perp")
    assert exchange_of("wss://api-pub.bitfinex.com/ws/2") == "bitfinex"
    with pytest.raises(UnknownSymbol):
        VENUE.market_of("BTC/USD:BTC")
