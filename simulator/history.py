"""The past as a recording: whole hours of every venue's frames, in the order in which a collector would have got them.

What belongs here: when orders, book updates, marks and liquidations happen, and merging all markets into one stream of
lines. What does not: what the lines say (each venue's tape.py).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from simulator.errors import InvalidGap
from simulator.instruments import Instrument
from simulator.market import Market
from simulator.prices import stream_key
from simulator.venues.binance.tape import BinanceReel
from simulator.venues.bybit.tape import BybitReel
from simulator.venues.kraken.tape import KrakenReel
from simulator.venues.tape import Gap, Reel, Tape, stamp

REELS: dict[str, type[BinanceReel | BybitReel | KrakenReel]] = {"binance": BinanceReel, "bybit": BybitReel, "kraken": KrakenReel}
USUAL = ("binance", "kraken")

CHUNK_US = 300_000_000
MINUTE_US = 60_000_000
# Sockets are opened and acknowledged first; markets are heard from then on.
OPENING_US = 500_000
# Nothing is received later than this after it happened, so that the span ends where it was told to.
LONGEST_LATENCY_US = 200_000
FILLS_PER_ORDER = 1.4
CLUSTERED = 0.35
CLUSTER_US = 60_000.0
BOOK_GRID_US = 100_000
FORCED_PER_HOUR = 6.0
FORCED_USD = 20_000.0
ORDER, BOOK, MARK, FORCED = range(4)
GAP_FORM = "EXCHANGE:SYMBOL:FROM_ISO:SECONDS with a known exchange, as binance:BTC/USDT:2026-11-20T07:10:00Z:90"
_GAP = re.compile(r"(?P<exchange>[^:]+):(?P<symbol>.+?):(?P<start>\d{4}-\d\d-\d\dT.+):(?P<seconds>\d+(\.\d+)?)")

Times = npt.NDArray[np.int64]


class Span(NamedTuple):
    """From start (inclusive) to end (exclusive), unix microseconds."""

    start_us: int
    end_us: int


class Sink(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


def parse_gap(text: str) -> Gap:
    """A gap from its command-line form; times without zone are UTC."""
    match = _GAP.fullmatch(text)
    if match is None or match["exchange"] not in REELS:
        raise InvalidGap(text, expected=GAP_FORM)
    try:
        start = datetime.fromisoformat(match["start"])
    except ValueError as error:
        raise InvalidGap(text, expected=GAP_FORM) from error
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    start_us = round(start.timestamp() * 1_000_000)
    return Gap(match["exchange"], match["symbol"], start_us, start_us + int(float(match["seconds"]) * 1_000_000))


class Schedule:
    """When things happen in one market: orders in clusters, book updates on a grid of 100 ms."""

    def __init__(self, tape: Tape, *, seed: int, trades_per_minute: float, books_per_minute: float, start_us: int) -> None:
        item = tape.market.instrument
        self._rng = np.random.default_rng([seed & 0xFFFFFFFF, stream_key(item.exchange, item.market, item.symbol, "schedule"), start_us])
        self._orders = trades_per_minute / FILLS_PER_ORDER
        self._books = books_per_minute
        self._marks = tape.marks

    def chunk(self, start_us: int, end_us: int) -> list[int]:
        """What happens in a span, ascending: time in microseconds times four plus the kind."""
        minutes = (end_us - start_us) / MINUTE_US
        parts = [self._order_times(start_us, end_us, minutes) * 4 + ORDER, self._book_times(start_us, end_us) * 4 + BOOK]
        if self._marks:
            first = -(-start_us // MINUTE_US) * MINUTE_US
            parts.append(np.arange(first, end_us, MINUTE_US, dtype=np.int64) * 4 + MARK)
            count = self._rng.poisson(FORCED_PER_HOUR * minutes / 60)
            parts.append(self._rng.integers(start_us, end_us, count, dtype=np.int64) * 4 + FORCED)
        return [int(event) for event in np.unique(np.concatenate(parts)).tolist()]

    def _order_times(self, start_us: int, end_us: int, minutes: float) -> Times:
        count = int(self._rng.poisson(self._orders * minutes))
        times = np.sort(self._rng.integers(start_us, end_us, count, dtype=np.int64))
        if count > 1:
            close = np.flatnonzero(self._rng.random(count - 1) < CLUSTERED) + 1
            times[close] = times[close - 1] + 1_000 + self._rng.exponential(CLUSTER_US, len(close)).astype(np.int64)
        return times[times < end_us]

    def _book_times(self, start_us: int, end_us: int) -> Times:
        step = MINUTE_US / self._books
        first, last = int(start_us // step), int(end_us // step) + 1
        slots = np.arange(first, last, dtype=np.float64)
        times = ((slots + self._rng.random(len(slots))) * step).astype(np.int64) // BOOK_GRID_US * BOOK_GRID_US
        return np.unique(times[(times >= start_us) & (times < end_us)])


def _play(tape: Tape, events: list[int], rng: np.random.Generator) -> list[str]:
    """Live through the events of one market; returns its lines."""
    market = tape.market
    lines: list[str] = []
    for event in events:
        time_us, kind = divmod(event, 4)
        if kind == ORDER:
            lines += tape.order(market.order(time_us))
        elif kind == BOOK:
            market.move(time_us, churn=2)
            changes = market.take()
            if changes is not None:
                lines += tape.book(changes)
        elif kind == MARK:
            lines += tape.mark(time_us)
        else:
            fills = market.order(time_us, buy=bool(rng.random() < 0.5), dollars=FORCED_USD * float(np.exp(1.2 * rng.standard_normal())))
            lines += tape.order(fills)
            lines += tape.forced(fills)
    return lines


class _Player:
    """One market's tape and schedule."""

    def __init__(self, tape: Tape, schedule: Schedule, *, reopenings: list[int], seed: int) -> None:
        self.tape = tape
        self._schedule = schedule
        self._reopenings = reopenings
        self._rng = np.random.default_rng([seed & 0xFFFFFFFF, 13])

    def lines(self, start_us: int, end_us: int) -> list[str]:
        events = self._schedule.chunk(start_us, end_us)
        lines: list[str] = []
        for reopened in self._reopenings:
            if start_us <= reopened < end_us:
                cut = bisect_left(events, reopened * 4)
                lines += _play(self.tape, events[:cut], self._rng)
                # What happened since the last book update belongs to the new snapshot, not to the next update.
                self.tape.market.time_us = reopened
                self.tape.market.take()
                lines += self.tape.open(reopened)
                events = events[cut:]
        return lines + _play(self.tape, events, self._rng)


def write_history(
    sink: Sink,
    chosen: Mapping[str, Sequence[Instrument]],
    *,
    span: Span,
    seed: int,
    trades_per_minute: float,
    books_per_minute: float,
    gaps: Sequence[Gap] = (),
) -> int:
    """Write every line of the span in order of receive time; returns how many."""
    players: list[_Player] = []
    waiting: list[str] = []
    for exchange, instruments in chosen.items():
        markets = [Market(item, seed=seed, start_us=span.start_us) for item in instruments]
        own = [gap for gap in gaps if gap.exchange == exchange]
        reel: Reel = REELS[exchange](markets, own)
        waiting += reel.instruments(span.start_us)
        openings = [span.start_us, *(gap.end_us for gap in own if gap.symbol == "*" and span.start_us < gap.end_us < span.end_us)]
        for opening in openings:
            waiting += reel.connect(opening + 10)
        reopenings = [opening + OPENING_US for opening in openings]
        for tape in reel.tapes():
            schedule = Schedule(
                tape, seed=seed, trades_per_minute=trades_per_minute, books_per_minute=books_per_minute, start_us=span.start_us
            )
            players.append(_Player(tape, schedule, reopenings=reopenings, seed=seed))
    return _write(sink, players, waiting, span)


def _write(sink: Sink, players: Sequence[_Player], waiting: list[str], span: Span) -> int:
    written = 0
    start = span.start_us + OPENING_US
    while start < span.end_us:
        end = min((start // CHUNK_US + 1) * CHUNK_US, span.end_us)
        last = end == span.end_us
        for player in players:
            waiting += player.lines(start, end - LONGEST_LATENCY_US if last else end)
        # Every line starts with its time in one fixed width: text order is time order.
        waiting.sort()
        ready = len(waiting) if last else bisect_left(waiting, f'{{"ts":{stamp(end)}')
        sink.write("".join(waiting[:ready]))
        written += ready
        waiting = waiting[ready:]
        start = end
    sink.flush()
    return written
