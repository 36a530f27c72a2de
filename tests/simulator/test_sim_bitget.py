"""Bitget simulated: messages shaped like recorded ones, linked books, history on subscribe, refusals by argument, REST paged by id."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.faults import Faults, make
from simulator.instruments import Instrument
from simulator.market import Market, Trade
from simulator.streams import Hub, Socket
from simulator.venues.base import Close
from simulator.venues.bitget import catalogue, frames, rest
from simulator.venues.bitget.feed import Feed
from simulator.venues.bitget.venue import Bitget
from tests.simulator.shapes import decode, recorded, same_shape

START = 1_763_700_000_000_000
SAMPLES = "bitget/message_samples.jsonl"
SPOT, FUTURES = "spot", "usdt-futures"


def instrument(market: str, base: str = "BTC") -> Instrument:
    return next(item for item in catalogue.CATALOGUE if (item.market, item.base) == (market, base))


def sample(kind: str, channel: str, action: str) -> Callable[[Any], bool]:
    def wanted(message: Any) -> bool:
        arg = message.get("arg", {}) if isinstance(message, dict) else {}
        named = (arg.get("instType"), arg.get("channel") or arg.get("topic"), message.get("action") if arg else "")
        return named == (kind, channel, action) and bool(message.get("ts"))

    return wanted


class Wire:
    """A socket's transport that keeps what is written."""

    def __init__(self) -> None:
        self.data = b""
        self.cut = False

    def write(self, data: bytes) -> None:
        self.data += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.cut

    def abort(self) -> None:
        self.cut = True

    def texts(self) -> list[str]:
        """Text frames so far, which are forgotten."""
        found, data = [], self.data
        while data:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10], "big"), 10
            found.append(data[start : start + size].decode())
            data = data[start + size :]
        self.data = b""
        return found


class Client:
    """A client of the venue without a network."""

    def __init__(self, version: str = "v2", *, market: str = SPOT, traded: int = 0) -> None:
        self.market = Market(instrument(market), seed=1, start_us=START)
        while len(self.market.recent) < traded:
            self.market.order(START + 1_000 * len(self.market.recent))
        self.market.take()
        self.faults, self.wire, self.now = Faults(), Wire(), START
        self.hub = Hub(self.faults)
        self.venue = Bitget([self.market], hub=self.hub, faults=self.faults)
        self.socket = Socket(self.wire, exchange="bitget", market="", identity=1)
        session = self.venue.connect(f"/{version}/ws/public", "", self.socket)
        assert session is not None
        self.session = session
        self.hub.add(self.socket)
        self.session.opened(self.now)

    def say(self, text: str) -> list[str]:
        assert self.session.command(text, self.now) is None
        self.socket.flush()
        return self.wire.texts()

    def ask(self, op: str, *args: dict[str, str]) -> list[Any]:
        return [json.loads(text) for text in self.say(json.dumps({"op": op, "args": args}))]

    def live(self, seconds: float) -> list[Any]:
        for _ in range(int(seconds * 50)):
            self.now += 20_000
            self.market.move(self.now)
            changes = self.market.take()
            if changes is not None:
                self.venue.changes(self.market, changes)
            self.venue.run_due(self.now)
            self.venue.clock(self.now)
            self.hub.flush()
        return [json.loads(text) for text in self.wire.texts()]

    def get(self, path: str, **params: str) -> Any:
        answer = self.venue.rest(f"/rest/api/v2/{path}", params, self.now)
        assert answer is not None
        return answer


BOOKS = {"instType": "SPOT", "channel": "books", "instId": "BTCUSDT"}
TRADES = {"instType": "SPOT", "channel": "trade", "instId": "BTCUSDT"}


def test_trades_are_shaped_like_recorded_ones(recordings: Path) -> None:
    theirs = recorded(recordings / SAMPLES, sample("SPOT", "trade", "update"))
    fill = Trade(1, 1, START, 7_238_999, 1_373, buy=True)
    same_shape(decode(frames.trades(catalogue.Spelling(instrument(SPOT)), [fill], action="update", now_ms=START // 1000)), theirs)
    assert len(catalogue.trade_id(1)) == len(theirs["data"][0]["tradeId"])


def test_books_are_shaped_like_recorded_ones_with_the_sequence_they_have_since(recordings: Path) -> None:
    spelling = catalogue.Spelling(instrument(FUTURES))
    theirs = recorded(recordings / SAMPLES, sample("USDT-FUTURES", "books", "snapshot"))
    mine = decode(
        frames.book(
            spelling, channel="books", action="snapshot", bids=[(5_420, 4)], asks=[(5_426, 5)], sequence=7, previous=None, matched_ms=1
        )
    )
    assert list(mine) == list(theirs)
    assert mine["arg"].keys() == theirs["arg"].keys()
    assert [key for key in mine["data"][0] if key != "seq"] == [key for key in theirs["data"][0] if key != "checksum"]
    assert {key: type(value) for key, value in mine["data"][0].items() if key != "seq"} == {
        key: type(value) for key, value in theirs["data"][0].items() if key != "checksum"
    }
    update = decode(
        frames.book(spelling, channel="books", action="update", bids=[(5_420, 0)], asks=[], sequence=9, previous=7, matched_ms=1)
    )
    assert (update["data"][0]["bids"], update["data"][0]["seq"], update["data"][0]["pseq"]) == ([["542.0", "0"]], 9, 7)


def test_tickers_and_liquidations_are_shaped_like_recorded_ones(recordings: Path) -> None:
    feed = Feed(Market(instrument(FUTURES), seed=1, start_us=START), hub=Hub(Faults()))
    mine = decode(frames.ticker(feed.spelling, feed.fields(START), now_ms=START // 1000))
    theirs = recorded(recordings / SAMPLES, sample("USDT-FUTURES", "ticker", "snapshot"))
    assert list(mine) == list(theirs)
    assert list(mine["data"][0]) == list(theirs["data"][0])
    assert {key: type(value) for key, value in mine["data"][0].items()} == {key: type(value) for key, value in theirs["data"][0].items()}
    forced = decode(frames.liquidation(feed.spelling, bought=False, price=640_001, lots=12, time_ms=1, now_ms=2))
    real = recorded(recordings / SAMPLES, sample("usdt-futures", "liquidation", "update"))
    assert list(forced) == list(real)
    assert forced["arg"] == real["arg"]
    assert {key: type(value) for key, value in forced["data"][0].items()} == {key: type(value) for key, value in real["data"][0].items()}


def test_a_liquidated_long_is_a_buy_counted_in_the_quote() -> None:
    spelling = catalogue.Spelling(instrument(FUTURES))
    (row,) = decode(frames.liquidation(spelling, bought=False, price=640_000, lots=120, time_ms=1, now_ms=2))["data"]
    assert (row["side"], row["price"], row["amount"]) == ("buy", "64000", "768")


@pytest.mark.parametrize("market", [SPOT, FUTURES])
def test_instrument_lists_have_the_documented_rows(recordings: Path, market: str) -> None:
    wanted = "pricePrecision" if market == SPOT else "pricePlace"
    theirs = recorded(
        recordings / SAMPLES,
        lambda body: isinstance(body.get("data"), list) and isinstance(body["data"][0], dict) and wanted in body["data"][0],
        http=True,
    )
    rows = rest.spot_symbols(catalogue.CATALOGUE) if market == SPOT else rest.contracts(catalogue.CATALOGUE, market)
    mine = decode(rest.answered(rows, START).body)
    assert mine.keys() == theirs.keys()
    assert len(mine["data"]) == 20
    for row in mine["data"]:
        assert list(row) == list(theirs["data"][0])[: len(row)]
        assert {key: type(value) for key, value in row.items()} == {key: type(theirs["data"][0][key]) for key in row}


@pytest.mark.parametrize(("market", "side"), [(SPOT, "buy"), (FUTURES, "Sell")])
def test_fills_have_the_documented_rows(recordings: Path, market: str, side: str) -> None:
    def history(body: Any) -> bool:
        rows = body.get("data")
        return isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict) and "tradeId" in rows[0] and rows[0]["side"] == side

    theirs = recorded(recordings / SAMPLES, history, http=True)["data"][0]
    client = Client(market=market, traded=10)
    (mine, *_) = rest.fills(client.venue.feeds[client.market.instrument], {"limit": "5"}, history=True)
    assert list(mine) == list(theirs)
    assert mine["side"].islower() == side.islower()


def test_history_is_the_orders_of_the_last_fifty_trades_newest_first_and_ids_are_those_of_rest() -> None:
    client = Client(traded=80)
    ack, history = client.ask("subscribe", TRADES)
    assert ack == {"event": "subscribe", "arg": TRADES}
    ids = [row["tradeId"] for row in history["data"]]
    assert history["action"] == "snapshot"
    assert 38 < len(ids) <= 50
    assert ids == sorted(ids, key=int, reverse=True)
    fills = json.loads(client.get("spot/market/fills-history", symbol="BTCUSDT", limit="50").body)["data"]
    assert [row["tradeId"] for row in fills][: len(ids)] == ids

    new = client.market.order(START)
    assert client.venue.trades(client.market, new) == [True] * len(new)
    client.hub.flush()
    (update,) = [json.loads(text) for text in client.wire.texts()]
    assert [row["tradeId"] for row in update["data"]] == client.venue.wire_ids(client.market, new)


def test_each_update_names_the_sequence_before_it_and_keeps_a_client_at_the_venues_book() -> None:
    client = Client()
    _, snapshot = client.ask("subscribe", BOOKS)
    assert (snapshot["action"], "pseq" in snapshot["data"][0]) == ("snapshot", False)
    sides = [dict(map(tuple, snapshot["data"][0][side])) for side in ("bids", "asks")]
    last = snapshot["data"][0]["seq"]

    updates = client.live(3.0)
    for message in updates:
        (data,) = message["data"]
        assert (message["action"], data["pseq"]) == ("update", last)
        assert data["seq"] > last
        last = data["seq"]
        for side, name in zip(sides, ("bids", "asks"), strict=True):
            for price, amount in data[name]:
                side[price] = amount
                if amount == "0":
                    del side[price]

    assert 10 < len(updates) <= 16
    spelling = catalogue.Spelling(instrument(SPOT))
    for side, real in zip(sides, (client.market.book.bids, client.market.book.asks), strict=True):
        assert side == {spelling.price(price): spelling.amount(lots) for price, lots in real.levels()}


def test_a_second_client_begins_where_the_first_one_stands() -> None:
    client = Client()
    client.ask("subscribe", BOOKS)
    client.live(0.5)
    client.market.move(client.now)
    changes = client.market.take()
    assert changes is not None
    client.venue.changes(client.market, changes)
    wire = Wire()
    other = Socket(wire, exchange="bitget", market="", identity=2)
    session = client.venue.connect("/v2/ws/public", "", other)
    assert session is not None
    client.hub.add(other)
    session.command(json.dumps({"op": "subscribe", "args": [BOOKS]}), client.now)
    client.hub.flush()
    (told,) = [json.loads(text) for text in client.wire.texts()]
    _, snapshot = [json.loads(text) for text in wire.texts()]
    following = client.live(0.5)[0]

    assert told["data"][0]["seq"] == snapshot["data"][0]["seq"] == following["data"][0]["pseq"]


def test_after_a_restart_the_next_update_follows_nothing() -> None:
    client = Client()
    _, snapshot = client.ask("subscribe", BOOKS)
    client.venue.restart_sequence(client.market, client.now)
    first = client.live(0.5)[0]
    assert first["data"][0]["pseq"] == 0 != snapshot["data"][0]["seq"]


def test_a_stale_snapshot_is_followed_by_an_update_that_does_not_follow() -> None:
    client = Client()
    client.live(1.0)
    client.faults.arm(make("stale_snapshot", exchange="bitget"), now_us=client.now)
    _, snapshot = client.ask("subscribe", BOOKS)
    first = client.live(0.5)[0]
    assert snapshot["data"][0]["seq"] < first["data"][0]["pseq"]


def test_short_books_are_whole_each_time() -> None:
    client = Client()
    _, first = client.ask("subscribe", {**BOOKS, "channel": "books5"})
    later = client.live(1.0)
    assert {message["action"] for message in (first, *later)} == {"snapshot"}
    assert {len(message["data"][0][side]) for message in (first, *later) for side in ("bids", "asks")} == {5}


def test_refusals_name_their_argument_and_leave_the_others_alone() -> None:
    client = Client()
    unknown = {**TRADES, "instId": "NOPEUSDT"}
    refused, granted = client.ask("subscribe", unknown, TRADES)[:2]
    assert refused == {
        "event": "error",
        "arg": unknown,
        "code": 30001,
        "msg": "instType:SPOT,channel:trade,instId:NOPEUSDT doesn't exist",
    }
    assert granted["event"] == "subscribe"
    (lower,) = client.ask("subscribe", {**TRADES, "instType": "spot"})
    assert lower["event"] == "error"
    (gone,) = client.ask("unsubscribe", TRADES)
    assert gone == {"event": "unsubscribe", "arg": TRADES}
    assert client.venue.trades(client.market, client.market.order(START))[0] is False


def test_text_pings_alone_keep_a_client_alive() -> None:
    client = Client()
    assert client.say("ping") == ["pong"]
    assert client.say('{"op":"ping"}') == []
    client.now += 119_000_000
    client.venue.clock(client.now)
    assert not client.wire.cut
    client.now += 2_000_000
    client.venue.clock(client.now)
    assert client.wire.cut


def test_too_many_messages_in_a_second_end_the_conversation() -> None:
    client = Client()
    answers = [client.session.command("ping", client.now) for _ in range(11)]
    assert answers[:10] == [None] * 10
    assert isinstance(answers[10], Close)


def test_liquidations_come_over_v3_for_all_symbols_and_at_most_once_a_second() -> None:
    client = Client("v3", market=FUTURES)
    (ack,) = client.ask("subscribe", {"instType": FUTURES, "topic": "liquidation"})
    fills = client.market.order(START, buy=False, dollars=50_000.0)
    said = [client.venue.liquidation(client.market, fills, START + offset) for offset in (2_000_000, 2_500_000, 3_100_000)]
    client.hub.flush()
    messages = [json.loads(text) for text in client.wire.texts()]

    assert ack["event"] == "subscribe"
    assert said == [True, False, True]
    assert [message["data"][0]["symbol"] for message in messages] == ["BTCUSDT", "BTCUSDT"]
    (refused,) = client.ask("subscribe", {"instType": FUTURES, "topic": "nothing"})
    assert refused["event"] == "error"


def test_history_is_paged_downwards_by_id() -> None:
    client = Client(traded=30)
    seen: list[str] = []
    params = {"symbol": "BTCUSDT", "limit": "7"}
    while rows := json.loads(client.get("spot/market/fills-history", **params).body)["data"]:
        seen += [row["tradeId"] for row in rows]
        params["idLessThan"] = rows[-1]["tradeId"]
        client.now += 1_000_000
    assert seen == [catalogue.trade_id(fill.trade_id) for fill in reversed(client.market.recent)]


def test_candles_ascend_and_long_ones_open_on_the_venues_own_day() -> None:
    client = Client()
    rows = json.loads(client.get("spot/market/candles", symbol="BTCUSDT", granularity="1min", limit="5").body)["data"]
    times = [int(row[0]) for row in rows]
    assert times == sorted(times)
    assert len(rows) == 5
    assert {len(row) for row in rows} == {8}
    local, utc = (
        json.loads(client.get("spot/market/candles", symbol="BTCUSDT", granularity=name, limit="2").body)["data"]
        for name in ("1day", "1Dutc")
    )
    assert {int(row[0]) // 1000 % 86_400 for row in local} == {16 * 3600}
    assert {int(row[0]) // 1000 % 86_400 for row in utc} == {0}


def test_errors_have_codes_and_the_twenty_first_request_of_a_second_is_too_many() -> None:
    client = Client()
    assert json.loads(client.get("spot/market/fills-history", symbol="NOPE").body)["code"] == "40034"
    assert json.loads(client.get("spot/market/candles", symbol="BTCUSDT", granularity="7min").body)["code"] == "40020"
    assert json.loads(client.get("mix/market/contracts").body)["code"] == "40020"
    client.now += 1_000_000
    assert [client.get("public/time").status for _ in range(21)] == [200] * 20 + [429]
    client.now += 1_000_000
    assert client.get("public/time").status == 200
