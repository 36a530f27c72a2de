"""Kraken Futures: the recorded run whole, each feed's meaning, and a live socket's commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collectors.decode import Decoding, decode_files
from collectors.errors import FrameError, UnknownSymbol
from collectors.recording import Line
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Outcome, Wanted
from collectors.venues.kraken import VENUE
from collectors.venues.kraken.futures_products import parse_instruments, product_of
from tests.collectors.answering import Answering

RUN = "kraken/futures_book_trade_ticker_20210722.jsonl.gz"
T0 = 1_764_000_002_000_000
LISTED = [
    {
        "symbol": "PF_XBTUSD",
        "type": "flexible_futures",
        "tickSize": 0.5,
        "contractSize": 1,
        "contractValueTradePrecision": 4,
        "tradeable": True,
    },
    {"symbol": "PI_XBTUSD", "type": "futures_inverse", "tickSize": 0.5, "contractSize": 1, "tradeable": True},
    {"symbol": "in_xbtusd", "type": "spot index"},
    {"symbol": "PF_ODDUSD", "type": "flexible_futures", "tickSize": 0.5, "contractSize": 10, "tradeable": True},
]
INSTRUMENTS = {each.symbol: each for each in parse_instruments(json.dumps({"result": "success", "instruments": LISTED}).encode())}


class Socket(Answering):
    def __init__(self, *channels: str, events: EventBuffer | None = None, symbol: str = "BTC/USD:USD") -> None:
        self.events = events or EventBuffer()
        wanted = Wanted(symbols=(symbol,), channels=channels or tuple(VENUE.channels))
        (self.plan,) = VENUE.plan(wanted, INSTRUMENTS)
        self.session = VENUE.session(self.plan, self.events, wanted)
        self.native = INSTRUMENTS[symbol].native
        self.now = T0
        self.session.opened(T0)
        self.opening = self.commands()

    def feed(self, frame: dict[str, object]) -> Outcome:
        self.now += 10_000
        return self.session.feed(json.dumps({"product_id": self.native, **frame}, separators=(",", ":")).encode(), self.now)

    def snapshot(self, sequence: int) -> Outcome:
        sides = {"bids": [{"price": 100.0, "qty": 50.0}], "asks": [{"price": 101.0, "qty": 2.0}]}
        return self.feed({"feed": "book_snapshot", "timestamp": 1764000000774, "seq": sequence, "tickSize": None, **sides})

    def delta(self, sequence: int, quantity: float = 5.0, side: str = "buy", price: float = 99.0) -> Outcome:
        return self.feed({"feed": "book", "side": side, "seq": sequence, "price": price, "qty": quantity, "timestamp": 1764000000929})

    def trades(self, *sequences: int) -> Outcome:
        return self.feed({"feed": "trade_snapshot", "trades": [trade(sequence) for sequence in sequences]})


def trade(sequence: int, **more: object) -> dict[str, object]:
    known = {"feed": "trade", "product_id": "PF_XBTUSD", "uid": f"uid-{sequence}", "side": "sell", "type": "fill", "seq": sequence}
    return {**known, "time": 1764000000000 + sequence, "qty": 0.5, "price": 100.0, **more}


def renewed(feed: str) -> list[dict[str, object]]:
    return [{"event": event, "feed": feed, "product_ids": ["PF_XBTUSD"]} for event in ("unsubscribe", "subscribe")]


def test_the_run_decodes_without_a_sequence_gap(recordings: Path) -> None:
    decoding = decode_files("kraken", [recordings / RUN])
    tables = decoding.tables()
    report = decoding.report(tables)

    assert (report.frames, report.decoded, report.ignored, report.control) == (7176, 7037, 107, 32)
    assert (report.gaps, report.dead_letters, report.rows["trades"]) == (0, 0, 1003)
    books = decoding.session.books()
    assert len(books) == 10
    assert sum(feed.updates for feed in books.values()) == 7014
    assert all(feed.live for feed in books.values())
    assert all(top["bid_prices"][0] < top["ask_prices"][0] for top in tables["book_snapshots"].to_pylist())


def test_a_run_met_again_counts_no_trade_twice(recordings: Path) -> None:
    assert decode_files("kraken", [recordings / RUN] * 2).tables()["trades"].num_rows == 1003


def test_contracts_of_inverse_products_are_base_units_and_trades_come_oldest_first(recordings: Path) -> None:
    rows = decode_files("kraken", [recordings / RUN]).tables()["trades"].to_pylist()

    (one,) = [row for row in rows if row["trade_id"] == "727c154e-9339-4c50-987f-326c42f313a4"]
    assert (one["symbol"], one["side"], one["amount"]) == ("BCH/USD:BCH-210730", "buy", pytest.approx(50 / 439.5))
    for symbol in {row["symbol"] for row in rows}:
        times = [row["timestamp"] for row in rows if row["symbol"] == symbol]
        assert times == sorted(times)


def test_samples_hold_a_liquidation_and_states(recordings: Path) -> None:
    decoding = decode_files("kraken", [recordings / "kraken/message_samples.jsonl"])
    tables = decoding.tables()

    (forced,) = tables["liquidations"].to_pylist()
    assert (forced["symbol"], forced["side"], forced["price"]) == ("XRP/USD:XRP", "sell", 0.1736)
    assert (forced["amount"], forced["value_usd"]) == (pytest.approx(12000 / 0.1736), pytest.approx(12000))
    assert forced["sampled"] is False
    states = {row["symbol"]: row for row in tables["derivatives"].to_pylist()}
    assert states["BCH/USD:BCH"]["funding_rate"] == pytest.approx(-0.000015670191666667)
    assert states["BCH/USD:BCH"]["open_interest"] == pytest.approx(488789 / 123.83534812969)
    assert states["BCH/USD:BCH"]["index_price"] == 123.91
    assert states["BTC/USD:BTC-220624"]["funding_rate"] is None
    assert decoding.dead == []


@pytest.mark.parametrize(
    ("native", "symbol"),
    [
        ("PF_XBTUSD", "BTC/USD:USD"),
        ("PF_BTCUSD", "BTC/USD:USD"),
        ("pi_xbtusd", "BTC/USD:BTC"),
        ("FI_XBTUSD_210924", "BTC/USD:BTC-210924"),
        ("FF_ETHUSD_240329", "ETH/USD:USD-240329"),
        ("PF_XDGUSD", "DOGE/USD:USD"),
    ],
)
def test_names_are_unified(native: str, symbol: str) -> None:
    product = product_of(native)
    assert product is not None
    assert product.symbol == symbol


@pytest.mark.parametrize("native", ["in_xbtusd", "rr_xbtusd", "PF_", "XBT"])
def test_an_index_is_no_product(native: str) -> None:
    assert product_of(native) is None


def test_the_instrument_list_tells_ticks_and_lots() -> None:
    assert set(INSTRUMENTS) == {"BTC/USD:USD", "BTC/USD:BTC"}
    linear = INSTRUMENTS["BTC/USD:USD"]
    assert (linear.market, linear.tick_size, linear.lot_size, linear.inverse) == ("futures", 0.5, 1e-4, False)
    assert INSTRUMENTS["BTC/USD:BTC"].inverse
    (request,) = VENUE.instrument_requests(VENUE.endpoints, ["futures"])
    assert request.url == "https://futures.kraken.com/derivatives/api/v3/instruments"
    with pytest.raises(FrameError, match="instrument list"):
        VENUE.parse_instruments(request, b'{"result":"error"}')


def test_markets_and_plans() -> None:
    assert [VENUE.market_of(symbol) for symbol in ("BTC/USD", "BTC/USD:USD")] == ["spot", "futures"]
    with pytest.raises(UnknownSymbol):
        VENUE.market_of("BTC/USD:")
    plan = Socket().plan
    assert (plan.name, plan.url, plan.protocol_ping_seconds) == ("kraken-futures-0", "wss://futures.kraken.com/ws/v1", 30.0)


def test_a_socket_subscribes_to_the_feeds_its_channels_need() -> None:
    assert [command["feed"] for command in Socket().opening] == ["trade", "book", "ticker"]
    assert Socket("liquidations").opening == [{"event": "subscribe", "feed": "trade", "product_ids": ["PF_XBTUSD"]}]


def test_a_gap_in_a_book_renews_that_book_alone() -> None:
    socket = Socket()
    socket.snapshot(10)
    socket.delta(11)
    assert socket.commands() == []

    socket.delta(13)
    assert socket.commands() == renewed("book")
    socket.delta(14)
    assert socket.commands() == []
    socket.snapshot(20)

    (lost, healed) = socket.rows("gaps")
    assert (lost["kind"], lost["from_sequence"], lost["to_sequence"], lost["healed_at"]) == ("sequence", 11, 13, None)
    assert healed["healed_by"] == "snapshot"


def test_a_repeated_update_is_left_out_and_one_of_a_new_count_renews() -> None:
    socket = Socket()
    socket.snapshot(1_000_000)
    socket.delta(1_000_001)
    socket.delta(1_000_001)
    assert socket.commands() == []
    socket.delta(5)
    assert socket.commands() == renewed("book")


@pytest.mark.parametrize("last", [2, 12, 60_000])
def test_a_count_that_starts_over_while_it_is_low_does_not_pass_for_late_updates(last: int) -> None:
    socket = Socket()
    socket.snapshot(last)
    socket.delta(1)
    (gap,) = socket.rows("gaps")
    assert (gap["kind"], gap["from_sequence"], gap["to_sequence"]) == ("sequence", last, 1)
    assert socket.commands() == renewed("book")


def test_amounts_below_zero_delete_and_linear_amounts_are_base_units() -> None:
    socket = Socket()
    socket.snapshot(10)
    socket.delta(11, quantity=-1.0, price=100.0)
    socket.delta(12, quantity=3.0, side="sell", price=100.5)
    assert [(row["side"], row["price"], row["amount"]) for row in socket.rows("book_deltas")] == [
        ("bid", 100.0, 50.0),
        ("ask", 101.0, 2.0),
        ("bid", 100.0, 0.0),
        ("ask", 100.5, 3.0),
    ]


def test_a_snapshot_of_trades_after_a_reconnect_lands_only_what_is_new() -> None:
    socket = Socket()
    socket.trades(3, 2, 1)
    socket.session.closed(socket.now)
    again = Socket(events=socket.events)
    again.trades(5, 4, 3, 2)
    assert [row["trade_id"] for row in again.rows("trades")] == [f"uid-{number}" for number in range(1, 6)]


def past(*sequences: int, result: str = "success", **more: object) -> bytes:
    """A REST history answer, newest first; it does not know the count of the stream."""
    rows = [
        {
            "time": f"2025-11-24T16:00:00.{number:03}Z",
            "trade_id": number,
            "price": 100.0,
            "size": 0.5,
            "side": "sell",
            "type": "fill",
            "uid": f"uid-{number}",
            **more,
        }
        for number in sorted(sequences, reverse=True)
    ]
    return json.dumps({"result": result, "history": rows, "serverTime": "2025-11-24T16:00:02.000Z"}).encode()


def asked(socket: Socket) -> HttpGet:
    (request,) = [action for action in socket.session.actions if isinstance(action, HttpGet)]
    socket.session.actions.clear()
    return request


def test_missed_trades_are_fetched_page_by_page_downwards() -> None:
    socket = Socket()
    socket.trades(2, 1)
    socket.feed(trade(6))
    socket.feed(trade(7))
    first = asked(socket)
    base = "https://futures.kraken.com/derivatives/api/v3/history?symbol=PF_XBTUSD&lastTime=2025-11-24T16:00:00."
    assert first.url == f"{base}007Z"
    socket.session.feed_http(first, past(6, 5), socket.now)
    second = asked(socket)
    assert second.url == f"{base}006Z"
    socket.session.feed_http(second, past(5, 4, 3, 2, 1), socket.now)

    drained = socket.events.drain()
    landed = [(row["trade_id"], row["source"], row["timestamp"].microsecond // 1000) for row in drained["trades"].to_pylist()]
    assert landed == [
        *(("uid-1", "stream", 1), ("uid-2", "stream", 2), ("uid-6", "stream", 6), ("uid-7", "stream", 7)),
        *(("uid-5", "rest", 5), ("uid-3", "rest", 3), ("uid-4", "rest", 4)),
    ]
    lost, healed = drained["gaps"].to_pylist()
    assert (lost["from_sequence"], lost["to_sequence"], lost["healed_by"], healed["healed_by"]) == (2, 6, None, "rest")


def test_a_cut_is_one_gap_whatever_the_snapshot_after_it_holds() -> None:
    for sequences, healed_by in (((9, 8, 7), None), ((5, 4, 3, 2), "reconnect")):
        socket = Socket("trades")
        socket.trades(3, 2, 1)
        socket.session.closed(socket.now)
        again = Socket("trades", events=socket.events)
        again.trades(*sequences)
        gaps = again.rows("gaps")
        assert {row["from_sequence"] for row in gaps} == {3}
        assert gaps[-1]["healed_by"] == healed_by
        assert bool([action for action in again.session.actions if isinstance(action, HttpGet)]) == (healed_by is None)


def test_a_liquidation_that_was_missed_lands_from_history_too() -> None:
    socket = Socket()
    socket.trades(1)
    socket.feed(trade(3))
    socket.session.feed_http(asked(socket), past(3, 2, 1, type="liquidation"), socket.now)
    assert [row["liquidation_id"] for row in socket.rows("liquidations")] == ["uid-1", "uid-2", "uid-3"]


@pytest.mark.parametrize("body", [b"{}", b"[]", past(1, result="error"), past(1, time="yesterday"), past(1, side="up")])
def test_a_history_answer_that_is_none_lands_nothing(body: bytes) -> None:
    socket = Socket()
    socket.trades(1)
    socket.feed(trade(3))
    socket.events.drain()
    with pytest.raises(FrameError):
        socket.session.feed_http(asked(socket), body, socket.now)
    assert "trades" not in socket.events.drain()


def test_what_stays_unacknowledged_after_a_complaint_is_refused() -> None:
    socket = Socket("trades", "book")
    socket.feed({"event": "error", "message": "Invalid product id"})
    socket.feed({"event": "subscribed", "feed": "trade", "product_ids": ["PF_XBTUSD"]})
    socket.session.tick(socket.now + 2_000_000)
    assert socket.rows("gaps") == []
    socket.session.tick(socket.now + 4_000_000)
    assert [(row["channel"], row["kind"]) for row in socket.rows("gaps")] == [("book_deltas", "stall")]
    refusals = socket.session.writer.continuity.refusals
    assert {place: refusal.reason for place, refusal in refusals.items()} == {("BTC/USD:USD", "book"): "Invalid product id"}


def test_liquidations_land_with_the_side_of_the_order_and_others_are_left_out() -> None:
    socket = Socket()
    socket.feed(trade(1, type="liquidation"))
    for number, kind in enumerate(("block", "termination", "assignment"), start=2):
        socket.feed(trade(number, type=kind))
    drained = socket.events.drain()
    (row,) = drained["liquidations"].to_pylist()
    assert (row["side"], row["amount"], row["value_usd"], row["liquidation_id"]) == ("sell", 0.5, 50.0, "uid-1")
    assert drained["trades"].num_rows == 1
    assert socket.session.writer.trades.discarded == {"block": 1, "termination": 1, "assignment": 1}


def test_only_liquidations_land_where_only_they_are_wanted() -> None:
    socket = Socket("liquidations")
    socket.feed(trade(1))
    socket.feed(trade(2, type="liquidation"))
    assert set(socket.events.drain()) == {"liquidations"}


def test_the_relative_rate_lands_and_a_rate_left_out_is_zero() -> None:
    socket = Socket()
    known = {"feed": "ticker", "markPrice": 100.0, "index": 101.0, "openInterest": 7.0, "next_funding_rate_time": 1764003600000}
    socket.feed({**known, "time": 1764000000000, "funding_rate": 3.0, "relative_funding_rate": 0.0001})
    socket.feed({**known, "time": 1764000001000})
    socket.feed({**known, "time": 1764000001000})
    rows = socket.rows("derivatives")
    assert [row["funding_rate"] for row in rows] == [0.0001, 0.0]
    assert (rows[0]["open_interest"], rows[0]["mark_price"], rows[0]["index_price"]) == (7.0, 100.0, 101.0)


def test_inverse_products_go_through_the_same_socket() -> None:
    socket = Socket(symbol="BTC/USD:BTC")
    socket.snapshot(1)
    assert socket.rows("book_deltas")[0]["amount"] == 0.5


def test_a_silent_stream_stands_once_acknowledged_and_a_cut_leaves_gaps() -> None:
    socket = Socket("trades", "liquidations", "derivatives")
    for feed in ("trade", "ticker"):
        assert socket.feed({"event": "subscribed", "feed": feed, "product_ids": ["PF_XBTUSD"]}) is Outcome.CONTROL
    socket.session.tick(socket.now + 61_000_000)
    socket.session.closed(socket.now + 62_000_000)
    assert {row["channel"] for row in socket.rows("gaps")} == {"trades", "liquidations", "derivatives"}


@pytest.mark.parametrize(
    "frame",
    [
        trade(1, side="up"),
        trade(1, price=0.0),
        trade(1, time=1000),
        {"feed": "book", "side": "bid", "seq": 1, "price": 1.0, "qty": 1.0},
        {"feed": "book", "side": "buy", "seq": 1, "price": -1.0, "qty": 1.0},
        {"feed": "book", "side": "buy"},
        {"feed": "trade_snapshot", "trades": [trade(2), trade(1, side="")]},
    ],
)
def test_a_frame_that_cannot_be_decoded_lands_nothing(frame: dict[str, object]) -> None:
    socket = Socket()
    with pytest.raises(FrameError):
        socket.feed(frame)
    assert socket.events.drain() == {}


def test_frames_without_an_address_are_told_by_content() -> None:
    decoding = Decoding("kraken")
    frames = [
        '{"event":"info","version":1}',
        '{"feed":"heartbeat","time":1764000000000}',
        json.dumps(trade(1)),
        '{"feed":"ticker_lite","product_id":"PF_XBTUSD"}',
    ]
    for number, raw in enumerate(frames, start=1):
        decoding.take(Line(ts=None, dir="in", conn=None, raw=raw), file="made", number=number)
    report = decoding.report(decoding.tables())
    assert (report.control, report.decoded, report.ignored, report.dead_letters) == (2, 1, 1, 0)
