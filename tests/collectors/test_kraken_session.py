"""A live Kraken v2 session, and its checked books, fed with frames in the venue's own spelling."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import pytest

from collectors.decode import Decoding
from collectors.errors import FrameError, UnknownSymbol
from collectors.recording import Line
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Outcome, Wanted
from collectors.venues.kraken import VENUE
from collectors.venues.kraken.instruments import rest_pair, unified
from tests.collectors.answering import Answering

T0 = 1_785_640_000_000_000
STAMP = "2026-08-02T03:06:40.000000Z"
BTC = Instrument(
    exchange="kraken", symbol="BTC/USD", native="BTC/USD", market="spot", base="BTC", quote="USD", price_decimals=1, amount_decimals=8
)
WANTED = Wanted(symbols=("BTC/USD",), channels=("trades", "book"), depth=10)
Levels = Sequence[tuple[str, str]]

VECTOR_ASKS = [
    *(
        ("45285.2", "0.00100000"),
        ("45286.4", "1.54571953"),
        ("45286.6", "1.54571109"),
        ("45289.6", "1.54560911"),
        ("45290.2", "0.15890660"),
    ),
    *(
        ("45291.8", "1.54553491"),
        ("45294.7", "0.04454749"),
        ("45296.1", "0.35380000"),
        ("45297.5", "0.09945542"),
        ("45299.5", "0.18772827"),
    ),
]
VECTOR_BIDS = [
    *(
        ("45283.5", "0.10000000"),
        ("45283.4", "1.54582015"),
        ("45282.1", "0.10000000"),
        ("45281.0", "0.10000000"),
        ("45280.3", "1.54592586"),
    ),
    *(
        ("45279.0", "0.07990000"),
        ("45277.6", "0.03310103"),
        ("45277.5", "0.30000000"),
        ("45277.3", "1.54602737"),
        ("45276.6", "0.15445238"),
    ),
]


def checksum(bids: Levels, asks: Levels) -> int:
    """The documented rule, written down once more."""
    text = "".join(part.replace(".", "").lstrip("0") for level in (*asks[:10], *bids[:10]) for part in level)
    return crc32(text.encode())


def spelled(levels: Levels) -> str:
    return "[" + ",".join(f'{{"price":{price},"qty":{amount}}}' for price, amount in levels) + "]"


def book(kind: str, bids: Levels, asks: Levels, *, check: int, symbol: str = "BTC/USD") -> bytes:
    body = f'{{"symbol":"{symbol}","bids":{spelled(bids)},"asks":{spelled(asks)},"checksum":{check},"timestamp":"{STAMP}"}}'
    return f'{{"channel":"book","type":"{kind}","data":[{body}]}}'.encode()


class Socket(Answering):
    def __init__(self, events: EventBuffer | None = None, *, at: int = T0, instrument: Instrument = BTC) -> None:
        self.events = events or EventBuffer()
        (self.plan,) = VENUE.plan(WANTED, {"BTC/USD": instrument})
        self.session = VENUE.session(self.plan, self.events, WANTED)
        self.session.opened(at)
        self.now = at

    def feed(self, frame: bytes) -> Outcome:
        self.now += 10_000
        return self.session.feed(frame, self.now)

    def trade(self, number: int, kind: str = "update", **more: object) -> Outcome:
        data = {
            "symbol": "BTC/USD",
            "side": "sell",
            "price": 64666.8,
            "qty": 0.5,
            "ord_type": "market",
            "trade_id": number,
            "timestamp": STAMP,
            **more,
        }
        return self.feed(json.dumps({"channel": "trade", "type": kind, "data": [data]}, separators=(",", ":")).encode())


def opened(**more: Any) -> Socket:
    socket = Socket(**more)
    socket.commands()
    socket.feed(book("snapshot", VECTOR_BIDS, VECTOR_ASKS, check=3310070434))
    return socket


def test_a_socket_subscribes_to_trades_without_history_and_books_of_an_allowed_depth() -> None:
    trade, depth = Socket().commands()
    assert trade == {"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": False}, "req_id": 1}
    assert depth["params"] == {"channel": "book", "symbol": ["BTC/USD"], "snapshot": True, "depth": 10}


def test_the_documented_checksum_verifies() -> None:
    socket = opened()
    assert (socket.session.checksums.verified, socket.session.checksums.failed) == (1, 0)
    rows = socket.rows("book_deltas")
    assert len(rows) == 20
    assert all(row["is_snapshot"] and row["sequence"] is None for row in rows)


@pytest.mark.parametrize("instrument", [BTC, Instrument(**{**{f: getattr(BTC, f) for f in BTC.__struct_fields__}, "price_decimals": None})])
def test_numbers_that_lost_their_zeros_verify_with_the_precision_known_or_read_off(instrument: Instrument) -> None:
    socket = Socket(instrument=instrument)
    lost = [(price, amount.rstrip("0")) for price, amount in VECTOR_BIDS]
    socket.feed(book("snapshot", lost, VECTOR_ASKS, check=3310070434))
    assert socket.session.checksums.verified == 1


def test_an_update_finer_than_the_snapshot_respells_the_book() -> None:
    socket = Socket(instrument=Instrument(**{**{f: getattr(BTC, f) for f in BTC.__struct_fields__}, "amount_decimals": None}))
    socket.feed(book("snapshot", [("10.0", "1.5")], [("11.0", "2.5")], check=checksum([("10.0", "1.5")], [("11.0", "2.5")])))
    socket.feed(
        book(
            "update",
            [("10.5", "1.25000001")],
            [],
            check=checksum([("10.5", "1.25000001"), ("10.0", "1.50000000")], [("11.0", "2.50000000")]),
        )
    )
    assert (socket.session.checksums.verified, socket.session.checksums.failed) == (2, 0)


def test_levels_beyond_the_depth_are_forgotten_and_one_price_may_come_twice_in_a_frame() -> None:
    socket = opened()
    bids = [("45284.0", "2.00000000"), *VECTOR_BIDS[:9]]
    frame = book(
        "update", [("45284.0", "9.00000000"), ("45284.0", "2.00000000"), ("1.0", "0.00000000")], [], check=checksum(bids, VECTOR_ASKS)
    )
    assert socket.feed(frame) is Outcome.DECODED
    # The tenth bid fell out: when the best one goes, nine are left until the venue sends another.
    socket.feed(book("update", [("45284.0", "0.00000000")], [], check=checksum(VECTOR_BIDS[:9], VECTOR_ASKS)))
    assert (socket.session.checksums.verified, socket.session.checksums.failed) == (3, 0)
    assert [(row["price"], row["amount"]) for row in socket.rows("book_deltas")[20:]] == [
        (45284.0, 9.0),
        (45284.0, 2.0),
        (1.0, 0.0),
        (float(VECTOR_BIDS[9][0]), 0.0),  # pushed out: the venue sends no delete, the rows must
        (45284.0, 0.0),
    ]


def test_a_mismatch_renews_that_symbol_alone_and_nothing_lands_until_its_snapshot() -> None:
    socket = opened()
    socket.events.drain()
    socket.feed(book("update", [("45284.0", "2.00000000")], [], check=1))
    drained = socket.events.drain()
    assert "book_deltas" not in drained
    (gap,) = drained["gaps"].to_pylist()
    assert (gap["kind"], gap["channel"], gap["symbol"], gap["healed_at"]) == ("checksum", "book_deltas", "BTC/USD", None)
    renewals = socket.commands()
    assert [(each["method"], each["params"]["symbol"]) for each in renewals] == [("unsubscribe", ["BTC/USD"]), ("subscribe", ["BTC/USD"])]
    socket.feed(book("update", [("45284.0", "2.00000000")], [], check=2))
    assert socket.commands() == []
    socket.feed(book("snapshot", VECTOR_BIDS, VECTOR_ASKS, check=3310070434))
    drained = socket.events.drain()
    assert drained["book_deltas"].num_rows == 20
    assert [(row["healed_by"], row["from_time"]) for row in drained["gaps"].to_pylist()] == [("snapshot", gap["from_time"])]


def test_a_renewal_that_brings_nothing_is_asked_for_again() -> None:
    socket = opened()
    socket.feed(book("update", [], [("45284.0", "2.00000000")], check=1))
    socket.commands()
    socket.session.tick(socket.now + 14_000_000)
    assert socket.commands() == []
    socket.session.tick(socket.now + 16_000_000)
    assert [each["method"] for each in socket.commands()] == ["unsubscribe", "subscribe"]


def test_after_four_mismatches_in_a_row_checks_are_left_out_and_the_book_is_fetched_anew_now_and_then() -> None:
    socket = opened()
    for number in range(4):
        socket.feed(book("update", [("45284.0", "2.00000000")], [], check=1))
        assert len(socket.commands()) == 2, number
        socket.feed(book("snapshot", VECTOR_BIDS, VECTOR_ASKS, check=1 if number == 3 else 3310070434))
    socket.events.drain()
    socket.feed(book("update", [("45284.0", "2.00000000")], [], check=1))
    assert [row["amount"] for row in socket.rows("book_deltas")] == [2.0, 0.0]  # the eleventh level goes
    socket.session.tick(socket.now + 599_000_000)
    assert socket.commands() == []
    socket.session.tick(socket.now + 601_000_000)
    assert [each["method"] for each in socket.commands()] == ["unsubscribe", "subscribe"]
    socket.feed(book("snapshot", VECTOR_BIDS, VECTOR_ASKS, check=3310070434))
    failed = socket.session.checksums.failed
    socket.feed(book("update", [("45284.0", "2.00000000")], [], check=1))
    assert socket.session.checksums.failed == failed + 1


def test_trades_land_with_the_takers_side_and_their_microseconds() -> None:
    socket = Socket()
    socket.trade(5, side="buy", timestamp="2026-08-02T03:06:40.708706Z")
    socket.trade(5)
    (row,) = socket.rows("trades")
    assert (row["trade_id"], row["side"], row["price"], row["amount"], row["timestamp"].microsecond) == ("5", "buy", 64666.8, 0.5, 708706)
    assert socket.events.writers["kraken", "kraken-spot-0"].trades.duplicates == 1


def test_a_hole_in_trade_ids_is_fetched_over_rest() -> None:
    socket = Socket()
    socket.commands()
    socket.trade(5)
    socket.trade(8)
    (request,) = [action for action in socket.session.actions if isinstance(action, HttpGet)]
    assert request.url.startswith("https://api.kraken.com/0/public/Trades?pair=XBTUSD&since=178563999")
    rows = [["64000.1", "0.1", T0 / 1e6, "b", "m", "", 6], ["64000.2", "0.2", T0 / 1e6, "s", "l", "", 7]]
    body = json.dumps({"error": [], "result": {"XXBTZUSD": rows, "last": "1"}}).encode()
    assert socket.session.feed_http(request, body, socket.now) is Outcome.DECODED
    drained = socket.events.drain()
    assert [(row["trade_id"], row["side"], row["source"]) for row in drained["trades"].to_pylist()[2:]] == [
        ("6", "buy", "rest"),
        ("7", "sell", "rest"),
    ]
    assert [row["healed_by"] for row in drained["gaps"].to_pylist()] == [None, "rest"]


def test_too_many_requests_said_with_status_200_are_repeated_later() -> None:
    socket = Socket()
    socket.commands()
    socket.trade(5)
    socket.trade(8)
    (request,) = [action for action in socket.session.actions if isinstance(action, HttpGet)]
    socket.session.actions.clear()
    assert socket.session.feed_http(request, b'{"error":["EAPI:Rate limit exceeded"]}', socket.now) is Outcome.IGNORED
    socket.session.tick(socket.now + 500_000)
    assert socket.session.actions == []
    socket.session.tick(socket.now + 1_100_000)
    assert [action.url for action in socket.session.actions if isinstance(action, HttpGet)] == [request.url]


@pytest.mark.parametrize(
    "change",
    [{"price": 0}, {"qty": -1}, {"side": "b"}, {"timestamp": "yesterday"}, {"timestamp": "1999-01-01T00:00:00.0Z"}, {"trade_id": "x"}],
    ids=str,
)
def test_a_trade_that_cannot_be_right_is_a_frame_error_and_lands_nothing(change: dict[str, object]) -> None:
    socket = Socket()
    with pytest.raises(FrameError):
        socket.trade(1, **change)
    assert socket.rows("trades") == []


@pytest.mark.parametrize("frame", [b"", b'{"channel":"book"', b"\xff", b'{"channel":"book","type":"update","data":[{}]}', b"[1]"])
def test_a_corrupt_frame_is_a_frame_error(frame: bytes) -> None:
    with pytest.raises(FrameError):
        Socket().feed(frame)


@pytest.mark.parametrize("level", [("1.0", '"x"'), ("null", "1"), ("true", "1")])
def test_a_level_that_holds_no_number_is_a_frame_error(level: tuple[str, str]) -> None:
    with pytest.raises(FrameError):
        opened().feed(book("update", [level], [], check=1))


def test_heartbeats_status_and_acks_are_control_and_other_channels_ignored() -> None:
    socket = Socket()
    ack = {"method": "subscribe", "result": {"channel": "book", "depth": 10, "snapshot": True, "symbol": "BTC/USD"}, "success": True}
    refusal = {"method": "subscribe", "success": False, "error": "Currency pair not supported XBT/USD", "symbol": "XBT/USD"}
    for frame in (
        {"channel": "heartbeat"},
        {"channel": "status", "type": "update", "data": [{}]},
        ack,
        refusal,
        {"method": "pong", "req_id": 1},
    ):
        assert socket.feed(json.dumps(frame, separators=(",", ":")).encode()) is Outcome.CONTROL
    assert socket.feed(b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD"}]}') is Outcome.IGNORED


def test_a_disconnect_of_a_checked_book_is_healed_by_the_next_snapshot() -> None:
    socket = opened()
    socket.session.closed(socket.now + 1_000_000)
    assert [row["kind"] for row in socket.rows("gaps")] == ["disconnect"]
    again = Socket(socket.events, at=socket.now + 3_000_000)
    again.feed(book("snapshot", VECTOR_BIDS, VECTOR_ASKS, check=3310070434))
    assert [row["healed_by"] for row in again.rows("gaps")] == ["snapshot"]


def test_names_of_rest_and_v1_are_mapped_to_ccxt_and_back() -> None:
    assert (unified("XBT/USD"), unified("XDG/XBT"), unified("ETH/EUR")) == ("BTC/USD", "DOGE/BTC", "ETH/EUR")
    assert rest_pair("DOGE/BTC") == "XDGXBT"


def test_instruments_skip_dark_pools_and_map_names() -> None:
    pair = {
        "base": "XXBT",
        "quote": "ZUSD",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "wsname": "XBT/USD",
        "tick_size": "0.1",
        "status": "online",
    }
    body = json.dumps({"error": [], "result": {"XXBTZUSD": pair, "XXBTZUSD.d": pair, "OLD": {**pair, "wsname": ""}}}).encode()
    (request,) = VENUE.instrument_requests(VENUE.endpoints, ["spot"])
    (instrument,) = VENUE.parse_instruments(request, body)
    assert (instrument.symbol, instrument.price_decimals, instrument.amount_decimals, instrument.tick_size) == ("BTC/USD", 1, 8, 0.1)
    with pytest.raises(FrameError):
        VENUE.parse_instruments(request, b'{"error":["EGeneral:Internal error"]}')


@pytest.mark.parametrize("symbol", ["BTCUSD", "BTC/USD:", ""])
def test_a_symbol_no_market_can_hold_is_unknown(symbol: str) -> None:
    with pytest.raises(UnknownSymbol):
        VENUE.market_of(symbol)


def test_recorded_frames_take_their_depth_from_the_acknowledgement_or_the_snapshot() -> None:
    conn = "wss://ws.kraken.com/v2"
    bids = [(f"{100 - number}.0", "1.00000000") for number in range(12)]
    ack = {"method": "subscribe", "result": {"channel": "book", "depth": 10, "snapshot": True, "symbol": "BTC/USD"}, "success": True}
    for lines, kept in (([json.dumps(ack).encode()], 10), ([], 12)):
        decoding = Decoding("kraken")
        for number, frame in enumerate((*lines, book("snapshot", bids, [], check=checksum(bids, []))), start=1):
            decoding.take(Line(ts=None, dir="in", conn=conn, raw=frame.decode()), file="test", number=number)
        feed = decoding.session.books()["BTC/USD"]
        assert decoding.session.checksums.verified == 1
        assert len(feed.book.levels()[0]) == kept
