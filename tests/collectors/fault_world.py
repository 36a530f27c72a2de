"""One venue in trouble: its simulator, a collector, every fault in turn, and what both sides say afterwards.

What belongs here: injecting, waiting, and collecting evidence per symbol. What does not: expectations (venue_traits.py) and
verdicts (test_fault_suite.py).
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.collectors.simulating import Running, Simulator, until
from tests.collectors.venue_traits import ROLES, Market

CUT_SECONDS = float(os.environ.get("TICKHOUSE_CUT_SECONDS", "4"))
"""How long the venue is away; the suite takes a short cut, 60 shows what the notes promise."""
RATE = 350.0
STALL_SECONDS = 9.0
"""Twice what is called silent here, which is longer than the markets stand still while books are compared."""
TRADES_BEFORE = 40
TOP = 25

Levels = dict[str, list[tuple[float, float]]]


@dataclass(slots=True)
class Traded:
    """One trade by the id the venue publishes."""

    side: str
    price: float
    amount: float
    time_us: int
    delivered: bool
    times: int = 1
    """How many real trades a natural key stands for."""


@dataclass(slots=True)
class Evidence:
    """What one exchange's run left behind."""

    gaps: list[dict[str, Any]] = field(default_factory=list)
    """Distinct gaps: market-symbol, channel, kind, from_time, to_time, noticed and healed_at in microseconds, phase."""
    missing: dict[str, list[Traded]] = field(default_factory=dict)
    """By symbol: trades of the simulator's ledger, from the first that landed on, that did not land."""
    doubled: dict[str, list[str]] = field(default_factory=dict)
    """By symbol: ids that landed more than once."""
    different: dict[str, list[str]] = field(default_factory=dict)
    """By symbol: landed trades that are not what the ledger says, or that it does not know."""
    landed: dict[str, int] = field(default_factory=dict)
    sources: Counter[str] = field(default_factory=Counter)
    books: dict[str, dict[str, str]] = field(default_factory=dict)
    """By checkpoint and symbol, how the rebuilt book differs from the simulator's; equal books are left out."""
    book_updates: dict[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    corrupted: int = 0
    unbalanced: list[dict[str, Any]] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    """When each phase began, microseconds."""
    throttled: int = 0


class World:
    """The simulator and the collector of one exchange, both processes of their own."""

    def __init__(self, root: Path, exchange: str, markets: Iterable[Market]) -> None:
        self.exchange = exchange
        self.markets = tuple(markets)
        self.symbols = {market.symbol(role): market for market in self.markets for role in ROLES if ROLES[role] in market.bases}
        self.evidence = Evidence()
        self.simulated = Simulator(root, exchanges=exchange, rate=RATE * len(self.markets), arguments=["--symbols", ",".join(self.symbols)])
        silence = str(STALL_SECONDS / 2)
        settings = {
            "TICKHOUSE_STALL_FLOOR_SECONDS": silence,
            "TICKHOUSE_STALL_FIRST_SECONDS": silence,
            "TICKHOUSE_BREAKER_COOLDOWN_SECONDS": "1",
        }
        self.running = Running(root, self.simulated.endpoints, symbols={exchange: list(self.symbols)}, settings=settings)

    def kill(self) -> None:
        self.running.kill()
        self.simulated.kill()

    def live_through(self) -> Evidence:
        """Calm, frame faults, a shutdown notice, a cut; then the accounts of both sides."""
        started = time.monotonic()
        self.running.wait_live()
        self._until_traded()
        for name, step in {"calm": self._calm, "faults": self._frame_faults, "shutdown": self._shutdown, "cut": self._cut}.items():
            step()
            print(f"{self.exchange} {name}: {time.monotonic() - started:.1f} s")
            self._checkpoint(name)
        print(f"{self.exchange} checked: {time.monotonic() - started:.1f} s")
        self._collect()
        print(f"{self.exchange} compared: {time.monotonic() - started:.1f} s")
        return self.evidence

    def _calm(self) -> None:
        self._mark("calm")

    def _mark(self, phase: str) -> None:
        self.evidence.marks[phase] = time.time_ns() // 1000

    def _until_traded(self) -> None:
        """Some venues' ids are trusted to show a hole only once enough of them have followed each other."""
        enough = f"select symbol from trades group by symbol having count(*) > {TRADES_BEFORE}"
        until(lambda: len(self.running.sql(enough)) == len(self.symbols), what=f"{TRADES_BEFORE} trades of every symbol")

    def _fault(self, kind: str, market: Market, role: str, **parameters: object) -> None:
        self.simulated.fault(kind, exchange=self.exchange, symbol=market.symbol(role), **parameters)

    def _frame_faults(self) -> None:
        self._mark("faults")
        for market in self.markets:
            self._fault("drop_delta", market, "drop_delta", channel="book")
            self._fault("duplicate", market, "duplicate", channel="book")
            self._fault("duplicate", market, "duplicate_trades", channel="trades")
            self._fault("reorder", market, "reorder", channel="book")
            self._fault("corrupt", market, "corrupt_book", channel="book")
            self._fault("corrupt", market, "corrupt_trades", channel="trades")
            self._fault("bad_checksum", market, "bad_checksum", channel="book")
            self._fault("slow_snapshot", market, "slow_snapshot", duration=1.0)
            self._fault("drop_delta", market, "slow_snapshot", channel="book")
            self._fault("http_429", market, "http_429", duration=1.0)
            self._fault("drop_delta", market, "http_429", channel="book")
            self._fault("id_reset", market, "id_reset")
            self._fault("stall", market, "stall", channel="trades", duration=STALL_SECONDS)
        until(lambda: self._faults_started() >= 13 * len(self.markets), what="every fault to begin")
        time.sleep(STALL_SECONDS)
        self._until_quiet()

    def _faults_started(self) -> int:
        return len(self.simulated.rows("faults"))

    def _shutdown(self) -> None:
        self._mark("shutdown")
        connections = self.simulated.control("stats")["connections"]
        self.simulated.fault("shutdown", exchange=self.exchange)
        until(lambda: self.simulated.control("stats")["connections"] > connections, what="new sockets after the shutdown")
        before = self.simulated.control("sockets")
        until(
            lambda: not {each["id"] for each in before} & {each["id"] for each in self._old_sockets(connections)},
            seconds=30,
            what="the old sockets to end",
        )
        self._until_quiet()

    def _old_sockets(self, connections: int) -> list[dict[str, Any]]:
        return [each for each in self.simulated.control("sockets") if each["id"] <= connections]

    def _cut(self) -> None:
        self._mark("cut")
        self.simulated.fault("refuse", exchange=self.exchange, duration=CUT_SECONDS)
        self.simulated.fault("disconnect", exchange=self.exchange)
        time.sleep(CUT_SECONDS)
        until(lambda: self.simulated.control("sockets"), seconds=30, what="a socket after the cut")
        self.running.wait_live()
        self._until_quiet()

    def _until_quiet(self) -> None:
        """Every gap that can be healed is: those left open are only trades of markets that cannot fetch them."""

        def waiting() -> list[dict[str, Any]]:
            return [gap for gap in self._gaps() if gap["healed_at"] is None and self._healable(gap)]

        # Request budgets are those of the venue: a minute's worth may be spent.
        deadline = time.monotonic() + 70 + CUT_SECONDS
        while waiting() and time.monotonic() < deadline:
            time.sleep(0.2)

    def _healable(self, gap: dict[str, Any]) -> bool:
        return bool(gap["channel"] == "book_deltas" or self.symbols[gap["symbol"]].heals)

    def _gaps(self) -> list[dict[str, Any]]:
        return self.running.sql(
            """
            select symbol, channel, epoch_us(from_time) as from_time, any_value(kind) as kind, max(epoch_us(to_time)) as to_time,
                   min(epoch_us(local_timestamp)) as noticed, max(epoch_us(healed_at)) as healed_at, any_value(healed_by) as healed_by
            from gaps group by all order by noticed
            """
        )

    def _checkpoint(self, name: str) -> None:
        """Let the markets stand still, and compare every book that landed with the simulator's."""
        self.simulated.control("pause")
        try:
            differing: dict[str, str] = {}

            def settled() -> bool:
                differing.clear()
                differing.update(self._differing_books())
                return not differing

            deadline = time.monotonic() + 4
            while not settled() and time.monotonic() < deadline:
                time.sleep(0.2)
            self.evidence.books[name] = dict(differing)
        finally:
            self.simulated.control("resume")

    def _differing_books(self) -> dict[str, str]:
        landed = self._books()
        differing = {}
        for symbol, market in self.symbols.items():
            real = self.simulated.control("book", exchange=self.exchange, market=market.market, symbol=symbol)
            for side in ("bids", "asks"):
                expected = [tuple(level) for level in real[side][:TOP]]
                found = landed.get(symbol, {}).get(side, [])[:TOP]
                if len(found) < 10 or found != expected[: len(found)]:
                    first = next((pair for pair in zip(found, expected, strict=False) if pair[0] != pair[1]), (len(found), len(expected)))
                    differing[symbol] = f"{side}: landed {first[0]}, the venue has {first[1]}"
        return differing

    def _books(self) -> dict[str, Levels]:
        """Every book as its rows since its last full snapshot make it."""
        rows = self.running.sql(
            """
            with opened as (select symbol, max(local_timestamp) as since from book_deltas where is_snapshot group by symbol)
            select symbol, side, price, amount, is_snapshot, epoch_us(local_timestamp) as moment, ordinal
            from book_deltas join opened using (symbol) where local_timestamp >= since order by symbol, local_timestamp, ordinal
            """
        )
        sides: dict[str, dict[str, dict[float, float]]] = defaultdict(lambda: {"bid": {}, "ask": {}})
        for row in rows:
            side = sides[row["symbol"]][row["side"]]
            if row["amount"]:
                side[row["price"]] = row["amount"]
            else:
                side.pop(row["price"], None)
        return {
            symbol: {"bids": sorted(book["bid"].items(), reverse=True), "asks": sorted(book["ask"].items())}
            for symbol, book in sides.items()
        }

    def _collect(self) -> None:
        """Stop both sides and compare their accounts."""
        found = self.evidence
        found.gaps = [gap | {"phase": self._phase(gap["noticed"])} for gap in self._gaps()]
        found.throttled = int(self.simulated.control("stats")["requests"].get("429", 0))
        self.simulated.stop()
        until(lambda: all(each.state != "connected" for each in self.running.status().connections), what="the end of every socket")
        assert self.running.stop() == 0
        self._compare_trades()
        found.dead_letters = self.running.sql("select count(*) as n from dead_letters")[0]["n"]
        found.corrupted = sum(row["kind"] == "corrupt" for row in self.simulated.rows("faults"))
        found.unbalanced = self.running.sql(
            "select * from ledger where frames <> control + ignored + decoded + dead_letters or rows_decoded <> rows_landed + duplicates + discarded"
        )
        updates = self.running.sql("select symbol, count(*) as n from book_deltas where not is_snapshot group by symbol")
        found.book_updates = {row["symbol"]: row["n"] for row in updates}

    def _phase(self, noticed: int) -> str:
        return max((mark for mark in self.evidence.marks.items() if mark[1] <= noticed), key=lambda mark: mark[1], default=("calm", 0))[0]

    def published(self) -> dict[str, dict[Any, Traded]]:
        """Trades of the ledger by symbol and published id (a natural key where the venue names none)."""
        trades: dict[str, dict[Any, Traded]] = defaultdict(dict)
        for row in self.simulated.rows("trades"):
            mine = trades[row["symbol"]]
            key = row["wire_id"] or natural(row["time_us"], row["side"], row["price"], row["amount"])
            known = mine.get(key)
            if known is None:
                mine[key] = Traded(row["side"], row["price"], row["amount"], row["time_us"], row["delivered"])
            else:
                known.amount += row["amount"] if row["wire_id"] else 0.0
                known.times += not row["wire_id"]
                known.delivered = known.delivered or row["delivered"]
        return trades

    def _compare_trades(self) -> None:
        found = self.evidence
        published = self.published()
        rows = self.running.sql(
            "select symbol, trade_id, side, price, amount, source, epoch_us(timestamp) as moment from trades order by symbol, moment"
        )
        by_symbol: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_symbol[row["symbol"]].append(row)
            found.sources[row["source"]] += 1
        for symbol in self.symbols:
            mine, theirs = by_symbol[symbol], published[symbol]
            nameless = any(isinstance(key, tuple) for key in theirs)
            keys = [natural(row["moment"], row["side"], row["price"], row["amount"]) if nameless else row["trade_id"] for row in mine]
            found.landed[symbol] = len(keys)
            found.doubled[symbol] = [str(key) for key, times in Counter(keys).items() if key in theirs and times > theirs[key].times]
            found.different[symbol] = [
                f"{key}: landed {row['side']} {row['amount']} at {row['price']}, published {theirs.get(key)}"
                for key, row in zip(keys, mine, strict=True)
                if not _same(row, theirs.get(key))
            ]
            first = min((theirs[key].time_us for key in keys if key in theirs), default=0)
            landed = set(keys)
            found.missing[symbol] = [trade for key, trade in theirs.items() if key not in landed and first < trade.time_us]


def natural(time_us: int, side: str, price: float, amount: float) -> tuple[int, str, float, float]:
    """What tells trades without ids apart: milliseconds, side, price, amount."""
    return time_us // 1000, side, price, amount


def _same(row: dict[str, Any], trade: Traded | None) -> bool:
    return (
        trade is not None
        and (row["side"], row["price"]) == (trade.side, trade.price)
        and abs(row["amount"] - trade.amount) <= 1e-9 * max(1.0, trade.amount)
    )
