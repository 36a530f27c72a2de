"""Streams a venue refuses: shown with its reason, a gap until their first row, asked for again after growing waits."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from collectors.continuity import RETRY_FIRST, RETRY_LONGEST
from collectors.logs import logger
from collectors.rows import EventBuffer
from collectors.status import ConnectionStatus, stream_statuses
from collectors.venue import ConnectionPlan, Instrument, SendText, Session, Stream, Venue, Wanted
from collectors.venues.binance import VENUE as BINANCE
from collectors.venues.kraken import VENUE as KRAKEN
from collectors.watch import Watch
from collectors.watchdog import Watchdog

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
HOUR = 3600 * SECOND


class Socket:
    """A session of a venue's only plan, its symbols subscribed to."""

    def __init__(self, venue: Venue, *symbols: str, channels: tuple[str, ...] = ("trades", "book")) -> None:
        self.events = EventBuffer()
        listed = {
            symbol: Instrument(
                exchange=venue.exchange,
                symbol=symbol,
                native=symbol.replace("/", ""),
                market="spot",
                base=symbol.split("/")[0],
                quote=symbol.split("/")[1],
            )
            for symbol in symbols
        }
        wanted = Wanted(symbols=symbols, channels=channels)
        self.plan: ConnectionPlan
        (self.plan,) = venue.plan(wanted, listed)
        self.session: Session = venue.session(self.plan, self.events, wanted)
        self.session.opened(NOW)
        self.continuity = self.events.continuity(venue.exchange)

    def said(self) -> list[dict[str, Any]]:
        found = [json.loads(action.text) for action in self.session.actions if isinstance(action, SendText)]
        self.session.actions.clear()
        return found

    def hears(self, message: dict[str, Any], *, at: int = NOW) -> None:
        self.session.feed(json.dumps(message, separators=(",", ":")).encode(), at)

    def gaps(self) -> list[dict[str, Any]]:
        drained = self.events.drain()
        return drained["gaps"].to_pylist() if "gaps" in drained else []


def kraken_refuses(socket: Socket, symbol: str, *, number: int, reason: str = "Currency pair not supported", at: int = NOW) -> None:
    socket.hears({"error": reason, "method": "subscribe", "success": False, "symbol": symbol, "req_id": number}, at=at)


def kraken_trade(number: int, symbol: str) -> dict[str, Any]:
    known = {"symbol": symbol, "side": "sell", "price": 1.5, "qty": 0.5, "ord_type": "market"}
    return {"channel": "trade", "type": "update", "data": [{**known, "trade_id": number, "timestamp": "2026-08-01T12:00:00.1Z"}]}


def test_a_refusal_opens_one_gap_and_names_the_channel_by_the_number_of_its_command():
    socket = Socket(KRAKEN, "BTC/USD", "OLD/USD")
    numbers = {command["params"]["channel"]: command["req_id"] for command in socket.said()}

    kraken_refuses(socket, "OLD/USD", number=numbers["trade"])
    kraken_refuses(socket, "OLD/USD", number=numbers["trade"], at=NOW + SECOND)
    kraken_refuses(socket, "OLD/USD", number=numbers["book"])

    assert [(gap["symbol"], gap["channel"], gap["kind"]) for gap in socket.gaps()] == [
        ("OLD/USD", "trades", "stall"),
        ("OLD/USD", "book_deltas", "stall"),
    ]
    assert set(socket.continuity.refusals) == {("OLD/USD", "trades"), ("OLD/USD", "book")}


def test_a_stream_that_stands_already_is_no_refused_one():
    socket = Socket(KRAKEN, "BTC/USD")

    kraken_refuses(socket, "BTC/USD", number=1, reason="Already subscribed")

    assert socket.gaps() == []
    assert socket.continuity.refusals == {}


def test_a_refused_command_of_many_streams_is_asked_by_halves_until_the_bad_one_stands_alone():
    symbols = [f"C{number}/USDT" for number in range(8)]
    socket = Socket(BINANCE, *symbols, channels=("trades",))
    bad, asked = "c5usdt@trade", []
    while commands := socket.said():
        for command in commands:
            asked.append(command["params"])
            if bad in command["params"]:
                socket.hears({"error": {"code": 2, "msg": "Invalid request"}, "id": command["id"]})
            else:
                socket.hears({"result": None, "id": command["id"]})

    assert len(asked) == 7
    assert set(socket.continuity.refusals) == {("C5/USDT", "trades")}
    assert [gap["symbol"] for gap in socket.gaps()] == ["C5/USDT"]


def test_an_acknowledgement_ends_a_refusal_and_the_first_row_its_gap():
    socket = Socket(KRAKEN, "BTC/USD")
    kraken_refuses(socket, "BTC/USD", number=1)
    (opened,) = socket.gaps()

    accepted = {"channel": "trade", "snapshot": False, "symbol": "BTC/USD"}
    socket.hears({"method": "subscribe", "req_id": 1, "result": accepted, "success": True}, at=NOW + 60 * SECOND)
    assert socket.continuity.refusals == {}
    assert socket.gaps() == []
    socket.hears(kraken_trade(7, "BTC/USD"), at=NOW + 61 * SECOND)

    (healed,) = socket.gaps()
    assert (healed["from_time"], healed["healed_by"]) == (opened["from_time"], "reconnect")


class Standing:
    """A connection as the watchdog sees it, its socket open for good."""

    def __init__(self, socket: Socket) -> None:
        self.plan = socket.plan
        self.connected_since = NOW
        self.writer = socket.session.writer
        self.log = logger(connection=socket.plan.name)
        self._session = socket.session

    def resubscribe(self, streams: list[Stream]) -> list[Stream]:
        return self._session.resubscribe(streams)


def test_a_refused_stream_is_asked_for_again_after_one_minute_then_two_up_to_once_an_hour_and_status_says_why():
    socket = Socket(KRAKEN, "OLD/USD", channels=("trades",))
    watch = Watch()
    watch.expect("kraken", "trades", "OLD/USD", connection=socket.plan.name)
    dog = Watchdog(watch, socket.events)
    dog.lines[socket.plan.name] = [Standing(socket)]
    kraken_refuses(socket, "OLD/USD", number=1)
    socket.said()

    tries = []
    for second in range(6 * 3600):
        at = NOW + second * SECOND
        dog.check(at)
        if socket.said():
            tries.append(second)
            kraken_refuses(socket, "OLD/USD", number=1, at=at)

    waits = [after - before for before, after in pairwise([0, *tries])]
    assert waits[:6] == [RETRY_FIRST // SECOND << number for number in range(6)]
    assert set(waits[6:]) == {RETRY_LONGEST // SECOND}
    assert len(socket.gaps()) == 1
    connection = ConnectionStatus(
        name=socket.plan.name,
        exchange="kraken",
        market="spot",
        state="connected",
        connected_since=NOW,
        frames=1,
        reconnects=0,
        last_frame=NOW,
        dead_letters=0,
    )
    (shown,) = stream_statuses(watch, [connection], {})
    assert (shown.state, shown.reason) == ("refused", "Currency pair not supported")

    socket.hears(kraken_trade(7, "OLD/USD"), at=NOW + 6 * HOUR)
    dog.heal(watch.observe(socket.events.drain()), NOW + 6 * HOUR)
    assert stream_statuses(watch, [connection], {})[0].state == "live"
