"""A live v4 session, and what recordings carry of earlier formats, fed with frames in the venue's own spelling."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from collectors.decode import Decoding
from collectors.errors import FrameError, UnknownSymbol
from collectors.recording import Line
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Outcome, Reconnect, SendText, Wanted
from collectors.venues.gateio import VENUE
from collectors.venues.gateio.instruments import guessed_contract, unified

MS = 1_790_000_000_000
T0 = MS * 1000
SPOT = Instrument(exchange="gateio", symbol="BTC/USDT", native="BTC_USDT", market="spot", base="BTC", quote="USDT")
PERP = Instrument(
    exchange="gateio",
    symbol="BTC/USDT:USDT",
    native="BTC_USDT",
    market="usdt",
    base="BTC",
    quote="USDT",
    settle="USDT",
    contract_size=0.0001,
)
LISTED = {"BTC/USDT": SPOT, "BTC/USDT:USDT": PERP}


class Socket:
    def __init__(self, market: str = "spot", events: EventBuffer | None = None, *, at: int = T0) -> None:
        self.events = events or EventBuffer()
        symbol = "BTC/USDT" if market == "spot" else "BTC/USDT:USDT"
        wanted = Wanted(symbols=(symbol,), channels=VENUE.channels)
        (self.plan,) = VENUE.plan(wanted, LISTED)
        self.prefix = "spot" if market == "spot" else "futures"
        self.session = VENUE.session(self.plan, self.events, wanted)
        self.session.opened(at)
        self.now = at

    def feed(self, channel: str, result: object, event: str = "update", **more: object) -> Outcome:
        self.now += 10_000
        frame = {"time": MS // 1000, "time_ms": MS, "channel": f"{self.prefix}.{channel}", "event": event, "result": result, **more}
        return self.session.feed(json.dumps(frame).encode(), self.now)

    def spot_trade(self, own: int | None, **more: object) -> Outcome:
        trade = {"id": 309_000_000 + (own or 0) * 3, "create_time": MS // 1000, "create_time_ms": f"{MS + 213}.4578", "side": "sell"}
        trade |= {"currency_pair": "BTC_USDT", "amount": "0.5", "price": "91250.5"}
        return self.feed("trades", trade | ({} if own is None else {"id_market": own, "range": f"{own}-{own}"}) | more)

    def future_trade(self, number: int, size: str, **more: object) -> Outcome:
        trade = {
            "size": size,
            "id": number,
            "create_time": MS // 1000,
            "create_time_ms": MS + 120,
            "price": "91240.4",
            "contract": "BTC_USDT",
        }
        return self.feed("trades", [trade | more])

    def book(self, first: int | None, last: int, *, bids: list[list[str]] | None = None, asks: list[list[str]] | None = None) -> Outcome:
        body: dict[str, object] = {"t": MS + 1, "s": "ob.BTC_USDT.400", "u": last}
        body |= {"full": True} if first is None else {"U": first}
        body |= {} if bids is None else {"b": bids}
        return self.feed("obu", body | ({} if asks is None else {"a": asks}))

    def commands(self) -> list[dict[str, Any]]:
        found = [json.loads(action.text) for action in self.session.actions if isinstance(action, SendText)]
        self.session.actions.clear()
        return found

    def requests(self) -> list[HttpGet]:
        found = [action for action in self.session.actions if isinstance(action, HttpGet)]
        self.session.actions.clear()
        return found

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        drained = self.events.drain()
        return drained[dataset].to_pylist() if dataset in drained else []


def opened(market: str = "spot") -> Socket:
    socket = Socket(market)
    socket.commands()
    socket.book(None, 10, bids=[["100", "1"]], asks=[["101", "2"]])
    socket.events.drain()
    return socket


def test_spot_subscribes_to_trades_and_books() -> None:
    trades, book = Socket().commands()
    assert trades == {"time": MS // 1000, "id": 1, "channel": "spot.trades", "event": "subscribe", "payload": ["BTC_USDT"]}
    assert (book["channel"], book["payload"]) == ("spot.obu", ["ob.BTC_USDT.400"])


def test_futures_subscribe_to_all_channels_and_ask_for_sizes_with_decimals() -> None:
    socket = Socket("futures")
    assert [(each["channel"], each["payload"]) for each in socket.commands()] == [
        ("futures.trades", ["BTC_USDT"]),
        ("futures.obu", ["ob.BTC_USDT.400"]),
        ("futures.public_liquidates", ["BTC_USDT"]),
        ("futures.tickers", ["BTC_USDT"]),
    ]
    assert (socket.plan.url, dict(socket.plan.headers)) == ("wss://fx-ws.gateio.ws/v4/ws/usdt", {"X-Gate-Size-Decimal": "1"})


def test_pings_go_out_and_silence_ends_the_socket_once() -> None:
    socket = opened()
    socket.session.tick(socket.now)
    assert [each["channel"] for each in socket.commands()] == ["spot.ping"]
    assert socket.feed("pong", None, event="") is Outcome.CONTROL
    for seconds in (46, 47):
        socket.session.tick(socket.now + seconds * 1_000_000)
    assert len([action for action in socket.session.actions if isinstance(action, Reconnect)]) == 1


def test_a_restart_notice_asks_for_a_successor_while_the_socket_still_delivers() -> None:
    socket = opened()
    assert socket.session.feed(b'{"type":"upgrade","msg":"The connection will soon be closed"}', socket.now) is Outcome.CONTROL
    assert [(action.graceful) for action in socket.session.actions if isinstance(action, Reconnect)] == [True]


def test_acks_without_an_error_confirm_and_those_with_one_do_not() -> None:
    socket = Socket()
    assert socket.feed("trades", {"status": "success"}, event="subscribe", id=1, error=None) is Outcome.CONTROL
    assert socket.session.acked == {"BTC/USDT": socket.now}
    refused = Socket()
    refused.feed("trades", None, event="subscribe", id=1, error={"code": 2, "message": "unknown currency pair"})
    assert refused.session.acked == {}


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


def refused(socket: Socket, command: dict[str, Any], message: str) -> None:
    error = {"code": 2, "message": message}
    socket.feed(command["channel"].partition(".")[2], None, event="subscribe", id=command["id"], error=error)


def test_a_refused_command_is_asked_again_by_halves_and_a_stream_alone_is_given_up_for_now() -> None:
    events = EventBuffer()
    listed = {symbol: msgspec.structs.replace(SPOT, symbol=symbol, native=symbol.replace("/", "_")) for symbol in ("BTC/USDT", "X/USDT")}
    wanted = Wanted(symbols=tuple(listed), channels=("trades",))
    (plan,) = VENUE.plan(wanted, listed)
    socket = Socket(events=events)
    socket.session = VENUE.session(plan, events, wanted)
    socket.session.opened(T0)
    (both,) = socket.commands()
    refused(socket, both, "unknown currency pair X_USDT")
    one, other = socket.commands()
    assert (one["payload"], other["payload"]) == (["BTC_USDT"], ["X_USDT"])
    refused(socket, other, "unknown currency pair X_USDT")
    socket.feed("trades", {"status": "success"}, event="subscribe", id=one["id"])
    assert {place: refusal.reason for place, refusal in events.continuity("gateio").refusals.items()} == {
        ("X/USDT", "trades"): "unknown currency pair X_USDT"
    }
    assert socket.commands() == []


def test_a_stream_that_is_subscribed_already_is_not_refused() -> None:
    socket = Socket()
    _, book = socket.commands()
    refused(socket, book, "Alert sub ob.BTC_USDT.400")
    assert socket.events.continuity("gateio").refusals == {}


def test_a_book_follows_and_a_missing_side_is_empty() -> None:
    socket = opened()
    socket.book(11, 13, bids=[["100", "5"], ["99", "4"]])
    socket.book(11, 13, bids=[["98", "1"]])
    socket.book(14, 14, asks=[["101", "0"], ["102", "3"]])
    socket.book(15, 15)
    assert socket.session.book_feeds["BTC/USDT"].book.levels() == ([(100.0, 5.0), (99.0, 4.0)], [(102.0, 3.0)])
    assert [row["sequence"] for row in socket.rows("book_deltas")] == [13, 13, 14, 14]


def test_a_gap_unsubscribes_and_subscribes_that_book_alone() -> None:
    socket = opened("futures")
    socket.book(12, 13, bids=[["100", "5"]])
    (gap,) = socket.rows("gaps")
    assert (gap["kind"], gap["from_sequence"], gap["to_sequence"]) == ("sequence", 10, 13)
    assert [(each["event"], each["payload"]) for each in socket.commands()] == [
        ("unsubscribe", ["ob.BTC_USDT.400"]),
        ("subscribe", ["ob.BTC_USDT.400"]),
    ]
    socket.book(14, 14, bids=[["100", "6"]])
    assert socket.rows("book_deltas") == []
    socket.book(None, 20, bids=[["100", "7"]], asks=[["101", "2"]])
    drained = socket.events.drain()
    assert [row["healed_by"] for row in drained["gaps"].to_pylist()] == ["snapshot"]
    assert [row["amount"] for row in drained["book_deltas"].to_pylist()] == [0.0007, 0.0002]


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


def test_tickers_land_open_interest_in_base_units_and_leave_out_what_is_empty() -> None:
    socket = Socket("futures")
    ticker = {"contract": "BTC_USDT", "mark_price": "50000", "index_price": "", "funding_rate": "-0.00004", "total_size": "754413619"}
    socket.feed("tickers", [ticker])
    (row,) = socket.rows("derivatives")
    assert (row["open_interest"], row["funding_rate"], row["mark_price"], row["index_price"]) == (75441.3619, -0.00004, 50000.0, None)


@pytest.mark.parametrize(
    "change", [{"price": "0"}, {"size": "0"}, {"size": "nan"}, {"create_time_ms": 1}, {"contract": None}, {"id": "x"}], ids=str
)
def test_a_trade_that_cannot_be_right_is_a_frame_error_and_lands_nothing(change: dict[str, object]) -> None:
    socket = Socket("futures")
    with pytest.raises(FrameError):
        socket.future_trade(1, **{"size": "5", **change})
    assert socket.rows("trades") == []


@pytest.mark.parametrize(
    "frame", [b"", b'{"channel":"spot.obu"', b"\xff", b'{"channel":"spot.trades","event":"update","result":{}}', b"[1]"]
)
def test_a_corrupt_frame_is_a_frame_error(frame: bytes) -> None:
    with pytest.raises(FrameError):
        Socket().session.feed(frame, T0)


@pytest.mark.parametrize("body", [{"s": "BTC_USDT", "u": 1, "full": True, "t": MS}, {"s": "ob.BTC_USDT.50", "u": 1, "t": MS}])
def test_a_book_frame_without_a_stream_or_a_first_id_is_a_frame_error(body: dict[str, object]) -> None:
    with pytest.raises(FrameError):
        Socket().feed("obu", body)


def test_names_and_contracts_that_no_list_has_told() -> None:
    futures = ("BTC_USDT", "BTC_USD", "ETH_USD", "BTC_USDT_20210326")
    assert [unified(name, spot=False) for name in futures] == [
        "BTC/USDT:USDT",
        "BTC/USD:BTC",
        "ETH/USD:BTC",
        "BTC/USDT:USDT-210326",
    ]
    assert unified("QTUM3S_USDT", spot=True) == "QTUM3S/USDT"
    assert guessed_contract("BTC_USDT").base(19, 53560.5) == 0.0019
    assert guessed_contract("BTC_USD").base(7, 56000) == 0.000125


def test_instruments_of_both_lists() -> None:
    spot, futures = VENUE.instrument_requests(VENUE.endpoints, ["spot", "usdt"])
    assert futures.url == "https://api.gateio.ws/api/v4/futures/usdt/contracts"
    pair = {"id": "BTC_USDT", "base": "BTC", "quote": "USDT", "precision": 1, "amount_precision": 4, "trade_status": "untradable"}
    (listed,) = VENUE.parse_instruments(spot, json.dumps([pair]).encode())
    assert (listed.symbol, listed.tick_size, listed.lot_size, listed.active) == ("BTC/USDT", 0.1, 0.0001, False)
    contracts = [{"name": "LAB_USDT", "quanto_multiplier": "100", "order_price_round": "0.00001", "order_size_min": "0.1"}]
    contracts.append({"name": "BTC_USD", "quanto_multiplier": "0"})
    found = VENUE.parse_instruments(futures, json.dumps(contracts).encode())
    assert [(each.symbol, each.market, each.contract_size, each.inverse, each.lot_size) for each in found] == [
        ("LAB/USDT:USDT", "usdt", 100.0, False, 10.0),
        ("BTC/USD:BTC", "btc", 1.0, True, None),
    ]
    with pytest.raises(FrameError):
        VENUE.parse_instruments(spot, b'{"label":"INVALID"}')


def test_markets_of_symbols() -> None:
    symbols = ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT:USDT-260327")
    assert [VENUE.market_of(symbol) for symbol in symbols] == ["spot", "usdt", "btc", "usdt"]
    for symbol in ("BTC_USDT", "BTC/USDT:BTC", ""):
        with pytest.raises(UnknownSymbol):
            VENUE.market_of(symbol)


def decoded(*lines: tuple[str, object], conn: str | None = "wss://fx-ws.gateio.ws/v4/ws/usdt", timed: bool = True) -> Decoding:
    decoding = Decoding("gateio")
    for number, (channel, result) in enumerate(lines, start=1):
        if channel.startswith("https:"):
            line = Line(ts=MS / 1000 + number, dir="in", conn=channel, kind="http", raw=json.dumps(result))
        else:
            event = "all" if channel == "futures.order_book" and isinstance(result, dict) else "update"
            frame = result if channel == "v3" else {"time": MS // 1000, "channel": channel, "event": event, "result": result}
            line = Line(ts=MS / 1000 + number if timed else None, dir="in", conn=conn, raw=json.dumps(frame))
        decoding.take(line, file="test", number=number)
    assert decoding.dead == []
    return decoding


def test_a_diff_book_of_futures_bridges_its_rest_snapshot_and_lands_a_hole_as_a_gap() -> None:
    url = "https://api.gateio.ws/api/v4/futures/usdt/order_book?contract=BTC_USDT&limit=100&with_id=true"

    def update(first: int, last: int, size: int) -> tuple[str, object]:
        return "futures.order_book_update", {"t": MS, "s": "BTC_USDT", "U": first, "u": last, "b": [{"p": "100", "s": size}], "a": []}

    whole = {"id": 10, "current": 1.5, "asks": [{"p": "101", "s": 10000}], "bids": [{"p": "100", "s": 1}]}
    decoding = decoded(update(8, 11, 20000), (url, whole), update(12, 14, 30000))
    assert decoding.session.books()["BTC/USDT:USDT"].book.levels() == ([(100.0, 3.0)], [(101.0, 1.0)])
    (gap,) = decoded(update(8, 11, 20000), (url, whole), update(13, 14, 30000)).tables()["gaps"].to_pylist()
    assert (gap["from_sequence"], gap["to_sequence"]) == (11, 13)


def test_the_legacy_futures_book_tells_the_side_by_the_sign() -> None:
    whole = {"contract": "BTC_USDT", "asks": [{"p": "101", "s": 10000}], "bids": [{"p": "100", "s": 20000}], "t": MS, "id": 5}
    levels = [{"p": "99", "s": 10000, "c": "BTC_USDT", "id": 6}, {"p": "101", "s": 0, "c": "BTC_USDT", "id": 7}]
    levels.append({"p": "102", "s": -30000, "c": "BTC_USDT", "id": 8})
    decoding = decoded(("futures.order_book", whole), ("futures.order_book", levels))
    assert decoding.session.books()["BTC/USDT:USDT"].book.levels() == ([(100.0, 2.0), (99.0, 1.0)], [(102.0, 3.0)])


def test_v3_trades_come_newest_first_and_its_books_whole_or_in_parts() -> None:
    trades = [{"id": 877, "time": MS / 1000 + 0.775122, "price": "9137.38", "amount": "0.5", "type": "buy"}]
    trades.append({"id": 876, "time": MS / 1000 + 0.655988, "price": "9137.38", "amount": "0.25", "type": "sell"})
    depth = [True, {"asks": [["11", "2"]], "bids": [["10", "1"]], "id": 3}, "BTC_USDT"]
    part = [False, {"bids": [["10", "0"], ["9", "4"]]}, "BTC_USDT"]
    frames = [
        ("v3", {"method": name, "params": params, "id": None})
        for name, params in (("trades.update", ["BTC_USDT", trades]), ("depth.update", depth), ("depth.update", part))
    ]
    decoding = decoded(*frames, conn="wss://ws.gate.io/v3/")
    rows = decoding.tables()["trades"].to_pylist()
    assert [(row["trade_id"], row["side"], row["timestamp"].microsecond) for row in rows] == [
        ("876", "sell", 655988),
        ("877", "buy", 775122),
    ]
    assert decoding.session.books()["BTC/USDT"].book.levels() == ([(9.0, 4.0)], [(11.0, 2.0)])
    assert decoded(*frames, conn=None, timed=False).tables()["book_deltas"].num_rows == 0


def test_tickers_of_2021_come_wrapped_once_more() -> None:
    row = {"contract": "BSV_USDT", "mark_price": "244.78", "index_price": "244.75", "total_size": "417015", "funding_rate": "0.000962"}
    (landed,) = decoded(("futures.tickers", [[row]])).tables()["derivatives"].to_pylist()
    assert (landed["symbol"], landed["open_interest"]) == ("BSV/USDT:USDT", 4170.15)


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


def test_tickers_with_bare_numbers_are_read_and_words_are_a_frame_error() -> None:
    socket = Socket("futures")
    socket.feed("tickers", [{"contract": "BTC_USDT", "mark_price": 50000.5, "total_size": 10, "index_price": None}])
    assert [(row["mark_price"], row["open_interest"]) for row in socket.rows("derivatives")] == [(50000.5, 0.001)]
    with pytest.raises(FrameError):
        socket.feed("tickers", [{"contract": "BTC_USDT", "mark_price": "high"}])


def test_answers_of_v3_are_control() -> None:
    decoding = decoded(("v3", {"error": None, "result": {"status": "success"}, "id": 12}), conn="wss://ws.gate.io/v3/")
    assert decoding.report(decoding.tables()).control == 1
