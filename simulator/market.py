"""One market that lives: taker orders walk the book, makers follow the fair price.

What belongs here: trades, book changes, their ids and sequence. What does not: sockets, clocks and the venues' spelling;
time is handed in, so the same calls with the same times give the same market.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from simulator.book import Book, Side
from simulator.instruments import Instrument
from simulator.prices import PricePath, stream_key

LEVELS = 400
FEWEST_LEVELS = 360
MOST_LEVELS = 460
MEAN_GAP = 0.4e-4
MEDIAN_ORDER_USD = 350.0
MEDIAN_LEVEL_USD = 6_000.0
MOST_FILLS = 12
REMEMBERED_TRADES = 20_000
# A later run's numbers must lie above an earlier run's whatever the load: ids grow slower than these multiples of time.
TRADE_IDS_PER_SECOND = 10_000
SEQUENCES_PER_SECOND = 200_000
POOL = 8_192


class Trade(NamedTuple):
    """One fill: `price` in ticks, `amount` in lots, `buy` the taker's side, `time_us` unix microseconds.

    Fills of one taker order at one price share an `aggregate_id`.
    """

    trade_id: int
    aggregate_id: int
    time_us: int
    price: int
    amount: int
    buy: bool


class Changes(NamedTuple):
    """Levels that changed, price in ticks to amount in lots, with the span of sequence numbers they took."""

    previous: int
    first: int
    last: int
    time_us: int
    bids: dict[int, int]
    asks: dict[int, int]


class Image(NamedTuple):
    """The whole book at one sequence number, best level first."""

    sequence: int
    time_us: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class Market:
    """A book and its trades, from a start time on."""

    def __init__(self, instrument: Instrument, *, seed: int, start_us: int) -> None:
        self.instrument = instrument
        self.seed = seed
        self.path = PricePath(instrument, seed)
        self.book = Book()
        self.time_us = start_us
        self.still: list[tuple[float, float]] = []
        """Spans in unix seconds in which no candle opens, as if the venue had stood still."""
        self.trade_id = start_us // 1_000_000 * TRADE_IDS_PER_SECOND
        self.aggregate_id = self.trade_id // 2
        self.sequence = start_us // 1_000_000 * SEQUENCES_PER_SECOND
        self.recent: deque[Trade] = deque(maxlen=REMEMBERED_TRADES)
        own_key = stream_key(instrument.exchange, instrument.market, instrument.symbol)
        self._rng = np.random.default_rng([seed & 0xFFFFFFFF, own_key, start_us])
        self._ticks_per_unit = 10**instrument.tick_decimals
        self._lots_per_unit = 10**instrument.lot_decimals
        self._lean = 0.0
        self._lots_per_dollar = self._lots_per_unit / self.path.at(start_us)
        self._uniform = chain.from_iterable(self._uniforms()).__next__
        self._order_lots = chain.from_iterable(self._lots(MEDIAN_ORDER_USD, 1.6)).__next__
        self._level_lots = chain.from_iterable(self._lots(MEDIAN_LEVEL_USD, 1.2)).__next__
        self._gap = max(1.0, self.path.at(start_us) * self._ticks_per_unit * MEAN_GAP)
        self._fill_book()
        self.opening = self.image()

    def _uniforms(self) -> Iterator[list[float]]:
        while True:
            yield self._rng.random(POOL).tolist()

    def _lots(self, median_usd: float, spread: float) -> Iterator[list[int]]:
        """Heavy-tailed amounts in lots around a median value in dollars, a pool at a time."""
        while True:
            lots = np.exp(spread * self._rng.standard_normal(POOL)) * (median_usd * self._lots_per_dollar)
            yield np.maximum(lots, 1.0).astype(np.int64).tolist()

    def _touch(self, time_us: int) -> tuple[int, int]:
        """Best bid and best ask, in ticks, that makers want at a time."""
        fair = self.path.at(time_us) * self._ticks_per_unit
        bid = int(fair)
        draw = self._uniform()
        spread = 1 if draw < 0.8 else 1 + int(self._gap * (draw - 0.8))
        return bid, bid + spread

    def _fill_book(self) -> None:
        bid, ask = self._touch(self.time_us)
        for side, touch in ((self.book.bids, -bid), (self.book.asks, ask)):
            key = touch
            for level in range(LEVELS):
                side.keys.append(key)
                side.amounts[key] = self._level_lots()
                key += 1 + int(self._gap * (0.05 + 2.0 * level / LEVELS) * 2.0 * self._uniform())

    def order(self, time_us: int, *, buy: bool | None = None, dollars: float | None = None) -> list[Trade]:
        """Execute one taker order against the book; returns its fills, best price first."""
        self.time_us = time_us
        if buy is None:
            buy = self._uniform() < 0.5 + self._lean
        side = self.book.asks if buy else self.book.bids
        left = self._order_lots() if dollars is None else max(1, int(dollars * self._lots_per_dollar))
        fills: list[Trade] = []
        while left and len(fills) < MOST_FILLS:
            key = side.keys[0]
            resting = side.amounts[key]
            self.aggregate_id += 1
            if left < resting:
                self._fill(fills, abs(key), left, time_us, buy)
                side.change(key, resting - left)
                break
            self._fill(fills, abs(key), resting, time_us, buy)
            left -= resting
            side.set(key, 0)
        if len(side.keys) < FEWEST_LEVELS // 2:
            self._quote(side, side.keys[0])
        self.recent.extend(fills)
        return fills

    def _fill(self, fills: list[Trade], price: int, lots: int, time_us: int, buy: bool) -> None:  # noqa: FBT001
        """Append the raw fills of one level: now and then several makers share it."""
        if lots > 4 and self._uniform() < 0.25:
            cut = 1 + int((lots - 1) * self._uniform())
            self.trade_id += 1
            fills.append(Trade(self.trade_id, self.aggregate_id, time_us, price, cut, buy))
            lots -= cut
        self.trade_id += 1
        fills.append(Trade(self.trade_id, self.aggregate_id, time_us, price, lots, buy))

    def last_trades(self, most: int) -> list[Trade]:
        """The newest fills, oldest first, at most so many: of whole orders, because nobody could tell that one began earlier."""
        fills = list(self.recent)[-most - 1 :]
        return [fill for fill in fills if fill.time_us != fills[0].time_us] if len(fills) > most else fills

    def skip_trade_id(self) -> int:
        """Use up a raw trade id for a fill that never reached the book."""
        self.trade_id += 1
        return self.trade_id

    def restart_sequence(self) -> None:
        """Count book changes from the beginning again, as venues do after maintenance."""
        self.sequence = 0

    def move(self, time_us: int, *, churn: int = 3) -> None:
        """Let makers follow the fair price and change `churn` further levels."""
        self.time_us = time_us
        bids, asks = self.book.bids, self.book.asks
        bid, ask = self._touch(time_us)
        self._lean = max(-0.3, min(0.3, (bid + bids.keys[0]) / (self._gap * 20.0)))
        bids.drop_before(-bid)
        asks.drop_before(ask)
        for side, touch in ((bids, -bid), (asks, ask)):
            self._quote(side, touch)
        for _ in range(churn):
            self._churn(bids if self._uniform() < 0.5 else asks)

    def _quote(self, side: Side, touch: int) -> None:
        keys = side.keys
        if not keys or keys[0] > touch:
            side.set(touch, self._level_lots())
        if len(keys) > 1 and keys[1] - touch > 2.0 * self._gap:
            side.set(touch + 1 + int(self._gap * self._uniform()), self._level_lots())
        while len(keys) < FEWEST_LEVELS:
            side.set(keys[-1] + 1 + int(4.0 * self._gap * self._uniform()), self._level_lots())
        while len(keys) > MOST_LEVELS:
            side.set(keys[-1], 0)

    def _churn(self, side: Side) -> None:
        keys = side.keys
        draw = self._uniform()
        place = self._uniform()
        index = int(len(keys) * place * place * place)
        key = keys[index]
        if draw < 0.25:
            side.set(key + 1 + int(self._gap * self._uniform()), self._level_lots())
        elif draw > 0.75 and index:
            side.set(key, 0)
        else:
            side.change(key, self._level_lots())

    def take(self) -> Changes | None:
        """What changed since the last call, numbered; None when nothing did."""
        bids, asks = self.book.bids, self.book.asks
        operations = bids.operations + asks.operations
        if not operations:
            return None
        previous = self.sequence
        first = previous + 1
        if self.instrument.skips_sequence:
            first += int(60 * self._uniform())
            operations *= 1 + int(9 * self._uniform())
        self.sequence = first + operations - 1
        changes = Changes(previous, first, self.sequence, self.time_us, bids.changes, asks.changes)
        bids.changes, asks.changes = {}, {}
        bids.operations = asks.operations = 0
        return changes

    def image(self) -> Image:
        """The whole book at the current sequence; call it only when everything was taken."""
        return Image(self.sequence, self.time_us, self.book.bids.levels(), self.book.asks.levels())
