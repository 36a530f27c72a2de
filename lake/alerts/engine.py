"""Rules over what collectors land, evaluated event by event: the same code over the present and over history.

Put here: which figure each kind of rule judges, and what is kept of each market for it. Keep out: the windows themselves (`windows`),
cooldown and grouping (`firing`), sockets, files.

Feed each market what belongs to it, in order of arrival, and `take` what fired. Instants are microseconds; `local` is the receive time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from lake.alerts import health
from lake.alerts.firing import Alert, Firing, Measured
from lake.alerts.rules import (
    DeadLetters,
    Funding,
    GapRate,
    Imbalance,
    LiquidationVolume,
    PriceMove,
    Rule,
    SilentChannel,
    Spread,
    VolumeSpike,
    WindowRule,
)
from lake.alerts.windows import Occurrences, RollingWindow, VolumeHistory

AHEAD_US: Final = 60_000_000
"""An event whose time lies further ahead of its receipt moves no window: the venue's clock is off."""

_GAPS_KNOWN: Final = 10_000
"""Gaps that are remembered as noticed."""

LIVE: Final = (LiquidationVolume, PriceMove, VolumeSpike, Spread, Imbalance, Funding, SilentChannel, GapRate, DeadLetters)
"""Kinds that are evaluated here."""

Figure: TypeAlias = Callable[[RollingWindow], float | None]


class _Judged:
    """A window and the rules that judge a figure of it after each event."""

    __slots__ = ("histories", "rules", "window")

    def __init__(self, seconds: int) -> None:
        self.window = RollingWindow(seconds * 1_000_000)
        self.rules: list[tuple[WindowRule, float, Figure]] = []
        self.histories: list[VolumeHistory] = []


class Market:
    """What is kept of one market for the rules that concern it, from `Engine.market`."""

    __slots__ = ("_engine", "_forced", "_funding", "_tops", "_trades", "exchange", "symbol")

    def __init__(self, engine: Engine, exchange: str, symbol: str) -> None:
        self._engine = engine
        self.exchange = exchange
        self.symbol = symbol
        rules = [rule for rule in engine.rules if rule.concerns(exchange, symbol)]
        self._trades = _judged([rule for rule in rules if isinstance(rule, PriceMove | VolumeSpike)])
        self._forced = _judged([rule for rule in rules if isinstance(rule, LiquidationVolume)])
        self._tops = [rule for rule in rules if isinstance(rule, Spread | Imbalance)]
        self._funding = [rule for rule in rules if isinstance(rule, Funding)]

    @property
    def watches_trades(self) -> bool:
        """Whether a rule needs its trades."""
        return bool(self._trades)

    def trade(self, timestamp: int, ordinal: int, identity: int | str, *, price: float, amount: float, sold: bool, local: int) -> None:
        """A trade; one that came later than a window is long is no news to it."""
        if timestamp > local + AHEAD_US:
            return
        event = (timestamp, ordinal, identity, price, amount, price * amount, not sold)
        for judged in self._trades:
            if local - timestamp > judged.window.length_us or not judged.window.add(event):
                continue
            for history in judged.histories:
                history.add(timestamp, amount)
            self._judge(judged, local)

    def liquidation(
        self, timestamp: int, ordinal: int, identity: str, *, price: float, amount: float, value_usd: float | None, side: str, local: int
    ) -> None:
        """A forced order; one without a value in dollars counts nowhere."""
        if value_usd is None or timestamp > local + AHEAD_US:
            return
        event = (timestamp, ordinal, identity, price, amount, value_usd, side == "buy")
        for judged in self._forced:
            if local - timestamp <= judged.window.length_us and judged.window.add(event):
                self._judge(judged, local)

    def top(
        self,
        timestamp: int | None,
        bids: tuple[Sequence[float], Sequence[float]],
        asks: tuple[Sequence[float], Sequence[float]],
        *,
        local: int,
    ) -> None:
        """The top of the book: prices and amounts of each side, best first. A book with an empty side has no figure."""
        if not self._tops or not bids[0] or not asks[0]:
            return
        bid, ask = bids[0][0], asks[0][0]
        if not bid + ask > 0:
            return
        figures = {"best_bid": bid, "best_ask": ask, "received": local}
        for rule in self._tops:
            value = _spread_bps(bid, ask) if isinstance(rule, Spread) else _imbalance(rule, bids[1], asks[1])
            if abs(value) >= rule.least:
                sign = {} if isinstance(rule, Spread) else {"imbalance": value}
                self._found(rule, timestamp or local, value=abs(value), local=local, details={**figures, **sign})

    def funding(self, timestamp: int, rate: float | None, *, local: int) -> None:
        """A funding rate, a fraction; None where the message does not say."""
        if rate is None:
            return
        for rule in self._funding:
            if abs(rate) >= rule.least:
                self._found(rule, timestamp, value=abs(rate), local=local, details={"funding_rate": rate, "received": local})

    def had(self, minute: int, volume: float) -> None:
        """Volume of a whole minute before the process began, for the histories."""
        for judged in self._trades:
            for history in judged.histories:
                history.add(minute, volume)

    def _judge(self, judged: _Judged, local: int) -> None:
        if self._engine.muted:
            return
        window = judged.window
        for rule, least, figure in judged.rules:
            value = figure(window)
            if value is not None and value >= least:
                self._engine.reached(rule, self, value=value, window=window, local=local)

    def _found(self, rule: Rule, timestamp: int, *, value: float, local: int, details: dict[str, Any]) -> None:
        found = Measured(timestamp=timestamp, value=value, exchange=self.exchange, symbol=self.symbol, details=details)
        self._engine.offer(rule, found, local=local)


class Engine:
    """Every market, its windows, and what fired. `rules` may be of any kind; those that are not `LIVE` are passed over."""

    def __init__(self, rules: Iterable[Rule], firing: Firing) -> None:
        self.rules = tuple(rule for rule in rules if isinstance(rule, LIVE))
        self.firing = firing
        self.muted = False
        """While True windows fill and nothing fires."""
        self._markets: dict[tuple[str, str], Market] = {}
        self._fired: list[Alert] = []
        self._silent = [rule for rule in self.rules if isinstance(rule, SilentChannel)]
        self._counted = [rule for rule in self.rules if isinstance(rule, GapRate | DeadLetters)]
        self._gaps: set[tuple[str, str, str, int]] = set()
        self._occurred: dict[tuple[str, str, str, str], Occurrences] = {}

    def market(self, exchange: str, symbol: str) -> Market:
        """The market of that name, the same one each time."""
        known = self._markets.get((exchange, symbol))
        if known is None:
            known = self._markets[exchange, symbol] = Market(self, exchange, symbol)
        return known

    def gap(self, exchange: str, symbol: str, dataset: str, *, began: int, local: int) -> None:
        """A row of a gap in a dataset that began at `began`; the rows that follow the first are none of their own."""
        key = (exchange, symbol, dataset, began)
        if key in self._gaps:
            return
        if len(self._gaps) >= _GAPS_KNOWN:
            self._gaps.clear()
        self._gaps.add(key)
        self._count(GapRate, exchange, symbol, subject=dataset, local=local)

    def dead_letter(self, exchange: str, connection: str, *, local: int) -> None:
        """A frame that could not be decoded."""
        self._count(DeadLetters, exchange, "", subject=connection, local=local)

    def silence(self, exchange: str, symbol: str, channel: str, *, last: int, now: int) -> None:
        """A stream delivered last at `last`; to be told now and then while it lasts."""
        for rule in self._silent:
            if now - last >= rule.least * 1e6:
                self.offer(rule, health.silent_channel(exchange, symbol, channel, last=last, now=now), local=now)

    @property
    def hears_silence(self) -> bool:
        """Whether a rule asks for silences."""
        return bool(self._silent)

    def take(self) -> list[Alert]:
        """What fired since the last call, in order."""
        fired, self._fired = self._fired, []
        return fired

    def offer(self, rule: Rule, found: Measured, *, local: int) -> None:
        """Let `firing` judge a figure, and keep the alert it makes."""
        if self.muted:
            return
        alert = self.firing.offer(rule, found, local=local)
        if alert is not None:
            self._fired.append(alert)

    def reached(self, rule: WindowRule, market: Market, *, value: float, window: RollingWindow, local: int) -> None:
        """A figure of a window is at or above the lowest threshold; its details are only put together where that fires."""
        severity = rule.reached(value)
        timestamp = window.end - 1
        exchange, symbol = market.exchange, market.symbol
        if severity is None or self.firing.quiet(
            rule, exchange=exchange, symbol=symbol, subject="", timestamp=timestamp, severity=severity[0]
        ):
            return
        details = _figures(rule, window) | {"received": local}
        self.offer(rule, Measured(timestamp=timestamp, value=value, exchange=exchange, symbol=symbol, details=details), local=local)

    def _count(self, kind: type[GapRate | DeadLetters], exchange: str, symbol: str, *, subject: str, local: int) -> None:
        for rule in self._counted:
            if isinstance(rule, kind) and rule.concerns(exchange, symbol):
                key = (rule.name, exchange, symbol, subject)
                if key not in self._occurred:
                    self._occurred[key] = Occurrences(rule.window_seconds * 1_000_000)
                count = float(self._occurred[key].add(local))
                if count >= rule.least:
                    details = {"window_seconds": rule.window_seconds}
                    found = Measured(timestamp=local, value=count, exchange=exchange, symbol=symbol, subject=subject, details=details)
                    self.offer(rule, found, local=local)


def _judged(rules: Iterable[WindowRule]) -> list[_Judged]:
    """A window for each length that rules ask for."""
    found: dict[int, _Judged] = {}
    for rule in rules:
        judged = found.setdefault(rule.window_seconds, _Judged(rule.window_seconds))
        judged.rules.append((rule, rule.least, _figure(rule, judged)))
    return list(found.values())


def _figure(rule: WindowRule, judged: _Judged) -> Figure:
    """The figure a rule judges."""
    if isinstance(rule, PriceMove):
        sign = {"any": 0.0, "up": 1.0, "down": -1.0}[rule.direction]
        return (lambda window: window.price_change_pct * sign) if sign else (lambda window: abs(window.price_change_pct))
    if isinstance(rule, VolumeSpike):
        history = VolumeHistory(rule.history_seconds * 1_000_000)
        judged.histories.append(history)
        return lambda window: _times(window, history)
    return lambda window: window.total


def _times(window: RollingWindow, history: VolumeHistory) -> float | None:
    usual = history.average(window.end - window.length_us, length_us=window.length_us)
    return None if usual is None else window.volume / usual


def _figures(rule: WindowRule, window: RollingWindow) -> dict[str, Any]:
    """The window in the words of `liquidation_alerts`, or those of trades."""
    shared = {
        "window_seconds": rule.window_seconds,
        "event_count": len(window),
        "vwap": window.vwap,
        "price_change_pct": window.price_change_pct,
        "volatility": window.volatility,
    }
    if isinstance(rule, LiquidationVolume):
        values = {"total_volume_usd": window.total, "buy_volume_usd": window.bought, "sell_volume_usd": window.sold}
        return {**shared, **values, "largest_trade_usd": window.largest}
    return {**shared, "volume": window.volume, "quote_volume": window.total, "largest_trade": window.largest}


def _spread_bps(bid: float, ask: float) -> float:
    return (ask - bid) / ((ask + bid) / 2) * 10_000


def _imbalance(rule: Imbalance, bids: Sequence[float], asks: Sequence[float]) -> float:
    """(bids - asks) / (bids + asks), -1 to 1; 0 where nothing rests."""
    bid, ask = sum(bids[: rule.levels]), sum(asks[: rule.levels])
    return (bid - ask) / (bid + ask) if bid + ask > 0 else 0.0
