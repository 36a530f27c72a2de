"""Forming candles: the bar of each watched market and timeframe, moved by every trade.

Put here: the state of a bar and how a trade changes it. Keep out: where trades come from, when events are sent (`serving.feed`).

Open and close are the prices of the first and last trade in the order of the lake (timestamp, ordinal, id), whatever order they
arrive in; each trade counts once, by its id. Sums may differ from those of the lake in the last digits, by their order.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from lake.transforms.timeframes import next_open, open_time
from serving.events import Candle, Trade

KEPT: Final = 2
"""Bars that late trades can still change: the one that forms, and the one before."""

Place = tuple[int, int, str]

FIRST: Final[Place] = (-1, -1, "")
_REMEMBERED: Final = 200_000


@dataclass(slots=True)
class Bar:
    """One bar and the places of its first and last trade."""

    opened: int
    open: float
    high: float
    low: float
    close: float
    first: Place
    last: Place
    volume: float = 0.0
    quote_volume: float = 0.0
    trade_count: int = 0
    buy_volume: float = 0.0
    sell_volume: float = 0.0

    @classmethod
    def of(cls, trade: Trade, opened: int) -> Bar:
        """The bar a trade opens."""
        place = (trade.timestamp, trade.ordinal, trade.trade_id)
        made = cls(opened, trade.price, trade.price, trade.price, trade.price, place, place)
        made._sum(trade)
        return made

    def add(self, trade: Trade) -> None:
        """Take a trade in."""
        place = (trade.timestamp, trade.ordinal, trade.trade_id)
        if place < self.first:
            self.first, self.open = place, trade.price
        if place > self.last:
            self.last, self.close = place, trade.price
        self.high = max(self.high, trade.price)
        self.low = min(self.low, trade.price)
        self._sum(trade)

    def _sum(self, trade: Trade) -> None:
        self.volume += trade.amount
        self.quote_volume += trade.price * trade.amount
        self.trade_count += trade.fill_count
        if trade.side == "buy":
            self.buy_volume += trade.amount
        else:
            self.sell_volume += trade.amount


@dataclass(slots=True)
class Series:
    """The bars of one market and timeframe that still move. `whole` is false until what the lake held at the start has been taken in."""

    exchange: str
    symbol: str
    timeframe: str
    bars: dict[int, Bar] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    whole: bool = False
    late: bool = False
    seeded_from: int = 0
    waiting: list[Trade] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)
    _order: deque[str] = field(default_factory=deque)

    def add(self, trade: Trade) -> None:
        """Take a trade in, once. One that lies before what is kept marks the series `late`: it is to be seeded anew."""
        if not self.whole:
            self.waiting.append(trade)
            return
        if trade.trade_id in self._ids:
            return
        opened = open_time(trade.timestamp, self.timeframe)
        newest = max(self.bars, default=-1)
        if trade.timestamp < self.seeded_from:
            # Whether the lake had it when it was read cannot be known; what lies before the bars that are kept concerns nobody.
            self.late |= opened in self.bars
            return
        self._remember(trade.trade_id)
        if opened < newest and opened not in self.bars:
            return
        bar = self.bars.get(opened)
        if bar is None:
            self.bars[opened] = Bar.of(trade, opened)
        else:
            bar.add(trade)
        self.changed.add(opened)
        for old in sorted(self.bars)[:-KEPT]:
            del self.bars[old]

    def seed(self, base: list[Candle], trades: list[Trade], *, since: int) -> None:
        """Begin with what the lake holds: candles of parts of the bars before `since`, each trade from then on, and what came meanwhile."""
        self.bars.clear()
        self._ids.clear()
        self._order.clear()
        self.seeded_from, self.whole, self.late = since, True, False
        for candle in base:
            self._join(candle)
        waiting, self.waiting = self.waiting, []
        for trade in (*trades, *waiting):
            self.add(trade)
        self.changed |= self.bars.keys()

    def restart(self) -> None:
        """Wait for another seed; trades are kept until it comes."""
        self.whole = False

    def take(self, now: int) -> list[Candle]:
        """The candles that changed since the last call, and those whose time is over."""
        found = []
        newest = max(self.bars, default=-1)
        for opened in sorted(self.bars):
            over = opened < newest or next_open(opened, self.timeframe) <= now
            if opened in self.changed or (over and opened not in self.closed):
                found.append(self._candle(self.bars[opened], closed=over))
                if over:
                    self.closed.add(opened)
        self.changed.clear()
        self.closed &= self.bars.keys()
        return found

    def current(self) -> Candle | None:
        """The bar that forms, or the last one."""
        return self._candle(self.bars[max(self.bars)], closed=False) if self.bars else None

    def _remember(self, trade_id: str) -> None:
        self._ids.add(trade_id)
        self._order.append(trade_id)
        if len(self._order) > _REMEMBERED:
            self._ids.discard(self._order.popleft())

    def _join(self, candle: Candle) -> None:
        """Add a candle of a part of a bar; parts come in order of time."""
        opened = open_time(candle.timestamp, self.timeframe)
        bar = self.bars.get(opened)
        place = (candle.timestamp, -1, "")
        if bar is None:
            bar = self.bars[opened] = Bar(opened, candle.open, candle.high, candle.low, candle.close, place, place)
        else:
            bar.high, bar.low, bar.close, bar.last = max(bar.high, candle.high), min(bar.low, candle.low), candle.close, place
        bar.volume += candle.volume
        bar.quote_volume += candle.quote_volume or 0.0
        bar.trade_count += candle.trade_count or 0
        bar.buy_volume += candle.buy_volume or 0.0
        bar.sell_volume += candle.sell_volume or 0.0

    def _candle(self, bar: Bar, *, closed: bool) -> Candle:
        return Candle(
            exchange=self.exchange,
            symbol=self.symbol,
            timeframe=self.timeframe,
            timestamp=bar.opened,
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=bar.volume,
            quote_volume=bar.quote_volume,
            trade_count=bar.trade_count,
            buy_volume=bar.buy_volume,
            sell_volume=bar.sell_volume,
            vwap=bar.quote_volume / bar.volume if bar.volume else bar.close,
            closed=closed,
        )
