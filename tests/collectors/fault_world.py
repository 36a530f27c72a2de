"""One venue in trouble: its simulator, a collector, every fault in turn, and what both sides say afterwards.

What belongs here: injecting, waiting, and collecting. What does not: what the accounts say together (fault_evidence.py), expectations
(venue_traits.py), verdicts (test_fault_suite.py).
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.collectors.fault_evidence import Evidence, compare_trades, losses, slowness
from tests.collectors.simulating import Running, Simulator, comes_true, until
from tests.collectors.venue_traits import (
    DEFAULT_GAPS,
    FEW_TRADES,
    RATES,
    ROLES,
    TRADES_BEFORE,
    USUAL_RATE,
    Market,
)

CUT_SECONDS = float(os.environ.get("TICKHOUSE_CUT_SECONDS", "4"))
"""How long the venue is away; the suite takes a short cut, 60 shows what the notes promise."""
SILENT_SECONDS = 6.0
STALL_SECONDS = 9.0
"""What is called silent here is far longer than the markets stand still while books are compared. A stall is as far from one such silence
as from two: a new subscription may bring rows in the middle of it, from which on the silence is counted anew."""
STILL_SECONDS = 2.0
"""How long markets stand still at a time for their books to be compared."""
PATIENCE = 180.0
"""Seconds after which what has not come true is left to the assertions on the evidence."""
TOP = 25
DELIVERED = 20
"""Rows of its trades and updates of its book that are more than what opens a stream."""

Levels = dict[str, list[tuple[float, float]]]


class World:
    """The simulator and the collector of one exchange, both processes of their own."""

    def __init__(self, root: Path, exchange: str, markets: Iterable[Market]) -> None:
        self.exchange = exchange
        self.markets = tuple(markets)
        self.symbols = {market.symbol(role): market for market in self.markets for role in ROLES if ROLES[role] in market.bases}
        self.evidence = Evidence()
        self._sockets: list[dict[str, Any]] = []
        """The simulator's, when the faults began."""
        rate = RATES.get(exchange, USUAL_RATE) * len(self.markets)
        self.simulated = Simulator(root, exchanges=exchange, rate=rate, arguments=["--symbols", ",".join(self.symbols)])
        # One threshold whatever the streams teach: a pause of a busy machine must not make a stall too short to be noticed.
        silence = {f"TICKHOUSE_STALL_{bound}_SECONDS": str(SILENT_SECONDS) for bound in ("FLOOR", "FIRST", "CAP")}
        # Parts are many rows each: what is looked at again and again is read from few files.
        settings = {**silence, "TICKHOUSE_BREAKER_COOLDOWN_SECONDS": "1", "TICKHOUSE_ROLL_SECONDS": "10"}
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
        enough = TRADES_BEFORE.get(self.exchange, FEW_TRADES)

        def traded() -> bool:
            state = self.running.status()
            rows = [stream.rows for stream in state.streams if stream.channel == "trades"] if state else []
            return len(rows) == len(self.symbols) and min(rows) > enough

        until(traded, seconds=120, what=f"{enough} trades of every symbol")

    def _fault(self, kind: str, market: Market, role: str, **parameters: object) -> None:
        self.simulated.fault(kind, exchange=self.exchange, symbol=market.symbol(role), **parameters)

    def _frame_faults(self) -> None:
        self._mark("faults")
        self._sockets = self.simulated.control("sockets")
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
        ended = time.monotonic() + STALL_SECONDS
        while time.monotonic() < ended:
            time.sleep(0.5)
            self.evidence.slowness = max(self.evidence.slowness, slowness())
        comes_true(self._told, seconds=PATIENCE)
        self._until_quiet()

    def _faults_started(self) -> int:
        return len(self.simulated.rows("faults"))

    def _told(self) -> bool:
        """Whether each fault has left the gaps that it must leave: what comes later would be taken for the next phase's."""
        found = Counter(gap["symbol"] for gap in self._gaps() if gap["noticed"] >= self.evidence.marks["faults"])
        for market in self.markets:
            for role in ROLES:
                expected = market.gaps.get(role, DEFAULT_GAPS[role])
                if found[market.symbol(role)] < (expected if isinstance(expected, int) else min(expected)):
                    return False
        return True

    def _shutdown(self) -> None:
        self._mark("shutdown")
        connections = self.simulated.control("stats")["connections"]
        self.simulated.fault("shutdown", exchange=self.exchange)
        until(lambda: self.simulated.control("stats")["connections"] > connections, what="new sockets after the shutdown")
        until(
            lambda: all(each["id"] > connections for each in self.simulated.control("sockets")),
            seconds=PATIENCE,
            what="the old sockets to end",
        )
        self._until_cut("shutdown", [market for market in self.markets if not market.notice])
        self._until_quiet()

    def _until_cut(self, phase: str, markets: Iterable[Market]) -> None:
        """Each stream of the markets has its gap of this phase: before that nothing waits to be healed, and nothing is quiet."""
        wanted = {(market.symbol(role), channel) for market in markets for role in ROLES for channel in ("trades", "book_deltas")}

        def noted() -> bool:
            since = self.evidence.marks[phase]
            return wanted <= {(gap["symbol"], gap["channel"]) for gap in self._gaps() if gap["noticed"] >= since}

        if wanted:
            comes_true(noted, seconds=PATIENCE)

    def _cut(self) -> None:
        self._mark("cut")
        self.simulated.fault("refuse", exchange=self.exchange, duration=CUT_SECONDS)
        self.simulated.fault("disconnect", exchange=self.exchange)
        time.sleep(CUT_SECONDS)
        until(lambda: self.simulated.control("sockets"), seconds=PATIENCE, what="a socket after the cut")
        self._until_cut("cut", self.markets)
        self._until_quiet()

    def _until_quiet(self) -> None:
        """Every gap that can be healed is, and those of trades that nobody can fetch have ended.

        The end is the stream's first trade after them: a stream that has not spoken since it was lost cannot be lost again.
        """

        def quiet() -> bool:
            return all(self._over(gap) for gap in self._gaps())

        # Request budgets are those of the venue: a minute's worth may be spent.
        comes_true(quiet, seconds=PATIENCE + CUT_SECONDS)

    def _over(self, gap: dict[str, Any]) -> bool:
        if gap["channel"] == "book_deltas" or self.symbols[gap["symbol"]].heals:
            return gap["healed_at"] is not None
        return gap["channel"] != "trades" or gap["to_time"] is not None

    def _gaps(self) -> list[dict[str, Any]]:
        return self.running.sql(
            """
            select symbol, channel, epoch_us(from_time) as from_time, any_value(kind) as kind, max(epoch_us(to_time)) as to_time,
                   min(epoch_us(local_timestamp)) as noticed, max(epoch_us(healed_at)) as healed_at, any_value(healed_by) as healed_by
            from gaps group by all order by noticed
            """
        )

    def _checkpoint(self, name: str) -> None:
        """Let the markets stand still, and compare every book that landed with the simulator's; again where one is still on its way."""
        hidden = {market.symbol(role) for market in self.markets for role in market.unseen if name != "calm"}

        def equal() -> bool:
            self.evidence.books[name] = differing = self._still(lambda differing: differing.keys() <= hidden)
            return differing.keys() <= hidden

        comes_true(equal, seconds=PATIENCE)

    def _still(self, enough: Callable[[Mapping[str, str]], bool]) -> dict[str, str]:
        """Books that differ while the markets stand still: what is on its way is given a moment, too short to look like a silence."""
        self.simulated.control("pause")
        try:
            ended = time.monotonic() + STILL_SECONDS
            real = {
                symbol: self.simulated.control("book", exchange=self.exchange, market=market.market, symbol=symbol)
                for symbol, market in self.symbols.items()
            }
            while True:
                time.sleep(0.3)
                differing = self._differing_books(real)
                if enough(differing) or time.monotonic() >= ended:
                    return differing
        finally:
            self.simulated.control("resume")

    def _differing_books(self, venue: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        landed = self._books()
        differing = {}
        for symbol, real in venue.items():
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

    def _delivered(self) -> bool:
        """Whether every stream has brought what counts as delivering."""
        rows = self.running.sql(
            """
            select symbol, count(*) as n from trades group by all
            union all select symbol, count(*) from book_deltas where not is_snapshot group by all
            """
        )
        return len(rows) == 2 * len(self.symbols) and all(row["n"] > DELIVERED for row in rows)

    def _collect(self) -> None:
        """Stop both sides and compare their accounts."""
        comes_true(self._delivered, seconds=PATIENCE)
        found = self.evidence
        found.gaps = [gap | {"phase": self._phase(gap["noticed"])} for gap in self._gaps()]
        found.throttled = int(self.simulated.control("stats")["requests"].get("429", 0))
        self.simulated.stop()
        until(lambda: all(each.state != "connected" for each in self.running.status().connections), what="the end of every socket")
        assert self.running.stop() == 0
        ledger = self.simulated.rows("trades")
        landed = "select symbol, trade_id, side, price, amount, source, epoch_us(timestamp) as moment from trades order by symbol, moment"
        compare_trades(found, self.symbols, ledger=ledger, landed=self.running.sql(landed))
        found.losses = losses(self.symbols, self._sockets, faults=self.simulated.rows("faults"), trades=ledger)
        found.dead_letters = self.running.sql("select count(*) as n from dead_letters")[0]["n"]
        found.corrupted = sum(row["kind"] == "corrupt" for row in self.simulated.rows("faults"))
        found.unbalanced = self.running.sql(
            "select * from ledger where frames <> control + ignored + decoded + dead_letters or rows_decoded <> rows_landed + duplicates + discarded"
        )
        updates = self.running.sql("select symbol, count(*) as n from book_deltas where not is_snapshot group by symbol")
        found.book_updates = {row["symbol"]: row["n"] for row in updates}

    def _phase(self, noticed: int) -> str:
        return max((mark for mark in self.evidence.marks.items() if mark[1] <= noticed), key=lambda mark: mark[1], default=("calm", 0))[0]
