"""Alert rules beside the rows: what a flush is about to land goes through the rules first, and what fires lands with it.

Put here: from the buffer's tuples to the markets of an engine, and its state at a start. Keep out: rules, windows, cooldown
(`lake.alerts`).

An alert is appended to the log in the flush that took the event it speaks of, behind the rows that made it fire: a kill between the two
loses the alert, not the rows, and the window that is filled from them at the next start fires it with its next event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from collectors.rows import EventBuffer
from collectors.watch import Watch
from lake.alerts.engine import Engine, Market
from lake.alerts.firing import Firing, batches
from lake.alerts.outbox import longest_cooldown_us, recent
from lake.alerts.replay import files_reader, warm
from lake.alerts.rules import Rule
from lake.paths import Home


class Alerting:
    """The rules of one collector. `warmed` makes one whose windows and cooldowns are those of the home."""

    def __init__(self, rules: Mapping[str, Rule], firing: Firing, *, since: int) -> None:
        self.engine = Engine(rules.values(), firing)
        self._since = since
        self._markets: list[Market] = []

    @classmethod
    def warmed(cls, home: Home, rules: Mapping[str, Rule], *, exchanges: Iterable[str], now: int) -> Alerting | None:
        """As if it had watched `exchanges` all along; None where no rule is evaluated here. `now` in microseconds."""
        firing = Firing()
        alerting = cls(rules, firing, since=now)
        if not alerting.engine.rules:
            return None
        firing.restore(recent(home, since=now - longest_cooldown_us(alerting.engine.rules)))
        warm(alerting.engine, files_reader(home, at_us=now, exchanges=tuple(exchanges)), now=now)
        return alerting

    def observe(self, events: EventBuffer) -> None:
        """Let the rules see the rows that the next drain takes."""
        engine = self.engine
        if events.trades or events.snapshots:
            self._know(events)
        markets = self._markets
        for key, timestamp, local, ordinal, identity, sold, price, amount, _, _, suspect in events.trades:
            if not suspect and markets[key].watches_trades:
                markets[key].trade(timestamp, ordinal, identity, price=price, amount=amount, sold=sold, local=local)
        for key, at, local, _, _, bids, asks in events.snapshots:
            markets[key].top(at, bids, asks, local=local)
        rows: Mapping[str, list[Any]] = events.rows
        for exchange, symbol, timestamp, local, ordinal, side, price, amount, value, identity, _ in rows["liquidations"]:
            engine.market(exchange, symbol).liquidation(
                timestamp, ordinal, identity, price=price, amount=amount, value_usd=value, side=side, local=local
            )
        for exchange, symbol, timestamp, local, _, rate, *_ in rows["derivatives"]:
            engine.market(exchange, symbol).funding(timestamp, rate, local=local)
        for exchange, symbol, _, local, _, dataset, _, _, _, began, *_ in rows["gaps"]:
            engine.gap(exchange, symbol, dataset, began=began, local=local)
        for exchange, local, _, connection, *_ in rows["dead_letters"]:
            engine.dead_letter(exchange, connection, local=local)

    def listen(self, watch: Watch, now: int) -> None:
        """Let the rules hear which streams are silent; a stream that never delivered is silent since the start."""
        if not self.engine.hears_silence:
            return
        for (exchange, channel, symbol), count in watch.streams.items():
            if count.connection and symbol not in watch.unlisted.get(exchange, ()):
                last = self._since if count.last_event is None else count.last_event
                self.engine.silence(exchange, symbol, channel, last=last, now=now)

    def take(self) -> dict[str, pa.RecordBatch]:
        """Rows of what fired since the last call, by dataset."""
        return batches(self.engine.take())

    def _know(self, events: EventBuffer) -> None:
        """Markets by the number that stands for them in row tuples."""
        if len(self._markets) < events.known:
            self._markets += [self.engine.market(*market) for market in events.symbols[len(self._markets) :]]
