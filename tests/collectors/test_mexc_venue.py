"""MEXC: protobuf vectors, every recording accounted for, sides and contracts, depth rules, retired formats, live sessions."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from collectors.decode import Decoding, decode_files
from collectors.errors import FrameError, UnknownSymbol
from collectors.recording import Line
from collectors.registry import exchange_of
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Outcome, Reconnect, Stream, Wanted
from collectors.venues.mexc import VENUE
from collectors.venues.mexc.schema import Wrapper
from tests.collectors.answering import Answering

T0 = 1_785_640_000_000_000
MS = T0 // 1000
FILES = ("message_samples.jsonl", "v3_spot_protobuf_frames.jsonl")
DEALS = bytes.fromhex(
    "0a2f73706f74407075626c69632e61676772652e6465616c732e76332e6170692e7062403130306d7340425443555344541a07425443555344543096d1dfb4ab33d213480a1d0a07"
    "39313235302e351205302e303132180220fbd0dfb4ab332a023737122773706f74407075626c69632e61676772652e6465616c732e76332e6170692e7062403130306d73"
)
DEPTH = bytes.fromhex(
    "0a2f73706f74407075626c69632e61676772652e64657074682e76332e6170692e7062403130306d7340425443555344541a07425443555344543096d1dfb4ab33ca13510a0c0a07"
    "39313235302e36120130120e0a0739313235302e351203312e351a2773706f74407075626c69632e61676772652e64657074682e76332e6170692e7062403130306d732203313031"
    "2a03313035"
)
BTC = Instrument(exchange="mexc", symbol="BTC/USDT", native="BTCUSDT", market="spot", base="BTC", quote="USDT")
PERP = Instrument(
    exchange="mexc", symbol="BTC/USDT:USDT", native="BTC_USDT", market="perp", base="BTC", quote="USDT", settle="USDT", contract_size=0.0001
)
INSTRUMENTS = {each.symbol: each for each in (BTC, PERP)}


@pytest.mark.parametrize("name", FILES)
def test_every_frame_is_accounted_for_and_none_is_dead(recordings: Path, name: str) -> None:
    decoding = decode_files("mexc", [recordings / "mexc" / name])
    report = decoding.report(decoding.tables())
    assert report.frames == report.control + report.ignored + report.decoded > 0
    assert (decoding.dead, report.gaps) == ([], 0)


def test_no_recording_is_left_out(recordings: Path) -> None:
    assert {path.name for path in (recordings / "mexc").iterdir()} == set(FILES)


def test_real_protobuf_frames(recordings: Path) -> None:
    decoding = decode_files("mexc", [recordings / "mexc" / FILES[1]])
    tables = decoding.tables()
    first, second = tables["trades"].to_pylist()
    assert (first["symbol"], first["trade_id"], first["side"]) == ("BTC/USDT", "731901896985399296X0_731901896985399297X0", "sell")
    assert (second["side"], second["price"], second["amount"]) == ("buy", 84270.0, 0.00019169)
    feed = decoding.session.books()["BTC/USDT"]
    assert feed.book.top(2) == ([(84270.0, 0.006387), (84267.03, 0.002348)], [(84270.01, 5.42169969), (84270.02, 0.00117646)])
    assert {row["sequence"] for row in tables["book_deltas"].to_pylist()} == {82164155643}


def test_contracts_become_base_units_and_batches_are_reversed(recordings: Path) -> None:
    trades = decode_files("mexc", [recordings / "mexc" / FILES[0]]).tables()["trades"].to_pylist()
    numbered = [row for row in trades if row["trade_id"] in ("13064218826", "13064218827")]
    assert [(row["trade_id"], row["side"], row["amount"]) for row in numbered] == [
        ("13064218827", "buy", 0.0011),
        ("13064218826", "sell", 0.0055),
    ]
    (inverse,) = [row for row in trades if row["symbol"] == "BTC/USD:BTC"]
    assert inverse["amount"] == pytest.approx(79 * 100 / 57476.5)


def test_states_of_perpetuals(recordings: Path) -> None:
    rows = decode_files("mexc", [recordings / "mexc" / FILES[0]]).tables()["derivatives"].to_pylist()
    ticker = next(row for row in rows if row["mark_price"] == 29911.1)
    assert (ticker["open_interest"], ticker["funding_rate"], ticker["index_price"]) == (pytest.approx(1235.7864), 0.000072, 29926.9)
    assert next(row for row in rows if row["funding_rate"] == 0.0012)["next_funding"] is not None


def test_retired_spot_formats(recordings: Path) -> None:
    trades = decode_files("mexc", [recordings / "mexc" / FILES[0]]).tables()["trades"].to_pylist()
    old = {row["price"]: row for row in trades if row["symbol"] == "BTC/USDT"}
    assert (old[39008.35]["side"], old[39008.35]["amount"]) == ("sell", 0.003533)
    assert (old[57005.89]["side"], old[57005.89]["amount"]) == ("buy", 0.007811)
    session = VENUE.recorded_session(events := EventBuffer())
    deal = {"p": "20290.89", "v": "0.5", "S": 1, "t": MS}
    frame = {"c": "spot@public.deals.v3.api@ETHUSDT", "d": {"deals": [deal, deal]}, "s": "ETHUSDT", "t": MS}
    for _ in range(2):
        assert session.feed(None, json.dumps(frame).encode(), T0) is Outcome.DECODED
    # Equal deals of one frame are two trades; the frame again brings none.
    rows = events.drain()["trades"].to_pylist()
    assert [(row["symbol"], row["side"], row["amount"]) for row in rows] == [("ETH/USDT", "buy", 0.5)] * 2


class Socket(Answering):
    def __init__(self, symbol: str = "BTC/USDT", *, at: int = T0, events: EventBuffer | None = None) -> None:
        self.events = EventBuffer() if events is None else events
        wanted = Wanted(symbols=(symbol,), channels=VENUE.channels, depth=1000)
        (self.plan,) = VENUE.plan(wanted, INSTRUMENTS)
        self.session = VENUE.session(self.plan, self.events, wanted)
        self.now = at
        self.session.opened(at)
        self.opening = self.commands()

    def feed(self, frame: bytes | dict[str, Any]) -> Outcome:
        self.now += 10_000
        return self.session.feed(frame if isinstance(frame, bytes) else json.dumps(frame), self.now)

    def depth(self, first: int, last: int, *, bids: tuple[tuple[str, str], ...] = (), asks: tuple[tuple[str, str], ...] = ()) -> Outcome:
        wrapper = Wrapper(channel="spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT", symbol="BTCUSDT", sendTime=self.now // 1000)
        body = wrapper.publicAggreDepths
        body.fromVersion, body.toVersion = str(first), str(last)
        for side, levels in ((body.bids, bids), (body.asks, asks)):
            for price, quantity in levels:
                side.add(price=price, quantity=quantity)
        return self.feed(wrapper.SerializeToString())

    def snapshot(self, number: int) -> None:
        request = self.requests()[-1]
        body = {"lastUpdateId": number, "bids": [["100", "1"]], "asks": [["101", "1"]], "timestamp": MS}
        self.session.feed_http(request, json.dumps(body).encode(), self.now)


def test_the_documented_vectors() -> None:
    socket = Socket()
    assert socket.feed(DEALS) is Outcome.DECODED
    (row,) = socket.rows("trades")
    assert (row["trade_id"], row["side"], row["price"], row["amount"]) == ("77", "sell", 91250.5, 0.012)
    wrapper = Wrapper.FromString(DEPTH)
    body = wrapper.publicAggreDepths
    assert ([(each.price, each.quantity) for each in body.asks], [(each.price, each.quantity) for each in body.bids]) == (
        [("91250.6", "0")],
        [("91250.5", "1.5")],
    )
    assert (body.fromVersion, body.toVersion, wrapper.sendTime) == ("101", "105", 1764000000150)


def test_unknown_fields_are_skipped() -> None:
    socket = Socket()
    # Field 999 (a varint) of a newer schema.
    assert socket.feed(DEALS + bytes([0xB8, 0x3E, 0x05])) is Outcome.DECODED


def test_a_spot_book_bridges_its_snapshot_and_follows_exactly() -> None:
    socket = Socket()
    socket.depth(98, 100, bids=(("99", "9"),))
    socket.depth(101, 105, bids=(("100.0", "2.50"),), asks=(("101", "0"), ("102", "3")))
    socket.snapshot(103)
    feed = socket.session.book_feeds["BTC/USDT"]
    assert feed.book.levels() == ([(100.0, 2.5)], [(102.0, 3.0)])
    socket.depth(106, 106, bids=(("99", "1"),))
    assert feed.live
    # An overlap is no continuation.
    socket.depth(106, 108)
    (gap,) = socket.rows("gaps")
    assert (gap["kind"], gap["from_sequence"]) == ("sequence", 106)
    socket.depth(109, 110)
    socket.snapshot(109)
    assert [row["healed_by"] for row in socket.rows("gaps")] == ["snapshot"]


def test_a_snapshot_older_than_the_first_frame_is_fetched_again() -> None:
    socket = Socket()
    socket.depth(101, 105)
    socket.snapshot(90)
    assert not socket.session.diff_books["BTC/USDT"].feed.live
    socket.session.tick(socket.now + 2_000_000)
    assert [request.url for request in socket.requests()] == ["https://api.mexc.com/api/v3/depth?symbol=BTCUSDT&limit=1000"]


def test_sockets_subscribe_and_ping_in_their_own_tongue() -> None:
    names = ["spot@public.aggre.deals.v3.api.pb@100ms@BTCUSDT", "spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT"]
    spot, perp = Socket(), Socket("BTC/USDT:USDT")
    assert spot.opening == [{"method": "SUBSCRIPTION", "params": names}]
    assert [each["method"] for each in perp.opening] == ["sub.deal", "sub.depth", "sub.ticker", "sub.funding.rate"]
    assert (spot.plan.url, perp.plan.url) == ("wss://wbs-api.mexc.com/ws", "wss://contract.mexc.com/edge")
    for socket, method in ((spot, "PING"), (perp, "ping")):
        socket.session.tick(socket.now + 14_000_000)
        assert socket.commands() == []
        socket.session.tick(socket.now + 15_000_000)
        assert socket.commands() == [{"method": method}]
        socket.session.tick(socket.now + 46_000_000)
        assert isinstance(socket.session.actions[-1], Reconnect)


def test_only_names_that_are_repeated_count_as_acknowledged() -> None:
    socket = Socket()
    name = "spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT"
    assert socket.feed({"id": 0, "code": 0, "msg": f"Not Subscribed successfully! [{name}].  Reason: Blocked!"}) is Outcome.CONTROL
    assert socket.session.diff_books == {}
    socket.feed({"id": 0, "code": 0, "msg": name})
    assert socket.session.diff_books["BTC/USDT"].confirmed
    assert socket.feed({"id": 0, "code": 0, "msg": "PONG"}) is Outcome.CONTROL


def deal(milliseconds: int, amount: float, *, identity: str = "") -> bytes:
    wrapper = Wrapper(channel="spot@public.aggre.deals.v3.api.pb@100ms@BTCUSDT", symbol="BTCUSDT", sendTime=milliseconds)
    name = identity or f"{milliseconds}X{amount}"
    wrapper.publicAggreDeals.deals.add(price="100.50", quantity=str(amount), tradeType=1, time=milliseconds, tradeId=name)
    return bytes(wrapper.SerializeToString())


def nameless(*trades: tuple[int, float]) -> bytes:
    """A REST answer, newest first."""
    known = {"id": None, "price": "100.5", "quoteQty": "1", "isBuyerMaker": False, "isBestMatch": True, "tradeType": "BID"}
    return json.dumps([known | {"qty": str(amount), "time": time} for time, amount in sorted(trades, reverse=True)]).encode()


def cut(before: list[tuple[int, float]], after: tuple[int, float]) -> tuple[Socket, HttpGet]:
    """A socket that saw trades, its end, and a new one whose first trade makes it ask for what was missed."""
    first = Socket()
    for number, (time, amount) in enumerate(before):
        first.feed(deal(time, amount, identity=f"A{number}X0_B{number}X0"))
    first.session.closed(first.now)
    socket = Socket(at=first.now + 5_000_000, events=first.events)
    socket.rows("trades")
    socket.feed(deal(*after))
    (request,) = socket.requests()
    return socket, request


def test_missed_trades_are_those_an_answer_holds_more_of() -> None:
    # Two equal trades in one millisecond, and one of the millisecond in which the stream was cut.
    before = [(MS, 1.0), (MS, 1.0), (MS + 40, 2.0)]
    socket, request = cut(before, (MS + 5_000, 7.0))
    missed = [(MS + 40, 2.0), (MS + 900, 3.0), (MS + 900, 3.0)]
    # The last one is on its way in the stream.
    body = nameless(*before, *missed, (MS + 5_000, 7.0), (MS + 6_000, 8.0))

    socket.session.feed_http(request, body, socket.now)

    drained = socket.events.drain()
    rows = drained["trades"].to_pylist()
    assert request.url == "https://api.mexc.com/api/v3/trades?symbol=BTCUSDT&limit=1000"
    assert [(row["amount"], row["source"]) for row in rows] == [(7.0, "stream"), (2.0, "rest"), (3.0, "rest"), (3.0, "rest")]
    assert len({row["trade_id"] for row in rows}) == 4
    assert drained["gaps"].to_pylist()[-1]["healed_by"] == "rest"
    socket.feed(deal(MS + 6_000, 8.0))
    assert [row["amount"] for row in socket.rows("trades")] == [8.0]


def test_an_answer_that_does_not_reach_back_leaves_the_gap_with_its_bounds() -> None:
    socket, request = cut([(MS, 1.0)], (MS + 5_000, 7.0))

    socket.session.feed_http(request, nameless((MS + 4_000, 3.0), (MS + 5_000, 7.0)), socket.now)
    socket.session.tick(socket.now + 60_000_000)

    assert [row["amount"] for row in socket.rows("trades")] == [7.0, 3.0]
    (gap,) = socket.session.writer.continuity.open_gaps("BTC/USDT", "trades")
    assert (gap.last_event, gap.to_time) == (MS * 1000, (MS + 5_000) * 1000)
    assert socket.requests() == []


def test_what_an_earlier_process_landed_does_not_land_again() -> None:
    socket = Socket()
    continuity = socket.session.writer.continuity
    continuity.tape("BTC/USDT").last_time = MS * 1000
    continuity.open_gap(socket.session.writer, "BTC/USDT", channel="trades", kind="disconnect", now=socket.now, from_time=socket.now)
    socket.feed(deal(MS + 5_000, 7.0))
    (request,) = socket.requests()

    socket.session.feed_http(request, nameless((MS, 1.0), (MS + 50, 2.0), (MS + 5_000, 7.0)), socket.now)

    assert [row["amount"] for row in socket.rows("trades")] == [7.0, 2.0]
    assert continuity.open_gaps("BTC/USDT", "trades") == []


def test_trades_of_an_unreadable_frame_are_looked_for_behind_it() -> None:
    socket = Socket()
    socket.now = MS * 1000 + 100_000
    socket.feed(deal(MS, 1.0))
    with pytest.raises(FrameError):
        socket.feed(b"\x00\xff\xfe")
    socket.feed(deal(MS + 200, 3.0))
    socket.session.tick(socket.now + 400_000)
    (request,) = socket.requests()

    socket.session.feed_http(
        request, nameless((MS - 60_000, 9.0), (MS, 1.0), (MS + 100, 2.0), (MS + 200, 3.0), (MS + 300, 4.0)), socket.now
    )

    assert [row["amount"] for row in socket.rows("trades")] == [1.0, 3.0, 2.0]


def test_refused_channels_are_told_apart_and_asked_for_again() -> None:
    socket = Socket()
    name = "spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT"
    socket.feed({"id": 0, "code": 0, "msg": f"Not Subscribed successfully! [{name}].  Reason\uff1a Blocked! "})
    refusals = socket.session.writer.continuity.refusals
    assert list(refusals) == [("BTC/USDT", "book")]
    assert [stream.channel for stream in socket.session.resubscribe([Stream("book", "BTC/USDT")])] == ["book"]
    assert socket.commands() == [{"method": method, "params": [name]} for method in ("UNSUBSCRIPTION", "SUBSCRIPTION")]
    socket.feed({"id": 0, "code": 0, "msg": name})
    assert refusals == {}

    perp = Socket("BTC/USDT:USDT")
    perp.feed({"channel": "rs.error", "data": "sub.deal of BTC_USDT is not supported", "ts": MS})
    assert list(perp.session.writer.continuity.refusals) == [("BTC/USDT:USDT", "trades")]
    perp.session.resubscribe([Stream("derivatives", "BTC/USDT:USDT")])
    assert [each["method"] for each in perp.commands()] == ["unsub.ticker", "unsub.funding.rate", "sub.ticker", "sub.funding.rate"]
    perp.feed({"channel": "rs.sub.deal", "param": {"symbol": "BTC_USDT"}})
    assert perp.session.writer.continuity.refusals == {}


def test_versions_that_start_over_are_a_gap_that_a_snapshot_heals() -> None:
    socket = Socket()
    socket.depth(74_483_042_000, 74_483_042_005)
    socket.snapshot(74_483_042_001)
    socket.depth(74_483_041_990, 74_483_041_999)
    assert socket.rows("gaps") == []
    socket.depth(1, 4)
    socket.snapshot(3)
    socket.depth(5, 6)
    assert [row["healed_by"] for row in socket.rows("gaps")] == [None, "snapshot"]
    assert socket.session.book_feeds["BTC/USDT"].sequence == 6


def test_thirty_subscriptions_a_socket_at_most() -> None:
    many = {
        f"A{n}/USDT": Instrument(exchange="mexc", symbol=f"A{n}/USDT", native=f"A{n}USDT", market="spot", base=f"A{n}", quote="USDT")
        for n in range(31)
    }
    plans = VENUE.plan(Wanted(symbols=tuple(many), channels=("trades", "book")), many)
    assert [len(plan.streams) for plan in plans] == [30, 30, 2]


def test_a_perpetual_book_counts_versions_in_base_units() -> None:
    socket = Socket("BTC/USDT:USDT")
    socket.feed({"channel": "push.depth", "symbol": "BTC_USDT", "ts": MS, "data": {"asks": [[101, 20000, 1]], "bids": [], "version": 11}})
    (request,) = socket.requests()
    assert request.url == "https://contract.mexc.com/api/v1/contract/depth/BTC_USDT?limit=1000"
    data = {"asks": [[102, 10000, 2]], "bids": [[100, 5000, 1]], "version": 10, "timestamp": MS}
    socket.session.feed_http(request, json.dumps({"success": True, "code": 0, "data": data}).encode(), socket.now)
    merged = {"asks": [[101, 0, 0]], "bids": [], "begin": 12, "end": 14, "version": 14}
    socket.feed({"channel": "push.depth", "symbol": "BTC_USDT", "ts": MS, "data": merged})
    feed = socket.session.book_feeds["BTC/USDT:USDT"]
    assert (feed.sequence, feed.book.levels()) == (14, ([(100.0, 0.5)], [(102.0, 1.0)]))


def test_a_recorded_snapshot_over_rest_opens_the_book() -> None:
    decoding = Decoding("mexc")
    conn = "wss://wbs-api.mexc.com/ws"
    decoding.take(Line(T0 / 1e6, "in", conn, raw_b64=base64.b64encode(DEPTH).decode()), file="", number=1)
    body = {"lastUpdateId": 102, "bids": [["91250.4", "1"]], "asks": [["91250.6", "1"], ["91250.7", "2"]]}
    url = "https://api.mexc.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
    decoding.take(Line(T0 / 1e6, "in", url, "http", raw=json.dumps(body)), file="", number=2)
    assert decoding.session.books()["BTC/USDT"].book.levels() == ([(91250.5, 1.5), (91250.4, 1.0)], [(91250.7, 2.0)])


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x0a\xff",
        b"{",
        DEALS[:-5],
        b"\x18\x01",
        b'["push.symbol"]',
        b'{"channel":"push.deal","symbol":"BTC_USDT","data":{"p":1,"v":1,"T":3,"t":1785640000000}}',
        b'{"channel":"push.depth","symbol":"BTC_USDT","ts":1785640000000,"data":{"asks":[[1]],"version":1}}',
        b'{"c":"spot@public.deals.v3.api@ETHUSDT","d":{"deals":[{"p":"x"}]},"s":"ETHUSDT","t":1785640000000}',
        b'{"c":"spot@public.increase.depth.v3.api@ETHUSDT","d":{"r":"99999999999999999999"},"s":"ETHUSDT","t":1785640000000}',
    ],
    ids=["empty", "varint", "json", "cut", "nameless", "array", "type", "level", "v3", "version"],
)
def test_a_frame_that_cannot_be_right_is_a_frame_error(frame: bytes) -> None:
    session = VENUE.recorded_session(EventBuffer())
    with pytest.raises(FrameError):
        session.feed(None, frame, T0)


def test_instruments_of_both_markets(recordings: Path) -> None:
    spot, perp = VENUE.instrument_requests(VENUE.endpoints, ["spot", "perp"])
    lines = (recordings / "mexc" / FILES[0]).read_text().splitlines()
    (pair,) = VENUE.parse_instruments(spot, json.loads(lines[62])["raw"].encode())
    assert (pair.symbol, pair.native, pair.tick_size, pair.active) == ("BROCK/USDT", "BROCKUSDT", 1e-5, True)
    for line in lines[73:75]:
        contract = VENUE.parse_instruments(perp, json.loads(line)["raw"].encode())[0]
        assert (contract.symbol, contract.contract_size, contract.tick_size, contract.active) == ("BTC/USDT:USDT", 0.0001, 0.5, True)
    with pytest.raises(FrameError):
        VENUE.parse_instruments(perp, b'{"success":false,"code":500}')


def test_markets_and_hosts() -> None:
    assert [VENUE.market_of(symbol) for symbol in ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC")] == ["spot", "perp", "perp"]
    with pytest.raises(UnknownSymbol):
        VENUE.market_of("BTC/USDT:EUR")
    assert exchange_of("wss://wbs-api.mexc.com/ws") == "mexc"
    assert "liquidations" not in VENUE.channels
