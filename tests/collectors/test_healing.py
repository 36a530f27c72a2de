"""The healer's policy over a toy venue: when it asks, when it asks again, what it holds for healed, when it gives up."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from collectors.feeds import TradeFeed
from collectors.healing import FIRST_WAIT, FRUITLESS, LARGEST_HOLE, LONGEST_WAIT, Healer
from collectors.pages import Missing, Page
from collectors.rows import EventBuffer
from collectors.session import BaseSession
from collectors.venue import HttpGet

T0 = 1_764_000_000_000_000
SECOND = 1_000_000
SYMBOL = "BTC/USDT"


@dataclass
class Rest:
    """What the venue's REST has: (id, time) of its trades, served in pages of `size` going up by id, down by id, or the last ones."""

    way: str = "up"
    size: int = 3
    trades: list[tuple[int, int]] = field(default_factory=list)
    behind: int = 0
    """Trades at the end that it does not show yet."""

    def page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        match self.way:
            case "up":
                assert missing.first is not None
                start = missing.first if last is None or last.highest is None else max(missing.first, last.highest + 1)
                if missing.before is not None and start >= missing.before:
                    return None
                return HttpGet(url=f"up/{start}", purpose="trades", symbol=missing.symbol)
            case "down":
                end = last.lowest if last is not None else 1_000_000 if missing.before is None else missing.before + 1
                return HttpGet(url=f"down/{end}", purpose="trades", symbol=missing.symbol)
            case _:
                return HttpGet(url="last", purpose="trades", symbol=missing.symbol) if last is None else None

    def answer(self, request: HttpGet) -> list[tuple[int, int]]:
        shown = self.trades[: len(self.trades) - self.behind]
        way, _, number = request.url.partition("/")
        if way == "up":
            return [trade for trade in shown if trade[0] >= int(number)][: self.size]
        if way == "down":
            return [trade for trade in shown if trade[0] < int(number)][-self.size :]
        return shown[-self.size :]


class Socket(BaseSession):
    """One socket of the toy venue. Ids follow each other, or (`kind`) leave numbers out, or are texts."""

    def __init__(self, rest: Rest, events: EventBuffer | None = None, *, kind: str = "counted", at: int = T0) -> None:
        self.events = EventBuffer() if events is None else events
        super().__init__(self.events.writer("toy", "toy-0"))
        self.rest = rest
        self.kind = kind
        self.now = at
        self.healer = Healer(self, rest.page, symbols=[SYMBOL])
        self.feed = TradeFeed(
            self.writer, SYMBOL, session=self, contiguous=kind == "counted", holes=self.healer.look, seeks=kind != "counted"
        )
        self.trade_feeds[SYMBOL] = self.feed

    def trade(self, number: int) -> None:
        """A trade of the stream, also known to REST; numbers are spaced by a second."""
        self.now = self.last_received = max(self.now, T0 + number * SECOND)
        self._take(number, T0 + number * SECOND, rest=False)

    def _take(self, number: int, timestamp: int, *, rest: bool) -> None:
        values = {"received": self.now, "sold": False, "price": 1.0, "amount": 1.0}
        if self.kind == "text":
            self.feed.take_keyed(f"id-{number}", timestamp, rest=rest, **values)
        elif rest:
            self.feed.take_rest(number, timestamp, **values)
        else:
            self.feed.take(number, timestamp, **values)

    def asked(self) -> list[HttpGet]:
        found = [action for action in self.actions if isinstance(action, HttpGet)]
        self.actions.clear()
        return found

    def serve(self, *, most: int = 50) -> list[str]:
        """Answer all that is asked until nothing is; returns the URLs."""
        urls: list[str] = []
        while requests := self.asked():
            for request in requests:
                urls.append(request.url)
                for number, timestamp in self.rest.answer(request):
                    self._take(number, timestamp, rest=True)
                self.healer.answered(request, self.now)
            assert len(urls) < most, "asked without end"
        return urls

    def later(self, wait: int) -> list[str]:
        self.now += wait
        self.healer.tick(self.now)
        return self.serve()

    def end(self) -> None:
        self.closed(self.now)
        self.healer.closed()

    def gaps(self) -> list[tuple[str, str | None]]:
        """Kind and healer of each gap by now, a row of each counting last."""
        found = {}
        for row in self._drained("gaps"):
            found[row["from_time"]] = (row["kind"], row["healed_by"])
        return list(found.values())

    def landed(self) -> list[tuple[str, str]]:
        return sorted((row["trade_id"], row["source"]) for row in self._drained("trades"))

    def _drained(self, dataset: str) -> list[dict]:
        if not hasattr(self.events, "kept"):
            self.events.kept = {}
        for name, batch in self.events.drain().items():
            self.events.kept.setdefault(name, []).extend(batch.to_pylist())
        return self.events.kept.get(dataset, [])


def trades(first: int, last: int, *, step: int = 1) -> list[tuple[int, int]]:
    return [(number, T0 + number * SECOND) for number in range(first, last + 1, step)]


def cut(rest: Rest, *, kind: str = "counted", before: int = 10, after: int = 20) -> Socket:
    """Trades up to `before`, a new socket, then the trade `after`."""
    old = Socket(rest, kind=kind)
    old.trade(before - 1)
    old.trade(before)
    old.end()
    new = Socket(rest, old.events, kind=kind, at=old.now)
    new.trade(after)
    return new


def test_a_hole_is_fetched_page_by_page_and_healed() -> None:
    socket = cut(Rest(trades=trades(1, 30)))

    assert socket.serve() == ["up/11", "up/14", "up/17"]

    assert socket.gaps() == [("disconnect", "rest")]
    assert socket.landed() == [(f"{number}", "rest" if 10 < number < 20 else "stream") for number in (*range(10, 21), 9)]


def test_without_a_hole_nothing_is_asked() -> None:
    socket = cut(Rest(trades=trades(1, 30)), before=10, after=11)

    assert socket.asked() == []
    assert socket.gaps() == [("disconnect", "reconnect")]


@pytest.mark.parametrize(("kind", "way"), [("sparse", "down"), ("sparse", "last"), ("text", "last")])
def test_where_ids_tell_nothing_pages_that_span_the_silence_heal_it(kind: str, way: str) -> None:
    rest = Rest(way=way, size=4 if way == "down" else 12, trades=trades(2, 20, step=2))

    socket = cut(rest, kind=kind)
    socket.serve()

    assert socket.gaps() == [("disconnect", "rest")]
    fetched = {identity.removeprefix("id-") for identity, source in socket.landed() if source == "rest"}
    assert {"12", "14", "16", "18"} <= fetched


@pytest.mark.parametrize("kind", ["sparse", "text"])
def test_a_few_last_trades_that_do_not_reach_back_leave_the_gap_open_for_good(kind: str) -> None:
    socket = cut(Rest(way="last", size=3, trades=trades(1, 20)), kind=kind)

    assert socket.serve() == ["last"]

    assert socket.later(LONGEST_WAIT) == []
    assert socket.gaps() == [("disconnect", None)]
    assert len([source for _, source in socket.landed() if source == "rest"]) == 2


def test_a_rest_behind_the_stream_is_asked_again_after_a_while() -> None:
    rest = Rest(trades=trades(1, 20), behind=4)
    socket = cut(rest)
    socket.serve()
    assert socket.gaps() == [("disconnect", None)]

    rest.behind = 0

    assert socket.later(FIRST_WAIT // 2) == []
    assert socket.later(FIRST_WAIT) == ["up/17"]
    assert socket.gaps() == [("disconnect", "rest")]


def test_failed_requests_are_repeated_after_growing_waits_for_as_long_as_it_takes() -> None:
    socket = cut(Rest(trades=trades(1, 30)))
    waits = []
    for _ in range(14):
        (request,) = socket.asked()
        failed_at = socket.now
        socket.healer.failed(request, socket.now)
        while not socket.actions:
            socket.now += SECOND // 2
            socket.healer.tick(socket.now)
        waits.append(socket.now - failed_at)

    assert waits[:4] == [1 * SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT
    socket.serve()
    assert socket.gaps() == [("disconnect", "rest")]


def test_a_history_that_begins_after_the_hole_heals_what_it_can_and_is_not_asked_again() -> None:
    socket = cut(Rest(trades=trades(15, 30)))
    socket.serve()

    assert socket.later(LONGEST_WAIT) == []
    assert socket.gaps() == [("disconnect", None)]
    assert {identity for identity, source in socket.landed() if source == "rest"} >= {"15", "16", "17", "18", "19"}


def test_ids_that_the_venue_never_shows_are_given_up_after_some_tries() -> None:
    socket = cut(Rest(trades=[trade for trade in trades(1, 30) if trade[0] != 15]))
    socket.serve()
    passes = 0
    while socket.later(LONGEST_WAIT):
        passes += 1

    assert passes <= FRUITLESS + 1
    assert socket.gaps() == [("disconnect", None)]


def test_a_cut_in_the_midst_of_healing_leaves_the_rest_to_the_next_socket() -> None:
    rest = Rest(trades=trades(1, 40))
    first = cut(rest)
    assert [request.url for request in first.asked()] == ["up/11"]
    first.end()

    second = Socket(rest, first.events, at=first.now)
    second.trade(21)
    second.later(SECOND)

    assert second.gaps() == [("disconnect", "rest"), ("disconnect", "reconnect")]
    assert {int(identity) for identity, _ in second.landed()} == set(range(9, 22))


def test_two_sockets_do_not_fetch_the_same_gap() -> None:
    rest = Rest(trades=trades(1, 40))
    first = cut(rest)
    beside = Socket(rest, first.events, at=first.now)
    beside.healer.tick(beside.now)

    assert len(first.asked()) == 1
    assert beside.asked() == []


def test_a_quiet_stream_is_asked_about_once_it_stands_again() -> None:
    rest = Rest(trades=trades(1, 12))
    old = Socket(rest)
    old.trade(10)
    old.end()
    new = Socket(rest, old.events, at=old.now + 5 * SECOND)
    new.acked[SYMBOL] = new.now
    new.now += 61 * SECOND
    new.confirm_trades(new.now)
    new.serve()

    assert new.gaps() == [("disconnect", "rest")]
    assert [identity for identity, source in new.landed() if source == "rest"] == ["11", "12"]


def test_pages_that_go_down_end_where_a_quiet_silence_is_spanned() -> None:
    rest = Rest(way="down", size=3, trades=trades(1, 100))
    old = Socket(rest, kind="sparse")
    old.trade(98)
    old.end()
    new = Socket(rest, old.events, kind="sparse", at=old.now + 5 * SECOND)
    new.acked[SYMBOL] = new.now
    new.confirm_trades(new.now + 61 * SECOND)

    assert new.serve() == ["down/1000000", "down/98"]
    assert new.gaps() == [("disconnect", "rest")]
    assert {identity for identity, source in new.landed() if source == "rest"} >= {"100", "99"}


def test_a_hole_beyond_reason_is_not_fetched() -> None:
    socket = cut(Rest(trades=trades(1, 20)), after=LARGEST_HOLE + 100)

    assert socket.asked() == []
    assert socket.gaps() == [("disconnect", None)]


def test_several_gaps_of_a_symbol_are_healed_one_after_the_other() -> None:
    socket = Socket(Rest(trades=trades(1, 30)))
    for number in (1, 5, 6, 9, 10):
        socket.trade(number)

    assert len(socket.actions) == 1
    socket.serve()

    assert socket.gaps() == [("sequence", "rest"), ("sequence", "rest")]
    assert {int(identity) for identity, _ in socket.landed()} == set(range(1, 11))


def test_an_answer_nobody_waits_for_changes_nothing() -> None:
    socket = cut(Rest(trades=trades(1, 30)))

    socket.healer.answered(HttpGet(url="other", purpose="trades", symbol=SYMBOL), socket.now)

    assert socket.gaps() == [("disconnect", None)]
    assert socket.serve() == ["up/11", "up/14", "up/17"]
