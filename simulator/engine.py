"""What makes time pass: each tick every market lives a little and everyone hears of it.

What belongs here: how many orders and moves a span of time holds, forced orders, the order of a tick.
What does not: sockets (server.py) and wall clocks; the time is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulator.faults import Fault, Faults
from simulator.ledger import Ledger
from simulator.market import Market
from simulator.streams import Hub
from simulator.venues.base import Venue

TICK_S = 0.02
# A stall of the machine must not turn into one enormous burst afterwards, nor too high a rate into ticks that never end:
# what does not fit is not lived.
LONGEST_TICK_US = 100_000
MEDIAN_FORCED_USD = 20_000.0


class Pulse:
    """One market's rhythm: credit for orders and moves grows with time, faster in lively seconds than in calm ones."""

    def __init__(self, venue: Venue, market: Market, *, messages_per_s: float, seed: int, number: int) -> None:
        self.venue = venue
        self.market = market
        self.pace = venue.pace(market.instrument, messages_per_s)
        self._rng = np.random.default_rng([seed, number, 7])
        self._orders = 0.0
        self._moves = 0.0
        self._mood = 1.0
        self._second = 0

    def counts(self, now_us: int, span_us: int) -> tuple[int, int]:
        """How many orders and moves happen in a span that ends now."""
        second = now_us // 1_000_000
        if second != self._second:
            self._second = second
            self._mood = 2.0 if self._rng.random() < 0.1 else 0.4 + float(self._rng.random())
        self._orders += self.pace.orders * self._mood * span_us / 1e6
        self._moves += self.pace.moves * span_us / 1e6
        orders, moves = int(self._orders), int(self._moves)
        self._orders -= orders
        self._moves -= moves
        return orders, moves


class Engine:
    """All markets of all venues under one clock (unix microseconds)."""

    def __init__(
        self,
        venues: Sequence[Venue],
        *,
        hub: Hub,
        faults: Faults,
        ledger: Ledger,
        messages_per_s: float,
        liquidations_per_minute: float,
        seed: int,
        start_us: int,
    ) -> None:
        self.hub = hub
        self.faults = faults
        self.ledger = ledger
        self.venues = venues
        self.now_us = start_us
        markets = [(venue, market) for venue in venues for market in venue.markets]
        share = messages_per_s / max(1, len(markets))
        self.pulses = [
            Pulse(venue, market, messages_per_s=share, seed=seed, number=number) for number, (venue, market) in enumerate(markets)
        ]
        self._rng = np.random.default_rng([seed, 11])
        self._forced = 0.0
        self._forced_per_us = liquidations_per_minute / 60e6
        self._forcible = [pulse for pulse in self.pulses if pulse.market.instrument.market != "spot"]
        self._ledger_second = 0
        self.paused = False
        """Markets stand still: nothing is traded and no book changes, while heartbeats and answers go on."""

    def tick(self, now_us: int) -> None:
        """Live from the last tick until now, then send."""
        span_us = min(now_us - self.now_us, LONGEST_TICK_US)
        self.faults.tick(now_us)
        for fault in self.faults.due_events():
            self._event(fault, now_us)
        if span_us > 0:
            if not self.paused:
                for pulse in self.pulses:
                    self._live(pulse, now_us, span_us)
                self._force(now_us, span_us)
            self.now_us = now_us
        for venue in self.venues:
            venue.run_due(now_us)
            venue.clock(now_us)
        self.hub.flush()
        if now_us // 500_000 != self._ledger_second:
            self._ledger_second = now_us // 500_000
            self.ledger.flush()

    def _event(self, fault: Fault, now_us: int) -> None:
        if fault.kind == "disconnect":
            self.hub.cut(fault.exchange, fault.symbol, fault.channel, most=fault.most)
            return
        for venue in self.venues:
            if fault.exchange not in {"*", venue.name}:
                continue
            if fault.kind == "shutdown":
                venue.shutdown(now_us)
                continue
            for market in venue.markets:
                if fault.symbol in {"*", market.instrument.symbol}:
                    venue.restart_sequence(market, now_us)

    def _live(self, pulse: Pulse, now_us: int, span_us: int) -> None:
        orders, moves = pulse.counts(now_us, span_us)
        total = orders + moves
        if not total:
            return
        venue, market = pulse.venue, pulse.market
        done = 0
        for index in range(total):
            time_us = now_us - span_us + (index + 1) * span_us // (total + 1)
            # Spread the orders evenly among the moves.
            if done < (index + 1) * orders // total:
                done += 1
                fills = market.order(time_us)
                self.ledger.trade(market.instrument, fills, delivered=venue.trades(market, fills), wires=venue.wire_ids(market, fills))
            else:
                market.move(time_us)
            changes = market.take()
            if changes is not None:
                venue.changes(market, changes)

    def _force(self, now_us: int, span_us: int) -> None:
        if not self._forcible:
            return
        self._forced += self._forced_per_us * span_us
        while self._forced >= 1.0:
            self._forced -= 1.0
            pulse = self._forcible[int(self._rng.integers(len(self._forcible)))]
            dollars = MEDIAN_FORCED_USD * float(np.exp(1.2 * self._rng.standard_normal()))
            self._forced_order(pulse, now_us, buy=bool(self._rng.random() < 0.5), dollars=dollars)

    def burst(self, exchange: str, symbol: str, *, orders: int, dollars: float) -> int:
        """Force as many orders of `dollars` each, all of longs, in every market that matches (`*`: any); returns the number of markets.

        They happen at the instant of the last tick, and are sent with the next.
        """
        chosen = [
            pulse
            for pulse in self._forcible
            if exchange in {"*", pulse.market.instrument.exchange} and symbol in {"*", pulse.market.instrument.symbol}
        ]
        for pulse in chosen:
            for _ in range(orders):
                self._forced_order(pulse, self.now_us, buy=False, dollars=dollars)
        return len(chosen)

    def _forced_order(self, pulse: Pulse, now_us: int, *, buy: bool, dollars: float) -> None:
        venue, market = pulse.venue, pulse.market
        fills = market.order(now_us, buy=buy, dollars=dollars)
        self.ledger.trade(market.instrument, fills, delivered=venue.forced(market, fills), wires=venue.wire_ids(market, fills))
        changes = market.take()
        if changes is not None:
            venue.changes(market, changes)
        delivered = venue.liquidation(market, fills, now_us)
        if delivered is not None:
            instrument = market.instrument
            total = sum(fill.amount for fill in fills)
            self.ledger.liquidation(
                instrument,
                time_us=now_us,
                buy=fills[0].buy,
                price=instrument.price(fills[0].price),
                amount=instrument.amount(total),
                delivered=delivered,
            )
